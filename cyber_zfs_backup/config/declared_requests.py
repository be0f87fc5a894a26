# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked for by the configuration file: frozen values.

Apart from the other requests: the one that is made every few minutes is to cost little.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from ..model.names import BadNameError, check_dataset
from .job import Action, Destination, UsageError

if TYPE_CHECKING:
    from .requests import Check, Doctor, Metrics, Report, Status


class Look(Enum):
    """What can be told of all trees that a configuration file declares; each is a command's name."""

    STATUS = "status"
    CHECK = "check"
    METRICS = "metrics"
    REPORT = "report"
    DOCTOR = "doctor"


@dataclass(frozen=True, slots=True)
class LookDeclared:
    """Tell how all trees of the configuration file stand; read only.

    Where the file does not exist, or declares no dataset, ``instead`` is meant; ``refusal`` says why that is
    impossible, too. Neither is there where the file was named. ``online``: ask the receivers. ``output``:
    what to write, and where.
    """

    kind: Look
    file: Path
    instead: Status | Check | Metrics | Report | Doctor | None = None
    refusal: str = ""
    online: bool = False
    output: Path | None = None
    dry_run: bool = False
    dataset: str = ""
    destinations: tuple[Destination, ...] = ()

    @property
    def named(self) -> bool:
        """Whether that file is meant, and nothing else."""
        return self.instead is None and not self.refusal


class NothingDeclaredError(UsageError):
    """The configuration file declares no dataset; as a rule it says only who is told."""


@dataclass(frozen=True, slots=True)
class ConfigCheck:
    """Tell what is wrong in the configuration file. Changes nothing."""

    file: Path
    dataset: str = ""
    dry_run: bool = False
    destinations: tuple[Destination, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigShow:
    """Tell what counts for ``dataset`` (empty: for each entry) by the configuration file, and why."""

    file: Path
    dataset: str = ""
    dry_run: bool = False
    destinations: tuple[Destination, ...] = ()

    def __post_init__(self) -> None:
        if self.dataset:
            try:
                check_dataset(self.dataset)
            except BadNameError as error:
                raise UsageError(f"config show: {error}") from None


@dataclass(frozen=True, slots=True)
class RunDue:
    """Do what is due by the configuration file.

    Of all its entries, or of ``datasets`` alone; ``now``: all that they have, whether due or not.
    """

    file: Path
    actions: frozenset[Action] = frozenset(Action)
    datasets: tuple[str, ...] = ()
    now: bool = False
    dry_run: bool = False
    dataset: str = ""
    destinations: tuple[Destination, ...] = ()

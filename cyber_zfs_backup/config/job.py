# SPDX-License-Identifier: GPL-3.0-or-later
"""One run, as it was asked for: frozen, checked, and without any knowledge of how it is done."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..model.names import BadNameError, check_dataset
from ..plan.cost import SendMode


class UsageError(Exception):
    """What was asked for makes no sense; nothing has been run. The message says what to write instead."""


class Action(Enum):
    """What a run may be asked to do. Always done in this order; the mirror belongs to the push."""

    SNAPSHOT = "snapshot"
    PUSH = "push"
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How many snapshots to keep of each kind; one a year is kept for ever."""

    days: int = 31
    weeks: int = 12
    months: int = 36

    def __post_init__(self) -> None:
        for name in ("days", "weeks", "months"):
            if getattr(self, name) < 0:
                raise UsageError(
                    f"--retention-policy: {name} is {getattr(self, name)}; "
                    "write a whole number of snapshots, 0 or more (0 leaves the kind out)"
                )


@dataclass(frozen=True, slots=True)
class Destination:
    """A receiver: the ssh destination, and the dataset that holds our copy there."""

    ssh: str
    dataset: str
    ssh_config: Path | None = None
    use_sudo: bool = False

    def __post_init__(self) -> None:
        if not self.ssh or self.ssh.startswith("-") or re.search(r"[\s\x00-\x1f\x7f]", self.ssh):
            raise UsageError(f"--ssh-destination {self.ssh!r} is no host; write HOST or USER@HOST")
        _checked("--zfs-receive-dataset", self.dataset)
        if "/" not in self.dataset:
            raise UsageError(
                f"--zfs-receive-dataset {self.dataset!r} is a whole pool; "
                f"write POOL/DATASET, for example {self.dataset}/zippy"
            )

    @property
    def label(self) -> str:
        """How messages name this destination."""
        return f"{self.ssh}:{self.dataset}"


@dataclass(frozen=True, slots=True)
class Force:
    """What the administrator has said yes to, this once."""

    destroy_lots: bool = False
    non_incremental: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One run for one source tree and one destination."""

    dataset: str
    actions: frozenset[Action]
    destination: Destination
    retention: RetentionPolicy = RetentionPolicy()
    force: Force = Force()
    exclude: tuple[str, ...] = ()
    send_mode: SendMode = SendMode.AUTO
    lanes: int = 2
    dry_run: bool = False

    def __post_init__(self) -> None:
        _checked("--dataset", self.dataset)
        if not 1 <= self.lanes <= 16:
            raise UsageError(f"--lanes {self.lanes}: write a number from 1 to 16")
        if not self.actions:
            raise UsageError("--action: name at least one of snapshot, push, expire")


def _checked(option: str, dataset: str) -> None:
    try:
        check_dataset(dataset)
    except BadNameError as error:
        raise UsageError(f"{option}: {error}") from None

# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``restore`` is asked to do: frozen, checked values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..model.names import BadNameError, check_dataset, relative
from ..plan.restore import At, Extent
from .job import Destination, UsageError


@dataclass(frozen=True, slots=True)
class RestoreList:
    """Tell what each destination has of a dataset of the tree. Changes nothing."""

    dataset: str
    wanted: str
    destinations: tuple[Destination, ...]
    dry_run: bool = False

    def __post_init__(self) -> None:
        _check_wanted(self.dataset, self.wanted)


@dataclass(frozen=True, slots=True)
class Restore:
    """Bring a dataset of the tree (``wanted``, as it is or was called here) back as the new dataset ``to``.

    ``why_no_date`` is set where what was written behind the '@' is no date, and so can only be a snapshot's
    name. With ``keep_mountpoints`` mount points and shares come back also where ``to`` is another name.
    """

    dataset: str
    wanted: str
    at: At
    to: str
    destinations: tuple[Destination, ...]
    extent: Extent = field(default_factory=Extent)
    keep_mountpoints: bool = False
    why_no_date: str = ""
    dry_run: bool = False

    def __post_init__(self) -> None:
        _check_wanted(self.dataset, self.wanted)
        _check("--to", self.to)
        if "/" not in self.to:
            raise UsageError(
                f"--to {self.to!r} is a whole pool; write POOL/DATASET, for example {self.to}/restored"
            )
        for destination in self.destinations:
            if not destination.ssh and f"{self.to}/".startswith(f"{destination.dataset}/"):
                raise UsageError(
                    f"--to {self.to!r} lies in the copy {destination.dataset!r}; name another place"
                )

    @property
    def path(self) -> str:
        """The dataset, relative to the tree's root."""
        return relative(self.dataset, self.wanted)

    @property
    def in_place(self) -> bool:
        """Whether it takes its former place, mount points included."""
        return self.keep_mountpoints or self.to == self.wanted


@dataclass(frozen=True, slots=True)
class RestoreFile:
    """Tell where a file as it was then can be had: here, or from which destination. Changes nothing."""

    dataset: str
    file: Path
    at: At
    destinations: tuple[Destination, ...]
    dry_run: bool = False

    def __post_init__(self) -> None:
        _check("--dataset", self.dataset)
        if not self.file.is_absolute():
            raise UsageError(f"{str(self.file)!r}: write the file's whole path, from / on")


def _check(option: str, dataset: str) -> None:
    try:
        check_dataset(dataset)
    except BadNameError as error:
        raise UsageError(f"{option}: {error}") from None


def _check_wanted(root: str, wanted: str) -> None:
    _check("--dataset", root)
    _check("restore", wanted)
    try:
        relative(root, wanted)
    except ValueError:
        raise UsageError(
            f"restore: {wanted!r} is outside the tree {root!r}; name its tree with --dataset"
        ) from None

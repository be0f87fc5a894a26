# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``drill`` is asked to do: frozen, checked values."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.names import BadNameError, check_dataset
from .job import Destination, UsageError


@dataclass(frozen=True, slots=True)
class Drill:
    """Restore datasets of the copy into ``scratch``, one after the other, and compare them with the source.

    ``sample`` is how many of the datasets (0: all), ``files`` how many files or blocks of each are read;
    ``seed`` decides which.
    """

    dataset: str
    destination: Destination
    scratch: str
    seed: int
    sample: int = 0
    files: int = 200
    dry_run: bool = False

    def __post_init__(self) -> None:
        for option, name in (("--dataset", self.dataset), ("--scratch", self.scratch)):
            try:
                check_dataset(name)
            except BadNameError as error:
                raise UsageError(f"{option}: {error}") from None
        if "/" not in self.scratch:
            raise UsageError(f"--scratch {self.scratch!r} is a whole pool; write POOL/DATASET")
        if f"{self.scratch}/".startswith(f"{self.dataset}/"):
            raise UsageError(
                f"--scratch {self.scratch!r} lies in the tree {self.dataset!r}, where it would be backed up; "
                "name a dataset outside of it"
            )
        for option, number in (("--sample", self.sample), ("--files", self.files), ("--seed", self.seed)):
            if number < 0:
                raise UsageError(f"{option} {number}: write a number that is not below 0")

# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``retention`` is asked to do: frozen, checked values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ..model.ages import Age
from ..model.names import BadNameError, check_dataset, relative
from .job import Destination, Exclude, Force, RetentionPolicy, SourceHost, UsageError

MOST_YEARS = 100
MOST_SNAPSHOTS = 30_000
"""Retention is applied after each, so that more take minutes."""


@dataclass(frozen=True, slots=True)
class Simulate:
    """Which snapshots would exist at the end of the day ``on`` (``None``: the last one).

    ``per_day`` are taken on each day from ``begin`` on, in UTC, evenly; retention is applied after each.
    ``output`` is a file to draw it into. Raises ``UsageError``.
    """

    retention: RetentionPolicy
    begin: date
    years: int = 3
    per_day: int = 1
    on: date | None = None
    output: Path | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.years <= MOST_YEARS:
            raise UsageError(f"--years {self.years}: write a number from 1 to {MOST_YEARS}")
        if not 1 <= self.per_day <= 1440:
            raise UsageError(f"--snapshots-per-day {self.per_day}: write a number from 1 to 1440")
        if self.begin.year + self.years > date.max.year:
            raise UsageError(f"--from {self.begin}: write an earlier day; the calendar ends before that")
        last = self.end - timedelta(days=1)
        if self.on is not None and not self.begin <= self.on <= last:
            raise UsageError(f"--on {self.on} is not simulated; write a day from {self.begin} to {last}")
        if self.days * self.per_day > MOST_SNAPSHOTS:
            raise UsageError(
                f"to simulate {self.days * self.per_day} snapshots would take minutes; ask for fewer --years "
                f"or --snapshots-per-day, or for an earlier --on ({MOST_SNAPSHOTS} at most)"
            )

    @staticmethod
    def begin_for(last: date, years: int) -> date:
        """The first day of a simulation of so many years that ends with the day ``last``."""
        end = _midnight(last) + timedelta(days=1)
        return Age(months=12 * years).before(end).date() if years > 0 else last

    @property
    def end(self) -> date:
        """The day after the last one."""
        try:
            return self.begin.replace(year=self.begin.year + self.years)
        except ValueError:  # 29 February
            return date(self.begin.year + self.years, 3, 1)

    @property
    def days(self) -> int:
        """How many days are simulated: up to the one that is shown."""
        return ((self.on + timedelta(days=1) if self.on else self.end) - self.begin).days

    @property
    def first(self) -> datetime:
        """The moment at which it begins."""
        return _midnight(self.begin)

    @property
    def dataset(self) -> str:
        """No tree: nothing is read."""
        return ""

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """None."""
        return ()

    @property
    def dry_run(self) -> bool:
        """It never changes a snapshot, and says what would be."""
        return False


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Explain:
    """What an expire would do now with each snapshot of ``wanted``, a dataset of the tree ``dataset``.

    ``recursive``: and of all below it. Raises ``UsageError``.
    """

    dataset: str
    wanted: str
    retention: RetentionPolicy = field(default_factory=RetentionPolicy)
    source: SourceHost = field(default_factory=SourceHost)
    exclude: Exclude = field(default_factory=Exclude)
    force: Force = field(default_factory=Force)
    recursive: bool = True

    def __post_init__(self) -> None:
        for name in (self.dataset, self.wanted):
            try:
                check_dataset(name)
            except BadNameError as error:
                raise UsageError(f"retention explain: {error}") from None
        try:
            relative(self.dataset, self.wanted)
        except ValueError:
            raise UsageError(
                f"retention explain: {self.wanted!r} is outside the tree {self.dataset!r}; "
                "name its tree with --dataset"
            ) from None

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """None is asked."""
        return ()

    @property
    def dry_run(self) -> bool:
        """It never changes anything."""
        return False

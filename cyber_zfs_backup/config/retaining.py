# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``retention`` is asked to do: frozen, checked values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ..model.ages import Age
from ..model.names import BadNameError, check_dataset, relative
from .job import Destination, Force, RetentionPolicy, SourceHost, UsageError

MOST_YEARS = 100
MOST_JUDGED = 20_000_000
"""So many snapshots are looked at in a minute or two."""

_DAY = 86400


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
        if self.judged > MOST_JUDGED:
            raise UsageError(
                f"to simulate {self.taken} snapshots, of which up to {self.kept_at_most} are kept at a time, "
                "would take minutes; ask for fewer --years or --snapshots-per-day, for an earlier --on, or "
                "for what keeps less"
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
    def taken(self) -> int:
        """How many snapshots are taken in all."""
        return self.days * self.per_day

    @property
    def judged(self) -> int:
        """How often a snapshot is looked at, at most: what a simulation costs. See ``plan.simulation``."""
        together = self.per_day if self.retention.hours == 0 else 1
        return self.taken // together * (self.kept_at_most + together)

    @property
    def kept_at_most(self) -> int:
        """More than so many are never kept at a time; it may be far fewer."""
        policy = self.retention
        buckets = (
            (policy.hours, self.days * 24),
            (policy.days, self.days),
            (policy.weeks, self.days // 7 + 2),
            (policy.months, self.days // 28 + 2),
            (policy.years, self.days // 365 + 2),
        )
        found = 1 + policy.last + sum(there if count is None else count for count, there in buckets)
        if policy.within is not None:
            found += (_most_seconds(policy.within) // _DAY + 2) * self.per_day
        for window in policy.windows:
            reach = self.days * _DAY
            if window.max_age is not None:
                reach = min(reach, _most_seconds(window.max_age))
            found += reach // _least_seconds(window.period) + 2
        return min(found, self.taken)

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


def _most_seconds(age: Age) -> int:
    return age.seconds or age.months * 31 * _DAY


def _least_seconds(age: Age) -> int:
    return age.seconds or age.months * 28 * _DAY


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
    exclude: tuple[str, ...] = ()
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

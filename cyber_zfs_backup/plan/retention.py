# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots of one dataset a retention rule keeps, and why.

A rule is a value with one method (``Rule``); ``Buckets`` is the default one, ``kinds.py`` and ``windows.py``
have the others. Rules see own names only, newest first by createtxg, and no clock: a rule that needs the
present carries it as a field. They say what is *wanted*; what must not be destroyed whatever a rule says is
decided in ``destroy.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from ..model.names import own_time
from ..model.trees import Dataset, Snapshot


class Because(Enum):
    """The kind of a reason, for counting and for programs; people read ``Reason.text``."""

    NEWEST = "newest"
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"
    LAST = "last"
    WITHIN = "within"
    WINDOW = "window"
    CLOCK_WENT_BACK = "clock went back"
    SAME_PERIOD = "same period"
    NOT_AMONG_LAST = "not among the last"
    TOO_OLD = "too old"
    FOREIGN = "foreign"
    PROTECTED = "protected"
    IN_USE = "in use"
    EXCLUDED = "excluded"
    FUTURE = "future"
    ON_SOURCE = "on the source"
    NOT_BELOW_BASE = "not below the base"
    ORPHAN = "orphan"
    NO_BASE = "no base"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a snapshot is kept or destroyed; ``str()`` of it is what people read."""

    because: Because
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a rule says of one name: keep it or not, and why."""

    keep: bool
    reason: Reason


NEWEST = Ruling(True, Reason(Because.NEWEST, "newest"))
"""What every rule says of the newest."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of one snapshot of one dataset, and why."""

    snapshot: Snapshot
    keep: bool
    reason: Reason


class Rule(Protocol):
    """A retention rule. Rules are values: equal fields, equal answers."""

    def judge(self, names: Sequence[str]) -> tuple[Ruling, ...]:
        """Answer one ruling for each of ``names``: own snapshots of one dataset, newest first by createtxg.

        Raises ``ValueError`` for a name that is not an own one.
        """


@dataclass(frozen=True, slots=True)
class _Period:
    """A unit of the calendar, in UTC. ``of`` answers equal values for two moments of the same period."""

    noun: str
    adjective: str
    because: Because
    of: Callable[[datetime], Hashable]


_HOUR = _Period("hour", "hourly", Because.HOURLY, lambda time: (time.date(), time.hour))
_DAY = _Period("day", "daily", Because.DAILY, lambda time: time.date())
_WEEK = _Period("week", "weekly", Because.WEEKLY, lambda time: time.isocalendar()[:2])  # from Monday on
_MONTH = _Period("month", "monthly", Because.MONTHLY, lambda time: (time.year, time.month))
_YEAR = _Period("year", "yearly", Because.YEARLY, lambda time: time.year)


@dataclass(frozen=True, slots=True)
class _Bucket:
    """So many of a period; ``size`` is ``None`` for a bucket that is never full."""

    period: _Period
    size: int | None

    def label(self, filled: int) -> str:
        adjective = self.period.adjective
        return adjective if self.size is None else f"{adjective} {filled} of {self.size}"


@dataclass(frozen=True, slots=True)
class Buckets:
    """The default rule: the newest, then so many of each period, then one a year for ever.

    Going from the newest to the oldest, a snapshot is kept where its period differs from that of the
    last one kept: first by hour until ``hours`` are kept, then by day, by week, by month, by year. So a
    snapshot counts for one bucket only, and a bucket of 0 is left out; one of ``None`` is never full, so
    that those after it get nothing. Whatever is destroyed has a kept snapshot of the same period that is
    newer both by createtxg and by its name; unless ``years`` is a number, and all buckets are full.

    A snapshot whose name tells a later time than the last one kept, although its createtxg is older, was
    taken before a clock went back (or under a wrong one): the calendar cannot place it, so it is kept
    and counts for no bucket.

    Raises ``ValueError`` for a negative number. Source of the rule: DESIGN.md, Retention.
    """

    days: int | None
    weeks: int | None
    months: int | None
    hours: int | None = 0
    years: int | None = None

    def __post_init__(self) -> None:
        for field in ("hours", "days", "weeks", "months", "years"):
            size = getattr(self, field)
            if size is not None and size < 0:
                raise ValueError(f"a retention rule cannot keep {size} {field}")

    def judge(self, names: Sequence[str]) -> tuple[Ruling, ...]:
        """See ``Rule.judge``."""
        return tuple(self._rulings(names))

    def _rulings(self, names: Sequence[str]) -> Iterator[Ruling]:
        if not names:
            return
        buckets = self._buckets()
        bucket = next(buckets, None)
        filled = 0
        last, last_time = names[0], named_time(names[0])
        yield NEWEST
        for name in names[1:]:
            time = named_time(name)
            if time > last_time:
                text = f"clock went back: dated later than {last}, which was taken after it"
                yield Ruling(True, Reason(Because.CLOCK_WENT_BACK, text))
            elif bucket is None:
                yield Ruling(False, Reason(Because.TOO_OLD, f"older than {last}, the last that is kept"))
            elif bucket.period.of(time) == bucket.period.of(last_time):
                text = f"same {bucket.period.noun} as {last}, which is kept"
                yield Ruling(False, Reason(Because.SAME_PERIOD, text))
            else:
                filled += 1
                last, last_time = name, time
                yield Ruling(True, Reason(bucket.period.because, bucket.label(filled)))
                if filled == bucket.size:
                    bucket, filled = next(buckets, None), 0

    def _buckets(self) -> Iterator[_Bucket]:
        sizes = (
            (_HOUR, self.hours),
            (_DAY, self.days),
            (_WEEK, self.weeks),
            (_MONTH, self.months),
            (_YEAR, self.years),
        )
        for period, size in sizes:
            if size != 0:
                yield _Bucket(period, size)


def named_time(name: str) -> datetime:
    """The time that an own name tells. Raises ``ValueError`` for any other name."""
    time = own_time(name)
    if time is None:
        raise ValueError(f"a retention rule was asked about {name!r}, which is not an own snapshot")
    return time


_FOREIGN = Ruling(True, Reason(Because.FOREIGN, "foreign: not a name of ours"))


@dataclass(frozen=True, slots=True)
class Judged:
    """What a rule says of a list of snapshot names; shared by all datasets that have that list.

    ``rulings`` has every name, ``own`` those of ours (newest first), ``unwanted`` those that the rule
    would destroy (oldest first); ``latest`` is the latest time that an own name tells.
    """

    rulings: Mapping[str, Ruling]
    own: tuple[str, ...]
    unwanted: tuple[str, ...]
    latest: datetime | None


class Judge:
    """Applies one rule to many datasets, and thinks once about each list of names.

    Recursive snapshots put the same names on every dataset, so a tree has few different lists.
    Foreign snapshots are always kept, and so is the newest own one, whatever the rule says.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._judged: dict[tuple[str, ...], Judged] = {}

    def judge(self, dataset: Dataset) -> Judged:
        """What the rule says of the dataset's snapshots."""
        names = tuple([snapshot.name for snapshot in dataset.snapshots])
        judged = self._judged.get(names)
        if judged is None:
            judged = self._judged[names] = self._think(names)
        return judged

    def _think(self, names: tuple[str, ...]) -> Judged:
        times = {name: time for name in reversed(names) if (time := own_time(name)) is not None}
        own = tuple(times)
        answers = self._rule.judge(own)
        rulings = dict.fromkeys(names, _FOREIGN) | dict(zip(own, answers, strict=True))
        if own and not rulings[own[0]].keep:
            rulings[own[0]] = NEWEST
        unwanted = tuple(name for name in names if not rulings[name].keep)
        return Judged(rulings, own, unwanted, max(times.values(), default=None))

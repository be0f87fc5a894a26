# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots a retention rule would leave, were it applied after each snapshot for years. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

from ..model.names import own_name
from .kinds import KeepLast, KeepWithin, Union
from .retention import Because, Buckets, Rule, Ruling, named_time
from .windows import Windows

_SECONDS_A_DAY = 86400


@dataclass(frozen=True, slots=True)
class Schedule:
    """So many snapshots a day, for so many days from ``begin`` (which has a time zone) on.

    They are spread evenly over each day, to the second; the first is at the hour of ``begin``.
    """

    begin: datetime
    days: int
    per_day: int

    def moments(self) -> Iterator[datetime]:
        """When they are taken, in order."""
        for day in range(self.days):
            for number in range(self.per_day):
                yield self.begin + timedelta(days=day, seconds=number * _SECONDS_A_DAY // self.per_day)

    @property
    def end(self) -> datetime:
        """When the last day is over."""
        return self.begin + timedelta(days=self.days)


@dataclass(frozen=True, slots=True)
class Row:
    """Those that one part of the rule keeps (a bucket, a window, ...), oldest first."""

    label: str
    times: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """What exists at ``end`` of what was taken since ``begin``.

    ``rows`` has a row for the newest, and one for each part of the rule that keeps anything else; one
    snapshot may be in several. The last so many have the newest among them.
    """

    begin: datetime
    end: datetime
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Simulation:
    """What came of it: the names that are left (newest first) with the last ruling for each, how many were
    taken, and how many there were at most at the end of a day.
    """

    left: tuple[tuple[str, Ruling], ...]
    taken: int
    most: int
    timeline: Timeline


def simulate(rule_at: Callable[[datetime], Rule], schedule: Schedule) -> Simulation:
    """Take snapshots as scheduled, and apply after each the rule that holds then.

    Where no hours are counted, each day's last stands for the day: what is left at its end is the same, for
    buckets do not see which snapshot of its day the newest is, and no other kind destroys what it would want
    later. That is as many times quicker as there are snapshots a day; a property of the tests says it too.
    """
    left: list[tuple[str, Ruling]] = []
    taken = most = 0
    now = schedule.begin
    for _, moments in groupby(schedule.moments(), _day):
        day = list(moments)
        taken += len(day)
        for some in [[moment] for moment in day] if counts_hours(rule_at(day[0])) else [day]:
            now = some[-1]
            names = [*(own_name(moment) for moment in reversed(some)), *(name for name, _ in left)]
            rulings = rule_at(now).judge(names)
            left = [pair for pair in zip(names, rulings, strict=True) if pair[1].keep]
        most = max(most, len(left))
    rows = tuple(_rows(rule_at(now), [name for name, _ in left]))
    return Simulation(tuple(left), taken, most, Timeline(schedule.begin, schedule.end, rows))


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def counts_hours(rule: Rule) -> bool:
    """Whether it has a bucket of hours."""
    return any(isinstance(part, Buckets) and part.hours != 0 for part in _parts(rule))


def _rows(rule: Rule, names: Sequence[str]) -> Iterator[Row]:
    """What each part keeps of ``names``. What it does not keep never mattered to it, so it is asked anew."""
    yield Row(Because.NEWEST.value, tuple(named_time(name) for name in names[:1]))
    for part in _parts(rule):
        found: dict[str, list[datetime]] = {}
        for name, ruling in zip(names, part.judge(names), strict=True):
            if ruling.keep and (ruling.reason.because is not Because.NEWEST or isinstance(part, KeepLast)):
                found.setdefault(_label(part, ruling.reason.because), []).append(named_time(name))
        for label, times in found.items():
            yield Row(label, tuple(reversed(times)))


def _parts(rule: Rule) -> Iterator[Rule]:
    if isinstance(rule, Union):
        for each in rule.rules:
            yield from _parts(each)
    elif isinstance(rule, Windows):
        for window in rule.windows:
            yield Windows((window,), rule.now)
    else:
        yield rule


def _label(part: Rule, because: Because) -> str:
    match part:
        case KeepLast():
            return f"last {part.count}"
        case KeepWithin():
            return f"within {part.age}"
        case Windows():
            return f"window {part.windows[0]}"
    return because.value

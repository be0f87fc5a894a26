# SPDX-License-Identifier: GPL-3.0-or-later
"""What was pushed to a destination, summed up by days, weeks and months. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ..model.history import Finished

DAYS, WEEKS, MONTHS = 35, 157, 12
"""How many of each are shown, at most: five weeks, three years, one year."""


@dataclass(frozen=True, slots=True)
class Sum:
    """A day, week (its Monday) or month (its first): bytes that crossed the wire, runs, and how many of them
    did not do everything."""

    begin: date
    bytes: int = 0
    runs: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Traffic:
    """The last days without a gap; weeks from the first that has a run, none where the days show it all;
    months that have a run, the latest first."""

    days: tuple[Sum, ...] = ()
    weeks: tuple[Sum, ...] = ()
    months: tuple[Sum, ...] = ()


def traffic(runs: Iterable[Finished], now: datetime) -> Traffic:
    """Sum up the runs, which are in UTC as ``now`` is. Those of the future count as today's."""
    today = now.date()
    daily: dict[date, tuple[int, int, int]] = {}
    for run in runs:
        day = min(run.started.date(), today)
        moved, count, failed = daily.get(day, (0, 0, 0))
        daily[day] = (moved + run.bytes, count + 1, failed + (not run.good))
    if not daily:
        return Traffic()
    days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    weekly = _folded(daily, _monday)
    monday = _monday(today)
    earliest = max(min(weekly), monday - timedelta(weeks=WEEKS - 1))
    count = (monday - earliest).days // 7 + 1
    weeks = [earliest + timedelta(weeks=number) for number in range(count)] if min(daily) < days[0] else []
    monthly = _folded(daily, lambda day: day.replace(day=1))
    return Traffic(
        tuple(_sum(day, daily) for day in days),
        tuple(_sum(week, weekly) for week in weeks),
        tuple(_sum(month, monthly) for month in sorted(monthly, reverse=True)[:MONTHS]),
    )


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


_Sums = Mapping[date, tuple[int, int, int]]


def _folded(daily: _Sums, begin: Callable[[date], date]) -> _Sums:
    found: dict[date, tuple[int, int, int]] = {}
    for day, (moved, runs, failed) in daily.items():
        first = begin(day)
        before = found.get(first, (0, 0, 0))
        found[first] = (before[0] + moved, before[1] + runs, before[2] + failed)
    return found


def _sum(begin: date, sums: _Sums) -> Sum:
    return Sum(begin, *sums.get(begin, (0, 0, 0)))

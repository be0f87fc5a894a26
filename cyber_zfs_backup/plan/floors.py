# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a copy's snapshots must stay, by when the receiver first saw them. Pure.

A client chooses its snapshots' names, and a stream brings any creation time. ``createtxg`` is the receiver's
own pool's: of two snapshots the one with the smaller came first. So the receiver notes from time to time how
far its pool has come (``Mark``), and a snapshot was there at the first mark that is beyond it.

Of each period the *first* snapshot is kept: what a client adds later changes nothing of that. Two clocks are
asked, and what either wants is kept: the receiver's own, and the names as far as they can be believed (never
going back from one snapshot to the next, never ahead of the receiver's clock). The second is for a history
that came in one night; nobody can put anything into it afterwards. Only days count, in UTC; so the last mark
of a day stands for all of that day. (The first does not: what came after it would be seen on the next day.)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from ..model.names import own_time


@dataclass(frozen=True, slots=True)
class Keep:
    """So many days, weeks and months of which a snapshot is kept."""

    days: int
    weeks: int
    months: int


@dataclass(frozen=True, slots=True)
class Mark:
    """At this time (seconds since 1970) this was the pool's open transaction group."""

    time: float
    txg: int


@dataclass(frozen=True, slots=True)
class Row:
    """A snapshot of the copy."""

    name: str
    guid: int
    createtxg: int


def in_order(marks: Iterable[Mark]) -> list[Mark]:
    """The marks that can be believed, in order: a pool that is suddenly not so far is another one, or was
    rewound, and a clock that went back is wrong.
    """
    found: list[Mark] = []
    for mark in marks:
        while found and found[-1].txg > mark.txg:
            found.pop()
        if not found or (found[-1].txg < mark.txg and found[-1].time <= mark.time):
            found.append(mark)
    return found


def first_seen(marks: Sequence[Mark], createtxg: int, now: float) -> float:
    """When a snapshot was first seen; ``marks`` are in order, both of time and of transaction group."""
    after = bisect_right(marks, createtxg, key=lambda mark: mark.txg)
    return marks[after].time if after < len(marks) else now


def keepers(
    rows: Sequence[Row], marks: Sequence[Mark], now: float, keep: Keep, *, yearly: bool = False
) -> dict[int, str]:
    """The GUIDs of one dataset's own-named snapshots that must stay, each with the reason.

    ``yearly`` keeps one a year for ever, too. The newest always stays: the next push builds on it.
    """
    own = sorted((row for row in rows if own_time(row.name) is not None), key=lambda row: row.createtxg)
    if not own:
        return {}
    seen = [_day(first_seen(marks, row.createtxg, now)) for row in own]
    kept = {own[-1].guid: "newest"}
    for word, days in (("seen", seen), ("named", _believed(own, seen))):
        for adjective, count, of in _periods(keep, yearly):
            firsts: dict[Hashable, int] = {}
            for row, day in zip(own, days, strict=True):
                firsts.setdefault(of(day), row.guid)
            newest = list(firsts.values())[::-1][:count]
            for number, guid in enumerate(newest, 1):
                kept.setdefault(guid, f"{adjective} {number}{f' of {count}' if count else ''} ({word})")
    return kept


def _day(time: float) -> date:
    return datetime.fromtimestamp(time, UTC).date()


def _believed(own: Sequence[Row], seen: Sequence[date]) -> list[date]:
    """The days of the names; of a name that goes back, or is ahead of the clock, when it was first seen."""
    days: list[date] = []
    for row, when in zip(own, seen, strict=True):
        time = own_time(row.name)
        named = time.date() if time else when
        fits = named <= when and (not days or named >= days[-1])
        days.append(named if fits else when)
    return days


def _periods(keep: Keep, yearly: bool) -> list[tuple[str, int | None, Callable[[date], Hashable]]]:
    """The kinds of period, each with how many are kept (``None``: all). Weeks begin on Monday."""
    return [
        ("daily", keep.days, lambda day: day),
        ("weekly", keep.weeks, lambda day: day.isocalendar()[:2]),
        ("monthly", keep.months, lambda day: (day.year, day.month)),
        *([("yearly", None, lambda day: day.year)] if yearly else []),
    ]

# SPDX-License-Identifier: GPL-3.0-or-later
"""What is due: snapshots and pushes, by their schedules and by what is known to have been done. Pure.

Nothing here remembers a plan: what is due follows from the newest snapshot and from what has arrived. So a
night that was missed is made up by whichever run comes next, and two runs find the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ..model.history import Finished
from ..model.names import TOLERANCE, own_time
from ..model.schedules import Schedule

Elapse = Callable[[str, datetime], datetime | None]
"""Answers when a calendar expression comes next after a moment; ``None`` for never."""

_FIRST, _LONGEST = timedelta(minutes=10), timedelta(hours=1)
"""A push that failed is tried again after the first, then each time after twice as long."""

_NEEDS_A_PERSON = 65


@dataclass(frozen=True, slots=True)
class Way:
    """One tree and one destination (``HOST:DATASET``)."""

    dataset: str
    destination: str


@dataclass(frozen=True, slots=True)
class Reached:
    """What runs on record tell of one way.

    ``target`` is the snapshot that arrived last, and ``pushed`` when that push began; ``tried`` is when the
    last run ended, and ``failures`` how many in a row have not come to a good end, the last of them with
    the exit code ``exit``.
    """

    target: str = ""
    pushed: datetime | None = None
    tried: datetime | None = None
    failures: int = 0
    exit: int = 0


def learned(known: Mapping[Way, Reached], runs: Iterable[Finished]) -> dict[Way, Reached]:
    """The same, after these further runs (oldest first)."""
    found = dict(known)
    for run in runs:
        if not run.destination:
            continue
        way = Way(run.dataset, run.destination)
        before = found.get(way, Reached())
        ended = run.started + timedelta(seconds=min(max(run.seconds, 0), 1e9))
        if run.good:
            found[way] = Reached(run.target or before.target, run.started, ended)
        else:
            found[way] = replace(before, tried=ended, failures=before.failures + 1, exit=run.exit)
    return found


def snapshot_at(schedule: Schedule, newest: str, now: datetime, elapse: Elapse) -> datetime | None:
    """When the next snapshot is due (``now`` or before: it is due); ``None`` for never.

    ``newest`` is the name of the tree's newest own snapshot, empty where it has none. One that is dated in
    the future makes it due: taking it then fails, and says so, where waiting would be silent for years.
    """
    taken = own_time(newest)
    if taken is None or taken > now + TOLERANCE:
        return now
    return _after(schedule, taken, elapse)


def push_at(
    schedule: Schedule | None, newest: str, reached: Reached | None, now: datetime, elapse: Elapse
) -> datetime | None:
    """When the next push is due (``now`` or before: it is due); ``None`` where nothing is to be pushed.

    ``schedule`` is ``None`` for a push after each snapshot. A push that failed is made up, but not at once:
    a receiver that is down for a week would be asked every few minutes.
    """
    if not newest or (reached is not None and reached.target == newest):
        return None
    if reached is None:
        return now
    # What lies in the future tells that the clock was set back, and not when anything is due.
    due: datetime | None = now
    if schedule is not None and reached.pushed is not None and reached.pushed <= now:
        due = _after(schedule, reached.pushed, elapse)
    if due is None or not reached.failures or reached.tried is None or reached.tried > now:
        return due
    return max(due, reached.tried + _pause(reached))


def _pause(reached: Reached) -> timedelta:
    if reached.exit == _NEEDS_A_PERSON:
        return _LONGEST
    doubled: timedelta = _FIRST * 2 ** min(reached.failures - 1, 10)
    return min(_LONGEST, doubled)


def _after(schedule: Schedule, moment: datetime, elapse: Elapse) -> datetime | None:
    if schedule.every is not None:
        return schedule.every.next_period(moment)
    return elapse(schedule.calendar, moment.astimezone(UTC))

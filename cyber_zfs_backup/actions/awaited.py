# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configuration file makes one expect of each tree now: when something is due, and what is late."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache

from ..config.tasks import Task
from ..plan.due import Elapse, Way, push_at, snapshot_at
from ..plan.lateness import Limits
from ..plan.standing import Row, Standing
from .elapses import CalendarError, time_zone
from .expected import Gap, expected
from .remembered import Calendar, caught_up, recall


@dataclass(frozen=True, slots=True)
class Awaited:
    """A declared tree. ``paused`` says until when it rests, and is empty where it does not.

    ``arrived`` are the limits of what destinations have. ``snapshot`` is when its next one is due, ``pushes``
    the same by destination; ``None`` for never, or where nothing is to be pushed.
    """

    task: Task
    limits: Limits
    arrived: Limits
    paused: str = ""
    snapshot: datetime | None = None
    pushes: Mapping[str, datetime | None] = field(default_factory=dict)

    @property
    def coming(self) -> datetime | None:
        """When anything of it is due next; ``None`` for never, and while it rests."""
        return self._first(*self.pushes)

    def without_times(self) -> Awaited:
        """The same where nobody knows when anything is done, since nothing does it by itself."""
        return replace(self, snapshot=None, pushes=dict.fromkeys(self.pushes))

    def standings(self, rows: tuple[Row, ...]) -> tuple[Standing, ...]:
        """Its rows with what is expected of each; and one for each declared destination that has none."""
        found = {row.destination: row for row in rows}
        newest = rows[0].newest if rows else ""
        for label in self.pushes:
            found.setdefault(label, Row(self.task.dataset, label, newest, ""))
        if self.pushes:
            # A tree that is pushed somewhere needs no row of its own.
            found.pop("", None)
        return tuple(
            Standing(found[label], self.limits, self.paused, self._first(label), self.arrived)
            for label in sorted(found)
        )

    def _first(self, *labels: str) -> datetime | None:
        if self.paused:
            return None
        times = (self.snapshot, *(self.pushes.get(label) for label in labels))
        return min((time for time in times if time is not None), default=None)


def awaited(
    known: Iterable[Task], newest: Mapping[str, str] | None, now: datetime, elapse: Elapse, gap: Gap
) -> tuple[Awaited, ...]:
    """What is expected of each tree; ``newest`` are their newest own snapshots. Without those it is not known
    when anything is due."""
    remembered = caught_up(recall())
    calendar = Calendar(remembered.spans, elapse, time_zone())
    known_gap = cache(gap)
    found = []
    for task in known:
        settings = task.settings
        late = expected(settings, now, known_gap)
        each = Awaited(
            task,
            late.taken,
            late.arrived,
            paused=settings.paused(now),
            pushes=dict.fromkeys(route.destination.label for route in task.routes),
        )
        if each.paused or newest is None:
            found.append(each)
            continue
        name = newest.get(task.dataset, "")
        try:
            found.append(
                replace(
                    each,
                    snapshot=snapshot_at(settings.schedule, name, now, calendar.after),
                    pushes={
                        label: push_at(
                            settings.push_schedule,
                            name,
                            remembered.reached.get(Way(task.dataset, label)),
                            now,
                            calendar.after,
                        )
                        for label in each.pushes
                    },
                )
            )
        except CalendarError:
            # A run says so, and fails; how the tree stands can be told all the same.
            found.append(each)
    return tuple(found)

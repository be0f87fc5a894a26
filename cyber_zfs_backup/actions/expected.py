# SPDX-License-Identifier: GPL-3.0-or-later
"""From which ages on a declared tree is late: as the configuration says, else as its schedules do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..config.declared import CRITICAL, WARNING, Settings
from ..model.schedules import Schedule
from ..plan.lateness import Limits

SLACK = timedelta(hours=2)
"""So long a snapshot and its push may take."""

_MONTH = timedelta(days=31)

Gap = Callable[[str, datetime], timedelta | None]
"""Answers the longest time between two moments of a calendar expression, from a moment on; ``None`` where
that is not known."""


@dataclass(frozen=True, slots=True)
class Expected:
    """From which ages on what is ``taken`` here is late, and what has ``arrived`` at a destination."""

    taken: Limits
    arrived: Limits


def expected(settings: Settings, now: datetime, gap: Gap) -> Expected:
    """What is late once its next one is missing, and very late once the one after that is, too."""
    if settings.warn_after and settings.critical_after:
        # Nobody has to be asked.
        written = Limits(settings.warn_after, settings.critical_after)
        return Expected(written, written)
    snapshot = _gap(settings.schedule, now, gap)
    push = timedelta() if settings.push_schedule is None else _gap(settings.push_schedule, now, gap)
    both = None if snapshot is None or push is None else snapshot + push
    return Expected(_limits(settings, snapshot), _limits(settings, both))


def _gap(schedule: Schedule, now: datetime, gap: Gap) -> timedelta | None:
    every = schedule.every
    if every is None:
        return gap(schedule.calendar, now)
    return every.months * _MONTH + timedelta(seconds=every.seconds)


def _limits(settings: Settings, between: timedelta | None) -> Limits:
    warns, fails = (WARNING, CRITICAL) if between is None else (between + SLACK, 2 * between + SLACK)
    # One that is written moves the other out of its way.
    warning = settings.warn_after or min(warns, settings.critical_after or warns)
    return Limits(warning, settings.critical_after or max(fails, warning))

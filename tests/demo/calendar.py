# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated past: when the demo's snapshots would have been taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

DAYS, WEEKS, MONTHS = 8, 5, 7
"""How many daily, weekly and monthly snapshots the past has."""

KEEP = ("5", "3", "4")
"""The retention policy of the demo: days, weeks, months."""


def past(now: datetime) -> list[str]:
    """Names of snapshots, oldest first: some months, then weeks, then days up to yesterday.

    ``now`` has a time zone. No name is of today, so that the tool's own snapshot is the newest.
    """
    night = now.astimezone(UTC).replace(hour=2, minute=0, second=0, microsecond=0)
    days = [night - timedelta(days=count) for count in range(DAYS, 0, -1)]
    weeks = [days[0] - timedelta(weeks=count) for count in range(WEEKS, 0, -1)]
    months = [_first(weeks[0], count) for count in range(MONTHS, 0, -1)]
    return [moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (*months, *weeks, *days)]


def _first(moment: datetime, months: int) -> datetime:
    """The first day of the month that is so many months before."""
    count = moment.year * 12 + moment.month - 1 - months
    return moment.replace(year=count // 12, month=count % 12 + 1, day=1)

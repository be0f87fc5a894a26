# SPDX-License-Identifier: GPL-3.0-or-later
"""From which ages on a declared tree is late, where the file does not say so: by its schedules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cyber_zfs_backup.actions.expected import Expected, expected
from cyber_zfs_backup.config.declared import Settings
from cyber_zfs_backup.model.schedules import parse_schedule
from cyber_zfs_backup.plan.lateness import Limits

NOW = datetime(2026, 11, 27, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = 24 * HOUR


def gap(expression: str, _moment: datetime) -> timedelta | None:
    return {"02:00": DAY, "weekly": 7 * DAY}.get(expression)


def of(schedule: str = "02:00", **written: timedelta) -> Limits:
    return expected(Settings(schedule=parse_schedule(schedule), **written), NOW, gap).taken  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("schedule", "warning", "critical"),
    [
        ("02:00", 26 * HOUR, 50 * HOUR),
        ("weekly", 7 * DAY + 2 * HOUR, 14 * DAY + 2 * HOUR),
        ("every 1h", 3 * HOUR, 4 * HOUR),
        ("every 1 month", 31 * DAY + 2 * HOUR, 62 * DAY + 2 * HOUR),
        # As for each night, where systemd does not tell.
        ("2026-12-01", 26 * HOUR, 50 * HOUR),
    ],
)
def test_what_is_late_follows_from_the_schedule(
    schedule: str, warning: timedelta, critical: timedelta
) -> None:
    assert of(schedule) == Limits(warning, critical)


def test_what_is_written_counts_and_the_other_follows() -> None:
    written = Settings(warn_after=HOUR, critical_after=5 * HOUR)

    def ask(expression: str, _moment: datetime) -> timedelta | None:
        raise AssertionError(expression)

    assert expected(written, NOW, ask) == Expected(Limits(HOUR, 5 * HOUR), Limits(HOUR, 5 * HOUR))
    assert of(critical_after=3 * HOUR) == Limits(3 * HOUR, 3 * HOUR)
    assert of(warn_after=60 * HOUR) == Limits(60 * HOUR, 60 * HOUR)


def test_what_is_pushed_seldom_may_be_older_there_but_not_here() -> None:
    settings = Settings(schedule=parse_schedule("every 1h"), push_schedule=parse_schedule("02:00"))
    late = Limits(27 * HOUR, 52 * HOUR)
    assert expected(settings, NOW, gap) == Expected(Limits(3 * HOUR, 4 * HOUR), late)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated years: what a rule leaves when it is applied after each snapshot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cyber_zfs_backup.config.job import RetentionPolicy
from cyber_zfs_backup.model.ages import parse_age
from cyber_zfs_backup.plan.simulation import Row, Schedule, simulate
from cyber_zfs_backup.plan.windows import parse_window

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def rows(policy: RetentionPolicy, days: int, per_day: int = 1) -> dict[str, int]:
    found = simulate(policy.rule, Schedule(BEGIN, days, per_day))
    return {row.label: len(row.times) for row in found.timeline.rows}


def test_snapshots_are_spread_over_the_day() -> None:
    moments = list(Schedule(BEGIN, 2, 7).moments())
    assert len(moments) == 14
    assert moments[:2] == [BEGIN, BEGIN + timedelta(seconds=86400 // 7)]
    assert [moment.day for moment in moments] == [1] * 7 + [2] * 7
    assert len(set(moments)) == 14


def test_the_default_rule_fills_its_buckets() -> None:
    found = simulate(RetentionPolicy().rule, Schedule(BEGIN, 365 * 5, 1))
    labels = [(row.label, len(row.times)) for row in found.timeline.rows]
    assert labels == [("newest", 1), ("daily", 31), ("weekly", 12), ("monthly", 36), ("yearly", 1)]
    assert len(found.left) == sum(count for _, count in labels)
    assert (found.taken, found.most) == (1825, 81)


def test_what_is_left_comes_newest_first_with_its_reason() -> None:
    found = simulate(RetentionPolicy(1, 0, 0, years=0).rule, Schedule(BEGIN, 3, 2))
    assert [(name, str(ruling.reason)) for name, ruling in found.left] == [
        ("2026-01-03T12:00:00Z", "newest"),
        ("2026-01-02T12:00:00Z", "daily 1 of 1"),
    ]
    assert (found.taken, found.most) == (6, 2)


def test_a_row_for_each_part_and_a_snapshot_in_each_that_wants_it() -> None:
    policy = RetentionPolicy(
        days=2,
        weeks=0,
        months=0,
        years=0,
        last=3,
        within=parse_age("1d"),
        windows=(parse_window("2d/6h"), parse_window("forever/1w")),
    )
    found = rows(policy, days=20, per_day=4)
    # 18:00 on a Tuesday is the last: of the windows the newest counts for the newest alone.
    assert found == {
        "newest": 1,
        "daily": 2,
        "last 3": 3,
        "within 1d": 4,
        "window 2d/6h": 8,
        "window forever/1w": 4,
    }


def test_a_row_has_the_oldest_first() -> None:
    found = simulate(RetentionPolicy(2, 0, 0).rule, Schedule(BEGIN, 4, 1))
    daily = found.timeline.rows[1]
    assert daily == Row("daily", (BEGIN + timedelta(days=1), BEGIN + timedelta(days=2)))
    assert (found.timeline.begin, found.timeline.end) == (BEGIN, BEGIN + timedelta(days=4))


@pytest.mark.parametrize(
    ("policy", "count"),
    [
        (RetentionPolicy(0, 0, 0, years=0), 1),
        (RetentionPolicy(0, 0, 0, years=0, last=7), 7),
        (RetentionPolicy(0, 0, 0, years=0, within=parse_age("1 month")), 32),
        (RetentionPolicy(0, 0, 0, hours=24, years=0), 25),
        (RetentionPolicy(None, 0, 0), 365),
    ],
)
def test_how_many_are_left_after_a_year(policy: RetentionPolicy, count: int) -> None:
    assert len(simulate(policy.rule, Schedule(BEGIN, 365, 1)).left) == count

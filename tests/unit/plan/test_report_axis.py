# SPDX-License-Identifier: GPL-3.0-or-later
"""The squeezed axis of the report: where moments lie, and what is one mark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from cyber_zfs_backup.plan.report_axis import WIDTH, axis

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


@pytest.mark.parametrize(
    ("oldest", "labels"),
    [
        (None, ["the last 5 weeks"]),
        (ago(35), ["the last 5 weeks"]),
        (ago(36), ["the year before", "the last 5 weeks"]),
        (ago(400), ["the year before", "the last 5 weeks"]),
        (ago(1500), ["from 2022-10-19", "the year before", "the last 5 weeks"]),
    ],
)
def test_there_are_as_many_zones_as_the_oldest_needs(oldest: datetime | None, labels: list[str]) -> None:
    zones = axis(oldest, NOW).zones
    assert [zone.label for zone in zones] == labels
    assert (zones[0].left, zones[-1].right, zones[-1].end) == (0, WIDTH, NOW)
    for zone, following in pairwise(zones):
        assert (zone.right, zone.end) == (following.left, following.begin)


def test_time_goes_from_left_to_right() -> None:
    whole = axis(ago(1500), NOW)
    steps = [whole.x(ago(days)) for days in (1500, 900, 400, 200, 35, 17.5, 0)]
    assert steps == [0, 81, 150, 245, 325, 412, 499]
    # A clock that is wrong draws nothing outside.
    assert (whole.x(ago(3000)), whole.x(ago(-30))) == (0, WIDTH - 1)


def test_what_lies_within_one_step_is_one_mark_and_neighbours_are_one_span() -> None:
    whole = axis(ago(30), NOW)
    quarters = [ago(10) + timedelta(minutes=15 * number) for number in range(4 * 24)]
    assert whole.spans(quarters) == ((whole.x(quarters[0]), whole.x(quarters[-1]) + 1),)
    assert whole.spans([ago(1), ago(20), ago(1)]) == ((214, 215), (485, 486))
    assert whole.spans([]) == ()


def test_a_span_between_moments_is_never_nothing() -> None:
    whole = axis(ago(30), NOW)
    assert whole.span(ago(20), ago(1)) == (214, 485)
    assert whole.span(ago(1), ago(1)) == (485, 486)


def test_they_are_counted_by_zone_the_latest_first() -> None:
    whole = axis(ago(1500), NOW)
    counted = whole.counts([ago(days) for days in (1500, 900, 400, 36, 35, 1, 0)])
    assert counted == (("the last 5 weeks", 3), ("the year before", 2), ("from 2022-10-19", 2))


def test_the_lines_behind_it_are_weeks_months_and_years() -> None:
    ticks = axis(ago(1500), NOW).ticks()
    # Two years begin in the oldest zone, twelve months in the next, and there are four weeks' ends.
    assert [
        sum(left <= tick < right for tick in ticks) for left, right in ((0, 150), (150, 325), (325, 500))
    ] == [
        3,
        13,
        5,
    ]
    assert len(axis(None, NOW).ticks()) == 4

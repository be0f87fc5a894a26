# SPDX-License-Identifier: GPL-3.0-or-later
"""How steps are shared out among connections."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.plan.lanes import share_out
from cyber_zfs_backup.plan.steps import Step, StepKind


def steps(count: int) -> list[Step]:
    return [Step(StepKind.LEVEL, f"d{number}", "new", target="t", base="b") for number in range(count)]


def shares(count: int, lanes: int, size: int = 10, limit: int = 1000) -> list[int]:
    return [len(lane) for lane in share_out(steps(count), lanes, [size] * count, limit)]


@pytest.mark.parametrize(
    ("count", "lanes", "expected"),
    [
        (0, 2, []),
        (1, 2, [1]),
        (2, 2, [1, 1]),
        (5, 2, [3, 2]),
        (6, 3, [2, 2, 2]),
        (3, 16, [1, 1, 1]),
        (7, 1, [7]),
    ],
)
def test_evenly_on_no_more_lanes_than_asked_for(count: int, lanes: int, expected: list[int]) -> None:
    assert shares(count, lanes) == expected


def test_more_lanes_only_where_commands_would_be_too_long() -> None:
    assert shares(20, 2, size=100, limit=500) == [5, 5, 5, 5]


def test_no_lane_exceeds_the_limit() -> None:
    sizes = [30, 70, 10, 60, 40, 90, 5]
    lanes = share_out(steps(7), 1, sizes, 100)
    numbered = iter(sizes)
    assert all(sum(next(numbered) for _ in lane) <= 100 for lane in lanes)


def test_the_order_stays() -> None:
    given = steps(9)
    assert [step for lane in share_out(given, 2, [10] * 9, 35) for step in lane] == given


def test_each_step_needs_a_size() -> None:
    with pytest.raises(ValueError, match="size"):
        share_out(steps(2), 2, [1], 10)

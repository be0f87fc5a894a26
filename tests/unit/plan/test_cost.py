# SPDX-License-Identifier: GPL-3.0-or-later
"""The cost model bears out what was measured, and decides as the measurements say."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.plan.cost import Form, Shape, choose, level_cost, replicate_cost


@pytest.mark.parametrize(
    ("each", "replicate", "level"),
    [(3, 10.5 + 41.6, 13.7 + 13.3), (44, 98.0 + 70.3, 22.4 + 16.6)],
    ids=["3 snapshots each", "44 snapshots each"],
)
def test_the_table_of_the_measurements(each: int, replicate: float, level: float) -> None:
    """21 datasets in the guest, seconds of send and receive; the model adds a connection, and lets
    level's sends and receives overlap, so its figure lies between the longer of the two and their sum."""
    shape = Shape(21, 0, 21 * each)
    connection = 3.6
    assert replicate_cost(shape) - connection == pytest.approx(replicate, rel=0.05)
    assert level / 2 <= level_cost(shape) - connection <= level


@pytest.mark.parametrize(
    ("shape", "form"),
    [
        (Shape(21, 0, 21 * 44), Form.LEVEL),
        (Shape(21, 0, 21 * 3), Form.LEVEL),
        (Shape(1, 0, 2), Form.LEVEL),
        (Shape(21, 20, 42, carrying=20), Form.LEVEL),
        (Shape(1, 1, 1, carrying=1), Form.REPLICATE),
        (Shape(50, 1, 50 * 100), Form.LEVEL),
    ],
)
def test_the_choice(shape: Shape, form: Form) -> None:
    choice = choose(shape)
    assert choice.form is form
    assert (
        f"{shape.datasets} datasets ({shape.created} new) with about {shape.snapshots} snapshots"
        in choice.reason
    )


@pytest.mark.parametrize(("each", "with_properties"), [(3, 13.3 * 1.76), (44, 16.6 * 2.15)])
def test_properties_make_the_receives_longer(each: int, with_properties: float) -> None:
    """They are what a level push then waits for; it stays the cheaper form."""
    shape = Shape(21, 0, 21 * each, carrying=21)
    assert level_cost(shape) - 3.6 == pytest.approx(with_properties, rel=0.07)
    assert choose(shape).form is Form.LEVEL


def test_levels_cost_hardly_grows_with_the_snapshots_that_exist() -> None:
    few, many = Shape(20, 0, 20 * 44), Shape(20, 0, 80 * 44)
    assert level_cost(many) < 3 * level_cost(few)
    assert replicate_cost(many) > 3 * replicate_cost(few)

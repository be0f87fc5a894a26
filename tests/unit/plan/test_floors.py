# SPDX-License-Identifier: GPL-3.0-or-later
"""What a copy keeps whatever its sender says: by when the receiver first saw it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.plan.floors import Keep, Mark, Row, first_seen, in_order, keepers

START = datetime(2026, 1, 1, 3, tzinfo=UTC)
DAY = timedelta(days=1)
KEEP = Keep(3, 2, 2)


def row(number: int, named: datetime) -> Row:
    return Row(own_name(named), 1000 + number, number * 10)


def mark(number: int, seen: datetime) -> Mark:
    return Mark(seen.timestamp(), number * 10 + 1)


def nights(count: int) -> tuple[list[Row], list[Mark]]:
    """One snapshot a night, each seen in that night."""
    times = [START + DAY * number for number in range(count)]
    return (
        [row(number, time - timedelta(hours=1)) for number, time in enumerate(times, 1)],
        [mark(number, time) for number, time in enumerate(times, 1)],
    )


def kept(rows: Sequence[Row], marks: Sequence[Mark], now: datetime) -> dict[str, str]:
    found = keepers(rows, marks, now.timestamp(), KEEP)
    return {row.name: found[row.guid] for row in rows if row.guid in found}


def test_the_first_of_each_period_is_kept() -> None:
    rows, marks = nights(40)
    assert kept(rows, marks, START + DAY * 40) == {
        "2026-01-01T02:00:00Z": "monthly 2 of 2 (seen)",
        "2026-02-01T02:00:00Z": "monthly 1 of 2 (seen)",
        "2026-02-02T02:00:00Z": "weekly 2 of 2 (seen)",
        "2026-02-07T02:00:00Z": "daily 3 of 3 (seen)",
        "2026-02-08T02:00:00Z": "daily 2 of 3 (seen)",
        "2026-02-09T02:00:00Z": "newest",
    }


def test_one_a_year_for_ever_where_asked() -> None:
    rows, marks = nights(800)
    now = START + DAY * 800
    yearly = keepers(rows, marks, now.timestamp(), Keep(0, 0, 0), yearly=True)
    assert sorted(yearly.values()) == ["newest", "yearly 1 (seen)", "yearly 2 (seen)", "yearly 3 (seen)"]
    assert len(keepers(rows, marks, now.timestamp(), Keep(0, 0, 0))) == 1


def test_a_history_that_came_in_one_night_is_kept_by_its_names() -> None:
    rows, _ = nights(40)
    seen = [Mark((START + DAY * 40).timestamp(), 1000)]
    assert kept(rows, seen, START + DAY * 40) == {
        "2026-01-01T02:00:00Z": "daily 1 of 3 (seen)",
        "2026-02-01T02:00:00Z": "monthly 1 of 2 (named)",
        "2026-02-02T02:00:00Z": "weekly 2 of 2 (named)",
        "2026-02-07T02:00:00Z": "daily 3 of 3 (named)",
        "2026-02-08T02:00:00Z": "daily 2 of 3 (named)",
        "2026-02-09T02:00:00Z": "newest",
    }


def test_a_name_that_is_ahead_of_the_clock_begins_no_day() -> None:
    rows, _ = nights(4)
    now = START + DAY * 4
    seen = [Mark(now.timestamp(), 41)]

    def older(named: datetime) -> set[str]:
        return kept([*rows, row(5, named)], seen, now).keys() - {own_name(named)}

    assert older(now + timedelta(hours=21)) == older(now) != set()


def test_foreign_names_are_nobodys_affair() -> None:
    assert keepers([Row("by hand", 1, 1)], [], START.timestamp(), KEEP) == {}


def test_what_came_after_the_last_mark_is_seen_now() -> None:
    marks = [Mark(100.0, 5), Mark(200.0, 9)]
    assert [first_seen(marks, txg, 300.0) for txg in (1, 4, 5, 8, 9, 50)] == [100, 100, 200, 200, 300, 300]


@pytest.mark.parametrize(
    ("marks", "left"),
    [
        ([(1, 5), (2, 9)], [(1, 5), (2, 9)]),
        ([(1, 5), (2, 5)], [(1, 5)]),
        ([(5, 5), (3, 9), (6, 12)], [(5, 5), (6, 12)]),
        ([(1, 500), (2, 900), (3, 4), (4, 8)], [(3, 4), (4, 8)]),
        ([(1, 500), (2, 900), (3, 700), (4, 950)], [(1, 500), (3, 700), (4, 950)]),
    ],
    ids=["in order", "nothing new", "the clock went back", "another pool", "a pool rewound"],
)
def test_marks_that_cannot_be_believed(marks: list[tuple[float, int]], left: list[tuple[float, int]]) -> None:
    assert in_order(Mark(*each) for each in marks) == [Mark(*each) for each in left]


# A stolen sender


@given(
    count=st.integers(1, 60),
    forged=st.lists(st.integers(-80 * 24, 80 * 24 * 365), max_size=40),
    at_once=st.booleans(),
)
def test_nothing_that_is_added_later_takes_a_floor_away(count: int, forged: list[int], at_once: bool) -> None:
    """Names of any date, in any order, of one day's work: what was kept is kept, but for the newest, which is
    another one now, and for the oldest day where a new one has begun."""
    rows, marks = nights(count)
    if at_once:
        marks = [Mark((START + DAY * count).timestamp(), count * 10 + 1)]
    now = START + DAY * count
    before = keepers(rows, marks, now.timestamp(), KEEP)
    added = [row(count + number, now + timedelta(hours=hours)) for number, hours in enumerate(forged, 1)]
    later = now + timedelta(hours=1)
    allowed = Keep(KEEP.days + 1, KEEP.weeks + 1, KEEP.months + 1)
    after = keepers([*rows, *added], marks, later.timestamp(), allowed)
    lost = {guid for guid, why in before.items() if why != "newest"} - after.keys()
    assert not lost


@given(st.lists(st.integers(0, 80), min_size=1, max_size=40, unique=True), st.data())
def test_a_destroy_of_all_the_rest_leaves_the_same(days: list[int], data: st.DataObject) -> None:
    """Again and again: no sequence of permitted destroys gets below the floors."""
    times = [START + DAY * day for day in sorted(days)]
    rows = [row(number, time) for number, time in enumerate(times, 1)]
    marks = [mark(number, time) for number, time in enumerate(times, 1)]
    now = times[-1].timestamp()
    floor = keepers(rows, marks, now, KEEP)
    left = rows
    for _ in range(3):
        must = keepers(left, marks, now, KEEP)
        left = [each for each in left if each.guid in must or data.draw(st.booleans())]
    assert floor.keys() <= {each.guid for each in left}

# SPDX-License-Identifier: GPL-3.0-or-later
"""What was pushed, by days, weeks and months."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from cyber_zfs_backup.model.history import Finished
from cyber_zfs_backup.plan.report_traffic import DAYS, MONTHS, WEEKS, Sum, Traffic, traffic

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)  # a Friday


def run(days: float, moved: int = 0, code: int = 0) -> Finished:
    return Finished("tank/a", "off:b/a", NOW - timedelta(days=days), 1.0, code, bytes=moved)


def test_no_run_is_no_chart() -> None:
    assert traffic([], NOW) == Traffic()


def test_days_have_no_gaps_and_weeks_are_left_out_where_days_show_it_all() -> None:
    told = traffic([run(3, 10), run(3, 5, code=3), run(0, 7), run(-2, 1)], NOW)
    assert len(told.days) == DAYS
    assert told.days[-4] == Sum(date(2026, 11, 24), 15, 2, 1)
    assert told.days[-3] == Sum(date(2026, 11, 25))
    # Of the future, by a clock that is wrong: today.
    assert told.days[-1] == Sum(date(2026, 11, 27), 8, 2)
    assert told.weeks == ()
    assert told.months == (Sum(date(2026, 11, 1), 23, 4, 1),)


def test_weeks_begin_on_mondays_with_the_first_that_has_a_run() -> None:
    told = traffic([run(40, 4), run(39, 3), run(0, 7)], NOW)
    # A Sunday, and the Monday after it.
    assert told.weeks[:2] == (Sum(date(2026, 10, 12), 4, 1), Sum(date(2026, 10, 19), 3, 1))
    assert told.weeks[-1] == Sum(date(2026, 11, 23), 7, 1)
    assert [each.begin.weekday() for each in told.weeks] == [0] * 7
    assert sum(each.bytes for each in told.weeks) == 14
    assert [each.begin for each in told.months] == [date(2026, 11, 1), date(2026, 10, 1)]


def test_years_of_runs_are_no_more_than_three_years_of_weeks() -> None:
    told = traffic([run(number / 96, 1) for number in range(96 * 365 * 4)], NOW)
    assert (len(told.days), len(told.weeks), len(told.months)) == (DAYS, WEEKS, MONTHS)
    assert sum(each.bytes for each in told.days) == 96 * (DAYS - 1) + 49

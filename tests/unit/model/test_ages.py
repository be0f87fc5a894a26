# SPDX-License-Identifier: GPL-3.0-or-later
"""Ages as people write them, and what they mean in the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given
from hypothesis import strategies as st

from cyber_zfs_backup.model.ages import Age, parse_age

HOUR, DAY = 3600, 86400
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
AGES = st.one_of(
    st.integers(1, 10**9 - 1).map(lambda number: Age(seconds=number)),
    st.integers(1, 2000).map(lambda number: Age(months=number)),
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("90s", Age(seconds=90)),
        ("1 second", Age(seconds=1)),
        ("10min", Age(seconds=600)),
        ("10 Minutes", Age(seconds=600)),
        ("36h", Age(seconds=36 * HOUR)),
        ("1hr", Age(seconds=HOUR)),
        ("2 hours", Age(seconds=2 * HOUR)),
        ("14d", Age(seconds=14 * DAY)),
        (" 1 day ", Age(seconds=DAY)),
        ("6w", Age(seconds=42 * DAY)),
        ("3 months", Age(months=3)),
        ("1month", Age(months=1)),
        ("6mon", Age(months=6)),
        ("6y", Age(months=72)),
        ("1 year", Age(months=12)),
        ("007d", Age(seconds=7 * DAY)),
    ],
)
def test_an_age_is_a_number_and_a_unit(text: str, age: Age) -> None:
    assert parse_age(text) == age


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is no age; write a whole number and a unit"),
        ("14", "'14' is no age; "),
        ("d", "'d' is no age; "),
        ("-3d", "'-3d' is no age; "),
        ("1.5h", "'1.5h' is no age; "),
        ("1h30min", "'1h30min' is no age; "),
        ("3 fortnights", "'fortnights' is no unit of time; write a whole number and a unit: s, min, h, d, w"),
        ("5m", "'5m' could mean minutes or months; write 5min or '5 months'"),
        ("5M", "could mean minutes or months"),
        ("1m", "'1m' could mean minutes or months; write 1min or '1 month'"),
        ("0d", "'0d' is no age, since it is nothing"),
        ("٣d", "is no age"),
        ("1\nd", "is no age"),
        ("9999999999d", "is no age"),
    ],
)
def test_what_is_no_age_is_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="write") as error:
        parse_age(text)
    assert said in str(error.value)


@pytest.mark.parametrize(("months", "seconds"), [(0, 0), (-1, 0), (0, -1), (1, 1), (-1, 1)])
def test_an_age_is_one_length_of_one_kind(months: int, seconds: int) -> None:
    with pytest.raises(ValueError, match="no age"):
        Age(months, seconds)


@pytest.mark.parametrize(
    ("age", "moment", "before"),
    [
        ("36h", "2026-03-30T01:00", "2026-03-28T13:00"),
        ("1 month", "2026-03-31T12:00", "2026-02-28T12:00"),
        ("1 month", "2024-03-31T12:00", "2024-02-29T12:00"),
        ("1y", "2024-02-29T12:00", "2023-02-28T12:00"),
        ("3 months", "2026-02-15T12:00", "2025-11-15T12:00"),
        ("2 months", "2026-02-15T12:00", "2025-12-15T12:00"),
        ("3000y", "2026-02-15T12:00", "0001-01-01T00:00"),
        ("999999999w", "2026-02-15T12:00", "0001-01-01T00:00"),
    ],
)
def test_months_are_months(age: str, moment: str, before: str) -> None:
    assert parse_age(age).before(at(moment)) == at(before)


def test_the_zone_of_the_moment_makes_no_difference() -> None:
    local = datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=11)))
    assert parse_age("1 month").before(local) == at("2026-01-28T14:00")
    assert parse_age("1d").period(local) == parse_age("1d").period(at("2026-02-28T14:00"))


@pytest.mark.parametrize(
    ("period", "last", "first"),
    [
        ("10min", "2026-11-23T02:09:59", "2026-11-23T02:10:00"),
        ("1h", "2026-11-23T01:59:59", "2026-11-23T02:00:00"),
        ("6h", "2026-11-23T05:59:59", "2026-11-23T06:00:00"),
        ("1d", "2026-11-22T23:59:59", "2026-11-23T00:00:00"),
        ("1w", "2026-11-22T23:59:59", "2026-11-23T00:00:00"),  # a Monday
        ("1 month", "2026-11-30T23:59:59", "2026-12-01T00:00:00"),
        ("3 months", "2026-09-30T23:59:59", "2026-10-01T00:00:00"),
        ("1y", "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
    ],
)
def test_periods_begin_where_the_calendar_has_them_begin(period: str, last: str, first: str) -> None:
    age = parse_age(period)
    assert age.period(at(last)) + 1 == age.period(at(first))


@pytest.mark.parametrize(
    ("one", "other"),
    [("32d", "1 month"), ("1 month", "27d"), ("367d", "1y"), ("1y", "11 months"), ("2s", "1s")],
)
def test_which_is_longer(one: str, other: str) -> None:
    assert parse_age(one).is_longer_than(parse_age(other))
    assert not parse_age(other).is_longer_than(parse_age(one))
    assert not parse_age(one).is_longer_than(parse_age(one))


@given(AGES)
def test_what_is_written_is_read_again(age: Age) -> None:
    assert parse_age(str(age)) == age


@given(MOMENTS, st.integers(1, 20000))
def test_the_calendar_is_that_of_dateutil(moment: datetime, months: int) -> None:
    assert Age(months=min(months, 12 * 1900)).before(moment) == moment - relativedelta(
        months=min(months, 22800)
    )


@given(MOMENTS, MOMENTS, AGES)
def test_periods_and_ages_follow_the_order_of_time(one: datetime, other: datetime, age: Age) -> None:
    first, second = sorted((one, other))
    assert age.period(first) <= age.period(second)
    assert age.before(first) <= age.before(second)
    assert age.before(second) < second

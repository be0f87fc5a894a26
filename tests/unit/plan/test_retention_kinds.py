# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of retention beside the default rule, as tables: newest first, what becomes of each, and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from cyber_zfs_backup.model.ages import Age, parse_age
from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.plan.kinds import KeepLast, KeepWithin, Union
from cyber_zfs_backup.plan.retention import Because, Buckets, Rule, named_time
from cyber_zfs_backup.plan.windows import Window, Windows, parse_window

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)  # a Monday


def check(rule: Rule, table: str) -> None:
    """Judge the names of the table's first column, and expect exactly the table."""
    lines = [line.strip() for line in table.strip().splitlines()]
    names = [line.split()[0] for line in lines]
    rulings = rule.judge(names)
    got = [
        f"{name} {'keep   ' if ruling.keep else 'destroy'} {ruling.reason}"
        for name, ruling in zip(names, rulings, strict=True)
    ]
    assert got == lines


def windows(*texts: str) -> Windows:
    return Windows(tuple(map(parse_window, texts)), NOW)


def test_hours_come_before_days_and_years_may_end() -> None:
    check(
        Buckets(days=1, weeks=0, months=0, hours=2, years=1),
        """
        2026-11-23T03:50:00Z keep    newest
        2026-11-23T03:00:00Z destroy same hour as 2026-11-23T03:50:00Z, which is kept
        2026-11-23T02:59:00Z keep    hourly 1 of 2
        2026-11-23T02:01:00Z destroy same hour as 2026-11-23T02:59:00Z, which is kept
        2026-11-22T23:00:00Z keep    hourly 2 of 2
        2026-11-22T01:00:00Z destroy same day as 2026-11-22T23:00:00Z, which is kept
        2026-11-21T01:00:00Z keep    daily 1 of 1
        2026-01-21T01:00:00Z destroy same year as 2026-11-21T01:00:00Z, which is kept
        2025-11-21T01:00:00Z keep    yearly 1 of 1
        2025-10-21T01:00:00Z destroy older than 2025-11-21T01:00:00Z, the last that is kept
        2024-11-21T01:00:00Z destroy older than 2025-11-21T01:00:00Z, the last that is kept
        """,
    )


def test_a_bucket_that_is_never_full_leaves_nothing_to_the_next() -> None:
    check(
        Buckets(days=1, weeks=None, months=7),
        """
        2026-11-23T03:00:00Z keep    newest
        2026-11-22T03:00:00Z keep    daily 1 of 1
        2026-11-19T03:00:00Z destroy same week as 2026-11-22T03:00:00Z, which is kept
        2026-11-12T03:00:00Z keep    weekly
        2016-11-12T03:00:00Z keep    weekly
        """,
    )


def test_no_bucket_at_all_keeps_the_newest() -> None:
    check(
        Buckets(0, 0, 0, years=0),
        """
        2026-11-23T03:00:00Z keep    newest
        2026-11-22T03:00:00Z destroy older than 2026-11-23T03:00:00Z, the last that is kept
        2026-11-24T03:00:00Z keep    clock went back: dated later than 2026-11-23T03:00:00Z, which was taken after it
        """,  # noqa: E501 -- a table reads best with one line for each snapshot
    )


@pytest.mark.parametrize("field", ["hours", "years"])
def test_negative_numbers_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"cannot keep -1 {field}"):
        Buckets(1, 1, 1, **{field: -1})


def test_the_last_so_many_whatever_their_dates() -> None:
    check(
        KeepLast(3),
        """
        2026-11-23T03:00:00Z keep    newest
        2020-11-23T02:00:00Z keep    last 2 of 3
        2026-11-23T01:00:00Z keep    last 3 of 3
        2026-11-23T03:30:00Z destroy not among the last 3
        """,
    )


def test_those_that_are_not_older_than_an_age() -> None:
    check(
        KeepWithin(parse_age("1 month"), NOW),
        """
        2026-11-23T03:00:00Z keep    newest
        2026-10-23T05:00:00Z keep    not older than 1 month
        2026-10-23T04:00:00Z keep    not older than 1 month
        2026-10-23T03:59:59Z destroy older than 1 month
        """,
    )


def test_the_newest_is_kept_however_old_it_is() -> None:
    check(KeepWithin(parse_age("36h"), NOW), "2020-01-01T00:00:00Z keep    newest")
    check(windows("2d/1h"), "2020-01-01T00:00:00Z keep    newest")


CLOCK_BACK = """
    2026-11-23T03:00:00Z keep    newest
    1970-01-01T00:00:12Z keep    clock went back: dated earlier than {kept}, which was taken before it
    {kept} keep    {why}
    2026-11-01T03:00:00Z destroy {old}
    """


@pytest.mark.parametrize(
    ("rule", "why", "old"),
    [
        (KeepWithin(parse_age("36h"), NOW), "not older than 36h", "older than 36h"),
        (windows("2d/1h"), "first of 1h (2d/1h)", "older than the windows reach (2d/1h)"),
    ],
)
def test_a_clock_that_went_back_makes_nothing_old(rule: Rule, why: str, old: str) -> None:
    check(rule, CLOCK_BACK.format(kept="2026-11-22T03:00:00Z", why=why, old=old))


def test_windows_keep_the_first_of_each_period() -> None:
    check(
        windows("6h/1h", "2d/1d", "forever/1 month"),
        """
        2026-11-23T03:59:00Z keep    newest
        2026-11-23T03:30:00Z destroy same 1h as 2026-11-23T03:10:00Z, which is kept
        2026-11-23T03:10:00Z keep    first of 1h (6h/1h)
        2026-11-23T00:10:00Z keep    first of 1h (6h/1h), first of 1d (2d/1d)
        2026-11-22T22:10:00Z keep    first of 1h (6h/1h)
        2026-11-22T21:10:00Z destroy same 1d as 2026-11-22T03:00:00Z, which is kept
        2026-11-22T03:00:00Z keep    first of 1d (2d/1d)
        2026-11-21T03:00:00Z keep    first of 1d (2d/1d)
        2026-11-20T03:00:00Z destroy same 1 month as 2026-11-01T03:00:00Z, which is kept
        2026-11-01T03:00:00Z keep    first of 1 month (forever/1 month)
        2026-10-31T03:00:00Z keep    first of 1 month (forever/1 month)
        """,
    )


def test_a_window_reaches_to_the_beginning_of_its_last_period() -> None:
    # 2026-11-21T04:00 is two days ago; what was taken earlier on that day counts for it, and is its first.
    check(
        windows("2d/1d"),
        """
        2026-11-23T03:00:00Z keep    newest
        2026-11-21T05:00:00Z destroy same 1d as 2026-11-21T00:00:00Z, which is kept
        2026-11-21T00:00:00Z keep    first of 1d (2d/1d)
        2026-11-20T23:59:59Z destroy older than the windows reach (2d/1d)
        """,
    )


def test_a_union_says_what_each_has_to_say() -> None:
    check(
        Union((Buckets(1, 0, 0, years=0), KeepLast(2), KeepWithin(parse_age("1d"), NOW))),
        """
        2026-11-23T03:00:00Z keep    newest
        2026-11-23T02:00:00Z keep    last 2 of 2; not older than 1d
        2026-11-22T05:00:00Z keep    daily 1 of 1; not older than 1d
        2026-11-22T04:00:00Z keep    not older than 1d
        2026-11-21T04:00:00Z destroy older than 2026-11-22T05:00:00Z, the last that is kept; not among the last 2; older than 1d
        """,  # noqa: E501 -- as above
    )


def test_reasons_have_a_kind_for_programs() -> None:
    names = ["2026-11-23T03:00:00Z", "2026-11-23T02:50:00Z", "2026-11-23T02:00:00Z", "2026-11-20T02:00:00Z"]

    def kinds(rule: Rule) -> list[Because]:
        return [ruling.reason.because for ruling in rule.judge(names)]

    unwanted = Because.TOO_OLD
    assert kinds(KeepLast(2)) == [Because.NEWEST, Because.LAST, *[Because.NOT_AMONG_LAST] * 2]
    assert kinds(KeepWithin(Age(seconds=7200), NOW)) == [Because.NEWEST, *[Because.WITHIN] * 2, unwanted]
    assert kinds(windows("1d/1h")) == [Because.NEWEST, Because.SAME_PERIOD, Because.WINDOW, unwanted]
    assert kinds(Union((KeepLast(3), windows("1d/1h"))))[2] is Because.LAST
    assert kinds(Buckets(1, 1, 1, hours=1))[1:3] == [Because.HOURLY, Because.SAME_PERIOD]


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("7d/1h", Window(Age(seconds=7 * 86400), Age(seconds=3600))),
        ("6 months / 1 day", Window(Age(months=6), Age(seconds=86400))),
        ("forever/1y", Window(None, Age(months=12))),
        ("Forever/2w", Window(None, Age(seconds=14 * 86400))),
        ("1d/1d", Window(Age(seconds=86400), Age(seconds=86400))),
    ],
)
def test_a_window_is_an_age_and_a_period(text: str, window: Window) -> None:
    assert parse_window(text) == window
    assert parse_window(str(window)) == window


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("7d", "'7d' is no window; write for how long and one of which period, for example 7d/1h"),
        ("7d=>1h", "'7d=>1h' is no window"),
        ("7d/", "'' is no age; write"),
        ("/1h", "'' is no age; write"),
        ("7d/forever", "'forever' is no age"),
        ("1h/7d", "one snapshot every 1w cannot be kept for 1h, which is shorter; write the age first"),
        ("30d/1 month", "which is shorter"),
        ("7d/1h/1d", "'1h/1d' is no age"),
    ],
)
def test_what_is_no_window_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"write|is no age") as error:
        parse_window(text)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: KeepLast(0), "cannot keep the last 0"),
        (lambda: Union(()), "no retention rules"),
        (lambda: Windows((), NOW), "no windows"),
        (lambda: Windows((parse_window("1d/1h"),), NOW.replace(tzinfo=None)), "time zone"),
        (lambda: KeepWithin(Age(months=1), NOW.replace(tzinfo=None)), "time zone"),
    ],
)
def test_rules_that_make_no_sense_are_refused(make: Callable[[], Rule], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize("rule", [KeepLast(1), KeepWithin(Age(months=1), NOW), windows("1d/1h")])
def test_a_rule_is_never_asked_about_a_foreign_name(rule: Rule) -> None:
    with pytest.raises(ValueError, match="by-hand"):
        rule.judge(["2026-11-22T03:00:00Z", "by-hand"])


LISTED = tuple(map(parse_window, ("2d/6h", "14d/1d", "3 months/1w", "forever/1 month")))


def test_windows_keep_their_promise_when_applied_each_day_for_three_years() -> None:
    """Each period that a window reaches, and in which anything was taken, has a snapshot: its first."""
    begin = datetime(2024, 1, 1, 1, tzinfo=UTC)
    there: list[str] = []  # newest first
    firsts: dict[tuple[Window, int], str] = {}
    now = begin
    for day in range(3 * 365):
        for hour in (0, 5, 11, 17):
            time = begin + timedelta(days=day, hours=hour, minutes=day % 50)
            there.insert(0, own_name(time))
            for window in LISTED:
                firsts.setdefault((window, window.period.period(time)), there[0])
        now = begin + timedelta(days=day, hours=20)
        rulings = Windows(LISTED, now).judge(there)
        there = [name for name, ruling in zip(there, rulings, strict=True) if ruling.keep]
        reach = {window: reached(window, now) for window in LISTED}
        firsts = {key: name for key, name in firsts.items() if key[1] >= reach[key[0]]}
        assert set(there) == {*firsts.values(), there[0]}
    for window, periods in zip(LISTED, (9, 15, 14, 36), strict=True):
        found = {window.period.period(named_time(name)) for name in there}
        assert found >= set(range(window.period.period(now) - periods + 1, window.period.period(now) + 1))
        assert len([key for key in firsts if key[0] == window]) == periods


def reached(window: Window, now: datetime) -> int:
    return 0 if window.max_age is None else window.period.period(window.max_age.before(now))

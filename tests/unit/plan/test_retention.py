# SPDX-License-Identifier: GPL-3.0-or-later
"""The default rule, as a table: each line a snapshot (newest first), what becomes of it, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from cyber_zfs_backup.model.trees import Dataset, Snapshot
from cyber_zfs_backup.plan.retention import Because, Buckets, Judge, Reason, Ruling


def check(rule: Buckets, table: str) -> None:
    """Judge the names of the table's first column, and expect exactly the table."""
    lines = [line.strip() for line in table.strip().splitlines()]
    names = [line.split()[0] for line in lines]
    rulings = rule.judge(names)
    got = [
        f"{name} {'keep   ' if ruling.keep else 'destroy'} {ruling.reason}"
        for name, ruling in zip(names, rulings, strict=True)
    ]
    assert got == lines


def test_one_for_each_change_of_day_then_week_then_month_then_year() -> None:
    check(
        Buckets(days=3, weeks=2, months=2),
        """
        2026-11-22T03:00:00Z keep    newest
        2026-11-22T01:00:00Z destroy same day as 2026-11-22T03:00:00Z, which is kept
        2026-11-21T03:00:00Z keep    daily 1 of 3
        2026-11-19T03:00:00Z keep    daily 2 of 3
        2026-11-19T02:59:59Z destroy same day as 2026-11-19T03:00:00Z, which is kept
        2026-11-18T03:00:00Z keep    daily 3 of 3
        2026-11-17T03:00:00Z destroy same week as 2026-11-18T03:00:00Z, which is kept
        2026-11-16T00:00:00Z destroy same week as 2026-11-18T03:00:00Z, which is kept
        2026-11-15T23:59:59Z keep    weekly 1 of 2
        2026-11-14T03:00:00Z destroy same week as 2026-11-15T23:59:59Z, which is kept
        2026-11-07T03:00:00Z keep    weekly 2 of 2
        2026-11-01T03:00:00Z destroy same month as 2026-11-07T03:00:00Z, which is kept
        2026-10-31T03:00:00Z keep    monthly 1 of 2
        2026-10-30T03:00:00Z destroy same month as 2026-10-31T03:00:00Z, which is kept
        2026-02-01T03:00:00Z keep    monthly 2 of 2
        2026-01-31T03:00:00Z destroy same year as 2026-02-01T03:00:00Z, which is kept
        2025-12-31T03:00:00Z keep    yearly
        2025-01-01T03:00:00Z destroy same year as 2025-12-31T03:00:00Z, which is kept
        2019-06-01T03:00:00Z keep    yearly
        1999-06-01T03:00:00Z keep    yearly
        """,
    )


def test_no_dailies_goes_on_to_weeks() -> None:
    check(
        Buckets(days=0, weeks=1, months=1),
        """
        2026-11-25T03:00:00Z keep    newest
        2026-11-24T03:00:00Z destroy same week as 2026-11-25T03:00:00Z, which is kept
        2026-11-22T03:00:00Z keep    weekly 1 of 1
        2026-11-15T03:00:00Z destroy same month as 2026-11-22T03:00:00Z, which is kept
        2026-10-15T03:00:00Z keep    monthly 1 of 1
        """,
    )


def test_no_weeklies_goes_on_from_days_to_months() -> None:
    check(
        Buckets(days=1, weeks=0, months=1),
        """
        2026-11-25T03:00:00Z keep    newest
        2026-11-24T03:00:00Z keep    daily 1 of 1
        2026-11-08T03:00:00Z destroy same month as 2026-11-24T03:00:00Z, which is kept
        2026-10-15T03:00:00Z keep    monthly 1 of 1
        2026-09-15T03:00:00Z destroy same year as 2026-10-15T03:00:00Z, which is kept
        """,
    )


def test_nothing_but_years() -> None:
    check(
        Buckets(days=0, weeks=0, months=0),
        """
        2026-11-25T03:00:00Z keep    newest
        2026-01-01T00:00:00Z destroy same year as 2026-11-25T03:00:00Z, which is kept
        2025-12-31T23:59:59Z keep    yearly
        2024-12-31T23:59:59Z keep    yearly
        """,
    )


def test_a_week_may_hold_days_of_two_years() -> None:
    check(  # ISO week 53 of 2026 runs from Monday 2026-12-28 to Sunday 2027-01-03
        Buckets(days=0, weeks=9, months=0),
        """
        2027-01-04T00:00:00Z keep    newest
        2027-01-03T23:59:59Z keep    weekly 1 of 9
        2027-01-01T00:00:00Z destroy same week as 2027-01-03T23:59:59Z, which is kept
        2026-12-28T00:00:00Z destroy same week as 2027-01-03T23:59:59Z, which is kept
        2026-12-27T00:00:00Z keep    weekly 2 of 9
        """,
    )


def test_the_same_week_number_or_month_of_another_year_is_another_period() -> None:
    check(
        Buckets(days=0, weeks=1, months=1),
        """
        2026-11-18T00:00:00Z keep    newest
        2025-11-19T00:00:00Z keep    weekly 1 of 1
        2024-11-12T00:00:00Z keep    monthly 1 of 1
        """,
    )


def test_the_newest_counts_for_no_bucket() -> None:
    check(
        Buckets(days=1, weeks=0, months=0),
        """
        2026-11-22T00:00:00Z keep    newest
        2026-11-21T00:00:00Z keep    daily 1 of 1
        2026-11-20T00:00:00Z destroy same year as 2026-11-21T00:00:00Z, which is kept
        """,
    )


def test_a_clock_that_went_back_loses_nothing() -> None:
    # From the newest to the oldest by createtxg: the third was taken while the clock was a year behind.
    check(
        Buckets(days=3, weeks=0, months=0),
        """
        2026-11-22T00:00:00Z keep    newest
        2026-11-21T00:00:00Z keep    daily 1 of 3
        2025-11-20T02:00:00Z keep    daily 2 of 3
        2025-11-20T01:00:00Z destroy same day as 2025-11-20T02:00:00Z, which is kept
        2026-11-20T01:00:00Z keep    clock went back: dated later than 2025-11-20T02:00:00Z, which was taken after it
        2026-11-20T00:00:00Z keep    clock went back: dated later than 2025-11-20T02:00:00Z, which was taken after it
        2025-11-20T02:00:01Z keep    clock went back: dated later than 2025-11-20T02:00:00Z, which was taken after it
        2025-11-19T00:00:00Z keep    daily 3 of 3
        """,  # noqa: E501 -- a table reads best with one line for each snapshot
    )


def test_a_clock_that_is_far_behind_today_makes_the_rule_keep_everything() -> None:
    check(
        Buckets(days=1, weeks=1, months=1),
        """
        1970-01-01T00:00:12Z keep    newest
        2026-11-22T00:00:00Z keep    clock went back: dated later than 1970-01-01T00:00:12Z, which was taken after it
        2026-11-21T23:00:00Z keep    clock went back: dated later than 1970-01-01T00:00:12Z, which was taken after it
        """,  # noqa: E501 -- as above
    )


def test_reasons_have_a_kind_for_programs() -> None:
    names = ["2026-11-22T03:00:00Z", "2026-11-22T01:00:00Z", "2026-11-21T01:00:00Z", "2026-11-01T01:00:00Z"]
    names += ["2026-10-31T01:00:00Z", "2025-10-31T01:00:00Z", "2026-10-31T01:00:00Z"]
    kinds = [ruling.reason.because for ruling in Buckets(1, 1, 1).judge(names)]
    assert kinds == [
        Because.NEWEST,
        Because.SAME_PERIOD,
        Because.DAILY,
        Because.WEEKLY,
        Because.MONTHLY,
        Because.YEARLY,
        Because.CLOCK_WENT_BACK,
    ]


def test_no_snapshots_no_rulings() -> None:
    assert Buckets(31, 12, 36).judge([]) == ()


@pytest.mark.parametrize("numbers", [(-1, 0, 0), (0, -1, 0), (0, 0, -1)])
def test_negative_numbers_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="cannot keep -1"):
        Buckets(*numbers)


def test_a_rule_is_never_asked_about_a_foreign_name() -> None:
    with pytest.raises(ValueError, match="by-hand"):
        Buckets(1, 1, 1).judge(["2026-11-22T03:00:00Z", "by-hand"])


@dataclass(frozen=True)
class Nothing:
    """A rule that wants nothing, and remembers in ``asked`` what it was asked."""

    asked: list[tuple[str, ...]]

    def judge(self, names: Sequence[str]) -> tuple[Ruling, ...]:
        self.asked.append(tuple(names))
        return tuple(Ruling(False, Reason(Because.SAME_PERIOD, "unwanted")) for _ in names)


def dataset(*names: str, path: str = "") -> Dataset:
    """A dataset with these snapshots, oldest first."""
    return Dataset(path, tuple(Snapshot(name, 100 + n, n) for n, name in enumerate(names)))


def test_foreign_snapshots_and_the_newest_own_one_are_kept_whatever_the_rule_says() -> None:
    asked: list[tuple[str, ...]] = []
    judged = Judge(Nothing(asked)).judge(
        dataset("before", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z", "after", "2026-02-30T00:00:00Z")
    )
    assert asked == [("2026-11-21T00:00:00Z", "2026-11-20T00:00:00Z")]
    assert judged.own == asked[0]
    assert judged.unwanted == ("2026-11-20T00:00:00Z",)
    assert {name: str(ruling.reason) for name, ruling in judged.rulings.items() if ruling.keep} == {
        "before": "foreign: not a name of ours",
        "2026-11-21T00:00:00Z": "newest",
        "after": "foreign: not a name of ours",
        "2026-02-30T00:00:00Z": "foreign: not a name of ours",
    }


def test_a_list_of_names_is_judged_once_however_many_datasets_have_it() -> None:
    asked: list[tuple[str, ...]] = []
    judge = Judge(Nothing(asked))
    names = ("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z")
    first = judge.judge(dataset(*names))
    assert judge.judge(dataset(*names, path="home")) is first
    assert judge.judge(dataset(names[1], path="srv")).unwanted == ()
    assert len(asked) == 2


def test_a_rule_that_answers_too_little_is_an_error() -> None:
    class Mute:
        def judge(self, names: Sequence[str]) -> tuple[Ruling, ...]:
            return ()

    with pytest.raises(ValueError, match="shorter"):
        Judge(Mute()).judge(dataset("2026-11-20T00:00:00Z"))


def test_the_latest_time_is_that_of_the_names_not_of_createtxg() -> None:
    judged = Judge(Buckets(1, 1, 1)).judge(dataset("2026-11-21T00:00:00Z", "2026-11-20T00:00:00Z", "x"))
    assert judged.latest is not None
    assert judged.latest.isoformat() == "2026-11-21T00:00:00+00:00"
    assert Judge(Buckets(1, 1, 1)).judge(dataset("x")).latest is None

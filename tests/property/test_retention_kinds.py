# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of all kinds of retention rules, and of their unions, on any history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cyber_zfs_backup.config.job import RetentionPolicy
from cyber_zfs_backup.model.ages import Age
from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.plan.kinds import KeepLast, KeepWithin, Union
from cyber_zfs_backup.plan.retention import Rule
from cyber_zfs_backup.plan.simulation import Schedule, simulate
from cyber_zfs_backup.plan.windows import Window, Windows

from .histories import EPOCH, HOUR, any_buckets, any_histories, histories, kept, time_of

WEEK = 7 * 24 * HOUR
PERIODS = st.sampled_from(
    [Age(seconds=HOUR), Age(seconds=6 * HOUR), Age(seconds=WEEK // 7), Age(seconds=WEEK)]
)
MONTHS = st.sampled_from([Age(months=1), Age(months=3), Age(months=12)])
AGES = st.one_of(PERIODS, MONTHS, st.integers(1, 400 * WEEK).map(lambda seconds: Age(seconds=seconds)))
NOWS = st.integers(0, 3000).map(lambda days: EPOCH + timedelta(days=days, hours=7))

lasts = st.integers(1, 8).map(KeepLast)
withins = st.builds(KeepWithin, AGES, NOWS)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    age, period = draw(st.one_of(st.none(), AGES)), draw(st.one_of(PERIODS, MONTHS))
    return Window(None, period) if age is None or period.is_longer_than(age) else Window(age, period)


lists_of_windows = st.lists(windows(), min_size=1, max_size=3).map(tuple)
by_windows = st.builds(Windows, lists_of_windows, NOWS)
straight = st.one_of(lasts, withins, by_windows)
kinds: st.SearchStrategy[Rule] = st.one_of(straight, any_buckets)
unions = st.lists(kinds, min_size=1, max_size=3).map(lambda rules: Union(tuple(rules)))
rules: st.SearchStrategy[Rule] = st.one_of(kinds, unions)


def left(rule: Rule, names: Sequence[str]) -> list[str]:
    return kept(names, rule.judge(names))


@given(rules, any_histories())
def test_the_newest_is_kept(rule: Rule, names: list[str]) -> None:
    assert left(rule, names)[:1] == names[:1]


@given(unions, any_histories())
def test_a_union_keeps_what_any_part_keeps_and_nothing_else(union: Union, names: list[str]) -> None:
    parts = [set(left(rule, names)) for rule in union.rules]
    assert set(left(union, names)) == set().union(*parts)


@given(unions, any_histories())
def test_a_union_says_all_reasons_the_first_one_first(union: Union, names: list[str]) -> None:
    for ruling, *parts in zip(union.judge(names), *(rule.judge(names) for rule in union.rules), strict=True):
        deciding = [part.reason for part in parts if part.keep == ruling.keep]
        assert ruling.reason.because is deciding[0].because
        assert ruling.reason.text.startswith(deciding[0].text)
        assert all(reason.text in ruling.reason.text for reason in deciding)


@given(st.data(), rules, any_histories())
def test_what_a_rule_destroys_never_mattered(data: st.DataObject, rule: Rule, names: list[str]) -> None:
    # So a second time destroys nothing more, even where another rule, a hold or a base has kept some.
    wanted = set(left(rule, names))
    spared = data.draw(st.sets(st.sampled_from(names))) if names else set()
    rest = [name for name in names if name in wanted | spared]
    assert set(left(rule, rest)) == wanted


@given(straight, any_histories())
def test_a_newer_snapshot_brings_none_back(rule: Rule, names: list[str]) -> None:
    newer = own_name(max(map(time_of, names), default=EPOCH) + timedelta(hours=5))
    assert set(left(rule, [newer, *names])) <= {newer, *left(rule, names)}


@given(st.integers(1, 8), st.integers(0, 8), any_histories())
def test_keeping_more_of_the_last_destroys_no_other(count: int, more: int, names: list[str]) -> None:
    assert left(KeepLast(count), names) == names[:count]
    assert set(left(KeepLast(count), names)) <= set(left(KeepLast(count + more), names))


@given(AGES, AGES, NOWS, any_histories())
def test_keeping_for_longer_destroys_no_other(one: Age, other: Age, now: datetime, names: list[str]) -> None:
    short, long = sorted(
        (KeepWithin(one, now), KeepWithin(other, now)), key=lambda rule: now - rule.age.before(now)
    )
    assert set(left(short, names)) <= set(left(long, names))


@given(st.data(), by_windows, any_histories())
def test_more_or_longer_windows_destroy_no_other(
    data: st.DataObject, rule: Windows, names: list[str]
) -> None:
    longer = tuple(replace(window, max_age=None) for window in rule.windows)
    more = (*rule.windows, *data.draw(lists_of_windows))
    kept_before = set(left(rule, names))
    assert kept_before <= set(left(replace(rule, windows=longer), names))
    assert kept_before <= set(left(replace(rule, windows=more), names))


@given(st.one_of(withins, by_windows), st.integers(0, 2000), histories())
def test_what_is_unwanted_is_not_wanted_later(
    rule: KeepWithin | Windows, days: int, names: list[str]
) -> None:
    later = replace(rule, now=rule.now + timedelta(days=days))
    assert set(left(later, names)) <= set(left(rule, names))


@given(lists_of_windows, NOWS, histories())
def test_windows_keep_the_first_of_each_period_that_they_reach(
    listed: tuple[Window, ...], now: datetime, names: list[str]
) -> None:
    wanted = set(names[:1])
    for window in listed:
        first: dict[int, str] = {}
        for name in sorted(names):
            first.setdefault(window.period.period(time_of(name)), name)
        since = time_of("0001-01-01T00:00:00Z") if window.max_age is None else window.max_age.before(now)
        reached = window.period.period(since)
        wanted |= {name for period, name in first.items() if period >= reached}
    assert set(left(Windows(listed, now), names)) == wanted


@given(st.one_of(withins, by_windows), any_histories())
def test_no_reason_but_age_and_company(rule: Rule, names: list[str]) -> None:
    """What goes is too old, or has a kept one of its period that is older both by createtxg and by name."""
    keeping = left(rule, names)
    for name, ruling in zip(names, rule.judge(names), strict=True):
        if ruling.keep or ruling.reason.text.startswith("older than "):
            continue
        other = ruling.reason.text.partition(" as ")[2].partition(",")[0]
        assert other in keeping
        assert other < name
        assert names.index(other) > names.index(name)


_sizes = st.one_of(st.integers(0, 4), st.none())
policies = st.builds(
    RetentionPolicy,
    days=_sizes,
    weeks=_sizes,
    months=_sizes,
    hours=st.sampled_from([0, 0, 0, 3]),
    years=_sizes,
    last=st.integers(0, 6),
    within=st.one_of(st.none(), AGES),
    windows=st.one_of(st.just(()), lists_of_windows),
)


@given(policies, st.integers(0, 400), st.integers(1, 60), st.integers(1, 5))
def test_what_is_simulated_is_what_comes_of_the_rule_after_each_snapshot(
    policy: RetentionPolicy, later: int, days: int, per_day: int
) -> None:
    schedule = Schedule(EPOCH.replace(hour=0) + timedelta(days=later), days, per_day)
    there: list[str] = []
    for now in schedule.moments():
        there = left(policy.rule(now), [own_name(now), *there])
    assert [name for name, _ in simulate(policy.rule, schedule).left] == there


@given(rules)
def test_nothing_comes_of_nothing(rule: Rule) -> None:
    assert rule.judge([]) == ()

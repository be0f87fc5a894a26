# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of the default rule and of expiry that hold on any tree."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from cyber_zfs_backup.model.names import own_time
from cyber_zfs_backup.model.trees import Tree
from cyber_zfs_backup.plan.destroy import Destroy, Terms, candidates, finish, is_lots
from cyber_zfs_backup.plan.retention import Because, Buckets

from .histories import (
    EPOCH,
    LATE,
    PERIODS,
    any_buckets,
    any_histories,
    buckets,
    full_names,
    histories,
    kept,
    newest_of_each,
    run,
    some_of,
    time_of,
    trees,
    without,
)

# The rule


@given(any_buckets, histories())
def test_the_rule_is_the_newest_of_each_period_after_the_last_kept(rule: Buckets, names: list[str]) -> None:
    # Said in another way than the code's: the newest of each period, as many as fit, then on from there.
    wanted, rest = names[:1], names
    sizes = (rule.hours, rule.days, rule.weeks, rule.months, rule.years)
    for noun, wished in zip(("hour", "day", "week", "month", "year"), sizes, strict=True):
        size = LATE.year if wished is None else wished
        heads = newest_of_each(rest, PERIODS[noun])[1 : 1 + size]
        wanted += heads
        if len(heads) < size:  # the history ends before the bucket is full
            break
        rest = names[names.index(wanted[-1]) :] if wanted else []
    assert kept(names, rule.judge(names)) == wanted


@given(buckets, any_histories())
def test_the_newest_is_kept(rule: Buckets, names: list[str]) -> None:
    assert all(ruling.keep for ruling in rule.judge(names)[:1])


@given(buckets, any_histories())
def test_older_snapshots_change_nothing_for_newer_ones(rule: Buckets, names: list[str]) -> None:
    whole = rule.judge(names)
    for count in range(len(names)):
        assert rule.judge(names[:count]) == whole[:count]


@given(buckets, any_histories())
def test_a_second_time_destroys_nothing_more(rule: Buckets, names: list[str]) -> None:
    left = kept(names, rule.judge(names))
    assert kept(left, rule.judge(left)) == left


@given(buckets, any_histories())
def test_what_goes_has_a_kept_one_of_its_period_that_is_newer_in_every_way(
    rule: Buckets, names: list[str]
) -> None:
    left: list[str] = []
    for name, ruling in zip(names, rule.judge(names), strict=True):
        if ruling.keep:
            left.append(name)
        else:
            _, noun, _, witness, *_ = str(ruling.reason).replace(",", "").split()
            assert witness in left  # so it is newer by createtxg
            assert witness > name
            assert PERIODS[noun](time_of(witness)) == PERIODS[noun](time_of(name))


# Expiry of a tree


@given(st.data(), trees(), buckets, st.booleans())
@settings(max_examples=300)
def test_expiry_destroys_exactly_what_it_says_and_nothing_that_is_needed(
    data: st.DataObject, tree: Tree, rule: Buckets, force: bool
) -> None:
    protected_names = data.draw(some_of(tree))
    used = data.draw(some_of(tree))
    excluded = frozenset(data.draw(st.lists(st.sampled_from(sorted(tree.datasets)), max_size=1)))
    protected = {
        path: {s.name: "base" for s in d.snapshots if f"{tree.full(path)}@{s.name}" in protected_names}
        for path, d in tree.datasets.items()
    }
    found = candidates(tree, Terms(rule, LATE, force, excluded), protected)
    plan = finish(found, dict.fromkeys(used, "held"))
    after = run(tree, plan.commands)
    planned = {each.path: each.destroy for each in plan.datasets}

    if plan.refusals:
        assert after == tree
        own = {path: sum(s.own for s in dataset.snapshots) for path, dataset in tree.datasets.items()}
        assert not force
        assert any(is_lots(len(names), own[path]) for path, names in planned.items())
        return
    assert after == without(tree, planned)
    assert full_names(tree) - full_names(after) <= set(found.full_names)
    assert plan.count == len(full_names(tree)) - len(full_names(after))
    assert full_names(tree) & (protected_names | used) <= full_names(after)
    for path, dataset in tree.datasets.items():
        left = after.datasets[path]
        assert left.newest_own == dataset.newest_own
        assert [s for s in left.snapshots if not s.own] == [s for s in dataset.snapshots if not s.own]
        assert path not in excluded or left == dataset
    for each in plan.datasets:
        verdicts = each.verdicts
        assert [verdict.snapshot for verdict in verdicts] == list(reversed(each.dataset.snapshots))
        assert [v.snapshot.name for v in reversed(verdicts) if not v.keep] == list(each.destroy)
        assert all((v.reason.because is Because.SAME_PERIOD) is not v.keep for v in verdicts)


@given(st.data(), trees(), buckets)
@settings(max_examples=300)
def test_one_recursive_command_exactly_where_it_serves(
    data: st.DataObject, tree: Tree, rule: Buckets
) -> None:
    used = data.draw(some_of(tree))
    plan = finish(candidates(tree, Terms(rule, LATE, True)), dict.fromkeys(used, "held"))
    planned = {each.path: each.destroy for each in plan.datasets}
    union = {name for names in planned.values() for name in names}
    losing = sum(bool(names) for names in planned.values())
    serves = run(tree, [Destroy("tank", tuple(union), recursive=True)]) == without(tree, planned)
    if serves and losing > 1:
        assert [command.recursive for command in plan.commands] == [True]
    else:
        assert [command.recursive for command in plan.commands] == [False] * losing


@given(trees(), buckets)
def test_expiring_again_destroys_nothing_more(tree: Tree, rule: Buckets) -> None:
    terms = Terms(rule, LATE, True)
    after = run(tree, finish(candidates(tree, terms), {}).commands)
    assert finish(candidates(after, terms), {}).commands == ()


@given(trees(), buckets, st.integers(0, 900))
def test_nothing_goes_where_anything_is_in_the_future(tree: Tree, rule: Buckets, days: int) -> None:
    now = EPOCH + timedelta(days=days)
    plan = finish(candidates(tree, Terms(rule, now, True)), {})
    times = {own_time(s.name) for d in tree.datasets.values() for s in d.snapshots} - {None}
    future = any(time > now for time in times if time)
    assert bool(plan.refusals) is future
    assert not (future and plan.commands)

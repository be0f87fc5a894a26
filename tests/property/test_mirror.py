# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of the mirror that hold on any pair of trees, and over years of nights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.model.trees import Dataset, Snapshot, Tree
from cyber_zfs_backup.plan import mirror
from cyber_zfs_backup.plan.destroy import Candidates, Terms, candidates, finish
from cyber_zfs_backup.plan.retention import Buckets

from .histories import (
    DAY,
    EPOCH,
    HOUR,
    LATE,
    buckets,
    kept,
    run,
    trees,
    without,
)


@st.composite
def receivers(draw: st.DrawFn, source: Tree) -> Tree:
    """A receiver that once had all the source has, and went its own way."""
    datasets = {}
    for path, dataset in source.datasets.items():
        theirs = []
        for snapshot in dataset.snapshots:
            fate = draw(st.sampled_from(["same"] * 6 + ["lost", "other"]))
            if fate != "lost":
                guid = snapshot.guid if fate == "same" else snapshot.guid + 1_000_000
                theirs.append(Snapshot(snapshot.name, guid, 7 * snapshot.createtxg))
        if draw(st.integers(0, 9)):
            datasets[path] = Dataset(path, tuple(theirs))
    return Tree("off/tank", datasets)


@given(st.data(), trees(), buckets)
@settings(max_examples=300)
def test_the_mirror_takes_only_what_meets_all_three_conditions(
    data: st.DataObject, whole: Tree, rule: Buckets
) -> None:
    receiver = data.draw(receivers(whole))
    lost = {}
    bases = {}
    for path, dataset in whole.datasets.items():
        lost[path] = data.draw(st.sets(st.sampled_from([s.name for s in dataset.snapshots] or [""])))
        if data.draw(st.integers(0, 3)):
            bases[path] = data.draw(st.sampled_from([s.guid for s in dataset.snapshots] or [0]))
    source = without(whole, lost)
    plan = finish(mirror.candidates(source, receiver, bases, Terms(rule, LATE, True)), {})
    after = run(receiver, plan.commands)

    expected: dict[str, set[str]] = {}
    for path, theirs in receiver.datasets.items():
        on_source = source.datasets[path].by_guid()
        base = theirs.by_guid().get(bases.get(path, -1))
        own = [s.name for s in reversed(theirs.snapshots) if s.own]
        wanted = kept(own, rule.judge(own))
        expected[path] = {
            s.name
            for s in theirs.snapshots
            if (base and base.guid in on_source and s.own)
            and (s.guid not in on_source and s.createtxg < base.createtxg and s.name not in wanted)
        }
    assert after == without(receiver, expected)
    for each in plan.datasets:
        assert {v.snapshot.name for v in each.verdicts if not v.keep} == expected[each.path]


class Nightly:
    """A source and its receiver, night after night: snapshot, push, expire, mirror."""

    def __init__(self, rule: Buckets) -> None:
        self.rule = rule
        self.source = Tree("tank", {"": Dataset(""), "home": Dataset("home")})
        self.receiver = Tree("off/tank", {"": Dataset(""), "home": Dataset("home")})
        self.txg = 0

    def snapshot(self, moment: datetime) -> None:
        self.txg += 1
        datasets = {}
        for number, (path, dataset) in enumerate(self.source.datasets.items()):
            new = Snapshot(own_name(moment), 2 * self.txg + number, self.txg)
            datasets[path] = replace(dataset, snapshots=(*dataset.snapshots, new))
        self.source = replace(self.source, datasets=datasets)

    def push(self) -> dict[str, int]:
        """What send -I from the base does; answers the confirmed bases."""
        datasets = {}
        for path, theirs in self.receiver.datasets.items():
            ours = self.source.datasets[path].snapshots
            common = theirs.by_guid()
            base = max((n for n, s in enumerate(ours) if s.guid in common), default=-1)
            self.txg += 1
            new = tuple(replace(s, createtxg=self.txg + n) for n, s in enumerate(ours[base + 1 :]))
            self.txg += len(new)
            datasets[path] = replace(theirs, snapshots=theirs.snapshots + new)
        self.receiver = replace(self.receiver, datasets=datasets)
        return {path: d.snapshots[-1].guid for path, d in self.source.datasets.items()}

    def expire(self, moment: datetime, protected: Mapping[str, str]) -> None:
        everywhere = dict.fromkeys(self.source.datasets, protected)
        found = candidates(self.source, Terms(self.rule, moment, True), everywhere)
        self.source = self.finish(self.source, found)

    def mirror(self, moment: datetime, bases: Mapping[str, int]) -> None:
        found = mirror.candidates(self.source, self.receiver, bases, Terms(self.rule, moment, True))
        self.receiver = self.finish(self.receiver, found)

    def finish(self, tree: Tree, found: Candidates) -> Tree:
        plan = finish(found, {})
        assert not plan.refusals
        assert len(plan.commands) <= 1  # a tree that is snapshot as one expires as one
        return run(tree, plan.commands)

    def both(self) -> tuple[dict[str, list[tuple[str, int]]], ...]:
        """The names and GUIDs of each side."""
        return tuple(
            {path: [(s.name, s.guid) for s in d.snapshots] for path, d in tree.datasets.items()}
            for tree in (self.source, self.receiver)
        )


runs = st.lists(
    st.sampled_from([HOUR, 9 * HOUR, DAY, DAY, DAY, DAY, DAY, 2 * DAY, 6 * DAY, 25 * DAY, 200 * DAY]),
    min_size=30,
    max_size=200,
)
policies = st.one_of(buckets, st.builds(Buckets, st.integers(0, 40), st.integers(0, 12), st.integers(0, 36)))


@given(runs, policies, st.integers(0, 50))
@settings(max_examples=100, deadline=None)
def test_after_an_ordinary_run_both_sides_hold_the_same(
    nights: list[int], rule: Buckets, pinned: int
) -> None:
    # One snapshot is for some time the base of another destination, which is away.
    pair = Nightly(rule)
    moment = EPOCH
    base_elsewhere: dict[str, str] = {}
    for number, gap in enumerate(nights):
        moment += timedelta(seconds=gap)
        pair.snapshot(moment)
        bases = pair.push()
        if number == pinned:
            base_elsewhere = {own_name(moment): "base of attic"}
        if number == 3 * pinned:
            base_elsewhere = {}
        pair.expire(moment, base_elsewhere)
        pair.mirror(moment, bases)
        source, receiver = pair.both()
        assert receiver == source


away = st.tuples(st.sampled_from([HOUR, DAY, DAY, 6 * DAY, 25 * DAY]), st.integers(0, 3))


@given(st.lists(away, max_size=120), policies)
@settings(max_examples=100, deadline=None)
def test_after_absences_the_receiver_holds_what_the_source_has_and_what_its_own_rule_keeps(
    nights: list[tuple[int, int]], rule: Buckets
) -> None:
    pair = Nightly(rule)
    moment = EPOCH
    base: dict[str, str] = {}
    for gap, there in nights:
        moment += timedelta(seconds=gap)
        pair.snapshot(moment)
        if not there:
            pair.expire(moment, base)
            continue
        bases = pair.push()
        base = {own_name(moment): "base of offsite"}
        pair.expire(moment, base)
        before = pair.receiver
        pair.mirror(moment, bases)
        for path, ours in pair.source.datasets.items():
            names = [s.name for s in reversed(before.datasets[path].snapshots)]
            left = pair.receiver.datasets[path]
            assert set(ours.by_guid()) <= set(left.by_guid())
            assert {s.name for s in left.snapshots} >= set(kept(names, rule.judge(names)))


def test_two_years_of_nights_leave_what_the_rule_says() -> None:
    pair = Nightly(Buckets(7, 4, 12))
    for night in range(730):
        moment = datetime(2025, 1, 1, 3, tzinfo=UTC) + timedelta(days=night)
        pair.snapshot(moment)
        bases = pair.push()
        pair.expire(moment, {})
        pair.mirror(moment, bases)
    source, receiver = pair.both()
    assert receiver == source
    dates = " ".join(name[:10] for name, _ in source["home"])
    # Months are those of the weeklies that were left, which are Sundays; then weeks, then days.
    assert dates == (
        "2025-11-30 2025-12-28 2026-01-25 2026-02-22 2026-03-29 2026-04-26 "
        "2026-05-31 2026-06-28 2026-07-26 2026-08-30 2026-09-27 2026-10-25 "
        "2026-11-29 2026-12-06 2026-12-13 2026-12-20 "
        "2026-12-24 2026-12-25 2026-12-26 2026-12-27 2026-12-28 2026-12-29 2026-12-30 2026-12-31"
    )

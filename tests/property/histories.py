# SPDX-License-Identifier: GPL-3.0-or-later
"""Histories and trees of any kind, and what zfs destroy does to them; for the laws of retention."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from cyber_zfs_backup.model.names import own_name, own_time
from cyber_zfs_backup.model.trees import Dataset, Snapshot, Tree
from cyber_zfs_backup.plan.destroy import Destroy
from cyber_zfs_backup.plan.retention import Buckets, Ruling

EPOCH = datetime(2020, 12, 20, tzinfo=UTC)  # a few days before a week that holds days of two years
LATE = datetime(2100, 1, 1, tzinfo=UTC)
HOUR = 3600
DAY = 24 * HOUR

Period = Callable[[datetime], object]
PERIODS: Mapping[str, Period] = {
    "hour": lambda time: time.strftime("%Y-%m-%d %H"),
    "day": lambda time: time.strftime("%Y-%m-%d"),
    "week": lambda time: time.strftime("%G week %V"),
    "month": lambda time: time.strftime("%Y-%m"),
    "year": lambda time: time.strftime("%Y"),
}

buckets = st.builds(Buckets, st.integers(0, 6), st.integers(0, 4), st.integers(0, 4))
_sizes = st.one_of(st.integers(0, 4), st.integers(0, 4), st.none())
any_buckets = st.builds(Buckets, _sizes, _sizes, _sizes, hours=_sizes, years=_sizes)
gaps = st.sampled_from([1, HOUR, 5 * HOUR, DAY - 1, DAY, DAY, DAY, 3 * DAY, 9 * DAY, 40 * DAY, 400 * DAY])


@st.composite
def histories(draw: st.DrawFn) -> list[str]:
    """Names of own snapshots, newest first by createtxg, taken by a clock that never went back."""
    moment = EPOCH
    names = []
    for gap in draw(st.lists(gaps, max_size=60)):
        moment += timedelta(seconds=gap)
        names.append(own_name(moment))
    return names[::-1]


@st.composite
def any_histories(draw: st.DrawFn) -> list[str]:
    """The same, by a clock that may have done anything."""
    names = draw(histories())
    for _ in range(draw(st.integers(0, 3))):
        if names:
            moved = names.pop(draw(st.integers(0, len(names) - 1)))
            names.insert(draw(st.integers(0, len(names))), moved)
    return names


def kept(names: Sequence[str], rulings: Iterable[Ruling]) -> list[str]:
    return [name for name, ruling in zip(names, rulings, strict=True) if ruling.keep]


def time_of(name: str) -> datetime:
    time = own_time(name)
    assert time is not None
    return time


def newest_of_each(names: Sequence[str], period: Period) -> list[str]:
    """The first name of each period, from the newest to the oldest."""
    first: dict[object, str] = {}
    for name in names:
        first.setdefault(period(time_of(name)), name)
    return list(first.values())


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """A tree whose datasets have more or less the same snapshots, and foreign ones among them."""
    names = draw(any_histories())[::-1]
    some_names = st.sets(st.sampled_from(names)) if names else st.just(set[str]())
    some_foreign = st.lists(st.sampled_from(["by-hand", "before", "2026-02-30T00:00:00Z"]), unique=True)
    datasets = {}
    paths = ["", *draw(st.lists(st.sampled_from(["a", "a/b", "c", "d", "e"]), unique=True))]
    for number, path in enumerate(paths):
        lacking = draw(st.one_of(st.just(set[str]()), some_names))
        mine = [name for name in names if name not in lacking]
        for foreign in draw(some_foreign):
            mine.insert(draw(st.integers(0, len(mine))), foreign)
        snapshots = tuple(Snapshot(name, 1000 * number + n, 10 + n) for n, name in enumerate(mine))
        datasets[path] = Dataset(path, snapshots)
    return Tree("tank", datasets)


@st.composite
def some_of(draw: st.DrawFn, tree: Tree) -> frozenset[str]:
    """Full names of a few snapshots of the tree."""
    every = sorted(full_names(tree))
    return frozenset(draw(st.lists(st.sampled_from(every), max_size=4)) if every else [])


def full_names(tree: Tree) -> set[str]:
    return {f"{tree.full(path)}@{s.name}" for path, d in tree.datasets.items() for s in d.snapshots}


def run(tree: Tree, commands: Iterable[Destroy]) -> Tree:
    """What zfs destroy does: names that a dataset lacks are ignored, -r reaches all below."""
    datasets = dict(tree.datasets)
    for command in commands:
        for path, dataset in datasets.items():
            full = tree.full(path)
            below = command.recursive and full.startswith(f"{command.dataset}/")
            if full == command.dataset or below:
                left = tuple(s for s in dataset.snapshots if s.name not in command.names)
                datasets[path] = replace(dataset, snapshots=left)
    return replace(tree, datasets=datasets)


def without(tree: Tree, gone: Mapping[str, Iterable[str]]) -> Tree:
    """The tree without those names, by path."""
    return replace(
        tree,
        datasets={
            path: replace(d, snapshots=tuple(s for s in d.snapshots if s.name not in gone[path]))
            for path, d in tree.datasets.items()
        },
    )

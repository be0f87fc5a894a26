# SPDX-License-Identifier: GPL-3.0-or-later
"""What the planner's table says of two trees, told a second time and only as far as a push cannot mend it.

Written from the table and not from the planner: it looks at the fake's own worlds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cyber_zfs_backup.model.names import own_time, parent, relative
from tests.fake.model import Dataset, World
from tests.unit.actions.rig import ROOT, THERE

Tree = Mapping[str, Dataset]


@dataclass(slots=True)
class Expected:
    """The kind of each dataset's conflict, and the receiver's datasets that nobody on the source claims."""

    conflicts: dict[str, str] = field(default_factory=dict)
    orphans: set[str] = field(default_factory=set)


def tree(world: World, root: str) -> Tree:
    """A tree's datasets by relative path, parents first."""
    found = {relative(root, dataset.name): dataset for dataset in world.tree(root)}
    return dict(sorted(found.items(), key=lambda item: item[0].split("/")))


def below_any(path: str, others: frozenset[str]) -> bool:
    """Whether a path is one of the others, or below one."""
    return any(f"{path}/".startswith(f"{other}/") for other in others)


def expected(source: World, receiver: World, excluded: frozenset[str]) -> Expected:
    """What a run must report that first takes a snapshot of everything that takes part."""
    here, there = tree(source, ROOT), tree(receiver, THERE)
    found = Expected()
    found.orphans = {path for path in there if path not in here and not below_any(path, excluded)}
    for path, dataset in here.items():
        if below_any(path, excluded):
            continue
        kind = _kind(path, dataset, (here, there), found)
        if kind is not None:
            found.conflicts[path] = kind
    return found


def _kind(path: str, dataset: Dataset, sides: tuple[Tree, Tree], found: Expected) -> str | None:
    here, there = sides
    copy = there.get(path)
    holders = set(_holders(path, dataset, there))
    if copy is None:
        if holders & found.orphans:
            return "renamed"
        return "parent" if parent(path) in found.conflicts else None
    if copy.partial is not None and (not copy.snapshots or continues(copy, dataset)):
        return None
    if _common(dataset, copy):
        return None
    if holders:
        return "renamed"
    if path and copy.snapshots and _younger(dataset, here[""], there[""]):
        return "recreated"
    return "no-common"


def _holders(path: str, dataset: Dataset, there: Tree) -> Iterator[str]:
    """The receiver's other paths at which a snapshot of this dataset stands."""
    for other, copy in there.items():
        if other != path and _common(dataset, copy):
            yield other


def _common(one: Dataset, other: Dataset) -> set[int]:
    return {snapshot.guid for snapshot in one.snapshots} & {snapshot.guid for snapshot in other.snapshots}


def continues(copy: Dataset, dataset: Dataset) -> bool:
    """Whether the source still has both ends of what a partial receive asks for, under the same name."""
    assert copy.partial is not None
    begun = copy.partial.begin
    known = {snapshot.guid for snapshot in dataset.snapshots} | {mark.guid for mark in dataset.bookmarks}
    same = str(begun["toname"]).partition("@")[0] == dataset.name
    return same and begun["toguid"] in known and (begun["fromguid"] in {0, *known} or bool(begun["clone"]))


def _younger(dataset: Dataset, root: Dataset, copy_of_root: Dataset) -> bool:
    """Whether the dataset came after the last snapshot that the roots share."""
    common = _common(root, copy_of_root)
    bases = [snapshot.createtxg for snapshot in root.snapshots if snapshot.guid in common]
    return bool(bases) and all(snapshot.createtxg > bases[-1] for snapshot in dataset.snapshots)


def own_names(dataset: Dataset) -> list[str]:
    """The names of a dataset's own snapshots, newest first."""
    return [snapshot.name for snapshot in reversed(dataset.snapshots) if own_time(snapshot.name)]

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


def expected(source: World, receiver: World, excluded: frozenset[str], *, renames: bool = True) -> Expected:
    """What a run must report that first takes a snapshot of everything that takes part.

    ``renames``: whether the receiver lets us rename its datasets.
    """
    here, there = tree(source, ROOT), tree(receiver, THERE)
    found = Expected()
    found.orphans = set(there) - set(here)
    here = {path: dataset for path, dataset in here.items() if not below_any(path, excluded)}
    for path, dataset in here.items():
        if _shares(source, dataset, there.get(path)):
            continue
        kind = _renamed(path, (source, here, there), found, renames)
        if kind is None:
            kind = _other(path, here, there, found, renames)
        if kind:
            found.conflicts[path] = kind
    return found


def _shares(source: World, dataset: Dataset, copy: Dataset | None) -> bool:
    """Whether a push goes on with the copy that stands at the path."""
    if copy is None:
        return False
    if copy.partial is not None and (not copy.snapshots or continues(source, copy, dataset)):
        return True
    return bool(_common(dataset, copy))


def _renamed(path: str, sides: tuple[World, Tree, Tree], found: Expected, renames: bool) -> str | None:
    """A copy that stands elsewhere is brought here; ``""`` where that needs nobody."""
    source, here, there = sides
    holders = set(_holders(path, here[path], there))
    if renames:
        # What has only begun to arrive is known by what it asks for.
        holders |= {
            other
            for other, copy in there.items()
            if other not in ("", path) and copy.partial is not None and continues(source, copy, here[path])
        }
    if path not in there:
        holders &= found.orphans if not renames else set(there)
    if not holders:
        return None
    return "" if renames else "renamed"


def _other(path: str, here: Tree, there: Tree, found: Expected, renames: bool) -> str | None:
    """A dataset of which nothing is on the receiver; something else may have its name there."""
    copy = there.get(path)
    if copy is None:
        return "parent" if parent(path) in found.conflicts else None
    claimed = any(other != path and _common(dataset, copy) for other, dataset in here.items())
    if renames and claimed:
        return None
    if path and copy.snapshots and _younger(here[path], copy, (here[""], there[""])):
        return None if renames else "recreated"
    return "no-common"


def _holders(path: str, dataset: Dataset, there: Tree) -> Iterator[str]:
    """The receiver's other paths at which a snapshot of this dataset stands."""
    for other, copy in there.items():
        if other != path and _common(dataset, copy):
            yield other


def _common(dataset: Dataset, copy: Dataset) -> set[int]:
    """What both have; of a base the source may have only a bookmark."""
    ours = {snapshot.guid for snapshot in dataset.snapshots} | {mark.guid for mark in dataset.bookmarks}
    return ours & {snapshot.guid for snapshot in copy.snapshots}


def continues(source: World, copy: Dataset, dataset: Dataset) -> bool:
    """Whether the source still has both ends of what a partial receive asks for, under whatever name."""
    assert copy.partial is not None
    begun = copy.partial.begin
    known = {snapshot.guid for each in source.datasets.values() for snapshot in each.snapshots}
    known |= {mark.guid for each in source.datasets.values() for mark in each.bookmarks}
    return dataset.by_guid(_guid(begun["toguid"])) is not None and begun["fromguid"] in {0, *known}


def _guid(value: object) -> int:
    assert isinstance(value, int)
    return value


def _younger(dataset: Dataset, copy: Dataset, roots: tuple[Dataset, Dataset]) -> bool:
    """Whether the dataset came after the last snapshot that the roots share, or after all of the copy."""
    root, copy_of_root = roots
    common = _common(root, copy_of_root)
    bases = [snapshot.createtxg for snapshot in root.snapshots if snapshot.guid in common]
    bases += [mark.createtxg for mark in root.bookmarks if mark.guid in common]
    if bases and all(snapshot.createtxg > max(bases) for snapshot in dataset.snapshots):
        return True
    mine, theirs = own_names(dataset), own_names(copy)
    # Own names sort by time; a dataset that has none yet gets one now.
    return bool(theirs) and (not mine or min(mine) > max(theirs))


def own_names(dataset: Dataset) -> list[str]:
    """The names of a dataset's own snapshots, newest first."""
    return [snapshot.name for snapshot in reversed(dataset.snapshots) if own_time(snapshot.name)]

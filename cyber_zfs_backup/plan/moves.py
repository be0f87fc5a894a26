# SPDX-License-Identifier: GPL-3.0-or-later
"""Which datasets of the receiver must be renamed before a push: what was renamed on the source, and what is
in the way of a dataset that was destroyed and created anew.

A dataset is known by the GUIDs of its snapshots, never by its name. What nobody on the source knows any
more is put aside under another name and never destroyed. The moves are decided on an imagined tree, one
after the other, so that parents with all below them, exchanged names and chains of them come out right,
and so that a run which dies between two of them leaves what the next run understands.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count

from ..model.names import is_within, own_time, parent
from ..model.trees import Dataset, Tree


@dataclass(frozen=True, slots=True)
class Move:
    """One rename on the receiver, by paths below the copy's root; ``path`` is the dataset of the source
    for whose sake it is done."""

    path: str
    old: str
    new: str
    reason: str


@dataclass(frozen=True, slots=True)
class Moves:
    """The renames in order, and the receiver's tree as it is after them.

    ``waiting`` are the source's paths whose copy stands elsewhere and cannot be moved before their parent
    has been created there. ``came_from`` gives the receiver's path of before for every path of after.
    """

    moves: tuple[Move, ...]
    receiver: Tree
    waiting: frozenset[str]
    came_from: Mapping[str, str]


def plan_moves(
    source: Tree,
    receiver: Tree,
    astray: Iterable[str],
    arriving: Mapping[str, int],
    refused: Container[str] = frozenset(),
) -> Moves:
    """Decide the renames that bring the receiver's datasets to where the source has theirs.

    Both trees are complete. ``astray`` are the source's paths that share nothing with what the receiver
    has there (or has nothing there). ``arriving`` gives, by the receiver's path, the GUID of the snapshot
    that its partial receive is of. ``refused`` are paths for which a rename failed before: they, and all
    below them, stay where they are.
    """
    wanted = frozenset(path for path in astray if path)
    mover = _Mover(source, receiver, _homes(source, receiver, wanted, arriving), refused)
    known: set[int] = set()
    if not wanted.isdisjoint(receiver.datasets):
        # Of nothing else it is asked: a first push of a large tree has no use for them.
        known.update(guid for dataset in source.datasets.values() for guid in dataset.known_guids())
    for path, dataset in source.datasets.items():
        if path and not any(is_within(above, path) for above in _these(refused, path)):
            # What is in its way may have come there with its parent.
            there = mover.receiver.datasets.get(path) if path in wanted else None
            mover.place(
                dataset,
                strange=there is not None
                and (created_anew(source, mover.receiver, dataset) or _is_anothers(there, known)),
            )
    return mover.result()


def _is_anothers(copy: Dataset, known: Container[int]) -> bool:
    """Whether a copy that shares nothing with the dataset of its name shares something with another one.

    That is proof enough that it was never this dataset's. (Where the other one has its copy elsewhere: a
    rename that the receiver refused was answered with a copy in full.)
    """
    return any(snapshot.guid in known for snapshot in copy.snapshots)


def created_anew(source: Tree, receiver: Tree, dataset: Dataset) -> bool:
    """Whether a dataset that shares nothing with the copy of its name is younger than all of that copy: then
    the copy is that of an older dataset, which was destroyed.

    Either all its snapshots came after the newest that the roots share, or (where a push has advanced the
    roots since) its own snapshots are all dated later than those of the copy.
    """
    there = receiver.datasets.get("")
    theirs = {snapshot.guid for snapshot in there.snapshots} if there else set()
    root = source.datasets[""]
    bases = [snapshot.createtxg for snapshot in root.snapshots if snapshot.guid in theirs]
    bases += [mark.createtxg for mark in root.bookmarks if mark.guid in theirs]
    base = max(bases, default=None)
    if base is not None and all(s.createtxg > base for s in dataset.snapshots):
        return True
    mine, old = _times(dataset), _times(receiver.datasets[dataset.path])
    return bool(mine and old) and min(mine) > max(old)


def _times(dataset: Dataset) -> list[datetime]:
    return [time for snapshot in dataset.snapshots if (time := own_time(snapshot.name)) is not None]


def free_name(wanted: str, taken: Container[str]) -> str:
    """The first of ``wanted``, ``wanted1``, ``wanted2`` and so on that is not taken."""
    names = (f"{wanted}{number or ''}" for number in count())
    return next(name for name in names if name not in taken)


def _these(refused: Container[str], path: str) -> list[str]:
    """The refused paths among a path and those above it."""
    found = []
    above: str | None = path
    while above:
        if above in refused:
            found.append(above)
        above = parent(above)
    return found


def _homes(
    source: Tree, receiver: Tree, astray: frozenset[str], arriving: Mapping[str, int]
) -> dict[str, str]:
    """The receiver's path that holds each dataset of the source, for those of which it holds anything.

    Where two claim the same copy (after a ``zfs promote``), the one that shares the newer snapshot has it.
    """
    homes = {path: path for path in source.datasets if path not in astray and path in receiver.datasets}
    free = {path: dataset for path, dataset in receiver.datasets.items() if path and path not in homes}
    holder: dict[int, str] = {}
    for path, dataset in free.items():
        holder |= dict.fromkeys((snapshot.guid for snapshot in dataset.snapshots), path)
        if path in arriving:
            holder[arriving[path]] = path
    claims: list[tuple[int, str, str]] = []
    for path in source.datasets:
        known = source.datasets[path].known_guids() if path in astray else {}
        shared = [(createtxg, path, holder[guid]) for guid, createtxg in known.items() if guid in holder]
        claims += [max(shared)] if shared else []
    claimed: set[str] = set()
    for _, path, held in sorted(claims, key=lambda claim: (-claim[0], claim[1])):
        if held not in claimed:
            claimed.add(held)
            homes[path] = held
    return homes


class _Mover:
    """The imagined receiver, and where each of its datasets is by now."""

    def __init__(
        self, source: Tree, receiver: Tree, homes: Mapping[str, str], refused: Container[str]
    ) -> None:
        self._refused = refused
        self._source = source
        self._tree = receiver
        self._homes = homes
        self._owner = {held: path for path, held in homes.items()}
        self._at = {path: path for path in receiver.datasets}
        self._moves: list[Move] = []
        self._waiting: set[str] = set()

    @property
    def receiver(self) -> Tree:
        """The receiver as it is by now."""
        return self._tree

    def place(self, dataset: Dataset, *, strange: bool) -> None:
        """Bring the copy of one dataset to its path; those above it have been placed before.

        ``strange``: what stands there is known to be another dataset's copy, or that of an older one.
        """
        path = dataset.path
        home = self._homes.get(path)
        if home is None:
            if path in self._tree.datasets:
                before = self._occupant(path)
                # What has come here with its parent was never this dataset's copy.
                if strange or before in self._owner or before != path:
                    self._clear(path)
            return
        if self._at[home] == path:
            return
        if parent(path) not in self._tree.datasets:
            self._waiting.add(path)
            return
        if path in self._tree.datasets:
            self._clear(path)
        if path not in self._tree.datasets:
            self._move(path, self._at[home], path, "it was renamed on the source")

    def result(self) -> Moves:
        """What has been decided."""
        came_from = {now: before for before, now in self._at.items()}
        return Moves(tuple(self._moves), self._tree, frozenset(self._waiting), came_from)

    def _occupant(self, path: str) -> str:
        """What stands at a path now, by the path that it had before."""
        return next(before for before, now in self._at.items() if now == path)

    def _clear(self, path: str) -> None:
        """Move away what stands at a path: to where it belongs, or to another name (perhaps for a while).

        What could not be moved before stays. Nothing can be moved below itself: what belongs there goes aside
        first, with all that is below it."""
        owner = self._owner.get(self._occupant(path))
        if owner is not None and _these(self._refused, owner):
            return
        taken = {*self._tree.datasets, *self._source.datasets}
        if owner is None:
            aside = free_name(f"{path}.old", taken)
            self._move(path, path, aside, "it is not what the source has under that name; it is put aside")
        elif owner not in self._tree.datasets and self._right(parent(owner)) and not is_within(path, owner):
            self._move(owner, path, owner, "it was renamed on the source")
        else:
            self._move(path, path, free_name(f"{path}.moving", taken), "names were exchanged; on its way")

    def _right(self, path: str | None) -> bool:
        """Whether the dataset at a path of the receiver is the one that belongs there."""
        home = self._homes.get(path) if path is not None else None
        return home is not None and self._at[home] == path

    def _move(self, path: str, old: str, new: str, reason: str) -> None:
        self._moves.append(Move(path, old, new, reason))
        self._at = {before: _within(now, old, new) for before, now in self._at.items()}
        moved = {_within(at, old, new): dataset for at, dataset in self._tree.datasets.items()}
        ordered = sorted(moved, key=lambda at: at.split("/"))
        self._tree = replace(self._tree, datasets={at: replace(moved[at], path=at) for at in ordered})


def _within(path: str, old: str, new: str) -> str:
    """A path after the rename of ``old`` to ``new``."""
    return f"{new}{path[len(old) :]}" if is_within(old, path) else path

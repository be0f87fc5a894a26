# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree of datasets with their snapshots, as an immutable value read in one go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from .names import join, own_time


class Kind(Enum):
    """What a dataset is."""

    FILESYSTEM = "filesystem"
    VOLUME = "volume"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot of one dataset: the name after the '@', the GUID, and the pool's createtxg."""

    name: str
    guid: int
    createtxg: int

    @property
    def own(self) -> bool:
        """True where the name is one that this tool gives."""
        return own_time(self.name) is not None


@dataclass(frozen=True, slots=True)
class Bookmark:
    """What is left to send from where a snapshot is gone: its GUID and createtxg, under a name of its own
    (after the '#')."""

    name: str
    guid: int
    createtxg: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset of a tree.

    ``path`` is relative to the tree's root ('' for the root). ``snapshots`` are ordered by createtxg,
    oldest first. ``resume_token`` is the token of a partial receive, where there is one. ``origin`` is
    the full name of the snapshot that it is a clone of. ``bookmarks`` are ordered as the snapshots are.
    """

    path: str
    snapshots: tuple[Snapshot, ...] = ()
    kind: Kind = Kind.FILESYSTEM
    encrypted: bool = False
    resume_token: str | None = None
    origin: str | None = None
    bookmarks: tuple[Bookmark, ...] = ()

    @property
    def newest_own(self) -> Snapshot | None:
        """The newest own snapshot by createtxg."""
        return next((snapshot for snapshot in reversed(self.snapshots) if snapshot.own), None)

    def named(self, name: str) -> Snapshot | None:
        """The snapshot of that name."""
        return next((snapshot for snapshot in reversed(self.snapshots) if snapshot.name == name), None)

    def known_guids(self) -> dict[int, int]:
        """GUID to createtxg of all that a push could begin with: snapshots, and bookmarks of others."""
        marks = {mark.guid: mark.createtxg for mark in self.bookmarks}
        return marks | {snapshot.guid: snapshot.createtxg for snapshot in self.snapshots}

    def by_guid(self) -> dict[int, Snapshot]:
        """The snapshots by GUID."""
        return {snapshot.guid: snapshot for snapshot in self.snapshots}


@dataclass(frozen=True, slots=True)
class Tree:
    """A root dataset and all below it.

    ``datasets`` maps relative paths to datasets, parents before children. ``complete`` is true where
    every snapshot of every dataset was asked for, false where only some were asked for by name: then
    the absence of any other snapshot means nothing. ``guid`` is the root's own (not a snapshot's), by which
    it is known under any name; 0 where nobody asked.
    """

    root: str
    datasets: Mapping[str, Dataset]
    complete: bool = True
    guid: int = 0

    def full(self, path: str) -> str:
        """The full name of the dataset at ``path``."""
        return join(self.root, path)

    def without(self, paths: Iterable[str]) -> Tree:
        """The same tree without the datasets at ``paths``."""
        gone = frozenset(paths)
        if not gone:
            return self
        kept = {path: dataset for path, dataset in self.datasets.items() if path not in gone}
        return replace(self, datasets=kept)

    def less(self, gone: Mapping[str, Iterable[str]]) -> Tree:
        """The tree without the snapshots named in ``gone``, by path; for a dry run."""
        names = {path: frozenset(listed) for path, listed in gone.items()}
        return replace(
            self,
            datasets={
                path: replace(
                    dataset, snapshots=tuple(s for s in dataset.snapshots if s.name not in names[path])
                )
                if path in names
                else dataset
                for path, dataset in self.datasets.items()
            },
        )

    def with_snapshot(self, name: str) -> Tree:
        """The tree as it would be after an atomic recursive snapshot ``name``; for a dry run.

        The snapshots that do not exist have the GUID 0, which no real one has.
        """
        newest = max((s.createtxg for d in self.datasets.values() for s in d.snapshots), default=0)
        imagined = Snapshot(name, 0, newest + 1)
        return replace(
            self,
            datasets={
                path: replace(dataset, snapshots=(*dataset.snapshots, imagined))
                for path, dataset in self.datasets.items()
            },
        )

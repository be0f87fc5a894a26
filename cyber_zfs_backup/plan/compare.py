# SPDX-License-Identifier: GPL-3.0-or-later
"""Both sides, dataset by dataset: what is missing, what fits, and what needs a person.

Each dataset is matched with the first row of the planner's table that fits. Snapshots are the same
only where their GUIDs are; a name proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..model.names import join, parent
from ..model.trees import Bookmark, Dataset, Snapshot, Tree
from .conflicts import Conflict, ConflictKind, newest
from .moves import created_anew, free_name
from .obstacles import in_the_way, written_to


@dataclass(frozen=True, slots=True)
class Token:
    """A resume token of the receiver and what the source says of it.

    ``usable`` is true only where the source still has the snapshot that it asks for, in one dataset of
    the tree and nowhere else: a token comes from the far side and is not trusted (openzfs#14153). Whether
    that is the dataset whose copy it stands on, ``compare`` sees by the ``guid``.
    """

    text: str
    name: str = ""
    guid: int = 0
    usable: bool = False
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """What one dataset of the receiver lacks: everything after ``base`` up to ``target``.

    ``base`` is ``None`` for a dataset that starts from nothing, and a bookmark where the source has no more
    of it. ``creates`` is true where it does not
    exist on the receiver (or only as a partial receive).
    """

    path: str
    target: Snapshot
    base: Snapshot | Bookmark | None
    reason: str
    creates: bool = False
    token: Token | None = None


@dataclass(frozen=True, slots=True)
class Orphan:
    """A dataset of the receiver that the source does not have; it is kept."""

    path: str
    full: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the two sides show. ``doubts`` are reasons why trees that are not complete do not settle it.

    ``astray`` are the paths that share nothing with what the receiver has there, or where it has nothing:
    their copies may stand elsewhere (see ``moves``). ``waiting`` are those that wait for a parent.
    """

    gaps: tuple[Gap, ...]
    conflicts: tuple[Conflict, ...]
    conflicted: frozenset[str]
    orphans: tuple[Orphan, ...]
    targets: Mapping[str, str]
    bases: Mapping[str, str]
    notes: tuple[str, ...]
    doubts: tuple[str, ...]
    astray: tuple[str, ...]
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What else is known of the two sides.

    ``tokens`` by the receiver's path. ``excluded`` keeps the receiver's copies of what takes no part from
    being called orphans. ``changed`` are the paths whose receive was refused because something has written
    to the copy: of that no list of snapshots tells. ``refused`` are those for which a rename on the receiver
    failed, with what was said. ``waiting`` are those whose copy can be renamed once their parent is there.
    """

    tokens: Mapping[str, Token] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()


class _Comparer:
    def __init__(
        self,
        source: Tree,
        receiver: Tree | None,
        target: str,
        seen: Seen,
        orphans: Mapping[str, Dataset],
    ) -> None:
        self.source = source
        self.receiver = receiver
        self.target = target
        self.seen = seen
        self.orphans = orphans
        self.gaps: list[Gap] = []
        self.conflicts: dict[str, Conflict] = {}
        self.targets: dict[str, str] = {}
        self.bases: dict[str, str] = {}
        self.notes: list[str] = []
        self.doubts: list[str] = []
        self.astray: list[str] = []
        self.waiting: list[str] = []

    def look(self, dataset: Dataset) -> None:
        """Match one dataset with the first row that fits."""
        path = dataset.path
        target = dataset.named(self.target) or dataset.newest_own
        there = self.receiver.datasets.get(path) if self.receiver else None
        if dataset.named(self.target) is None:
            self.doubts.append(f"{self.source.full(path)} does not have @{self.target}")
        if target is None:
            self.notes.append(f"{self.source.full(path)} has no own snapshot yet; it is left out")
            return
        self.targets[path] = target.name
        if there is None:
            self._absent(dataset, target)
        elif there.resume_token is not None:
            self._partial(dataset, there, target)
        else:
            self._present(dataset, there, target, None)

    def _absent(self, dataset: Dataset, target: Snapshot) -> None:
        path = dataset.path
        self.doubts.append(f"the receiver lacks {self.source.full(path)}")
        self.astray.append(path)
        above = parent(path)
        old = self._elsewhere(dataset)
        if old is not None:
            if path in self.seen.waiting and above not in self.conflicts:
                self.waiting.append(path)
                return
            self._conflict(
                dataset,
                self.receiver_dataset(old),
                ConflictKind.RENAMED,
                f"was renamed here; the receiver still has it as {self.receiver_full(old)}"
                + self._refusal(path),
                f"rename it there too: zfs rename '{self.receiver_full(old)}' '{self.receiver_full(path)}'",
            )
            return
        if above is not None and above in self.conflicts:
            self._conflict(
                dataset, None, ConflictKind.PARENT, "its parent cannot be pushed", "mend the parent first"
            )
            return
        self.gaps.append(Gap(path, target, None, "the receiver does not have this dataset", creates=True))

    def _partial(self, dataset: Dataset, there: Dataset, target: Snapshot) -> None:
        path = dataset.path
        self.doubts.append(f"the receiver has a partial receive of {self.source.full(path)}")
        token = self.seen.tokens.get(path)
        if token is None:
            token = Token(there.resume_token or "", why_not="nobody asked what it is")
        resumed = dataset.by_guid().get(token.guid) if token.usable else None
        if token.usable and resumed is None:
            token = Token(token.text, why_not=f"a partial receive of another dataset's @{token.name}")
        if resumed is not None:
            if resumed.createtxg <= target.createtxg:
                self.gaps.append(
                    Gap(path, target, resumed, "the rest, after the partial receive", token=token)
                )
                self._know(path, self._base(dataset, there))
                return
            token = Token(token.text, why_not=f"a partial receive of @{token.name}, newer than the target")
        if there.snapshots:
            self._present(dataset, there, target, token)
        else:
            if self._elsewhere(dataset, everywhere=True) is not None:
                # What began to arrive here was another dataset, and this one's copy has another name.
                self.astray.append(path)
            reason = "nothing of this dataset has arrived whole"
            self.gaps.append(Gap(path, target, None, reason, creates=True, token=token))

    def _present(self, dataset: Dataset, there: Dataset, target: Snapshot, token: Token | None) -> None:
        base = self._base(dataset, there)
        if base is None:
            self._nothing_common(dataset, there)
            return
        self._know(dataset.path, base)
        theirs = {snapshot.guid for snapshot in there.snapshots}
        if target.guid in theirs and token is None:
            return
        if base.createtxg > target.createtxg:
            self._conflict(
                dataset,
                there,
                ConflictKind.OUT_OF_ORDER,
                f"the receiver holds @{base.name}, which is newer than @{target.name}, but not that one",
                "take a new snapshot; the next push goes on from there",
            )
            return
        copy = self.receiver_full(dataset.path)
        obstacle = in_the_way(copy, dataset, there, base, target)
        if obstacle is None and dataset.path in self.seen.changed:
            obstacle = written_to(copy, there, base)
        if obstacle is not None:
            self._conflict(dataset, there, ConflictKind.DIVERGED, obstacle.what, obstacle.remedy)
            return
        reason = "new snapshots" if token is None else token.why_not
        self.gaps.append(Gap(dataset.path, target, base, reason, token=token))

    def _nothing_common(self, dataset: Dataset, there: Dataset) -> None:
        self.doubts.append(f"{self.source.full(dataset.path)} shares none of the named snapshots")
        self.astray.append(dataset.path)
        old = self._elsewhere(dataset, everywhere=True)
        if old is not None:
            self._conflict(
                dataset,
                there,
                ConflictKind.RENAMED,
                f"its snapshots are on the receiver as {self.receiver_full(old)}: names were exchanged"
                + self._refusal(dataset.path),
                "rename the datasets on the receiver as they were renamed here",
            )
        elif dataset.path and there.snapshots and self._created_anew(dataset):
            self._conflict(
                dataset,
                there,
                ConflictKind.RECREATED,
                "was destroyed and created anew; the receiver holds the old dataset of that name"
                + self._refusal(dataset.path),
                f"keep the old one under another name: zfs rename '{self.receiver_full(dataset.path)}' "
                f"'{self.receiver_full(self._free(dataset.path))}'",
            )
        elif not there.snapshots:
            self._conflict(
                dataset,
                there,
                ConflictKind.NO_COMMON,
                "the receiver's dataset was not made by a push: it has no snapshot",
                "if it is empty, destroy it there by hand "
                f"(zfs destroy '{self.receiver_full(dataset.path)}'), "
                "then push once with --force-non-incremental",
            )
        else:
            self._conflict(
                dataset,
                there,
                ConflictKind.NO_COMMON,
                "both sides hold data and share no snapshot",
                "make sure that it is the right dataset; then rename the receiver's dataset aside, "
                "and push once with --force-non-incremental",
            )

    def _created_anew(self, dataset: Dataset) -> bool:
        return self.receiver is not None and created_anew(self.source, self.receiver, dataset)

    def _refusal(self, path: str) -> str:
        """Why it was not renamed by itself, where that was tried."""
        said = self.seen.refused.get(path)
        return "" if said is None else f" (it could not be renamed: {said})"

    def _free(self, path: str) -> str:
        """A path to which the receiver's dataset of a path can be put aside."""
        return free_name(f"{path}.old", {*self.source.datasets, *self.orphans})

    def _base(self, dataset: Dataset, there: Dataset) -> Snapshot | Bookmark | None:
        """The newest snapshot that both have, by GUID; a bookmark where the source has a newer one that only
        the receiver has whole."""
        theirs = {snapshot.guid for snapshot in there.snapshots}
        found = next((mine for mine in reversed(dataset.snapshots) if mine.guid in theirs), None)
        marks = (mark for mark in reversed(dataset.bookmarks) if mark.guid in theirs)
        mark = next(marks, None)
        if mark is not None and (found is None or mark.createtxg > found.createtxg):
            return mark
        return found

    def _know(self, path: str, base: Snapshot | Bookmark | None) -> None:
        """Note a base that the source still has whole: it must be kept."""
        if isinstance(base, Snapshot):
            self.bases[path] = base.name

    def _elsewhere(self, dataset: Dataset, *, everywhere: bool = False) -> str | None:
        """The receiver's path that holds this dataset's snapshots under another name.

        Among the orphans, or with ``everywhere`` among all (names that were exchanged).
        """
        mine = dataset.known_guids()
        places = self.receiver.datasets if everywhere and self.receiver else self.orphans
        for path, other in places.items():
            if path != dataset.path and any(snapshot.guid in mine for snapshot in other.snapshots):
                return path
        return None

    def receiver_full(self, path: str) -> str:
        """The receiver's full name for a path."""
        return join(self.receiver.root, path) if self.receiver else path

    def receiver_dataset(self, path: str) -> Dataset | None:
        """The receiver's dataset at a path."""
        return self.receiver.datasets.get(path) if self.receiver else None

    def _conflict(
        self, dataset: Dataset, there: Dataset | None, kind: ConflictKind, what: str, remedy: str
    ) -> None:
        self.conflicts[dataset.path] = Conflict(
            kind=kind,
            source=self.source.full(dataset.path),
            receiver=self.receiver_full(dataset.path),
            on_source=newest(dataset.snapshots),
            on_receiver=newest(there.snapshots) if there else (),
            what=what,
            remedy=remedy,
        )


def compare(source: Tree, receiver: Tree | None, target: str, seen: Seen) -> Comparison:
    """Match every dataset of the source with the table; see ``Comparison``.

    ``source`` must be without the excluded datasets.
    """
    there = receiver.datasets if receiver else {}
    orphans = {
        path: dataset
        for path, dataset in there.items()
        if path not in source.datasets and path not in seen.excluded
    }
    comparer = _Comparer(source, receiver, target, seen, orphans)
    for dataset in source.datasets.values():
        comparer.look(dataset)
    return Comparison(
        gaps=tuple(comparer.gaps),
        conflicts=tuple(comparer.conflicts.values()),
        conflicted=frozenset(comparer.conflicts),
        orphans=tuple(Orphan(path, join(receiver.root, path)) for path in orphans) if receiver else (),
        targets=comparer.targets,
        bases=comparer.bases,
        notes=tuple(comparer.notes),
        doubts=tuple(comparer.doubts),
        astray=tuple(comparer.astray),
        waiting=tuple(comparer.waiting),
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between a source and its copy, dataset by dataset.

Snapshots are the same only where their GUIDs are. The receiver's foreign snapshots are its own business;
everything else that one side has and the other has not is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from ..model.trees import Dataset, Snapshot, Tree

_SHOWN = 3
"""So many names are told of a list; a person wants to know which, not all."""


class Differs(Enum):
    """How a dataset of the copy differs from its source."""

    NO_TREE = "no receiver tree"
    NO_DATASET = "dataset missing"
    MISSING = "snapshots missing"
    EXTRA = "snapshots extra"
    OTHER_GUID = "same name other guid"
    PARTIAL = "partial receive"
    MODIFIED = "modified since"
    ORPHAN = "orphan"

    @property
    def needs_person(self) -> bool:
        """Whether no push will mend it by itself."""
        return self in (Differs.OTHER_GUID, Differs.MODIFIED)


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference; ``path`` is relative to both roots, ``count`` is how many snapshots it is about."""

    kind: Differs
    path: str
    what: str
    count: int = 0


def differences(
    source: Tree, receiver: Tree, written: Mapping[str, int], excluded: frozenset[str]
) -> tuple[Difference, ...]:
    """Everything that differs, parents first, then what only the receiver has.

    Both trees are whole; the source's is without the ``excluded`` paths. ``written`` gives, by the
    receiver's path, the bytes that were written there since its newest snapshot (zfsprops.7).
    """
    found: list[Difference] = []
    for path, dataset in source.datasets.items():
        there = receiver.datasets.get(path)
        if there is None:
            found.append(_no_dataset(receiver, dataset))
        else:
            found += _of_one(dataset, there, written.get(path, 0))
    for path, there in receiver.datasets.items():
        if path not in source.datasets and path not in excluded:
            held = f"holds {_named(there.snapshots)}" if there.snapshots else "has no snapshot"
            what = f"the source has no such dataset; the copy {held}"
            found.append(Difference(Differs.ORPHAN, path, what, len(there.snapshots)))
    return tuple(found)


def _no_dataset(receiver: Tree, dataset: Dataset) -> Difference:
    mine = dataset.by_guid()
    others = receiver.datasets.items()
    elsewhere = next((path for path, d in others if any(s.guid in mine for s in d.snapshots)), None)
    what = "the receiver has no such dataset"
    if elsewhere is not None:
        what += f"; it has snapshots of it as {receiver.full(elsewhere)}"
    return Difference(Differs.NO_DATASET, dataset.path, what, len(dataset.snapshots))


def _of_one(dataset: Dataset, there: Dataset, written: int) -> Iterator[Difference]:
    path = dataset.path
    mine, theirs = dataset.by_guid(), there.by_guid()
    by_name = {snapshot.name: snapshot for snapshot in there.snapshots}
    others = [s for s in dataset.snapshots if s.guid not in theirs and s.name in by_name]
    for snapshot in others:
        guids = f"guid {snapshot.guid} here, {by_name[snapshot.name].guid} there"
        what = f"@{snapshot.name} is another snapshot on the receiver ({guids})"
        yield Difference(Differs.OTHER_GUID, path, what, 1)
    told = {snapshot.name for snapshot in others}
    missing = [s for s in dataset.snapshots if s.guid not in theirs and s.name not in told]
    if missing:
        what = f"the receiver lacks {_named(missing)}"
        yield Difference(Differs.MISSING, path, what, len(missing))
    extra = [s for s in there.snapshots if s.guid not in mine and s.own and s.name not in told]
    if extra:
        what = f"only the receiver has {_named(extra)}"
        yield Difference(Differs.EXTRA, path, what, len(extra))
    if there.resume_token is not None:
        yield Difference(Differs.PARTIAL, path, "the receiver has a partial receive, which can go on")
    if written and there.snapshots:
        what = f"something has written to the copy since @{there.snapshots[-1].name} ({written} bytes)"
        yield Difference(Differs.MODIFIED, path, what)


def _named(snapshots: list[Snapshot] | tuple[Snapshot, ...]) -> str:
    """The newest few by name, and how many there are."""
    names = ", ".join(f"@{snapshot.name}" for snapshot in reversed(snapshots[-_SHOWN:]))
    more = len(snapshots) - _SHOWN
    return names if more <= 0 else f"{names} and {more} older"

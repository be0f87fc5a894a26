# SPDX-License-Identifier: GPL-3.0-or-later
"""Which datasets a drill restores, up to which snapshot, and whether what came back agrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..model.trees import Kind, Snapshot, Tree


@dataclass(frozen=True, slots=True)
class Exercise:
    """One dataset to restore (by its path, the same on both sides) and the snapshot.

    ``compared`` is whether the source has that very snapshot, so that the two can be compared.
    """

    path: str
    kind: Kind
    encrypted: bool
    snapshot: Snapshot
    compared: bool


def exercises(copy: Tree, source: Tree | None) -> tuple[Exercise, ...]:
    """An exercise for each dataset of the copy that has a snapshot, parents first.

    The newest that the source has too, by GUID, since only that can be compared; else the copy's newest.
    """
    found = []
    for path, dataset in copy.datasets.items():
        here = source.datasets.get(path) if source else None
        guids = here.by_guid() if here else {}
        common = [snapshot for snapshot in dataset.snapshots if snapshot.guid in guids]
        newest = common[-1] if common else dataset.snapshots[-1] if dataset.snapshots else None
        if newest is not None:
            found.append(Exercise(path, dataset.kind, dataset.encrypted, newest, bool(common)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Content:
    """What was read of a filesystem: how many entries, a digest of all their names and attributes, and by
    path the digest of the bytes of a sample of its files; of a volume: its size, and by offset."""

    entries: int
    listing: str
    samples: tuple[tuple[str, str], ...]


def disagreement(source: Content, restored: Content) -> str:
    """How the two differ, in words; empty where they agree."""
    if source.entries != restored.entries:
        return f"{source.entries} entries on the source, {restored.entries} restored"
    if source.listing != restored.listing:
        return "names, sizes, times, owners or modes differ"
    theirs = dict(restored.samples)
    wrong = [name for name, digest in source.samples if theirs.get(name) != digest]
    if wrong or len(theirs) != len(source.samples):
        return f"the bytes of {_some(wrong)} differ"
    return ""


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"

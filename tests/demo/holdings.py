# SPDX-License-Identifier: GPL-3.0-or-later
"""What a side holds, read from the text of ``zfs list`` by nothing of the product's own code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holdings:
    """The snapshots below one root: by path (``""`` is the root, ``/home`` a child), name to GUID, oldest
    first."""

    root: str
    datasets: Mapping[str, Mapping[str, str]]

    @property
    def count(self) -> int:
        """How many snapshots there are."""
        return sum(len(snapshots) for snapshots in self.datasets.values())

    def names(self) -> set[str]:
        """Every snapshot name that occurs."""
        return {name for snapshots in self.datasets.values() for name in snapshots}

    def holds_all_of(self, other: Holdings) -> bool:
        """Whether every snapshot of the other is here too, with the same GUID."""
        return all(
            self.datasets.get(path, {}).get(name) == guid
            for path, snapshots in other.datasets.items()
            for name, guid in snapshots.items()
        )

    def same_as(self, other: Holdings) -> bool:
        """Whether both sides hold exactly the same datasets and snapshots, by GUID."""
        return self.datasets == other.datasets


def read_holdings(root: str, filesystems: str, snapshots: str) -> Holdings:
    """Parse the text of ``zfs list -H``: of names of datasets, and of names and GUIDs of their snapshots.

    The snapshots come in the order of createtxg, the root's name is the first of the datasets.
    """
    found: dict[str, dict[str, str]] = {name[len(root) :]: {} for name in filesystems.splitlines()}
    for line in snapshots.splitlines():
        full, guid = line.split("\t")
        dataset, _, name = full.partition("@")
        found[dataset[len(root) :]][name] = guid
    return Holdings(root, found)


HEAD = ("dataset", "source", "oldest", "newest", "receiver", "oldest", "newest")


def rows(source: Holdings, receiver: Holdings) -> list[tuple[str, ...]]:
    """A row for each dataset: on either side how many snapshots, the oldest's date, the newest's name."""
    top = source.root.rpartition("/")[2]
    return [
        (f"{top}{path}", *_cells(source.datasets.get(path)), *_cells(receiver.datasets.get(path)))
        for path in sorted(source.datasets.keys() | receiver.datasets.keys())
    ]


def _cells(snapshots: Mapping[str, str] | None) -> tuple[str, str, str]:
    if snapshots is None:
        return "-", "", ""
    return str(len(snapshots)), next(iter(snapshots), "-")[:10], next(reversed(list(snapshots)), "-")

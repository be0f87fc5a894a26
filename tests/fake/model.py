# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the fake: worlds, pools, datasets, snapshots, bookmarks and partial receives.

No command of ``zfs`` is known here, only what a pool holds. Names are full dataset names; a pool's
root dataset has the pool's own name. Every change takes a transaction group of its own
(``World.next_txg``), and the clock is ``World.now`` (whole seconds since 1970, UTC), which moves
only when a test moves it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

_worlds = itertools.count(1)

EMPTY_DATASET_BYTES = 24 * 1024
"""What a dataset without any file takes, as on a pool with 4 KiB sectors."""


class Kind(Enum):
    """The two kinds of dataset that hold data."""

    FILESYSTEM = "filesystem"
    VOLUME = "volume"


@dataclass(slots=True, eq=False)
class Blob:
    """One version of one file; the same object where a snapshot and its dataset share it."""

    data: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)


@dataclass(slots=True)
class Setting:
    """What one dataset itself says of one property.

    ``masked`` is the mark that an explicit ``zfs inherit`` or ``receive -x`` leaves: the received
    value is kept but not used.
    """

    local: str | None = None
    received: str | None = None
    masked: bool = False

    @property
    def effective(self) -> str | None:
        """The value that this dataset sets, or ``None`` where the next one up decides."""
        if self.local is not None:
            return self.local
        return None if self.masked else self.received

    @property
    def empty(self) -> bool:
        """True where nothing is left to remember."""
        return self.local is None and self.received is None and not self.masked


Settings = dict[str, Setting]


@dataclass(slots=True, eq=False)
class Snapshot:
    """A snapshot: the content of its dataset at ``createtxg``."""

    name: str
    guid: int
    createtxg: int
    creation: int
    files: Mapping[str, Blob]
    holds: dict[str, int] = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)
    ivset: int = 0
    defer_destroy: bool = False


@dataclass(slots=True, eq=False)
class Bookmark:
    """A bookmark: the GUID and time of a snapshot that may be gone.

    ``files`` is what the snapshot held: a real bookmark knows only its time, which is enough to
    find what was born later; here the difference is computed.
    """

    name: str
    guid: int
    createtxg: int
    creation: int
    files: Mapping[str, Blob]


@dataclass(slots=True, eq=False)
class Partial:
    """The state of a receive that was interrupted (``receive -s``).

    ``begin`` is the stream's begin record; ``files`` the content as far as it came; ``records``
    how many data records were taken and ``taken`` their bytes. ``receiver`` is the process that
    is receiving now (0: none), and ``journal`` the file that it appends the records to, so that
    nothing that it took is lost when it is killed.
    """

    begin: dict[str, object]
    files: dict[str, Blob]
    resumable: bool
    records: int = 0
    taken: int = 0
    receiver: int = 0
    journal: str = ""


@dataclass(slots=True, eq=False)
class Dataset:
    """A filesystem or volume with its snapshots (in order of createtxg) and bookmarks."""

    name: str
    kind: Kind
    guid: int
    createtxg: int
    creation: int
    objsetid: int
    settings: Settings = field(default_factory=dict)
    files: dict[str, Blob] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)
    bookmarks: list[Bookmark] = field(default_factory=list)
    written_txg: int = 0
    origin: str | None = None
    volsize: int = 0
    volblocksize: int = 8192
    encryption_root: str | None = None
    key_loaded: bool = False
    key_guid: int = 0
    inconsistent: bool = False
    partial: Partial | None = None
    mounted: bool = False
    changed_at: int = 0
    """When a snapshot was last made or destroyed; 0 where none ever was."""
    allowed: dict[str, set[str]] = field(default_factory=dict)
    """What users may do there and below (``zfs allow -u``)."""
    has_received: bool = False
    """True once properties were received: only then does ``zfs inherit`` leave its mark."""

    @property
    def pool(self) -> str:
        """The name of the pool that it lies in."""
        return self.name.split("/", 1)[0]

    @property
    def encrypted(self) -> bool:
        """True where its data can only travel raw, or in clear with the key loaded."""
        return self.encryption_root is not None

    def snapshot(self, name: str) -> Snapshot | None:
        """Its snapshot of that short name (the part after ``@``)."""
        return next((snap for snap in self.snapshots if snap.name == name), None)

    def by_guid(self, guid: int) -> Snapshot | None:
        """Its snapshot of that GUID."""
        return next((snap for snap in self.snapshots if snap.guid == guid), None)

    def bookmark(self, name: str) -> Bookmark | None:
        """Its bookmark of that short name (the part after ``#``)."""
        return next((mark for mark in self.bookmarks if mark.name == name), None)

    @property
    def newest(self) -> Snapshot | None:
        """Its newest snapshot by createtxg."""
        return self.snapshots[-1] if self.snapshots else None

    def modified_since(self, snap: Snapshot) -> bool:
        """True where its data changed after ``snap``; a property does not count."""
        return self.written_txg > snap.createtxg

    @property
    def blobs(self) -> Iterator[Blob]:
        """Every version of every file that it and its snapshots refer to."""
        yield from self.files.values()
        for snap in self.snapshots:
            yield from snap.files.values()
        if self.partial is not None:
            yield from self.partial.files.values()


@dataclass(slots=True, eq=False)
class Pool:
    """A pool; ``capacity`` in bytes, ``None`` for as much as anybody wants."""

    name: str
    guid: int
    capacity: int | None = None
    listsnapshots: bool = False
    imported: bool = True


@dataclass(slots=True, eq=False)
class World:
    """Everything that one or more fake hosts can see.

    ``version`` is the OpenZFS version that the commands imitate, as (major, minor, patch).
    """

    now: int = 1_767_225_600
    version: tuple[int, int, int] = (2, 1, 11)
    seed: int = field(default_factory=lambda: next(_worlds))
    pools: dict[str, Pool] = field(default_factory=dict)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    txg: int = 4
    _issued: int = 0

    @property
    def newer(self) -> bool:
        """Whether it does as OpenZFS 2.3.9 was seen to do, else as 2.1.11.

        Which release between the two brought each difference was not measured.
        """
        return self.version >= (2, 3, 0)

    def new_guid(self) -> int:
        """A fresh 64-bit GUID; never the same twice, in no world of this process."""
        self._issued += 1
        mixed = (self.seed * 0x9E3779B97F4A7C15 + self._issued * 0xD1B54A32D192ED03) & (2**64 - 1)
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        return (mixed ^ (mixed >> 31)) or 1

    def next_txg(self) -> int:
        """The transaction group of the next change."""
        self.txg += 1
        return self.txg

    def add_pool(self, name: str, capacity: int | None = None) -> Pool:
        """Make a pool with its root dataset; ``ValueError`` where the name is taken."""
        if name in self.pools:
            raise ValueError(f"pool {name!r} exists")
        pool = Pool(name, self.new_guid(), capacity)
        self.pools[name] = pool
        root = self.add_dataset(name, Kind.FILESYSTEM)
        root.mounted = True
        return pool

    def add_dataset(self, name: str, kind: Kind) -> Dataset:
        """Make an empty dataset; the caller has checked that it may be."""
        txg = self.next_txg()
        dataset = Dataset(name, kind, self.new_guid(), txg, self.now, objsetid=50 + self._issued)
        dataset.written_txg = txg
        self.datasets[name] = dataset
        return dataset

    def dataset(self, name: str) -> Dataset | None:
        """The filesystem or volume of that name, in an imported pool."""
        found = self.datasets.get(name)
        if found is None or not self.pools[found.pool].imported:
            return None
        return found

    def find_snapshot(self, name: str) -> tuple[Dataset, Snapshot] | None:
        """The snapshot of that full name with its dataset."""
        head, _, short = name.partition("@")
        dataset = self.dataset(head)
        snap = dataset.snapshot(short) if dataset is not None else None
        return None if dataset is None or snap is None else (dataset, snap)

    def children(self, name: str) -> list[Dataset]:
        """The datasets right below, by name."""
        depth = name.count("/") + 1
        below = name + "/"
        return [
            self.datasets[child]
            for child in sorted(self.datasets)
            if child.startswith(below) and child.count("/") == depth
        ]

    def tree(self, name: str) -> list[Dataset]:
        """The dataset itself and all below it, a parent before its children."""
        head = self.dataset(name)
        if head is None:
            return []
        found = [head]
        for child in self.children(name):
            found.extend(self.tree(child.name))
        return found

    def clones_of(self, snapshot: str) -> list[Dataset]:
        """The datasets whose origin is the snapshot of that full name."""
        return [dataset for dataset in self.datasets.values() if dataset.origin == snapshot]

    def pool_used(self, pool: str) -> int:
        """Bytes that the pool's datasets take; what is shared counts once."""
        seen: dict[int, int] = {}
        total = 0
        for dataset in self.datasets.values():
            if dataset.pool != pool:
                continue
            total += EMPTY_DATASET_BYTES
            for blob in dataset.blobs:
                seen[id(blob)] = blob.size
        return total + sum(seen.values())

    def room(self, pool: str) -> int:
        """Bytes that still fit into the pool."""
        capacity = self.pools[pool].capacity
        return 2**43 if capacity is None else max(0, capacity - self.pool_used(pool))


def referenced(files: Mapping[str, Blob]) -> int:
    """Bytes that a dataset or snapshot with these files refers to."""
    return EMPTY_DATASET_BYTES + sum(blob.size for blob in files.values())


def changed_bytes(older: Mapping[str, Blob], newer: Mapping[str, Blob]) -> int:
    """Bytes of ``newer`` that ``older`` does not share."""
    return sum(blob.size for name, blob in newer.items() if older.get(name) is not blob)

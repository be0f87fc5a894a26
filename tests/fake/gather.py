# SPDX-License-Identifier: GPL-3.0-or-later
"""What a package says of the datasets in it, and what a receive finds on its own side.

This is ``gather_nvlist`` and ``fsavl_find`` of libzfs: one entry for each dataset, with its
snapshots by GUID, its properties and the GUID that its parent had at the base.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from tests.fake.changes import scattered
from tests.fake.errors import RefusedError
from tests.fake.model import Dataset, Kind, Settings, World
from tests.fake.props import NATIVE, Nature, is_user
from tests.fake.stream import Nv


@dataclass(slots=True)
class Entry:
    """One dataset of a package."""

    name: str
    parent_from: int
    origin: int
    encroot: bool
    props: dict[str, str] | None
    snaps: dict[str, int]
    snapprops: dict[str, dict[str, str]] = field(default_factory=dict)
    snapholds: dict[str, list[str]] = field(default_factory=dict)

    def nv(self) -> Nv:
        """As it travels."""
        return asdict(self)


def entry_of(nv: object) -> Entry:
    """Read what ``Entry.nv`` wrote."""
    assert isinstance(nv, dict)
    return Entry(**nv)


def find(entries: list[Entry], guid: int) -> tuple[Entry, str] | None:
    """The entry that has a snapshot of that GUID, with the snapshot's name."""
    for entry in entries:
        for name, value in entry.snaps.items():
            if value == guid:
                return entry, name
    return None


def sent_props(settings: Settings, volsize: int, received_only: bool) -> dict[str, str]:
    """The properties of one dataset that travel: set here or received here, and not read-only.

    ``received_only`` is ``send -b``: the value that was received, whatever is used now.
    """
    props: dict[str, str] = {}
    for name, cell in settings.items():
        if not is_user(name) and NATIVE[name].nature is Nature.ONCE:
            continue
        value = cell.received if received_only else cell.effective
        if value is not None:
            props[name] = value
    if volsize:
        props["volsize"] = str(volsize)
    return props


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be gathered; the snapshot names are short. ``tosnap`` empty: the receiver's own side."""

    root: str
    fromsnap: str
    tosnap: str
    recursive: bool
    raw: bool = True
    props: bool = True
    backup: bool = False
    holds: bool = False
    skip_missing: bool = False
    everything: bool = True


def gather(world: World, wish: Wish) -> tuple[list[Entry], str]:
    """The entries, root first, and warnings; ``RefusedError`` where a dataset stands in the way."""
    entries: list[Entry] = []
    warnings: list[str] = []
    _visit(world, world.datasets[wish.root], wish, (0, 0), (entries, warnings))
    return entries, "".join(warnings)


def _visit(
    world: World,
    dataset: Dataset,
    wish: Wish,
    inherited: tuple[int, int],
    out: tuple[list[Entry], list[str]],
) -> None:
    parent_from, to_txg = inherited
    target = dataset.snapshot(wish.tosnap)
    if target is not None:
        to_txg = target.createtxg
    elif wish.tosnap:
        if to_txg and dataset.createtxg > to_txg:
            return
        if wish.skip_missing:
            out[1].append(
                f"WARNING: skipping dataset {dataset.name} and its children: "
                f"snapshot {wish.tosnap} does not exist\n"
            )
            return
        how = " recursively" if wish.recursive else ""
        raise RefusedError(
            f"cannot send {wish.root}@{wish.tosnap}{how}: "
            f"snapshot {dataset.name}@{wish.tosnap} does not exist\n"
            f"warning: cannot send '{wish.root}@{wish.tosnap}': backup failed"
        )
    if dataset.encrypted and not wish.raw:
        raise RefusedError(
            f"cannot send {wish.root}@{wish.tosnap}: encrypted dataset {dataset.name} may not be sent "
            "with properties without the raw flag\n"
            f"warning: cannot send '{wish.root}@{wish.tosnap}': backup failed"
        )
    entry = _entry(world, dataset, wish, parent_from, to_txg)
    out[0].append(entry)
    mine = entry.snaps.get(wish.fromsnap, 0) or entry.snaps.get(wish.tosnap, 0)
    if wish.recursive:
        for child in scattered(world.children(dataset.name)):
            _visit(world, child, wish, (mine, to_txg), out)


def _entry(world: World, dataset: Dataset, wish: Wish, parent_from: int, to_txg: int) -> Entry:
    origin = world.find_snapshot(dataset.origin) if dataset.origin else None
    volsize = dataset.volsize if dataset.kind is Kind.VOLUME else 0
    entry = Entry(
        dataset.name,
        parent_from,
        origin[1].guid if origin else 0,
        dataset.encryption_root == dataset.name,
        sent_props(dataset.settings, volsize, wish.backup) if wish.props else None,
        {},
    )
    for snap in dataset.snapshots:
        if to_txg and wish.tosnap and snap.createtxg > to_txg:
            continue
        if not wish.everything and snap.name != wish.tosnap:
            continue
        entry.snaps[snap.name] = snap.guid
        entry.snapprops[snap.name] = sent_props(snap.settings, 0, wish.backup)
        if wish.holds:
            entry.snapholds[snap.name] = list(snap.holds)
    return entry

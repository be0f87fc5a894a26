# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes to a world: make, write, snapshot, hold, rename, roll back.

Each function is one transaction: it either does all that it says or raises ``RefusedError`` with the
text of zfs and changes nothing, but for the cases where zfs itself does a part.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence

from tests.fake.errors import NO_DATASET, RefusedError
from tests.fake.model import Blob, Bookmark, Dataset, Kind, Snapshot, World, changed_bytes
from tests.fake.names import check_parent, name_fault
from tests.fake.props import setting

_TAG_LIMIT = 255


def scattered(datasets: Iterable[Dataset]) -> list[Dataset]:
    """Siblings in the order in which zfs walks them: always the same, and of no use to anybody."""
    return sorted(datasets, key=lambda dataset: (zlib.crc32(dataset.name.encode()), dataset.name))


def walk(world: World, dataset: Dataset) -> list[Dataset]:
    """A dataset and all below it as zfs walks them: parents first, siblings scattered."""
    found = [dataset]
    for child in scattered(world.children(dataset.name)):
        found.extend(walk(world, child))
    return found


def make_dataset(world: World, name: str, kind: Kind, settings: Mapping[str, str]) -> Dataset:
    """``zfs create`` after its arguments were judged; the key of an encrypted parent is inherited."""
    fault = name_fault(name, frozenset({kind.value}), modifying=True)
    if fault:
        raise RefusedError(f"cannot create '{name}': {fault}")
    parent = check_parent(world, name, "cannot create")
    if world.dataset(name) is not None:
        raise RefusedError(f"cannot create '{name}': dataset already exists")
    dataset = world.add_dataset(name, kind)
    for prop, value in settings.items():
        setting(dataset.settings, prop).local = value
    if parent.encrypted:
        dataset.encryption_root = parent.encryption_root
        dataset.key_loaded, dataset.key_guid = parent.key_loaded, parent.key_guid
    return dataset


def write(world: World, dataset: str, files: Mapping[str, bytes | None]) -> None:
    """Write files into a dataset; ``None`` removes one. ``RefusedError`` where the pool has no room."""
    head = world.datasets[dataset]
    fresh = {name: Blob(data) for name, data in files.items() if data is not None}
    if sum(blob.size for blob in fresh.values()) > world.room(head.pool):
        raise RefusedError(f"{dataset}: No space left on device")
    for name, data in files.items():
        if data is None:
            head.files.pop(name, None)
        else:
            head.files[name] = fresh[name]
    head.written_txg = world.next_txg()


def take_snapshots(world: World, names: Sequence[str], settings: Mapping[str, str]) -> None:
    """Take snapshots in one transaction: they share a createtxg, or none is made."""
    errors = []
    for name in names:
        fault = name_fault(name, frozenset({"snapshot"}), modifying=True)
        if fault:
            raise RefusedError(f"cannot create snapshot '{name}': {fault}")
        if world.find_snapshot(name) is not None:
            errors.append(f"cannot create snapshot '{name}': dataset already exists\n")
    if errors:
        raise RefusedError("".join(errors))
    heads = [name.partition("@")[0] for name in names]
    if len(set(heads)) < len(heads):
        raise RefusedError("cannot create snapshots : multiple snapshots of same fs not allowed")
    if len({head.split("/", 1)[0] for head in heads}) > 1:
        raise RefusedError("cannot create snapshots : multiple snapshots of same fs not allowed")
    txg = world.next_txg()
    for name in names:
        head, _, short = name.partition("@")
        dataset = world.datasets[head]
        snap = Snapshot(short, world.new_guid(), txg, world.now, dict(dataset.files))
        snap.ivset = snap.guid if dataset.encrypted else 0
        for prop, value in settings.items():
            setting(snap.settings, prop).local = value
        dataset.snapshots.append(snap)
        dataset.changed_at = world.now


def hold(world: World, names: Sequence[str], tag: str) -> None:
    """Hold snapshots in one transaction: where one has the tag already, none is held."""
    if len(tag) > _TAG_LIMIT:
        raise RefusedError(f"cannot hold snapshot '{names[0]}': tag too long")
    found = []
    for name in names:
        pair = world.find_snapshot(name)
        if pair is None:
            raise RefusedError(f"cannot hold snapshot '{name}': {NO_DATASET}")
        if tag in pair[1].holds:
            raise RefusedError(f"cannot hold snapshot '{name}': tag already exists on this dataset")
        found.append(pair[1])
    world.next_txg()
    for snap in found:
        snap.holds[tag] = world.now


def release(world: World, names: Sequence[str], tag: str) -> None:
    """Release holds that are there; a snapshot that waits for its last hold to go goes too."""
    world.next_txg()
    for name in names:
        pair = world.find_snapshot(name)
        if pair is None:
            continue
        dataset, snap = pair
        snap.holds.pop(tag, None)
        if snap.defer_destroy and not snap.holds and not world.clones_of(name):
            dataset.snapshots.remove(snap)


def add_bookmark(world: World, name: str, source: Snapshot | Bookmark) -> None:
    """Bookmark a snapshot (or copy a bookmark)."""
    head, _, short = name.partition("#")
    dataset = world.datasets[head]
    if dataset.bookmark(short) is not None:
        raise RefusedError(f"cannot create bookmark '{name}': bookmark exists")
    world.next_txg()
    dataset.bookmarks.append(Bookmark(short, source.guid, source.createtxg, source.creation, source.files))


def rename_snapshots(world: World, datasets: Sequence[Dataset], old: str, new: str) -> None:
    """Rename a snapshot, in several datasets where they have it; holds do not stop it."""
    for dataset in datasets:
        if dataset.snapshot(old) is not None and dataset.snapshot(new) is not None:
            if len(datasets) > 1:
                raise RefusedError(
                    f"cannot rename '{datasets[0].name}@{old}': a child dataset already has a snapshot "
                    "with the new name"
                )
            raise RefusedError(f"cannot rename '{dataset.name}@{old}': dataset already exists")
    world.next_txg()
    for dataset in datasets:
        snap = dataset.snapshot(old)
        if snap is None:
            continue
        for clone in world.clones_of(f"{dataset.name}@{old}"):
            clone.origin = f"{dataset.name}@{new}"
        snap.name = new


def rename_dataset(world: World, old: str, new: str) -> None:
    """Rename a dataset with all below it."""
    if old == new:
        return
    fault = name_fault(new, frozenset({"filesystem"}), modifying=True)
    if fault:
        raise RefusedError(f"cannot rename to '{new}': {fault}")
    check_parent(world, new, "cannot create")
    if old.split("/", 1)[0] != new.split("/", 1)[0]:
        raise RefusedError(f"cannot rename to '{new}': datasets must be within same pool")
    if new.startswith(old + "/"):
        raise RefusedError(
            f"cannot rename to '{new}': New dataset name cannot be a descendant of current dataset name"
        )
    if world.dataset(new) is not None:
        raise RefusedError(f"cannot rename '{old}': dataset already exists")
    if "/" not in old:
        raise RefusedError(f"cannot rename '{old}': operation not applicable to datasets of this type")
    world.next_txg()
    for name in [name for name in world.datasets if name == old or name.startswith(old + "/")]:
        dataset = world.datasets.pop(name)
        dataset.name = new + name[len(old) :]
        world.datasets[dataset.name] = dataset
    for dataset in world.datasets.values():
        if dataset.origin is not None and (dataset.origin + "/").startswith((old + "/", old + "@")):
            dataset.origin = new + dataset.origin[len(old) :]
        if dataset.encryption_root is not None and (dataset.encryption_root + "/").startswith(old + "/"):
            dataset.encryption_root = new + dataset.encryption_root[len(old) :]


def roll_back(world: World, dataset: Dataset, snap: Snapshot) -> None:
    """Make the dataset what the snapshot is; newer snapshots must be gone already."""
    if dataset.newest is not snap:
        raise RefusedError(
            f"cannot rollback '{dataset.name}': there is a snapshot or bookmark more recent "
            f"than '{dataset.name}@{snap.name}'"
        )
    world.next_txg()
    dataset.files = dict(snap.files)
    dataset.written_txg = min(dataset.written_txg, snap.createtxg)


def clone(world: World, snap_name: str, target: str, settings: Mapping[str, str]) -> Dataset:
    """Make a clone of a snapshot."""
    pair = world.find_snapshot(snap_name)
    if pair is None:
        raise RefusedError(f"cannot open '{snap_name}': {NO_DATASET}")
    source, snap = pair
    if source.pool != target.split("/", 1)[0]:
        raise RefusedError(f"cannot create '{target}': source and target pools differ")
    made = make_dataset(world, target, source.kind, settings)
    made.files = dict(snap.files)
    made.origin = snap_name
    made.volsize, made.volblocksize = source.volsize, source.volblocksize
    made.encryption_root, made.key_loaded = source.encryption_root, source.key_loaded
    made.key_guid = source.key_guid
    return made


def promote(world: World, dataset: Dataset) -> None:
    """Turn a clone and its origin round: the snapshots up to the origin change hands."""
    if dataset.origin is None:
        raise RefusedError(f"cannot promote '{dataset.name}': not a cloned filesystem")
    head_name, _, short = dataset.origin.partition("@")
    head = world.datasets[head_name]
    cut = next(index for index, snap in enumerate(head.snapshots) if snap.name == short) + 1
    moving = head.snapshots[:cut]
    for snap in moving:
        if dataset.snapshot(snap.name) is not None:
            raise RefusedError(
                f"cannot promote '{dataset.name}': conflicting snapshot '{snap.name}' "
                f"from parent '{dataset.origin}'"
            )
    world.next_txg()
    names = {f"{head_name}@{snap.name}": f"{dataset.name}@{snap.name}" for snap in moving}
    head.snapshots = head.snapshots[cut:]
    dataset.snapshots = moving + dataset.snapshots
    dataset.origin, head.origin = head.origin, f"{dataset.name}@{short}"
    for other in world.datasets.values():
        if other is not head and other.origin in names:
            other.origin = names[other.origin]


def snapshot_written(dataset: Dataset, snap: Snapshot | None) -> int:
    """``written``: bytes since the snapshot before ``snap``, or of the dataset since its newest."""
    if snap is None:
        older = dataset.newest
        return changed_bytes(older.files if older else {}, dataset.files)
    index = dataset.snapshots.index(snap)
    return changed_bytes(dataset.snapshots[index - 1].files if index else {}, snap.files)

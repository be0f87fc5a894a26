# SPDX-License-Identifier: GPL-3.0-or-later
"""Names as ``zfs_validate_name`` and ``zfs_open`` of libzfs judge them."""

from __future__ import annotations

import re

from tests.fake.errors import NO_DATASET, RefusedError
from tests.fake.model import Bookmark, Dataset, Kind, Snapshot, World

FILESYSTEM, VOLUME, SNAPSHOT, BOOKMARK = "filesystem", "volume", "snapshot", "bookmark"
HEADS = frozenset({FILESYSTEM, VOLUME})
DATASETS = frozenset({FILESYSTEM, VOLUME, SNAPSHOT})
EVERYTHING = DATASETS | {BOOKMARK}
Found = tuple[Dataset, Snapshot | Bookmark | None]
"""A dataset, or one of its snapshots or bookmarks."""

_BAD = re.compile(r"[^A-Za-z0-9_.: /@#%-]")
_LONGEST = 255
_BAD_PARTS = {
    "": "empty component or misplaced '@' or '#' delimiter in name",
    ".": "self reference, '.' is found in name",
    "..": "parent reference, '..' is found in name",
}


def name_fault(name: str, types: frozenset[str], modifying: bool = False) -> str | None:
    """What is wrong with a name where one of ``types`` is expected; ``None`` where nothing is."""
    if SNAPSHOT not in types and "@" in name:
        return "snapshot delimiter '@' is not expected here"
    if types == {SNAPSHOT} and "@" not in name:
        return "missing '@' delimiter in snapshot name"
    if BOOKMARK not in types and "#" in name:
        return "bookmark delimiter '#' is not expected here"
    if types == {BOOKMARK} and "#" not in name:
        return "missing '#' delimiter in bookmark name"
    if modifying and "%" in name:
        return "invalid character % in name"
    return _form_fault(name)


def _form_fault(name: str) -> str | None:
    if len(name) > _LONGEST:
        return "name is too long"
    if name.startswith("/"):
        return "leading slash in name"
    if name.endswith("/"):
        return "trailing slash in name"
    found = _BAD.search(name)
    if found:
        return f"invalid character '{found.group()}' in name"
    if name.count("@") + name.count("#") > 1:
        return "multiple '@' and/or '#' delimiters in name"
    parts = re.split(r"[/@#]", name)
    return next((fault for part, fault in _BAD_PARTS.items() if part in parts), None)


def type_of(found: Found) -> str:
    """``filesystem``, ``volume``, ``snapshot`` or ``bookmark``."""
    dataset, leaf = found
    if isinstance(leaf, Snapshot):
        return SNAPSHOT
    return BOOKMARK if isinstance(leaf, Bookmark) else dataset.kind.value


def full_name(found: Found) -> str:
    """The name as zfs prints it."""
    dataset, leaf = found
    if leaf is None:
        return dataset.name
    return f"{dataset.name}{'@' if isinstance(leaf, Snapshot) else '#'}{leaf.name}"


def lookup(world: World, name: str) -> Found | None:
    """The object of that full name, or ``None``."""
    head = name.split("@", 1)[0].split("#", 1)[0]
    dataset = world.dataset(head)
    if dataset is None:
        return None
    if "@" in name:
        snap = dataset.snapshot(name.split("@", 1)[1])
        return None if snap is None else (dataset, snap)
    if "#" in name:
        mark = dataset.bookmark(name.split("#", 1)[1])
        return None if mark is None else (dataset, mark)
    return dataset, None


def open_named(world: World, name: str, types: frozenset[str]) -> Found:
    """What ``zfs_open`` does; ``RefusedError`` with its message where it would fail."""
    fault = name_fault(name, types)
    if fault:
        raise RefusedError(f"cannot open '{name}': {fault}")
    found = lookup(world, name)
    if found is None:
        head = name.split("#", 1)[0]
        if "#" in name and world.dataset(head) is not None:
            raise RefusedError(f"cannot open '{name}': no such pool or dataset")
        raise RefusedError(f"cannot open '{name}': {NO_DATASET}")
    if type_of(found) not in types:
        raise RefusedError(f"cannot open '{name}': operation not applicable to datasets of this type")
    return found


def open_head(world: World, name: str) -> Dataset:
    """Open a filesystem or volume."""
    return open_named(world, name, HEADS)[0]


def check_parent(world: World, name: str, action: str) -> Dataset:
    """The parent of a dataset that is to be made, as ``check_parents`` of libzfs judges it."""
    if "/" not in name:
        raise RefusedError(f"{action} '{name}': missing dataset name")
    parent = world.dataset(name.rsplit("/", 1)[0])
    if parent is None:
        if name.split("/", 1)[0] not in world.pools:
            raise RefusedError(f"{action} '{name}': no such pool '{name.split('/', 1)[0]}'")
        raise RefusedError(f"{action} '{name}': parent does not exist")
    if parent.kind is not Kind.FILESYSTEM:
        raise RefusedError(f"{action} '{name}': parent is not a filesystem")
    return parent

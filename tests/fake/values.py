# SPDX-License-Identifier: GPL-3.0-or-later
"""The value and the source of any property, as ``zfs list`` and ``zfs get`` show them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tests.fake.changes import snapshot_written
from tests.fake.destroys import frees, nice_bytes
from tests.fake.model import Bookmark, Dataset, Kind, Snapshot, World, changed_bytes, referenced
from tests.fake.names import Found, full_name, type_of
from tests.fake.props import (
    NATIVE,
    NONE,
    SNAPSHOT_NATIVE,
    Source,
    Value,
    inherited_value,
    is_user,
    listed,
    user_names,
)
from tests.fake.receiving import token_of

_BOOKMARK_PROPS = ("type", "creation", "referenced", "guid", "createtxg")
_ORDER = listed(
    "type creation used available referenced compressratio mounted origin quota reservation volsize "
    "volblocksize recordsize mountpoint sharenfs checksum compression atime devices exec setuid "
    "readonly zoned snapdir aclmode aclinherit createtxg canmount xattr copies version utf8only "
    "normalization casesensitivity vscan nbmand sharesmb refquota refreservation guid primarycache "
    "secondarycache usedbysnapshots usedbydataset usedbychildren usedbyrefreservation logbias "
    "objsetid dedup mlslabel sync dnodesize refcompressratio written defer_destroy userrefs clones "
    "logicalused logicalreferenced volmode filesystem_limit snapshot_limit snapdev acltype context "
    "fscontext defcontext rootcontext relatime redundant_metadata overlay encryption keylocation "
    "keyformat pbkdf2iters encryptionroot keystatus special_small_blocks receive_resume_token "
)
_SIZES = frozenset(
    listed(
        "used available referenced quota reservation volsize volblocksize recordsize refquota "
        "refreservation usedbysnapshots usedbydataset usedbychildren usedbyrefreservation written "
        "logicalused logicalreferenced "
    )
)


def all_values(world: World, found: Found, literal: bool) -> Iterator[tuple[str, Value]]:
    """What ``zfs get all`` shows of it, native properties first."""
    dataset, leaf = found
    if isinstance(leaf, Bookmark):
        for name in _BOOKMARK_PROPS:
            yield name, value_of(world, found, name, literal)
        return
    for name in _ORDER:
        value = value_of(world, found, name, True)
        if value[1] is not NONE or value[0] != "-":
            yield name, value if literal else value_of(world, found, name, literal)
    for name in user_names(world, dataset, leaf):
        yield name, value_of(world, found, name, literal)


def value_of(world: World, found: Found, name: str, literal: bool) -> Value:
    """Value and source; ``-`` and ``NONE`` where the property does not exist for it.

    ``literal`` is ``-p``: numbers as they are.
    """
    dataset, leaf = found
    if isinstance(leaf, Bookmark) and name not in (*_BOOKMARK_PROPS, "name"):
        return "-", NONE
    if name.startswith("written@") and leaf is None:
        snap = dataset.snapshot(name.partition("@")[2])
        return ("-", NONE) if snap is None else (str(changed_bytes(snap.files, dataset.files)), NONE)
    computed = _computed(world, found, name)
    if computed is not None:
        source = Source("local") if name == "volsize" and leaf is None and computed != "-" else NONE
        return _shown(name, computed, literal), source
    if is_user(name):
        assert not isinstance(leaf, Bookmark)
        return inherited_value(world, dataset, leaf, name) or ("-", NONE)
    return _native(world, found, name, literal)


def _shown(name: str, value: str, literal: bool) -> str:
    if literal or value == "-":
        return value
    if name in ("creation", "snapshots_changed"):
        return time.strftime("%a %b %e %H:%M %Y", time.localtime(int(value)))
    return nice_bytes(int(value)) if name in _SIZES else value


def _native(world: World, found: Found, name: str, literal: bool) -> Value:
    dataset, leaf = found
    native = NATIVE.get(name)
    if native is None or isinstance(leaf, Bookmark):
        return "-", NONE
    if leaf is not None and name not in SNAPSHOT_NATIVE:
        return "-", NONE
    if dataset.kind not in native.kinds and not (leaf is not None and name in SNAPSHOT_NATIVE):
        return "-", NONE
    if name == "mountpoint":
        return _mountpoint(world, dataset)
    given = inherited_value(world, dataset, leaf, name)
    if given is None:
        value, source = native.default, Source("default")
    else:
        value, source = given
    if not native.number:
        return value, source
    if value == "0" and name.endswith(("quota", "reservation")):
        return ("0" if literal else "none"), source
    return _shown(name, value, literal), source


def _mountpoint(world: World, dataset: Dataset) -> Value:
    given = inherited_value(world, dataset, None, "mountpoint")
    if given is None:
        return "/" + dataset.name, Source("default")
    value, source = given
    if source.kind == "inherited" and value not in ("none", "legacy"):
        return value.rstrip("/") + dataset.name[len(source.dataset) :], source
    return value, source


_COMPUTED = frozenset(
    listed(
        "name type guid createtxg creation referenced logicalreferenced used written userrefs defer_destroy "
        "clones compressratio refcompressratio volsize available usedbydataset logicalused usedbysnapshots "
        "usedbychildren usedbyrefreservation objsetid mounted origin volblocksize snapshots_changed "
        "receive_resume_token encryptionroot keystatus encryption keyformat"
    )
)
"""Every property that is computed: most are not, and are asked for very often."""


def _computed(world: World, found: Found, name: str) -> str | None:
    if name not in _COMPUTED:
        return None
    dataset, leaf = found
    thing = leaf if leaf is not None else dataset
    simple = {
        "name": full_name(found),
        "type": type_of(found),
        "guid": str(thing.guid),
        "createtxg": str(thing.createtxg),
        "creation": str(thing.creation),
    }
    if name in simple:
        return simple[name]
    if name in ("referenced", "logicalreferenced"):
        return str(referenced(dataset.files if leaf is None else leaf.files))
    if isinstance(leaf, Snapshot):
        return _of_snapshot(world, dataset, leaf, name)
    return _of_dataset(world, dataset, name)


def _of_snapshot(world: World, dataset: Dataset, snap: Snapshot, name: str) -> str | None:
    if name == "used":
        return str(frees(dataset, [snap]))
    if name == "written":
        return str(snapshot_written(dataset, snap))
    if name == "userrefs":
        return str(len(snap.holds))
    if name == "defer_destroy":
        return "on" if snap.defer_destroy else "off"
    if name == "clones":
        return ",".join(clone.name for clone in world.clones_of(f"{dataset.name}@{snap.name}"))
    if name in ("compressratio", "refcompressratio"):
        return "1.00"
    if name == "volsize":
        return str(dataset.volsize) if dataset.kind is Kind.VOLUME else "-"
    return _crypto(dataset, name)


def _of_dataset(world: World, dataset: Dataset, name: str) -> str | None:
    size = _size_of_dataset(world, dataset, name)
    if size is not None:
        return str(size)
    volume = dataset.kind is Kind.VOLUME
    partial = dataset.partial
    texts: dict[str, str] = {
        "compressratio": "1.00",
        "refcompressratio": "1.00",
        "objsetid": str(dataset.objsetid),
        "mounted": "-" if volume else "yes" if dataset.mounted else "no",
        "origin": dataset.origin or "-",
        "volsize": str(dataset.volsize) if volume else "-",
        "volblocksize": str(dataset.volblocksize) if volume else "-",
    }
    if name == "snapshots_changed" and world.version >= (2, 2, 0):
        return str(dataset.changed_at or "-")
    if name == "receive_resume_token":
        return token_of(partial) if partial is not None and partial.resumable else "-"
    return texts[name] if name in texts else _crypto(dataset, name)


def _size_of_dataset(world: World, dataset: Dataset, name: str) -> int | None:
    """Sizes are computed when they are asked for: they cost a walk."""
    sizes: dict[str, Callable[[], int]] = {
        "used": lambda: _used(world, dataset),
        "available": lambda: world.room(dataset.pool),
        "usedbydataset": lambda: referenced(dataset.files),
        "logicalused": lambda: referenced(dataset.files),
        "usedbysnapshots": lambda: frees(dataset, dataset.snapshots),
        "usedbychildren": lambda: sum(_used(world, child) for child in world.children(dataset.name)),
        "usedbyrefreservation": lambda: 0,
        "written": lambda: snapshot_written(dataset, None),
    }
    return sizes[name]() if name in sizes else None


def _crypto(dataset: Dataset, name: str) -> str | None:
    if name == "encryptionroot":
        return dataset.encryption_root or "-"
    if name == "keystatus":
        return "-" if not dataset.encrypted else "available" if dataset.key_loaded else "unavailable"
    if name == "encryption":
        return "aes-256-gcm" if dataset.encrypted else "off"
    if name == "keyformat" and dataset.encrypted:
        return "passphrase"
    return None


def _used(world: World, dataset: Dataset) -> int:
    own = referenced(dataset.files) + frees(dataset, dataset.snapshots)
    return own + sum(_used(world, child) for child in world.children(dataset.name))

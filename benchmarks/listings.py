# SPDX-License-Identifier: GPL-3.0-or-later
"""What zfs prints of a large tree, made up: for measuring what follows the listing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cyber_zfs_backup.model.names import own_name

NEWEST = datetime(2026, 11, 22, 3, 0, 0, tzinfo=UTC)
"""The time of the newest snapshot."""

# What `zfs get all` of OpenZFS 2.1 prints of a file system that nobody has touched, in its order. The
# values are typical ones; that there are about seventy lines a dataset is what costs.
_DEFAULTS = (
    "quota", "reservation", "recordsize", "sharenfs", "checksum", "compression", "atime", "devices", "exec",
    "setuid", "readonly", "zoned", "snapdir", "aclmode", "aclinherit", "canmount", "xattr", "copies",
    "vscan", "nbmand", "sharesmb", "refquota", "refreservation", "primarycache", "secondarycache", "logbias",
    "dedup", "mlslabel", "sync", "dnodesize", "volmode", "filesystem_limit", "snapshot_limit",
    "filesystem_count", "snapshot_count", "snapdev", "acltype", "context", "fscontext", "defcontext",
    "rootcontext", "relatime", "redundant_metadata", "overlay", "keylocation", "keyformat", "pbkdf2iters",
    "special_small_blocks",
)  # fmt: skip
_FIXED = (
    "creation", "used", "available", "referenced", "compressratio", "mounted", "createtxg", "version",
    "utf8only", "normalization", "casesensitivity", "usedbysnapshots", "usedbydataset", "usedbychildren",
    "usedbyrefreservation", "objsetid", "refcompressratio", "written", "logicalused", "logicalreferenced",
)  # fmt: skip


class Shape:
    """A tree of ``datasets`` datasets, three levels deep, with ``snapshots`` own snapshots each."""

    def __init__(self, datasets: int, snapshots: int) -> None:
        self.paths = [_path(number) for number in range(datasets)]
        self.names = [own_name(NEWEST - timedelta(days=age)) for age in reversed(range(snapshots))]

    def full_names(self, root: str) -> list[str]:
        """The datasets' full names below ``root``, in the order in which zfs lists them."""
        return sorted(f"{root}/{path}" if path else root for path in self.paths)


def _path(number: int) -> str:
    """Ten groups and all others below them; the root itself comes first."""
    if number == 0:
        return ""
    group = f"group-{number % 10}"
    return group if number <= 10 else f"{group}/home-of-user-{number:05}"


def snapshots(shape: Shape, root: str, *, first_txg: int, lacking: int = 0) -> Iterator[str]:
    """Lines of ``zfs list -Hp -o name,guid,createtxg -t snapshot -r``, without the newest ``lacking``.

    GUIDs depend on the path and the name alone, so that both sides have the same ones; createtxg begins
    at ``first_txg``, as each pool counts for itself.
    """
    for full in shape.full_names(root):
        guids = random.Random(full[len(root) :])  # noqa: S311 - any repeatable numbers will do
        for number, name in enumerate(shape.names[: len(shape.names) - lacking]):
            yield f"{full}@{name}\t{guids.getrandbits(63) + (1 << 62)}\t{first_txg + number * 17}\n"


def all_properties(shape: Shape, root: str) -> Iterator[str]:
    """Lines of ``zfs get -Hp -r -o name,property,value,source all``."""
    for number, full in enumerate(shape.full_names(root)):
        yield f"{full}\ttype\tfilesystem\t-\n"
        yield f"{full}\tguid\t{7_000_000_000_000_000_000 + number}\t-\n"
        yield f"{full}\tencryption\toff\tdefault\n"
        yield f"{full}\tmountpoint\t/{full}\tdefault\n"
        for name in _FIXED:
            yield f"{full}\t{name}\t{number * 4096}\t-\n"
        for name in _DEFAULTS:
            yield f"{full}\t{name}\ton\tdefault\n"


def partial_properties(shape: Shape, root: str) -> Iterator[str]:
    """Lines of ``zfs get`` of type, encryption and receive_resume_token."""
    for full in shape.full_names(root):
        yield f"{full}\ttype\tfilesystem\t-\n"
        yield f"{full}\tencryption\toff\tdefault\n"
        yield f"{full}\treceive_resume_token\t-\t-\n"

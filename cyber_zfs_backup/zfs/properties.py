# SPDX-License-Identifier: GPL-3.0-or-later
"""Which properties travel with a push, and our own, which never do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..model.names import relative
from . import commands
from .parse import Properties, Property

BASE_PREFIX = f"{commands.PROPERTY_PREFIX}base."
"""Followed by a destination's tag: the record of what that destination holds."""

MIRROR_PREFIX = f"{commands.PROPERTY_PREFIX}mirror."
"""Followed by a destination's tag: set where snapshots have expired that it may still hold."""

HOLD_PREFIX = commands.PROPERTY_PREFIX
"""Followed by a destination's tag: the hold on a base or a target."""

_NOT_COPIED = frozenset(
    {"mountpoint", *commands.LEAVE_OUT, *(setting.partition("=")[0] for setting in commands.STAY_STILL)}
)


def own_names(about: Properties) -> list[str]:
    """Our own properties that stand anywhere in the tree; a receive must leave them out by name."""
    return sorted(
        {name for each in about.values() for name in each if name.startswith(commands.PROPERTY_PREFIX)}
    )


def opts_out(about: Mapping[str, Property], *, honour_auto_snapshot: bool) -> str:
    """The setting (``NAME=VALUE``) by which a dataset takes no part, its own or an inherited one; empty where
    there is none. ``com.sun:auto-snapshot=false`` counts only where it is to be honoured."""
    names = [(commands.EXCLUDE, "on"), *([(commands.AUTO_SNAPSHOT, "false")] if honour_auto_snapshot else [])]
    return next(
        (f"{name}={word}" for name, word in names if name in about and about[name].value.lower() == word), ""
    )


POLICY = f"{commands.PROPERTY_PREFIX}policy"
"""A row of this name in a gatekeeper's answer; see ``gatekeeper/main.py``. No dataset has such a property."""


@dataclass(frozen=True, slots=True)
class Grants:
    """What the receiver lets its sender do there: everything, unless a gatekeeper says otherwise."""

    renames: bool = True
    destroys: bool = True
    settings: bool = True
    """Whether properties may be set."""


def grants(about: Properties | None, root: str) -> Grants:
    """What the receiver's answer about its copy says of that; ``None`` where there is no copy yet."""
    told = (about or {}).get(root, {}).get(POLICY)
    if told is None or told.source != "gatekeeper":
        return Grants()
    return Grants(renames=False, destroys="mirror" in told.value.split(","), settings=False)


BUCKETS = 32
"""Parts of a digest. A dataset's path says to which it belongs, so that one that changes, perhaps every
night (by another tool's mark), has few others send their properties again."""

_PART = 8
"""Hex digits of each part."""


def digest(about: Properties, root: str, datasets: Sequence[str]) -> str:
    """A digest of every property that would travel, of the given datasets (full names), in parts.

    Equal parts mean that the receiver needs no new properties of their datasets. Only local and received
    values travel (zfs-send.8, -p); ours, and those that the receive leaves out or overrides, do not count.
    Of a limit counts that there is one, and not how much it is: see ``limited``. The parts are joined by
    dots; one without properties is empty.
    """
    parts: list[list[str]] = [[] for _ in range(BUCKETS)]
    for dataset in datasets:
        path = relative(root, dataset)
        lines = parts[_bucket(path)]
        lines += (f"{path}\0{name}\0{p.value}" for name, p in about[dataset].items() if _travels(name, p))
        lines += (f"{path}\0{name}" for name in limited(about, [dataset]))
    return ".".join(_hash("\n".join(sorted(lines))).hex()[:_PART] if lines else "" for lines in parts)


def differing(old: str, new: str, paths: Iterable[str]) -> frozenset[str]:
    """The paths whose properties may have changed between two digests; all where there is no old one."""
    before, after = old.split("."), new.split(".")
    if len(before) != len(after):
        return frozenset(paths)
    return frozenset(path for path in paths if before[_bucket(path)] != after[_bucket(path)])


def brought_up(old: str, new: str, missed: Iterable[str]) -> str:
    """The new digest, but for the parts of the ``missed`` paths, whose properties did not travel."""
    kept = {_bucket(path) for path in missed}
    before, after = old.split("."), new.split(".")
    if kept and len(before) != len(after):
        return old
    return ".".join(before[number] if number in kept else part for number, part in enumerate(after))


def _bucket(path: str) -> int:
    return _hash(path)[0] % BUCKETS


def _hash(text: str) -> bytes:
    # A property's value is any bytes (Latin-1 of an old system, say); those that are no UTF-8 were read
    # as surrogates, and become themselves again.
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()


def limited(about: Properties, datasets: Iterable[str]) -> dict[str, list[str]]:
    """Which limits on space stand on which of these datasets (full names).

    A stream with properties can bring each of them to the copy, where it must not be.
    """
    found: dict[str, list[str]] = {}
    for dataset in datasets:
        for name in commands.LIMITS:
            prop = about[dataset].get(name)
            if prop is not None and prop.source in ("local", "received") and prop.value not in ("0", "-"):
                found.setdefault(name, []).append(dataset)
    return found


def _travels(name: str, prop: Property) -> bool:
    return (
        prop.source in ("local", "received")
        and name not in _NOT_COPIED
        and not name.startswith(commands.PROPERTY_PREFIX)
    )


def local_values(about: Mapping[str, Property], prefix: str) -> dict[str, str]:
    """The locally set values of a dataset's properties with that prefix, by what follows it.

    An inherited or received value is somebody else's and does not count.
    """
    return {
        name.removeprefix(prefix): prop.value
        for name, prop in about.items()
        if name.startswith(prefix) and prop.source == "local"
    }

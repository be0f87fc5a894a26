# SPDX-License-Identifier: GPL-3.0-or-later
"""Names as ZFS allows them, and the names that this tool gives to its own snapshots.

The rules for datasets and snapshots are those of OpenZFS's ``zfs_namecheck.c`` and of zpool-create(8);
a name that ZFS would refuse is refused here, before any command runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache

MAX_NAME_BYTES = 255
"""Longest full name of a dataset or snapshot, in bytes (ZFS_MAX_DATASET_NAME_LEN less the final NUL)."""

TOLERANCE = timedelta(minutes=5)
"""A newest snapshot that is further ahead of now tells nothing of its age."""

_COMPONENT = re.compile(r"[A-Za-z0-9_.: -]+")
_RESERVED_POOL = re.compile(r"(mirror|raidz|draid|spare).*|log")
_OWN = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})Z", re.ASCII)


class BadNameError(ValueError):
    """A name that ZFS would refuse. The message says which name and why, in one line."""


def check_dataset(name: str) -> str:
    """Answer the dataset's name unchanged where ZFS would accept it.

    Raises ``BadNameError`` with the name, the offending part and the rule.
    """
    if not name:
        raise BadNameError("an empty dataset name")
    components = name.split("/")
    for component in components:
        _check_component(component, name)
    # Only ASCII is left, so that characters are bytes.
    if len(name) > MAX_NAME_BYTES:
        raise BadNameError(f"dataset name {name!r} is longer than {MAX_NAME_BYTES} bytes")
    pool = components[0]
    if not re.match(r"[A-Za-z]", pool):
        raise BadNameError(f"dataset name {name!r}: the pool's name {pool!r} must begin with a letter")
    if _RESERVED_POOL.fullmatch(pool):
        raise BadNameError(f"dataset name {name!r}: {pool!r} is reserved, no pool can have that name")
    return name


def check_snapshot(full_name: str) -> str:
    """Answer ``DATASET@SNAPSHOT`` unchanged where ZFS would accept it; raises ``BadNameError``."""
    dataset, at, snapshot = full_name.partition("@")
    if not at:
        raise BadNameError(f"{full_name!r} is not a snapshot: it has no '@'")
    check_dataset(dataset)
    _check_component(snapshot, full_name)
    if len(full_name) > MAX_NAME_BYTES:
        raise BadNameError(f"snapshot name {full_name!r} is longer than {MAX_NAME_BYTES} bytes")
    return full_name


def _check_component(component: str, whole: str) -> None:
    if not component:
        raise BadNameError(f"name {whole!r} has an empty part (a '/' at an end, or two in a row)")
    if component in (".", ".."):
        raise BadNameError(f"name {whole!r}: a part may not be {component!r}")
    if not _COMPONENT.fullmatch(component):
        bad = next(char for char in component if not _COMPONENT.fullmatch(char))
        raise BadNameError(f"name {whole!r}: ZFS does not allow the character {bad!r}")


@lru_cache(maxsize=65536)
def own_time(snapshot: str) -> datetime | None:
    """The time (UTC) that an own snapshot's name tells, or ``None`` for a foreign name.

    A name that has the form but no such day or hour (``2026-02-30T...``) is foreign: we never made it.
    Cached, because a recursive snapshot puts the same name on every dataset.
    """
    match = _OWN.fullmatch(snapshot)
    if not match:
        return None
    try:
        # Ten times as quick as strptime, which matters for half a million names.
        year, month, day, hour, minute, second = map(int, match.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def own_name(moment: datetime) -> str:
    """The own snapshot's name for a moment; ``moment`` must carry a time zone."""
    if moment.tzinfo is None:
        raise ValueError("a snapshot's name needs a moment with a time zone")
    utc = moment.astimezone(UTC)
    # Not strftime: its %Y does not pad years below 1000 on every C library.
    return f"{utc.year:04}-{utc.month:02}-{utc.day:02}T{utc.hour:02}:{utc.minute:02}:{utc.second:02}Z"


def join(root: str, path: str) -> str:
    """The full name of the dataset at ``path`` (relative, '' for the root itself) below ``root``."""
    return f"{root}/{path}" if path else root


def relative(root: str, dataset: str) -> str:
    """The path of ``dataset`` relative to ``root`` ('' for the root itself).

    Raises ``ValueError`` where ``dataset`` is neither ``root`` nor below it.
    """
    if dataset == root:
        return ""
    if dataset.startswith(f"{root}/"):
        return dataset[len(root) + 1 :]
    raise ValueError(f"{dataset!r} is not at or below {root!r}")


def is_within(above: str, path: str) -> bool:
    """Whether a relative path is ``above`` itself or below it; everything is within the root ('')."""
    return not above or path == above or path.startswith(f"{above}/")


def overlap(one: str, other: str) -> bool:
    """Whether two datasets (full names) are the same, or one of them lies in the other."""
    return is_within(one, other) or is_within(other, one)


def pattern_of(root: str, path: str, patterns: Iterable[str]) -> str | None:
    """The first shell pattern that fits a dataset, by its path below ``root`` or by its full name."""
    full = join(root, path)
    return next((each for each in patterns if fnmatchcase(path, each) or fnmatchcase(full, each)), None)


def mentions(text: str, dataset: str) -> bool:
    """Whether a message names this very dataset (or a snapshot of it), and not one below or beside it."""
    return re.search(rf"(?<![\w/.:-]){re.escape(dataset)}(?![\w/:-]|\.\w)", text) is not None


def parent(path: str) -> str | None:
    """The path of the parent of a relative path; ``None`` for the root ('')."""
    if not path:
        return None
    return path.rpartition("/")[0]

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client's user may do to its root (zfs-allow(8)): what each permission is for, and what is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .parse import GarbledError

PURPOSES: Mapping[str, str] = MappingProxyType(
    {
        "receive": "to receive any stream",
        "create": "ZFS asks for it at every receive, also of an increment",
        "mount": "ZFS asks for it at every receive and destroy, although nothing is ever mounted",
        "destroy": "to throw away a partial receive, and a mirror's expired snapshots",
        "send": "to send copies back, for a restore",
        "hold": "ZFS asks for it at every send of a tree or of several snapshots",
    }
)
"""What each permission is for: each was taken away on real OpenZFS, and broke just that."""

RECEIVING = ("receive", "create", "mount")
"""What every receive needs, and all that it needs."""

READING = ("send", "hold")
"""What a restore needs."""

HARMLESS = (
    *("aclinherit", "aclmode", "acltype", "atime", "compression", "dnodesize", "keylocation", "logbias"),
    *("primarycache", "recordsize", "redundant_metadata", "relatime", "secondarycache", "userprop", "xattr"),
)
"""Properties that a copy may take over from its source, for a restore to bring them back: none of them
mounts, shares, runs or reserves anything, and ``keylocation`` is read by nobody before root here loads a key.
What is not here is never delegated: with ``change-key`` a package could move old copies below another key."""

_SECTION = "---- Permissions on "
_HERE = "Local+Descendent permissions:"
_BELOW = "Descendent permissions:"
_ONLY = "Local permissions:"


@dataclass(frozen=True, slots=True)
class Allowed:
    """What is delegated on one dataset itself. ``users`` counts what holds for it and for all below it."""

    users: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def to(self, user: str) -> frozenset[str]:
        """What one user may do there by its own name."""
        return self.users.get(user, frozenset())


def allowed(text: str, dataset: str) -> Allowed:
    """The answer of ``zfs allow DATASET``, without what is delegated on the datasets above.

    Raises ``GarbledError`` for a line that zfs does not print there.
    """
    users: dict[str, frozenset[str]] = {}
    for section, kind, words in _rows(text):
        if section == dataset and kind == _HERE and words[0] == "user" and len(words) == 3:
            users[words[1]] = users.get(words[1], frozenset()) | frozenset(words[2].split(","))
    return Allowed(users)


def granted(text: str, dataset: str, user: str) -> frozenset[str]:
    """What ``zfs allow DATASET`` says that a user may do there, whoever it was given to.

    What a group has counts: which groups a user is in is not known here. Raises ``GarbledError``.
    """
    found: set[str] = set()
    for section, kind, words in _rows(text):
        holds = kind in (_HERE, _ONLY if section == dataset else _BELOW)
        mine = words[0] in ("everyone", "group") or (words[0] == "user" and words[1] == user)
        if holds and mine:
            found.update(words[-1].split(","))
    return frozenset(found)


def _rows(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """The dataset, the kind of permissions and the words of each line."""
    section, kind = "", ""
    for line in text.splitlines():
        if line.startswith(_SECTION):
            section = line.removeprefix(_SECTION).rstrip("-").rstrip()
        elif not line.startswith("\t"):
            kind = line
        else:
            words = line.split()
            if not section or not kind or len(words) < 2:
                raise GarbledError(f"not a line of zfs allow: {line[:80]!r}")
            yield section, kind, words

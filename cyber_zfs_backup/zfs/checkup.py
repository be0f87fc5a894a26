# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a check-up must know of a tree's snapshots and bookmarks, by one question. It changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .parse import GarbledError, Listing, snapshots_and_bookmarks


@dataclass(frozen=True, slots=True)
class Checkup:
    """A tree's snapshots and bookmarks; and by the snapshots' full names how many holds each has (where it
    has any), and how many bytes that the one before it had not."""

    listing: Listing
    holds: Mapping[str, int]
    written: Mapping[str, int]


def list_checkup(root: str) -> list[str]:
    """Every snapshot and bookmark at or below a root. Slow, as ``list_held`` is: each snapshot is read."""
    columns = "name,guid,createtxg,userrefs,written"
    return ["zfs", "list", "-Hp", "-o", columns, "-t", "snapshot,bookmark", "-r", root]


def parse_checkup(text: str) -> Checkup:
    """The answer of ``list_checkup``. Raises ``GarbledError``."""
    plain: list[str] = []
    holds: dict[str, int] = {}
    written: dict[str, int] = {}
    for line in text.splitlines(keepends=True):
        fields = line.removesuffix("\n").split("\t")
        if len(fields) != 5:
            raise GarbledError(f"not a snapshot's line: {line[:80]!r}")
        plain.append("\t".join(fields[:3]) + ("\n" if line.endswith("\n") else ""))
        # A bookmark has neither.
        if "@" not in fields[0]:
            continue
        if not all(count.isascii() and count.isdigit() for count in fields[3:]):
            raise GarbledError(f"not a snapshot's numbers: {line[:80]!r}")
        written[fields[0]] = int(fields[4])
        if int(fields[3]):
            holds[fields[0]] = int(fields[3])
    return Checkup(snapshots_and_bookmarks("".join(plain)), holds, written)

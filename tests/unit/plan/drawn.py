# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees drawn in a few characters, for tests that read like a specification.

The first line names the snapshots, oldest first: a number is a day of November 2026 (taken at
midnight), a number with a letter a later snapshot of that day (``20b`` at 02:00), anything else a foreign
name. Each further line is a dataset (``.`` is the root) with a mark for each snapshot: ``.`` where it has
none; the same letter on two trees is the same GUID, another letter is another snapshot of that name.
"""

from __future__ import annotations

import re

from cyber_zfs_backup.model.trees import Dataset, Snapshot, Tree


def tree(picture: str, root: str = "tank") -> Tree:
    """The tree of a picture."""
    header, *rows = [line.split() for line in picture.splitlines() if line.strip()]
    datasets = {}
    for path, *marks in rows:
        assert len(marks) == len(header), f"row {path!r} has {len(marks)} marks for {len(header)} snapshots"
        path = "" if path == "." else path  # noqa: PLW2901 -- the picture's sign for the root
        datasets[path] = Dataset(
            path,
            tuple(
                Snapshot(day(label), guid_of(path, label, mark), 10 * (number + 1))
                for number, (label, mark) in enumerate(zip(header, marks, strict=True))
                if mark != "."
            ),
        )
    return Tree(root, datasets)


def day(label: str) -> str:
    """The snapshot's name for a label of a picture."""
    match = re.fullmatch(r"(\d\d)([a-z]?)", label)
    if not match:
        return label
    hour = ord(match[2]) - ord("a") + 1 if match[2] else 0
    return f"2026-11-{match[1]}T{hour:02}:00:00Z"


def days(labels: str) -> tuple[str, ...]:
    """The snapshots' names for several labels."""
    return tuple(day(label) for label in labels.split())


def guid_of(path: str, label: str, mark: str = "x") -> int:
    """The GUID that a mark stands for; the same on every tree."""
    return int.from_bytes(f"{path}@{label}={mark}".encode().rjust(40, b"\0"), "big")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what drills have left on record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..model.drilled import Drilled, drilled
from .journal import Journal

FILE = "drills.jsonl"


def drills(folder: Path) -> Iterator[Drilled]:
    """All drills on record in a folder, oldest first. Raises ``OSError`` where the record cannot be read."""
    for row in Journal(folder / FILE).rows():
        done = drilled(row)
        if done is not None:
            yield done

# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of each pool was used at each call of the doctor: what tells how fast a pool grows."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from ..plan.doctor_pools import Side, Usage
from .journal import Journal

FILE = "pools.jsonl"
"""The notes' file, in the state folder."""

Notes = dict[tuple[str, str], list[Usage]]
"""By the end and its pool, oldest first."""

_log = logging.getLogger(__name__)


def with_past(side: Side, notes: Notes) -> Side:
    """The side with what is noted of its pool."""
    if side.pool is None:
        return side
    return replace(side, pool=replace(side.pool, past=tuple(notes.get((side.where, side.pool.name), ()))))


def read_notes(past: Journal) -> Notes:
    """All notes; what is damaged is left out."""
    notes: Notes = {}
    try:
        for row in past.rows():
            try:
                use = Usage(datetime.fromtimestamp(int(row["time"]), UTC), int(row["allocated"]))
                notes.setdefault((str(row["where"]), str(row["pool"])), []).append(use)
            except (KeyError, TypeError, ValueError, OverflowError, OSError):
                continue
    except OSError as error:
        _log.debug("%s: %s", past.path, error)
    return notes


def note(past: Journal, sides: Sequence[Side], now: datetime) -> None:
    """For the next call. Who may not write there (an ordinary user, perhaps) is told of no growth, that is
    all."""
    lines = [
        json.dumps(
            {
                "time": int(now.timestamp()),
                "where": side.where,
                "pool": pool.name,
                "allocated": pool.allocated,
            }
        )
        + "\n"
        for side in sides
        if (pool := side.pool) is not None
    ]
    try:
        past.add(lines)
    except OSError as error:
        _log.debug("%s: %s", past.path, error)

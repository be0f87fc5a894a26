# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill as it is on record: a line of JSON for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .names import own_time


@dataclass(frozen=True, slots=True)
class Drilled:
    """One drill, finished. ``datasets`` is how many were restored, ``wrong`` says of each that was not as it
    should be which it was, and why."""

    dataset: str
    destination: str
    time: datetime
    good: bool
    datasets: int
    wrong: tuple[str, ...] = ()


def drilled(row: Mapping[str, Any]) -> Drilled | None:
    """A line's members as a value; ``None`` for what no version of ours has written."""
    try:
        # Written in the form that the snapshots' names have.
        time = own_time(row["time"])
        if time is None or not isinstance(row["good"], bool):
            return None
        bad = (each for each in row["datasets"] if each["verdict"] in ("differs", "failed"))
        wrong = tuple(f"{each['snapshot']}: {each['why']}" for each in bad)
        return Drilled(
            str(row["dataset"]), str(row["destination"]), time, row["good"], len(row["datasets"]), wrong
        )
    except (KeyError, TypeError):
        return None

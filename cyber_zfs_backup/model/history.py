# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of runs: what a finished run leaves behind for each of its destinations, as a line of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from .names import own_time

SCHEMA = 1
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_LONGEST_ERROR = 1000
"""Characters of an error that are kept: what zfs says may go on for pages."""
_COUNTS = ("datasets", "confirmed", "bytes", "steps", "repaired", "destroyed")


@dataclass(frozen=True, slots=True)
class Finished:
    """One run, finished, as far as one destination is concerned.

    ``job`` names the declared job, empty for the command line; ``destination`` is ``HOST:DATASET``, empty
    where the run pushed nothing. ``started`` is in UTC. ``snapshot`` is the one that the run took, ``target``
    the one that it pushed up to, ``confirmed`` how many of ``datasets`` were seen there. ``bytes`` crossed
    the wire in ``steps`` streams; ``repaired`` datasets were mended, ``destroyed`` snapshots expired on the
    source. ``exit`` is the process's exit code as far as this destination goes, ``error`` the first thing
    that was wrong.
    """

    dataset: str
    destination: str
    started: datetime
    seconds: float
    exit: int
    job: str = ""
    snapshot: str = ""
    target: str = ""
    datasets: int = 0
    confirmed: int = 0
    bytes: int = 0
    steps: int = 0
    repaired: int = 0
    destroyed: int = 0
    error: str = ""

    @property
    def good(self) -> bool:
        """Whether all of it was done."""
        return self.exit == 0


def line(finished: Finished) -> str:
    """One line, ASCII, with its end."""
    row: dict[str, Any] = {"schema": SCHEMA, **asdict(finished)}
    row["started"] = finished.started.astimezone(UTC).strftime(_TIME)
    row["error"] = finished.error[:_LONGEST_ERROR]
    return f"{json.dumps(row, allow_nan=False)}\n"


def finished(row: Mapping[str, Any]) -> Finished | None:
    """A line's members as a value; ``None`` for what no version of ours has written.

    Members that are not known are left out: a newer version may have added them.
    """
    try:
        if row["schema"] < SCHEMA:
            return None
        # In the form of the snapshots' names, and read as quickly as they are: there are tens of thousands.
        started = own_time(row["started"])
        words: dict[str, Any] = {name: row.get(name, "") for name in ("job", "snapshot", "target", "error")}
        where: dict[str, Any] = {name: row[name] for name in ("dataset", "destination")}
        if started is None or not all(isinstance(word, str) for word in (*words.values(), *where.values())):
            return None
        counts: dict[str, Any] = {name: int(row.get(name, 0)) for name in _COUNTS}
        seconds, code = float(row["seconds"]), int(row["exit"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return Finished(**where, started=started, seconds=seconds, exit=code, **words, **counts)


def by_dataset(runs: Iterable[Finished]) -> dict[str, list[Finished]]:
    """The runs of each tree, in their order: so whoever looks at many trees goes through all runs once."""
    found: dict[str, list[Finished]] = {}
    for run in runs:
        found.setdefault(run.dataset, []).append(run)
    return found

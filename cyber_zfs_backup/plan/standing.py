# SPDX-License-Identifier: GPL-3.0-or-later
"""How a tree and its copies stand, at a glance: a row for each destination. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..model.history import Finished
from ..model.names import own_time
from .lateness import Limits, said
from .ledger import Ledger

COLUMNS = (
    *("dataset", "destination", "newest", "age", "there", "behind by", "kept for it", "last run", "next run"),
    "last error",
)

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """One tree and one destination; empty where it is pushed nowhere.

    ``newest`` is the tree's newest own snapshot, ``there`` the newest that the destination was seen to have,
    ``kept`` how many bytes are kept here for it alone (``None``: nobody asked). ``last`` is its last run on
    record.
    """

    dataset: str
    destination: str
    newest: str
    there: str
    last: Finished | None = None
    kept: int | None = None

    @property
    def behind(self) -> timedelta | None:
        """How much younger the tree's newest snapshot is; ``None`` where that cannot be told."""
        newest, there = own_time(self.newest), own_time(self.there)
        return None if newest is None or there is None else max(newest - there, timedelta())


@dataclass(frozen=True, slots=True)
class Standing:
    """A row, and what is expected of it: from which ages on it is late, why it rests (empty: it does not),
    and when something is due next (``None``: not known). ``arrived`` are the ages for what the destination
    has, where the tree is declared."""

    row: Row
    limits: Limits
    paused: str = ""
    next_run: datetime | None = None
    arrived: Limits | None = None

    @property
    def declared(self) -> bool:
        """Whether the configuration file says what is expected; a command line does not tell."""
        return self.arrived is not None

    @property
    def late_there(self) -> Limits:
        """From which ages on what the destination has is late; where nobody has said so, as it is here."""
        return self.arrived or self.limits


def rows(root: str, newest: str, ledgers: Mapping[str, Ledger], runs: Iterable[Finished]) -> tuple[Row, ...]:
    """A row for each destination on record, in the order of their names; one without where there is none."""
    last = {run.destination: run for run in runs if run.dataset == root}
    found = [
        Row(root, ledger.root.to, newest, _oldest(ledger), last.get(ledger.root.to))
        for ledger in ledgers.values()
    ]
    # A first push that has never come to anything has left a line, but no record.
    on_record = {row.destination for row in found}
    found += [
        Row(root, to, newest, "", run)
        for to, run in last.items()
        if to not in on_record and (to or not found)
    ]
    return tuple(sorted(found, key=lambda row: row.destination)) or (Row(root, "", newest, ""),)


def _oldest(ledger: Ledger) -> str:
    """What every dataset of the copy has: a dataset that lags counts."""
    bases = [record.base or "" for record in (ledger.root, *ledger.lagging.values())]
    return min(bases, key=lambda name: own_time(name) or _NEVER) if all(bases) else ""


def cells(standing: Standing, now: datetime, size: str) -> tuple[str, ...]:
    """A row as people read it; ``size`` is what is kept for it."""
    row = standing.row
    newest, behind, last = own_time(row.newest), row.behind, row.last
    return (
        row.dataset,
        row.destination or "none",
        row.newest or "none",
        "" if newest is None else said(max(now - newest, timedelta())),
        row.there or ("" if not row.destination else "nothing"),
        "" if behind is None else said(behind) if behind else "nothing",
        size,
        "" if last is None else f"{last.started:%Y-%m-%d %H:%M}{'' if last.good else f' (exit {last.exit})'}",
        standing.paused or ("" if standing.next_run is None else f"{standing.next_run:%Y-%m-%d %H:%M}"),
        "" if last is None else last.error,
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""How trees and their copies stand, as metrics for Prometheus. Pure; what is not known has no sample.

Names, units and labels follow https://prometheus.io/docs/practices/naming/: seconds since 1970 (so UTC),
seconds, bytes, and labels that never change for one thing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import TypeVar

from ..model.history import Finished
from ..model.names import own_time
from .standing import Standing

Thing = TypeVar("Thing")

PREFIX = "cyber_zfs_backup_"
Labels = tuple[str, ...]
TREE: Labels = ("dataset",)
COPY: Labels = ("dataset", "destination")


@dataclass(frozen=True, slots=True)
class Family:
    """One metric, a gauge: its samples by the values of its ``labels``, in their order."""

    name: str
    about: str
    labels: Labels
    samples: Mapping[Labels, float]


def _time(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _ended(run: Finished) -> float:
    return run.started.timestamp() + run.seconds


_OF_TREES: tuple[tuple[str, str, Callable[[Standing], float | None]], ...] = (
    (
        "newest_snapshot_timestamp_seconds",
        "When the tree's newest snapshot was taken.",
        lambda each: _time(own_time(each.row.newest)),
    ),
    (
        "warn_after_seconds",
        "The age of the newest snapshot from which on it is late.",
        lambda each: each.limits.warning.total_seconds(),
    ),
    (
        "critical_after_seconds",
        "The age from which on it is very late.",
        lambda each: each.limits.critical.total_seconds(),
    ),
    (
        "paused",
        "1 where the tree rests because somebody said so, else 0.",
        lambda each: float(bool(each.paused)),
    ),
    (
        "next_run_timestamp_seconds",
        "When something is due for the tree next.",
        lambda each: _time(each.next_run),
    ),
)
_OF_COPIES: tuple[tuple[str, str, Callable[[Standing], float | None]], ...] = (
    (
        "newest_received_timestamp_seconds",
        "When the newest snapshot was taken that the whole copy is known to have.",
        lambda each: _time(own_time(each.row.there)),
    ),
    (
        "copy_warn_after_seconds",
        "The age of what a destination has from which on it is late: more where pushes have a schedule.",
        lambda each: each.late_there.warning.total_seconds() if each.row.destination else None,
    ),
    (
        "copy_critical_after_seconds",
        "The age from which on it is very late.",
        lambda each: each.late_there.critical.total_seconds() if each.row.destination else None,
    ),
    (
        "kept_bytes",
        "What is kept on the source only because the destination is behind; no sample where it is not.",
        lambda each: each.row.kept,
    ),
)
_OF_RUNS: tuple[tuple[str, str, Callable[[Finished], float | None]], ...] = (
    ("last_run_timestamp_seconds", "When the last run ended.", _ended),
    ("last_run_exit_code", "How it ended: 0 is good.", lambda run: run.exit),
    ("last_run_duration_seconds", "How long it took.", lambda run: run.seconds),
    ("last_run_bytes", "How many bytes it moved.", lambda run: run.bytes),
)
_SUCCESS = ("last_success_timestamp_seconds", "When the last run that did all of its work ended.")


def families(
    standings: Collection[Standing], runs: Iterable[Finished], version: str, unread: Collection[str] = ()
) -> tuple[Family, ...]:
    """All metrics, in a fixed order.

    ``runs`` is the history, oldest first; ``unread`` are the datasets that could not be read, of which the
    standings tell no more than the history does.
    """
    trees: dict[Labels, Standing] = {(each.row.dataset,): each for each in standings}
    copies: dict[Labels, Standing] = {(each.row.dataset, each.row.destination): each for each in standings}
    last = {key: each.row.last for key, each in copies.items() if each.row.last is not None}
    good: dict[Labels, Finished] = {(run.dataset, run.destination): run for run in runs if run.good}
    available = {key: float(key[0] not in unread) for key in sorted(trees)}
    read = f"{PREFIX}dataset_available", "1 where the tree could be read when this was written, else 0."
    return (
        # By trees as all else, so that the files of several jobs beside each other never tell the same twice.
        Family(
            f"{PREFIX}build_info",
            "The version that wrote this, as a label.",
            (*TREE, "version"),
            {(*key, version): 1.0 for key in sorted(trees)},
        ),
        Family(*read, TREE, available),
        *_families(_OF_TREES, TREE, trees),
        *_families(_OF_COPIES, COPY, copies),
        *_families(_OF_RUNS, COPY, last),
        *_families(((*_SUCCESS, _ended),), COPY, {key: run for key, run in good.items() if key in copies}),
    )


def _families(
    table: Iterable[tuple[str, str, Callable[[Thing], float | None]]],
    labels: Labels,
    things: Mapping[Labels, Thing],
) -> Iterator[Family]:
    for name, about, value in table:
        found = ((key, value(things[key])) for key in sorted(things))
        samples = {key: float(each) for key, each in found if each is not None and isfinite(each)}
        yield Family(f"{PREFIX}{name}", about, labels, samples)

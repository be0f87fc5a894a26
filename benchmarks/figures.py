# SPDX-License-Identifier: GPL-3.0-or-later
"""Measured runs as a table with medians and ratios."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from .ground import Run

Row = tuple[str, Sequence[Run]]
_HEAD = (
    f"{'':<24}{'median s':>9}{'min':>8}{'max':>8}{'to (a)':>8}{'to (b)':>8}"
    f"{'processes':>11}{'zfs s/r':>9}{'ssh':>5}{'CPU s s/r':>15}"
)


def median(runs: Sequence[Run]) -> float:
    """The median of the runs' seconds."""
    return statistics.median(run.seconds for run in runs)


def ratio(runs: Sequence[Run], to: Sequence[Run]) -> float:
    """How many times as long these took as those, by their medians."""
    return median(runs) / median(to)


def table(title: str, rows: Sequence[Row], a: str = "", b: str = "") -> Iterator[str]:
    """Lines of a table. ``a`` and ``b`` name the rows that the ratios refer to, where there are such."""
    by_name = dict(rows)
    yield ""
    yield f"{title} ({max(len(runs) for _, runs in rows)} runs each)"
    yield _HEAD
    for name, runs in rows:
        yield _line(name, runs, by_name.get(a), by_name.get(b))


def _line(name: str, runs: Sequence[Run], a: Sequence[Run] | None, b: Sequence[Run] | None) -> str:
    last = runs[-1]
    seconds = [run.seconds for run in runs]
    processes = last.processes["source"] + last.processes["receiver"]
    calls = f"{last.zfs('source')}/{last.zfs('receiver')}"
    cpu = [statistics.median(run.cpu_seconds[side] for run in runs) for side in ("source", "receiver")]
    return (
        f"{name:<24}{median(runs):>9.1f}{min(seconds):>8.1f}{max(seconds):>8.1f}"
        f"{_ratio(runs, a):>8}{_ratio(runs, b):>8}"
        f"{processes:>11}{calls:>9}{last.connections:>5}{cpu[0]:>8.1f}/{cpu[1]:<6.1f}"
    )


def _ratio(runs: Sequence[Run], to: Sequence[Run] | None) -> str:
    return "" if to is None else f"{ratio(runs, to):.2f}"

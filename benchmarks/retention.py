# SPDX-License-Identifier: GPL-3.0-or-later
"""What judging one dataset with very many snapshots costs, by each kind of retention rule.

Prints a table of medians, with the same for half as many snapshots beside it; exits 1 where --seconds is
given and a median is above it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cyber_zfs_backup.model.ages import parse_age
from cyber_zfs_backup.model.names import own_name, own_time
from cyber_zfs_backup.plan.kinds import KeepLast, KeepWithin, Union
from cyber_zfs_backup.plan.retention import Buckets, Rule
from cyber_zfs_backup.plan.windows import Windows, parse_window

NEWEST = datetime(2026, 11, 23, 2, tzinfo=UTC)
NOW = NEWEST + timedelta(hours=1)
STEP = timedelta(minutes=10)
WINDOWS = ("2d/10min", "14d/1h", "6 months/1d", "forever/1 month")


def rules() -> Mapping[str, Rule]:
    """The rules that are measured, by what the table calls them."""
    windows = Windows(tuple(map(parse_window, WINDOWS)), NOW)
    default, last, within = Buckets(31, 12, 36), KeepLast(1000), KeepWithin(parse_age("1 month"), NOW)
    return {
        "buckets": default,
        "with hours": Buckets(31, 12, 36, hours=48),
        "last": last,
        "within": within,
        "4 windows": windows,
        "union of all": Union((default, last, within, windows)),
    }


def names(count: int) -> list[str]:
    """So many own names, one every ten minutes, newest first."""
    return [own_name(NEWEST - number * STEP) for number in range(count)]


def seconds(rule: Rule, judged: list[str]) -> float:
    """How long one judgment takes, none of the names' times being known yet."""
    own_time.cache_clear()
    began = time.perf_counter()
    rulings = rule.judge(judged)
    took = time.perf_counter() - began
    if len(rulings) != len(judged) or not rulings[0].keep or all(ruling.keep for ruling in rulings):
        raise RuntimeError("not the judgment that was to be measured")
    return took


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure retention rules on one dataset.")
    parser.add_argument("--snapshots", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5, help="runs of each rule (default %(default)s)")
    parser.add_argument("--seconds", type=float, help="exit 1 where a median is above this")
    arguments = parser.parse_args()
    whole = names(arguments.snapshots)
    half = whole[: len(whole) // 2]
    measured: dict[str, list[tuple[float, float]]] = {label: [] for label in rules()}
    for _ in range(arguments.runs):
        for label, rule in rules().items():
            measured[label].append((seconds(rule, half), seconds(rule, whole)))
    print(f"{len(whole)} snapshots of one dataset, and half of them")
    print(f"{'rule':<14}{'median s':>10}{'min':>8}{'max':>8}{'half s':>8}{'ratio':>7}{'us each':>9}")
    good = True
    for label, pairs in measured.items():
        took = [pair[1] for pair in pairs]
        middle, of_half = statistics.median(took), statistics.median(pair[0] for pair in pairs)
        print(
            f"{label:<14}{middle:>10.3f}{min(took):>8.3f}{max(took):>8.3f}{of_half:>8.3f}"
            f"{middle / of_half:>7.2f}{middle / len(whole) * 1e6:>9.2f}"
        )
        good = good and (arguments.seconds is None or middle <= arguments.seconds)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

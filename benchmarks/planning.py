# SPDX-License-Identifier: GPL-3.0-or-later
"""What planning costs on a very large tree: from the text of the listings to the finished plan.

The text is made up beforehand and lies in files; each measurement is a process of its own, so that its
peak memory is its own. Prints a table; exits 1 where --seconds or --mib is given and exceeded.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from benchmarks import listings
from cyber_zfs_backup.plan import destroy
from cyber_zfs_backup.plan.push import PushPlan, PushQuestion, plan_push
from cyber_zfs_backup.plan.retention import Buckets
from cyber_zfs_backup.zfs import parse

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCE, RECEIVER = "zippy/zippy", "offsite/zippy"
PLANS = ("push", "expire")
MIB = 1024.0  # ru_maxrss is in KiB on Linux


def main() -> int:
    """Measure and print, or (with --plan) make one plan and print what it cost."""
    parser = argparse.ArgumentParser(description="Measure planning from the listings' text.")
    parser.add_argument("--datasets", type=int, default=1000)
    parser.add_argument("--snapshots", type=int, default=500, help="of each dataset (default %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each plan (default %(default)s)")
    parser.add_argument("--seconds", type=float, help="exit 1 where a median is above this")
    parser.add_argument("--mib", type=float, help="exit 1 where a peak of memory is above this")
    parser.add_argument("--plan", choices=PLANS, help="make this plan once, from --folder, and print JSON")
    parser.add_argument("--folder", type=Path, help="where the listings lie, with --plan")
    parser.add_argument("--profile", action="store_true", help="with --plan: print where the time goes")
    arguments = parser.parse_args()
    if arguments.plan:
        if arguments.profile:
            return _profiled(arguments.plan, arguments.folder)
        print(json.dumps(one(arguments.plan, arguments.folder)))
        return 0
    with tempfile.TemporaryDirectory(prefix="planning-benchmark-") as name:
        folder = Path(name)
        write_listings(folder, listings.Shape(arguments.datasets, arguments.snapshots))
        return table(folder, arguments)


def table(folder: Path, arguments: argparse.Namespace) -> int:
    """Measure each plan several times, in turn, and print."""
    measured: dict[str, list[dict[str, float]]] = {plan: [] for plan in PLANS}
    for _ in range(arguments.runs):
        for plan, rows in measured.items():
            rows.append(in_new_process(plan, folder))
    count = arguments.datasets * arguments.snapshots
    print(f"{arguments.datasets} datasets, {arguments.snapshots} snapshots each ({count} on each side)")
    print(f"{'plan':<8}{'median s':>10}{'min':>8}{'max':>8}{'parse s':>10}{'peak MiB':>10}{'steps':>8}")
    good = True
    for plan, rows in measured.items():
        seconds = [row["seconds"] for row in rows]
        middle, peak = statistics.median(seconds), max(row["mib"] for row in rows)
        parsing = statistics.median(row["parsing"] for row in rows)
        print(
            f"{plan:<8}{middle:>10.2f}{min(seconds):>8.2f}{max(seconds):>8.2f}"
            f"{parsing:>10.2f}{peak:>10.0f}{rows[0]['steps']:>8.0f}"
        )
        good = good and (arguments.seconds is None or middle <= arguments.seconds)
        good = good and (arguments.mib is None or peak <= arguments.mib)
    return 0 if good else 1


def in_new_process(plan: str, folder: Path) -> dict[str, float]:
    """What one plan cost in a fresh interpreter."""
    argv = [sys.executable, "-m", "benchmarks.planning", "--plan", plan, "--folder", str(folder)]
    done = subprocess.run(argv, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def write_listings(folder: Path, shape: listings.Shape) -> None:
    """Write what both sides would print; line by line, so that this process stays small.

    Linux counts a parent's peak as its child's until the child has a larger one.
    """
    _write(folder / "source.all", listings.all_properties(shape, SOURCE))
    _write(folder / "source.list", listings.snapshots(shape, SOURCE, first_txg=1000))
    _write(folder / "receiver.partial", listings.partial_properties(shape, RECEIVER))
    _write(folder / "receiver.list", listings.snapshots(shape, RECEIVER, first_txg=500, lacking=1))


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("w") as file:
        file.writelines(lines)


def one(plan: str, folder: Path) -> dict[str, float]:
    """Make one plan from the text, and say what it cost. The files are read before the clock starts."""
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    began = time.monotonic()
    parsed, steps = push(texts) if plan == "push" else expire(texts)
    ended = time.monotonic()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB
    return {"seconds": ended - began, "parsing": parsed - began, "mib": peak, "steps": steps}


def push(texts: dict[str, str]) -> tuple[float, int]:
    """The push's plan from the whole question; answers when parsing was done, and the number of steps."""
    source = parse.tree(
        SOURCE, parse.properties(texts["source.all"]), parse.snapshots(texts["source.list"]), complete=True
    )
    receiver = parse.tree(
        RECEIVER,
        parse.properties(texts["receiver.partial"]),
        parse.snapshots(texts["receiver.list"]),
        complete=True,
    )
    parsed = time.monotonic()
    target = source.datasets[""].snapshots[-1].name
    plan = plan_push(PushQuestion(source=source, receiver=receiver, target=target))
    if not isinstance(plan, PushPlan) or len(plan.steps) != len(source.datasets):
        raise RuntimeError(f"not the plan that was to be measured: {plan}")
    return parsed, len(plan.steps)


def expire(texts: dict[str, str]) -> tuple[float, int]:
    """The expiry's plan with the default rule; the steps are snapshots that go."""
    source = parse.tree(
        SOURCE, parse.properties(texts["source.all"]), parse.snapshots(texts["source.list"]), complete=True
    )
    parsed = time.monotonic()
    terms = destroy.Terms(Buckets(31, 12, 36), listings.NEWEST + timedelta(hours=1), force_lots=True)
    plan = destroy.finish(destroy.candidates(source, terms), {})
    if len(plan.commands) != 1:
        raise RuntimeError(f"not the plan that was to be measured: {len(plan.commands)} commands")
    return parsed, plan.count


def _profiled(plan: str, folder: Path) -> int:
    import cProfile  # noqa: PLC0415 - only here
    import pstats  # noqa: PLC0415 - only here

    with cProfile.Profile() as profile:
        one(plan, folder)
    pstats.Stats(profile).sort_stats("tottime").print_stats(15)
    return 0


if __name__ == "__main__":
    sys.exit(main())

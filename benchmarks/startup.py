# SPDX-License-Identifier: GPL-3.0-or-later
"""What `cyber-zfs-backup --version` costs, against ``python3 -c 'import argparse'``.

The two alternate, so that a busy machine slows both. Prints a table; exits 1 where the ratio of the
medians is above --most.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent

WAYS = {
    "bare": [sys.executable, "-c", "pass"],
    "argparse": [sys.executable, "-c", "import argparse"],
    "--version": [sys.executable, "-m", "cyber_zfs_backup", "--version"],
    "--help": [sys.executable, "-m", "cyber_zfs_backup", "--help"],
}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure how quick the command is to start.")
    parser.add_argument("--runs", type=int, default=20, help="runs of each (default %(default)s)")
    parser.add_argument("--most", type=float, help="exit 1 where --version takes more than this many times")
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for way in WAYS:
        once(way)  # compiles what is to be compiled; not counted
    for number in range(arguments.runs):
        for way in WAYS if number % 2 == 0 else reversed(WAYS):
            seconds[way].append(once(way))
    reference = statistics.median(seconds["argparse"])
    print(f"{'way':<12}{'median ms':>10}{'min':>8}{'max':>8}{'ratio':>8}")
    for way, values in seconds.items():
        middle = statistics.median(values)
        print(
            f"{way:<12}{middle * 1000:>10.1f}{min(values) * 1000:>8.1f}{max(values) * 1000:>8.1f}"
            f"{middle / reference:>8.2f}"
        )
    ratio = statistics.median(seconds["--version"]) / reference
    return 0 if arguments.most is None or ratio <= arguments.most else 1


def once(way: str) -> float:
    """Run it once and answer the seconds from its start to its end."""
    began = time.monotonic()
    subprocess.run(WAYS[way], cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page of ``report`` costs: seconds and bytes, for many datasets with years of history.

*command*: ``cyber-zfs-backup report`` as a process of its own, on one tree; in the place of zfs stands a
script that prints made-up listings at once. *trees*: as many trees with one dataset each, each with a run a
night to one destination; from the values to the page's text, reading nothing. Prints a table; exits 1 where
--seconds or --mb is given and exceeded.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from benchmarks import listings
from cyber_zfs_backup.actions.history import FILE
from cyber_zfs_backup.actions.journal import LIMIT
from cyber_zfs_backup.actions.report_html import html
from cyber_zfs_backup.model.history import Finished, line
from cyber_zfs_backup.plan.ledger import Record, encode
from cyber_zfs_backup.plan.report_page import report_page
from cyber_zfs_backup.zfs.properties import BASE_PREFIX
from tests.browser import made

CHECKOUT = Path(__file__).resolve().parent.parent
ROOT, TO = "zippy/zippy", "offsite:offsite/zippy"
YEARS_DAYS = 3 * 365
# What this does not know it fails at, as a zfs that is older would: that is a line on the page.
ZFS = """\
#!/bin/sh
case "$*" in
"get -Hp -r "*) exec cat "${0%/*}/properties" ;;
*snapshot,bookmark*) exec cat "${0%/*}/snapshots" ;;
*userrefs*) exit 0 ;;
esac
echo "not here: $*" >&2
exit 2
"""

Measure = Callable[[], tuple[float, int]]
"""Does it once; answers seconds, and the page's bytes."""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the report's page.")
    parser.add_argument("--datasets", type=int, default=200)
    parser.add_argument("--snapshots", type=int, default=80, help="of each dataset (default %(default)s)")
    parser.add_argument("--per-day", type=int, default=24, help="runs on record (default %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default %(default)s)")
    parser.add_argument("--seconds", type=float, help="exit 1 where a median is above this")
    parser.add_argument(
        "--mb", type=float, help="exit 1 where a page has more than so many millions of bytes"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="report-benchmark-") as name:
        folder = Path(name)
        size = write(folder, listings.Shape(arguments.datasets, arguments.snapshots), arguments.per_day)
        print(f"{arguments.datasets} datasets, {YEARS_DAYS} days, a history of {size / 1e6:.1f} MB")
        measures = {"command": lambda: command(folder), "trees": trees(arguments.datasets)}
        return table(measures, arguments)


def table(measures: dict[str, Measure], arguments: argparse.Namespace) -> int:
    """Measure each several times, in turn, and print."""
    measured: dict[str, list[tuple[float, int]]] = {label: [] for label in measures}
    for _ in range(arguments.runs):
        for label, measure in measures.items():
            measured[label].append(measure())
    print(f"{'':<10}{'median s':>10}{'min':>8}{'max':>8}{'MB':>8}")
    good = True
    for label, found in measured.items():
        took = [seconds for seconds, _ in found]
        middle, millions = statistics.median(took), found[-1][1] / 1e6
        print(f"{label:<10}{middle:>10.2f}{min(took):>8.2f}{max(took):>8.2f}{millions:>8.2f}")
        good = good and (arguments.seconds is None or middle <= arguments.seconds)
        good = good and (arguments.mb is None or millions <= arguments.mb)
    return 0 if good else 1


def write(folder: Path, shape: listings.Shape, per_day: int) -> int:
    """The listings, the script that prints them, and the history. Answers the history's size."""
    properties = "".join(listings.all_properties(shape, ROOT))
    record = encode(Record(TO, base=shape.names[-1]))
    (folder / "properties").write_text(f"{properties}{ROOT}\t{BASE_PREFIX}{'0' * 16}\t{record}\tlocal\n")
    (folder / "snapshots").write_text("".join(listings.snapshots(shape, ROOT, first_txg=1000)))
    (folder / "zfs").write_text(ZFS)
    (folder / "zfs").chmod(0o755)
    # No more than the program itself would keep.
    history = "".join(map(line, runs(per_day)))[-LIMIT:]
    (folder / FILE).write_text(history)
    return len(history)


def runs(per_day: int) -> Iterator[Finished]:
    """Runs of three years; a few failed."""
    step = timedelta(days=1) / per_day
    for number in reversed(range(YEARS_DAYS * per_day)):
        bad = number % 97 == 96
        moment = listings.NEWEST - number * step
        yield Finished(
            ROOT,
            TO,
            moment,
            3.5,
            75 if bad else 0,
            bytes=number * 7919,
            error="push: no route to host" if bad else "",
        )


def command(folder: Path) -> tuple[float, int]:
    """The command as a process of its own."""
    page = folder / "web"
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ.get('PATH', os.defpath)}",
        "STATE_DIRECTORY": str(folder),
    }
    argv = [sys.executable, "-m", "cyber_zfs_backup", "report", "--dataset", ROOT, "--output", str(page)]
    began = time.perf_counter()
    subprocess.run(argv, cwd=CHECKOUT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began, (page / "index.html").stat().st_size


def trees(count: int) -> Measure:
    """The page of so many trees, from values that are made beforehand."""
    seen, record = made.machine(count, 1, days=YEARS_DAYS, destinations=1)

    def measure() -> tuple[float, int]:
        began = time.perf_counter()
        text = html(report_page("zippy", made.NOW, seen, record))
        return time.perf_counter() - began, len(text.encode())

    return measure


if __name__ == "__main__":
    sys.exit(main())

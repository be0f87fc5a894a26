# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked often: ``status --offline`` of a large tree, and ``run`` where nothing is due.

In the place of zfs stands a script that prints made-up listings at once, and writes down that it was called.
A configuration file declares the tree, with one destination. *python* is the interpreter alone, *zfs* the
script with one listing: what the others cannot be below. Prints a table of wall and CPU seconds (with the
children's) and of calls of zfs; exits 1 where --status or --run is given and exceeded by a median, or where a
run asked more than once.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import listings
from cyber_zfs_backup.actions.history import FILE
from cyber_zfs_backup.model.history import Finished, line
from cyber_zfs_backup.plan.ledger import Record, encode
from cyber_zfs_backup.zfs.properties import BASE_PREFIX

CHECKOUT = Path(__file__).resolve().parent.parent
ROOT, TO = "zippy/zippy", "offsite:offsite/zippy"
CONFIG = f"""\
[destination.offsite]
dataset = "offsite/zippy"

[[dataset]]
name = "{ROOT}"
destinations = ["offsite"]
schedule = "yearly"
"""
ZFS = """\
#!/bin/sh
echo "$*" >> "${0%/*}/calls"
case "$*" in
"get -Hp -r "*) exec cat "${0%/*}/properties" ;;
*) exec cat "${0%/*}/newest" ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Took:
    """What one call took: seconds, seconds of CPU, and calls of zfs."""

    wall: float
    cpu: float
    calls: int


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what is asked often.")
    parser.add_argument("--datasets", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=7, help="runs of each (default %(default)s)")
    parser.add_argument("--status", type=float, help="exit 1 where a status takes more seconds")
    parser.add_argument("--run", type=float, help="exit 1 where a run takes more seconds of CPU")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="looks-benchmark-") as name:
        folder = Path(name)
        write(folder, listings.Shape(arguments.datasets, 1))
        config = ["--config", str(folder / "config.toml")]
        ours = [sys.executable, "-m", "cyber_zfs_backup"]
        calls = {
            "python": [sys.executable, "-c", "pass"],
            "zfs": [str(folder / "zfs"), "get", "-Hp", "-r", ROOT],
            "status": [*ours, "status", "--offline", *config],
            "run": [*ours, "run", *config],
        }
        measured = measure(folder, calls, arguments.runs)
    print(f"{arguments.datasets} datasets\n{'':<8}{'median s':>10}{'min':>8}{'max':>8}{'CPU s':>8}{'zfs':>5}")
    for label, found in measured.items():
        walls = [each.wall for each in found]
        print(
            f"{label:<8}{statistics.median(walls):>10.2f}{min(walls):>8.2f}{max(walls):>8.2f}"
            f"{cpu(found):>8.2f}{found[-1].calls:>5}"
        )
    status, run = measured["status"], measured["run"]
    good = arguments.status is None or statistics.median(each.wall for each in status) <= arguments.status
    good = good and (arguments.run is None or cpu(run) <= arguments.run)
    return 0 if good and run[-1].calls == 1 else 1


def cpu(found: list[Took]) -> float:
    """The median of the seconds of CPU."""
    return statistics.median(each.cpu for each in found)


def measure(folder: Path, calls: dict[str, list[str]], runs: int) -> dict[str, list[Took]]:
    """Each several times, in turn; the first round, in which a run learns the file, does not count."""
    measured: dict[str, list[Took]] = {label: [] for label in calls}
    for turn in range(runs + 1):
        for label, argv in calls.items():
            took = once(folder, argv)
            if turn:
                measured[label].append(took)
    return measured


def once(folder: Path, argv: list[str]) -> Took:
    """One call as a process of its own."""
    log = folder / "calls"
    log.write_text("")
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ.get('PATH', os.defpath)}",
        "STATE_DIRECTORY": str(folder / "state"),
    }
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(argv, cwd=CHECKOUT, env=environment, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Took(wall, used, len(log.read_text().splitlines()))


def write(folder: Path, shape: listings.Shape) -> None:
    """The listings, the script that prints them, the configuration, and a run on record that pushed all."""
    (newest,) = shape.names
    record = encode(Record(TO, base=newest))
    properties = "".join(listings.all_properties(shape, ROOT))
    (folder / "properties").write_text(f"{properties}{ROOT}\t{BASE_PREFIX}{'0' * 16}\t{record}\tlocal\n")
    (folder / "newest").write_text(f"{ROOT}@{newest}\t7000000000000000001\t1000\n")
    (folder / "zfs").write_text(ZFS)
    (folder / "zfs").chmod(0o755)
    (folder / "config.toml").write_text(CONFIG)
    (folder / "state").mkdir(mode=0o700)
    pushed = Finished(ROOT, TO, datetime.now(UTC), 3.5, 0, target=newest)
    (folder / "state" / FILE).write_text(line(pushed))


if __name__ == "__main__":
    sys.exit(main())

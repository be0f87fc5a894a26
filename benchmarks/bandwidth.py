#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How exactly hosts/stream.py keeps a limit on its bytes, and what keeping it costs.

Each measurement moves zeros from ``head`` to ``cat`` for some seconds, through one transfer or several at
once with one limit. Prints the target, the median of the measured rates, its error in percent, the
highest rate over half a second as a multiple of the target (so that bursts show), and the processor
seconds of this process (threads, without children) for each GiB and each second. Exits 1 where an error
is above --most-error.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cyber_zfs_backup.config.rates import parse_rate
from cyber_zfs_backup.hosts.bandwidth import Bandwidth
from cyber_zfs_backup.hosts.local import LocalHost
from cyber_zfs_backup.hosts.stream import ProcessLink

_GIB = 1 << 30
_SINK = ["sh", "-c", "exec cat >/dev/null"]
_RATES = ("100k", "1M", "10M", "50M", "200M")
_WINDOW = 0.5


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure how exactly hosts/stream.py keeps a limit.")
    parser.add_argument(
        "--rates", nargs="+", type=parse_rate, default=[parse_rate(rate) for rate in _RATES], metavar="RATE"
    )
    parser.add_argument("--transfers", nargs="+", type=int, default=[1, 4], help="how many at a time")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a run (default %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each (default %(default)s)")
    parser.add_argument(
        "--most-error", type=float, default=5.0, help="exit 1 above so many percent (default %(default)s)"
    )
    arguments = parser.parse_args()
    head = (f"{'target':>12}", f"{'at once':>8}", f"{'measured':>12}", f"{'error %':>8}", f"{'worst %':>8}")
    print(*head, f"{'peak':>6}", f"{'CPU s/GiB':>10}", f"{'CPU s/s':>8}", flush=True)
    worst = 0.0
    for rate in arguments.rates:
        for transfers in arguments.transfers:
            runs = [measure(rate, transfers, arguments.seconds) for _ in range(arguments.runs)]
            middle = statistics.median(run.rate for run in runs)
            errors = [100 * (run.rate / rate - 1) for run in runs]
            error = statistics.median(errors)
            worst = max(worst, abs(error))
            print(
                f"{rate / 1024:>8.0f} KiB",
                f"{transfers:>8}",
                f"{middle / 1024:>8.0f} KiB",
                f"{error:>8.2f}",
                f"{max(errors, key=abs):>8.2f}",
                f"{statistics.median(run.peak for run in runs) / rate:>6.2f}",
                f"{statistics.median(run.processor / run.moved * _GIB for run in runs):>10.3f}",
                f"{statistics.median(run.processor / run.seconds for run in runs):>8.4f}",
                flush=True,
            )
    print(f"\nworst median error {worst:.2f} percent, allowed {arguments.most_error}")
    return 0 if worst <= arguments.most_error else 1


@dataclass(frozen=True, slots=True)
class Run:
    """One run: bytes, seconds from first to last byte, processor seconds; ``peak`` is in bytes per second."""

    moved: int
    seconds: float
    processor: float
    peak: float

    @property
    def rate(self) -> float:
        """Bytes per second."""
        return self.moved / self.seconds


@dataclass(slots=True)
class Count:
    """What has moved, and when."""

    moved: int = 0
    marks: list[tuple[float, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, count: int) -> None:
        with self.lock:
            self.moved += count
            self.marks.append((time.monotonic(), self.moved))


def measure(rate: int, transfers: int, seconds: float) -> Run:
    """Move about ``rate * seconds`` bytes through so many transfers at once."""
    link = ProcessLink(LocalHost(), LocalHost(), stall=60.0, bandwidth=Bandwidth(rate))
    counted = Count()
    send = ["head", "-c", str(int(rate * seconds / transfers)), "/dev/zero"]
    threads = [
        threading.Thread(target=lambda: link.transfer([send], [_SINK], on_bytes=counted))
        for _ in range(transfers)
    ]
    spent, began = time.process_time(), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    processor, took = time.process_time() - spent, time.monotonic() - began
    if counted.moved != int(rate * seconds / transfers) * transfers:
        raise RuntimeError(f"only {counted.moved} bytes have moved")
    return Run(counted.moved, took, processor, peak(counted.marks, began))


def peak(marks: list[tuple[float, int]], began: float) -> float:
    """The highest rate over ``_WINDOW`` seconds, the first of which begin with the run."""
    highest = 0.0
    first = 0
    marks = [(began, 0), *marks]
    for now, moved in marks:
        while now - marks[first][0] > _WINDOW:
            first += 1
        since = marks[max(0, first - 1)]
        highest = max(highest, (moved - since[1]) / max(_WINDOW, now - since[0]))
    return highest


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast hosts/stream.py moves bytes, against the bare pipe ``cat FILE | ssh HOST 'cat >/dev/null'``.

Starts an sshd of its own on loopback; both ways use the same ssh command, and so the same cipher.
The runs alternate, so that a busy machine slows both. Needs OpenSSH's client and server, nothing
else; prints a table, and exits 1 where the ratio of the medians is below --least.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cyber_zfs_backup.hosts.local import LocalHost
from cyber_zfs_backup.hosts.ssh import SshHost
from cyber_zfs_backup.hosts.stream import ProcessLink
from tests.sshd.server import ScratchSshd

_CHUNK = 1 << 20
_SINK = ["sh", "-c", "exec cat >/dev/null"]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure hosts/stream.py against a bare pipe, on loopback.")
    parser.add_argument(
        "--mib", type=int, default=1024, help="size of the stream in MiB (default %(default)s)"
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of each way (default %(default)s)")
    parser.add_argument(
        "--least",
        type=float,
        default=0.0,
        help="exit 1 where our way has less than this of the bare pipe's speed",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stream-benchmark-") as name:
        folder = Path(name)
        data = folder / "data"
        with data.open("wb") as file:
            for _ in range(arguments.mib):
                file.write(os.urandom(_CHUNK))
        (folder / "sshd").mkdir()
        server = ScratchSshd(folder / "sshd")
        try:
            runs = measure(server, data, arguments.runs)
        finally:
            server.stop()
    bare_speed = statistics.median(run.speed for run in runs["bare"])
    print(f"\n{'way':<8}{'median MB/s':>12}{'best':>8}{'ratio':>8}{'processor s':>13}")
    for way, made in runs.items():
        median = statistics.median(run.speed for run in made)
        best = max(run.speed for run in made)
        processor = statistics.median(run.processor for run in made)
        print(f"{way:<8}{median:>12.0f}{best:>8.0f}{median / bare_speed:>8.3f}{processor:>13.2f}")
    ratio = statistics.median(run.speed for run in runs["ours"]) / bare_speed
    return 0 if ratio >= arguments.least else 1


@dataclass(frozen=True, slots=True)
class Run:
    """One run: MB/s, and the processor seconds of this side (cat, ssh and we, without sshd)."""

    speed: float
    processor: float


def measure(server: ScratchSshd, data: Path, rounds: int) -> dict[str, list[Run]]:
    """Run both ways in turn; answers the runs of each way."""
    host = SshHost("scratch", str(server.config_file))
    ways: dict[str, Callable[[], None]] = {"bare": lambda: bare(host, data), "ours": lambda: ours(host, data)}
    runs: dict[str, list[Run]] = {way: [] for way in ways}
    bare(host, data)  # once for the caches, not counted
    for number in range(rounds):
        # Every other round the other way round, so that neither always follows the other.
        for way in ways if number % 2 == 0 else reversed(ways):
            began, spent = time.monotonic(), processor_time()
            ways[way]()
            took = time.monotonic() - began
            runs[way].append(Run(data.stat().st_size / 1e6 / took, processor_time() - spent))
            print(f"{way:<8}{took:8.2f} s{runs[way][-1].speed:8.0f} MB/s", flush=True)
    return runs


def processor_time() -> float:
    """Answer the seconds that this process and its ended children have used."""
    return sum(os.times()[:4])


def bare(host: SshHost, data: Path) -> None:
    """``cat FILE | ssh HOST 'cat >/dev/null'``, as a shell would join them."""
    with subprocess.Popen(["cat", str(data)], stdout=subprocess.PIPE) as source:
        subprocess.run(host.data_command([_SINK]), stdin=source.stdout, env=host.env, check=True)
        if source.stdout is not None:
            source.stdout.close()
    if source.returncode != 0:
        raise RuntimeError("cat failed")


def ours(host: SshHost, data: Path) -> None:
    """The same bytes through a link."""
    transfer = ProcessLink(LocalHost(), host, stall=60.0).transfer([["cat", str(data)]], [_SINK])
    if not transfer.ok or transfer.bytes_moved != data.stat().st_size:
        raise RuntimeError(f"the transfer failed: {transfer}")


if __name__ == "__main__":
    sys.exit(main())

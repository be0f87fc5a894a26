# SPDX-License-Identifier: GPL-3.0-or-later
"""What a push costs on real OpenZFS, against the reference's way and the bare pipeline by hand.

All in one run in the guest, the contenders in turn, each with a receiving pool of its own. Prints
tables; README.rst says what is compared with what.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.guest.channel import GuestError
from tests.guest.guest import Guest
from tests.guest.image import console_report, image
from tests.guest.keeper import attach
from tests.guest.machine import Machine
from tests.guest.prepare import install_missing
from tests.guest.recipe import Suite

from .figures import Row, median, ratio, table
from .ground import FailedRunError, Ground, Run, expire_script, our_expire, ours, script, traced

SOURCE, BIG = "bmsrc", "bmbig"
AUTO = "bmauto"
FIRST, SMALL_COPY, BIG_COPY = "bmfirst", "bmsmallto", "bmbigto"
PARTS = ("first", "push", "noop", "trace", "expire", "netem", "four")
EXTRA = 5
"""Snapshots that an expiry destroys."""

A, B = "(a) reference's way", "(b) bare pipeline"
LANE = "ours, auto, one lane"
WAYS = {"auto": "ours, auto", "lane": LANE, "replicate": "ours, replicate", "reference": A, "bare": B}
POOLS = {LANE: "bmlane", "ours, replicate": "bmrepl", A: "bmref", B: "bmbare"}
"""The receiver of each way but the first, whose receiver is ``AUTO``."""


def way_of(name: str, target: str) -> list[str]:
    """The command of one of the ways to push the same tree; ``target`` is told only who cannot find it."""
    if name == A:
        return script("reference", SOURCE, POOLS[A], target)
    if name == B:
        return script("bare", SOURCE, POOLS[B], target)
    if name == LANE:
        return ours(SOURCE, POOLS[LANE], "--lanes", "1")
    if name == "ours, replicate":
        return ours(SOURCE, POOLS[name], "--send-mode", "replicate")
    return ours(SOURCE, AUTO)


class Benchmark:
    """One run of the script."""

    def __init__(self, ground: Ground, options: argparse.Namespace) -> None:
        self.ground = ground
        self.options = options
        self.ways = [WAYS[way] for way in options.ways]
        self.target = ""
        self.missed: list[str] = []

    def run(self) -> None:
        """All parts that are asked for, in the order in which they are named."""
        parts: dict[str, Callable[[], None]] = {
            "push": self.push,
            "noop": self.noop,
            "trace": self.trace,
            "expire": self.expire,
            "netem": self.netem,
            "four": self.four,
        }
        self.ground.clean()
        self.ground.install()
        say(f"a tree of {self.options.datasets} datasets with {self.options.snapshots} snapshots each")
        self.ground.pool(SOURCE)
        self.ground.tree(SOURCE, self.options.datasets, self.options.snapshots)
        self.receivers()
        for part in self.options.parts:
            if part in parts:
                parts[part]()
                say(load())

    def receivers(self) -> None:
        """A receiver for each contender, all with the same history."""
        self.target = self.ground.change(SOURCE)
        if "first" in self.options.parts:
            self.first()
        else:
            say("receivers as copies of the source's pool")
            self.ground.copy(SOURCE, AUTO)
            self.ground.quieten(f"{AUTO}/tree")
            self.run_once("ours, taking the copy over", ours(SOURCE, AUTO))
        for way in self.ways:
            if way in POOLS:
                self.ground.copy(AUTO, POOLS[way])
        # The record and the hold of a destination must be there, as after any earlier push.
        for way in self.ways:
            if way == B:
                self.run_once("(b), taking the copy over", [*way_of(B, self.target), "adopt"])
            elif way in POOLS and way != A:
                self.run_once("ours, taking the copy over", way_of(way, self.target))

    def first(self) -> None:
        """The first push, ours and the reference's, once each: it takes minutes."""
        self.ground.pool(AUTO)
        mine = self.run_once("ours, first push", ours(SOURCE, AUTO, "--force-non-incremental"))
        self.ground.pool(FIRST)
        theirs = self.run_once("(a) first push", script("reference", SOURCE, FIRST, self.target, "first"))
        self.ground.drop(FIRST)
        show("first push", [("ours, auto", [mine]), (A, [theirs])], A)

    def push(self) -> None:
        """The incremental push of one small change in each dataset."""
        rows: dict[str, list[Run]] = {way: [] for way in self.ways}
        # The first is no ordinary one and does not count: nobody knows yet which properties the copies have.
        for number in range(self.options.rounds + 1):
            self.target = self.ground.change(SOURCE)
            for way in turned(self.ways, number):
                run = self.run_once(f"push {number}: {way}", way_of(way, self.target))
                if number:
                    rows[way].append(run)
        show("incremental push", list(rows.items()), A, B)
        for other, limit in ((A, self.options.most_a), (B, self.options.most_b)):
            if limit is not None:
                self.hold_to(f"ours, auto, to {other}", ratio(rows["ours, auto"], rows[other]), limit)

    def noop(self) -> None:
        """A push with nothing new."""
        rows: dict[str, list[Run]] = {way: [] for way in self.ways if way in ("ours, auto", A, B)}
        for number in range(self.options.rounds):
            for way in turned(list(rows), number):
                rows[way].append(self.run_once(f"nothing new {number + 1}: {way}", way_of(way, self.target)))
        show("nothing new", list(rows.items()), A, B)

    def expire(self) -> None:
        """The expiry of a few snapshots on every dataset."""
        rows: dict[str, list[Run]] = {"ours": [], A: []}
        for number in range(self.options.rounds):
            for way in turned(list(rows), number):
                names = [self.ground.snapshot(SOURCE) for _ in range(EXTRA + 1)]
                argv = our_expire(SOURCE) if way == "ours" else expire_script(SOURCE, names[:-1])
                rows[way].append(self.run_once(f"expire {number + 1}: {way}", argv))
        show(f"expire of {EXTRA} or {EXTRA + 1} snapshots of each dataset", list(rows.items()), A)

    def netem(self) -> None:
        """The incremental push with and without a long way between the hosts."""
        milliseconds = self.options.netem_ms
        rows: dict[str, list[Run]] = {"without delay": [], f"{milliseconds} ms round trip": []}
        self.run_once("push: what has piled up", ours(SOURCE, AUTO))
        for number in range(self.options.rounds):
            for way in turned(list(rows), number):
                self.ground.change(SOURCE)
                self.ground.delay(0 if way == "without delay" else milliseconds)
                try:
                    rows[way].append(self.run_once(f"push {number + 1}: {way}", ours(SOURCE, AUTO)))
                finally:
                    self.ground.delay(0)
        show("incremental push, ours, over a long way", list(rows.items()), "without delay")
        near, far = (median(runs) for runs in rows.values())
        print(f"difference of the medians: {far - near:.1f} s", flush=True)
        if self.options.most_netem is not None:
            self.hold_to("seconds that the long way costs", far - near, self.options.most_netem)

    def four(self) -> None:
        """The incremental push of the same tree with four times the snapshots."""
        datasets, snapshots = self.options.datasets, self.options.snapshots
        self.ground.drop(*POOLS.values(), AUTO, SOURCE)
        rows: dict[str, list[Run]] = {}
        for source, receiver, count in ((SOURCE, SMALL_COPY, snapshots), (BIG, BIG_COPY, 4 * snapshots)):
            say(f"a tree with {count} snapshots a dataset, and its copy")
            self.ground.pool(source)
            self.ground.tree(source, datasets, count)
            self.ground.copy(source, receiver)
            self.ground.quieten(f"{receiver}/tree")
            self.run_once("ours, taking the copy over", ours(source, receiver))
            rows[f"ours, {count} snapshots"] = []
        ways = dict(zip(rows, ((SOURCE, SMALL_COPY), (BIG, BIG_COPY)), strict=True))
        for number in range(self.options.rounds + 1):
            for way in turned(list(rows), number):
                source, receiver = ways[way]
                self.ground.change(source)
                run = self.run_once(f"push {number}: {way}", ours(source, receiver))
                if number:  # as in push
                    rows[way].append(run)
        show("incremental push as snapshots pile up", list(rows.items()), next(iter(rows)))
        if self.options.most_four is not None:
            few, many = rows.values()
            self.hold_to("four times the snapshots", ratio(many, few), self.options.most_four)

    def trace(self) -> None:
        """One incremental push of ours and a second without anything new, command by command."""
        self.ground.change(SOURCE)
        for what, argv in (
            ("incremental push", ours(SOURCE, AUTO)),
            ("nothing new", ours(SOURCE, AUTO)),
            ("expire", our_expire(SOURCE)),
        ):
            run = self.ground.measured(traced(argv))
            print(f"\n{what}, {run.seconds:.1f} s; CPU seconds {run.cpu}\n{run.stderr}", flush=True)

    def hold_to(self, what: str, figure: float, limit: float) -> None:
        """Note a figure that is not reached."""
        verdict = "reached" if figure <= limit else "MISSED"
        print(f"{what}: {figure:.2f}, to be at most {limit:g}: {verdict}", flush=True)
        if figure > limit:
            self.missed.append(what)

    def run_once(self, what: str, argv: Sequence[str]) -> Run:
        """Measure one command and say how long it took."""
        run = self.ground.measured(argv)
        say(f"{what}: {run.seconds:.1f} s")
        return run


def turned(ways: list[str], number: int) -> list[str]:
    """The same in another order each time, so that none always follows the same other."""
    number %= len(ways)
    return ways[number:] + ways[:number]


def show(title: str, rows: Sequence[Row], a: str = "", b: str = "") -> None:
    """Print a table."""
    print("\n".join(table(title, rows, a, b)), flush=True)


def say(line: str) -> None:
    """Tell on stderr how far it is."""
    print(line, file=sys.stderr, flush=True)


def load() -> str:
    """How busy the machine is; figures of a busy one are worth less."""
    return f"load average of this machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"


@contextlib.contextmanager
def guest_for(options: argparse.Namespace) -> Iterator[Guest]:
    """A guest of its own, or (--attach) the one that is up."""
    suite = Suite(options.suite)
    if options.attach:
        shared = attach(suite)
        if shared is None:
            raise GuestError("no guest is up: python3 -m tests.guest up")
        yield shared
        shared.channel.close()
        return
    install_missing(console_report)
    machine = Machine(image(suite, console_report), console_report)
    try:
        yield machine
    finally:
        machine.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = _parser()
    options = parser.parse_args(arguments)
    for limit, way in ((options.most_a, "reference"), (options.most_b, "bare")):
        if limit is not None and not {"auto", way} <= set(options.ways):
            parser.error(f"nothing can be compared with {way}: it is not among the --ways")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the guest is ended
    if options.small:
        options.datasets, options.snapshots, options.rounds = 4, 4, 1
    if options.times_four:
        options.parts = [*options.parts, "four"]
    model = next(
        (line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ""
    )
    print(f"{options.suite}, {model.partition(': ')[2]}, {load()}", flush=True)
    try:
        with guest_for(options) as guest:
            benchmark = Benchmark(Ground(guest), options)
            try:
                benchmark.run()
            finally:
                benchmark.ground.clean()
            missed = benchmark.missed
    except (GuestError, FailedRunError) as error:
        say(f"benchmark: {error}")
        return 1
    print(load())
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks.push", description=__doc__)
    parser.add_argument("--datasets", type=int, default=20, help="the root among them (default %(default)s)")
    parser.add_argument("--snapshots", type=int, default=44, help="of each dataset (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contender (default %(default)s)")
    parser.add_argument("--times-four", action="store_true", help="also with four times the snapshots")
    parser.add_argument("--netem-ms", type=int, default=200, help="round trip (default %(default)s)")
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=list(PARTS[:-1]),
        help="what to measure (default: all but four)",
    )
    parser.add_argument(
        "--ways", nargs="+", choices=WAYS, default=[way for way in WAYS if way != "lane"], help="who pushes"
    )
    for word, what in (
        ("a", "ours takes more than this many times (a)"),
        ("b", "ours takes more than this many times (b)"),
        ("four", "four times the snapshots take more than this many times as long"),
        ("netem", "the long way costs more than this many seconds"),
    ):
        parser.add_argument(f"--most-{word}", type=float, metavar="N", help=f"exit 1 where {what}")
    parser.add_argument("--suite", choices=[suite.value for suite in Suite], default=Suite.BOOKWORM.value)
    parser.add_argument("--attach", action="store_true", help="use the guest that is up")
    parser.add_argument("--small", action="store_true", help="a tree of 4 datasets, one round: does it work?")
    return parser


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays faults one after the other on the same tree, and holds each of them against what must be true."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..channel import GuestError, Result, Running
from ..ground import Ran
from ..lab import Lab, Product
from .battlefield import MEBI, TOTAL, Battlefield
from .plan import Fault, Kind, Phase, fault

STRIKER = "/opt/faults/striker.py"
RATE = "delay 5ms limit 100000 rate 16mbit"
"""The line of a faulted push: the streams take some seconds, so that they can be caught in the middle."""
STRETCH = {
    Phase.CONNECT: 1.5,
    Phase.PREPARE: 0.3,
    Phase.STREAM: 0.0,
    Phase.CONFIRM: 1.2,
    Phase.EXPIRE: 0.3,
    Phase.MIRROR: 0.3,
}
"""Seconds into a phase at which it may still strike."""
ATTEMPTS = 4
BUSY_FOR = 60.0
ENDS_WITHIN = 240.0
AGAIN = 3 * MEBI // 2
"""Bytes that may be sent twice: what was on its way, and had not reached the pool."""
ENDED_BY_SIGNAL = {Kind.KILL: -9, Kind.TERM: 143, Kind.INT: 130}


@dataclass(slots=True)
class Played:
    """A fault that was really hit, and what came of it."""

    fault: Fault
    struck: dict[str, Any]
    status: int | None = None
    """The struck run's exit status; None where nobody is left to tell."""
    said: str = ""
    waited: float = 0.0
    again: int = 0
    """Bytes that were sent a second time."""
    missed: int = 0
    wrongs: list[str] = field(default_factory=list)
    healed: bool = False
    seconds: float = 0.0


class Campaign:
    """The faults of one seed."""

    def __init__(self, lab: Lab, product: Product, seed: int) -> None:
        self.lab = lab
        self.product = product
        self.seed = seed
        self.played: list[Played] = []
        self._field: Battlefield | None = None
        lab.guest.put(Path(__file__).with_name("striker.py"), STRIKER)
        # A reset loses what was not written yet.
        lab.guest.run(["sync"]).check()

    def play(self, number: int) -> Played:
        """Play one fault, healed or not; one that was missed is played again with another moment."""
        for attempt in range(ATTEMPTS):
            began = time.monotonic()
            wanted = fault(self.seed, number, attempt)
            here = self._ready(wanted)
            played = self._strike(here, wanted)
            if not played.struck["hit"]:
                continue
            played.missed = attempt
            self.played.append(played)
            # Whatever goes wrong from here on, the next fault begins with new pools.
            self._field = None
            self._heal(here, played)
            played.seconds = time.monotonic() - began
            if played.healed:
                self._field = here
            return played
        raise AssertionError(f"{wanted} (seed {self.seed}) was missed {ATTEMPTS} times: {played.struck}")

    def _ready(self, wanted: Fault) -> Battlefield:
        """The tree with new data in it; a new one for a first push, or where the last fault did not heal."""
        here = self._field
        if here is None or wanted.first:
            here = Battlefield(self.lab, self.product)
            if not wanted.first:
                pushed = here.run(wanted.mode, first=True)
                assert pushed.status == 0, pushed.errors
        here.write(between=wanted.between)
        return here

    # The strike

    def _strike(self, here: Battlefield, wanted: Fault) -> Played:
        if wanted.kind is Kind.FULL:
            return self._fill(here, wanted)
        host = here.ground.host
        played = Played(wanted, {"hit": False})
        with contextlib.ExitStack() as traffic:
            if wanted.kind is not Kind.RESET:
                traffic.enter_context(host.netem(5, rate="16mbit"))
            striker = self._start_striker(wanted)
            running = here.ground.start(*here.arguments(wanted.mode, first=wanted.first))
            with contextlib.suppress(GuestError):
                striker.wait_for(b'"hit"', ENDS_WITHIN)
            if wanted.kind is Kind.RESET and b'"hit": true' in striker.stdout:
                self.lab.guest.reset()
                here.back_after_reset()
                played.struck = _answer(striker.stdout)
                return played
            played.struck = _answer(striker.wait(ENDS_WITHIN).check().stdout)
            ended = self._ended(here, wanted, running, hit=played.struck["hit"])
        played.status, played.said = ended.status, ended.errors
        meant = ENDED_BY_SIGNAL.get(wanted.kind, ended.status)
        if played.struck["hit"] and ended.status != meant:
            if ended.status != 0:
                played.wrongs.append(f"the struck run ended with {ended.status}, not {meant}")
            else:
                played.struck = {"hit": False, "why": "the signal came too late"}
        if wanted.kind is Kind.SSHD:
            host.touched.add(host.name)
            host.begin()
        return played

    def _start_striker(self, wanted: Fault) -> Running:
        verbs = ("snapshot", "hold", "set")
        order = {
            "kind": wanted.kind.value,
            "phase": wanted.phase.value,
            "bytes": int(TOTAL * wanted.fraction),
            "delay": STRETCH[wanted.phase] * wanted.fraction,
            "verb": verbs[int(wanted.fraction * 1000) % len(verbs)],
            "seconds": wanted.seconds,
            "percent": int(10 + 20 * wanted.fraction),
            "traffic": RATE.split(),
        }
        striker = self.lab.guest.start(["python3", STRIKER, json.dumps(order)], timeout=ENDS_WITHIN * 2)
        striker.feed(b"", end=True)
        striker.wait_for(b"ready")
        return striker

    def _ended(self, here: Battlefield, wanted: Fault, running: Running, *, hit: bool) -> Result:
        """Wait for the end of the struck run; one whose cable is cut is ended by hand, then plugged in."""
        if wanted.kind is not Kind.CUT or not hit:
            return running.wait(ENDS_WITHIN)
        host = here.ground.host
        host.touched.add(host.name)
        try:
            time.sleep(wanted.seconds)
            number = signal.SIGKILL if wanted.number % 2 else signal.SIGTERM
            running.signal(number)
            return running.wait(ENDS_WITHIN)
        finally:
            self.lab.guest.run(["ip", "link", "set", f"v-{host.name}", "up"]).check()

    def _fill(self, here: Battlefield, wanted: Fault) -> Played:
        """A receiver's pool that takes a part of the data, and no more."""
        room = int(TOTAL * wanted.fraction * 0.8)
        with self._little_room(here, room):
            ran = here.ground.run(*here.arguments(wanted.mode, first=wanted.first))
        hit = "no-space" in ran.problems()
        played = Played(wanted, {"hit": hit, "why": "all of it had room", "arrived": room}, ran.status)
        played.said = ran.errors
        if hit and ran.status not in (1, 3):
            played.wrongs.append(f"a full receiver, and exit {ran.status}")
        return played

    @staticmethod
    @contextlib.contextmanager
    def _little_room(here: Battlefield, amount: int) -> Iterator[None]:
        here.leave_room(amount)
        try:
            yield
        finally:
            here.free_room()

    # What must be true afterwards

    def _heal(self, here: Battlefield, played: Played) -> None:
        """One run must bring all in order, and the next one must have nothing to do nor to ask."""
        played.waited = self._wait_while_busy(here)
        mode, first = played.fault.mode, played.fault.first
        healing = here.run(mode, first=first)
        self._judge(played, here, healing)
        if not played.wrongs:
            idle = here.run(mode, full_run=False)
            push = idle.action("push")
            if (idle.status, push["outcome"], push["figures"]["data_connections"]) != (0, "nothing", 0):
                played.wrongs.append(
                    f"the run after it had something to do: exit {idle.status}\n{idle.errors}"
                )
            if "asking both sides for all" in idle.errors:
                played.wrongs.append(f"the run after it asked the whole question:\n{idle.errors}")
        played.healed = not played.wrongs

    def _judge(self, played: Played, here: Battlefield, healing: Ran) -> None:
        if healing.status != 0:
            played.wrongs.append(f"the next run ended with {healing.status}:\n{healing.errors}")
            return
        figures = healing.action("push")["figures"]
        left = TOTAL - min(TOTAL, int(played.struck["arrived"]))
        played.again = max(0, int(figures["bytes"]) - left)
        wrongs = here.look().wrongs(figures["target"])
        # A reset loses what no transaction group had written yet; how much of it fits a full pool is a guess.
        if played.again > AGAIN and played.fault.kind not in (Kind.RESET, Kind.FULL):
            wrongs.append(f"{played.again} bytes were sent again")
        if wrongs:
            played.wrongs += [*wrongs, f"the next run said:\n{healing.errors}"]

    @staticmethod
    def _wait_while_busy(here: Battlefield) -> float:
        """The receiver's side of a dead connection may live a little longer."""
        began = time.monotonic()
        if not here.busy():
            return 0.0
        while time.monotonic() < began + BUSY_FOR and here.busy():
            time.sleep(1)
        return time.monotonic() - began


def _answer(said: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(said.decode().splitlines()[-1])
    return answer

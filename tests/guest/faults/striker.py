# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the guest beside a push: watches its processes, waits for a moment, and strikes.

Here and not outside because a question from outside costs as long as a whole phase of a push. Standard
library only. Its argument is a JSON object (see ``Striker``); it prints ``ready``, and at last one line of
JSON that says what it hit.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PROGRAM = ["-m", "cyber_zfs_backup"]
LINK = "v-alpha"
NAMESPACE = "/run/netns/alpha"
TICK = 0.03
SLOW_TICK = 0.1
"""In a stream: that lasts, and where only bytes count nothing is missed."""
SETTLED = 5
"""Looks after which a process is what it will be: a look costs time that the push needs."""
STARTS_WITHIN = 60.0
VICTIM_WITHIN = 2.0
SIGNALS = {"our SIGKILL": signal.SIGKILL, "our SIGTERM": signal.SIGTERM, "our SIGINT": signal.SIGINT}


@dataclass(frozen=True, slots=True)
class Process:
    """A process that lives."""

    pid: int
    parent: int
    words: tuple[str, ...]

    def is_zfs(self, *verbs: str) -> bool:
        """Whether it is a zfs command of one of these kinds (an estimate by ``-nv`` does not count)."""
        return (
            len(self.words) > 2
            and self.words[0].rpartition("/")[2] == "zfs"
            and self.words[1] in verbs
            and not self.words[2].startswith("-n")
        )

    @property
    def is_sshd(self) -> bool:
        """Whether it serves ssh connections (newer ones are called sshd-session)."""
        return bool(self.words) and self.words[0].rpartition("/")[2].startswith("sshd")


def look(pid: int) -> Process | None:
    """One process; None where it is gone, or dead and only not waited for."""
    with contextlib.suppress(OSError, IndexError):
        with open(f"/proc/{pid}/stat") as file:
            state, parent = file.read().rpartition(")")[2].split()[:2]
        with open(f"/proc/{pid}/cmdline") as file:
            words = file.read().rstrip("\0").split("\0")
        if state not in "ZX" and words != [""]:
            return Process(pid, int(parent), tuple(words))
    return None


def numbers() -> set[int]:
    """All process ids."""
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


class Striker:
    """One fault: ``kind`` and ``phase`` as in plan.py; ``bytes`` to have arrived before a strike in
    mid-stream; ``delay`` seconds into any other phase; ``seconds`` that trouble of the network lasts;
    ``traffic`` is netem's usual line."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.old = numbers()
        self.processes: dict[int, Process] = {}
        self.looks: dict[int, int] = {}
        self.main: Process | None = None
        self.arrived_at: dict[int, int] = {}
        self.data_seen = False
        self.sends_seen = False
        self.began = time.monotonic()

    def run(self) -> dict[str, Any]:
        """Wait for the moment and strike; answers what came of it."""
        if not self.wait(lambda: self.main is not None, STARTS_WITHIN):
            return {"hit": False, "why": "the program did not start"}
        self.began = time.monotonic()
        if not self.wait(self.due, 600.0):
            return {"hit": False, "why": "the run ended before the moment"}
        if self.order["phase"] != "mid-stream":
            time.sleep(self.order["delay"])
        return self.strike()

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Look at the processes again and again until the condition holds; False where the run has ended."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            self.watch()
            if condition():
                return True
            if self.main is not None and look(self.main.pid) is None:
                return False
            time.sleep(SLOW_TICK if self.order["phase"] == "mid-stream" else TICK)
        return False

    def watch(self) -> None:
        """See which processes there are now."""
        before, self.processes = self.processes, {}
        for pid in numbers() - self.old - {os.getpid()}:
            self.looks[pid] = self.looks.get(pid, 0) + 1
            known = before.get(pid) if self.looks[pid] > SETTLED else None
            process = known or look(pid)
            if process is not None:
                self.processes[pid] = process
        if self.main is None:
            # The first one: a child has the same words until it becomes what it is for.
            ours = (pid for pid, process in self.processes.items() if list(process.words[1:3]) == PROGRAM)
            self.main = self.processes.get(min(ours, default=0))
        self.sends_seen = self.sends_seen or bool(self.zfs("send"))
        for session in map(self.session_of, self.zfs("receive")):
            if session is not None:
                self.data_seen = True
                self.arrived_at[session.pid] = written(session.pid)

    def zfs(self, *verbs: str) -> list[Process]:
        """The zfs commands of these kinds that run."""
        return [process for process in self.processes.values() if process.is_zfs(*verbs)]

    def session_of(self, process: Process) -> Process | None:
        """The sshd that a process on the receiver was started by."""
        above = self.processes.get(process.parent)
        while above is not None and not above.is_sshd:
            above = self.processes.get(above.parent)
        return above

    def data_ssh(self) -> list[Process]:
        """The program's own ssh processes."""
        return [
            process
            for process in self.processes.values()
            if process.words[0].rpartition("/")[2] == "ssh"
            and self.main is not None
            and process.parent == self.main.pid
        ]

    def due(self) -> bool:
        """Whether the moment has come."""
        phase = self.order["phase"]
        if phase == "connecting":
            return any(process.is_sshd for process in self.processes.values())
        if phase == "snapshot and hold":
            return not self.sends_seen and bool(self.zfs(self.order["verb"]))
        if phase == "mid-stream":
            return sum(self.arrived_at.values()) >= int(self.order["bytes"])
        if phase == "confirming":
            return self.data_seen and not self.data_ssh() and not self.zfs("receive", "send")
        pool = "tank/" if phase == "expire" else "vault/"
        return any(process.words[-1].startswith(pool) for process in self.zfs("destroy"))

    def strike(self) -> dict[str, Any]:
        """Do it, if the run is still under way."""
        kind = self.order["kind"]
        self.looks.clear()
        self.watch()
        if self.main is None or look(self.main.pid) is None:
            return {"hit": False, "why": "the run ended before the strike"}
        answer: dict[str, Any] = {
            "hit": True,
            "arrived": sum(self.arrived_at.values()),
            "after": round(time.monotonic() - self.began, 2),
            "running": sorted(" ".join(process.words)[:160] for process in self.zfs(*ALL)),
        }
        if kind in SIGNALS:
            os.kill(self.main.pid, SIGNALS[kind])
        elif kind in VICTIMS or kind == "whole sshd killed":
            answer |= self.kill(kind)
        elif kind in ("all packets lost for a while", "many packets lost"):
            self.lose(kind)
        elif kind == "cable cut":
            subprocess.run(["ip", "link", "set", LINK, "down"], check=True)
        return answer

    def kill(self, kind: str) -> dict[str, Any]:
        """Kill what the kind names; between two streams it may take a moment until there is one."""
        limit = time.monotonic() + VICTIM_WITHIN
        while time.monotonic() < limit:
            victims = self.all_sshd() if kind == "whole sshd killed" else VICTIMS[kind](self)[:1]
            if victims:
                for victim in victims:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(victim.pid, signal.SIGKILL)
                return {"victim": " ".join(victims[0].words)[:160]}
            time.sleep(TICK)
            self.looks.clear()
            self.watch()
        return {"hit": False, "why": "there was no such process"}

    def sessions(self) -> list[Process]:
        """The sshd processes that bulk data comes in through."""
        found = (self.session_of(process) for process in self.zfs("receive"))
        return [session for session in found if session is not None]

    @staticmethod
    def all_sshd() -> list[Process]:
        """The host's sshd and all its sessions."""
        inside = os.stat(NAMESPACE).st_ino
        found = []
        for pid in numbers():
            with contextlib.suppress(OSError):
                process = look(pid)
                if (
                    process is not None
                    and process.is_sshd
                    and os.stat(f"/proc/{pid}/ns/net").st_ino == inside
                ):
                    found.append(process)
        return found

    def lose(self, kind: str) -> None:
        """Lose packets in both directions for a while."""
        percent = 100 if kind.startswith("all") else self.order["percent"]
        for extra in (["loss", f"{percent}%"], []):
            words = ["root", "netem", *self.order["traffic"], *extra]
            subprocess.run(["tc", "qdisc", "replace", "dev", LINK, *words], check=True)
            inside = ["nsenter", f"--net={NAMESPACE}", "tc", "qdisc", "replace", "dev", "eth0"]
            subprocess.run([*inside, *words], check=True)
            if extra:
                time.sleep(self.order["seconds"])


def written(pid: int) -> int:
    """How many bytes a process has written: for an sshd session nearly all are the stream's."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/io") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("wchar"))
    return 0


ALL = ("get", "list", "set", "inherit", "snapshot", "hold", "release", "send", "receive", "destroy")
VICTIMS: dict[str, Callable[[Striker], list[Process]]] = {
    "zfs send killed": lambda striker: striker.zfs("send"),
    "zfs receive killed": lambda striker: striker.zfs("receive"),
    "data ssh killed": lambda striker: striker.data_ssh(),
    "sshd session killed": lambda striker: striker.sessions(),
}

if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    made = Striker(order)
    print("ready", flush=True)
    print(json.dumps(made.run()), flush=True)

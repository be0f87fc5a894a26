# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one command in the guest, and say how long it took and which processes it cost, as JSON.

``measure.py SSHD_PID_FILE COMMAND...``. Standard library only. Processes are counted by the kernel's
own accounting (acct(2)): it sees all of them, on both sides of an ssh connection, and slows none. What
descends from the command belongs to the source; what descends from the sshd of that file, to the receiver.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICKS = 100.0
"""Accounting's ticks a second (AHZ)."""
RECORD = struct.Struct("<BBHIIIIIIfHHHHHHHH16s")
"""struct acct_v3 of linux/acct.h: flag, version, tty, status, uid, gid, pid, ppid, begin, elapsed,
user time, system time, ..., command."""
NEVER_EXECUTED = 0x01
KERNEL = 2
PATIENCE = 10.0
"""Seconds that sshd may take to end the sessions of a command that has ended."""
TAIL = 4000


@dataclass(frozen=True, slots=True)
class Ended:
    """One process that has ended; ``executed`` is false for a fork that became no other program."""

    pid: int
    parent: int
    program: str
    executed: bool
    cpu: float


def main(argv: list[str]) -> int:
    """Measure and print."""
    sshd = int(Path(argv[0]).read_text())
    with tempfile.NamedTemporaryFile(prefix="acct-", dir="/run") as book:
        before = _sessions(sshd)
        _account(book.name)
        try:
            began = time.monotonic()
            child = subprocess.Popen(
                argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            out, err = child.communicate()
            seconds = time.monotonic() - began
            deadline = time.monotonic() + PATIENCE
            while _sessions(sshd) - before and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            _account(None)
        ended = _ended(Path(book.name).read_bytes())
    answer: dict[str, Any] = {
        "seconds": seconds,
        "status": child.returncode,
        "stdout": out.decode(errors="replace")[-TAIL:],
        "stderr": err.decode(errors="replace")[-TAIL:],
        **_counts(ended, child.pid, sshd),
    }
    print(json.dumps(answer))
    return 0


def _account(path: str | None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.acct(None if path is None else path.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"acct: {os.strerror(number)}")


def _sessions(sshd: int) -> set[int]:
    """The processes that a listening sshd has for its connections."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The program's name stands in brackets and may hold anything.
            if int(status.read_text().rpartition(")")[2].split()[1]) == sshd:
                found.add(int(status.parent.name))
    return found


def _ended(data: bytes) -> list[Ended]:
    whole = len(data) // RECORD.size * RECORD.size
    ended = []
    for fields in RECORD.iter_unpack(data[:whole]):
        flag, pid, parent, user, system = (fields[place] for place in (0, 6, 7, 10, 11))
        program = fields[18].rstrip(b"\0").decode(errors="replace")
        cpu = (_uncompressed(user) + _uncompressed(system)) / TICKS
        ended.append(Ended(pid, parent, program, not flag & NEVER_EXECUTED, cpu))
    return ended


def _uncompressed(value: int) -> int:
    """A comp_t: 13 bits, and an exponent of 3 bits to the base 8."""
    mantissa, exponent = value & 0x1FFF, value >> 13
    return mantissa << (3 * exponent)


def _counts(ended: list[Ended], command: int, sshd: int) -> dict[str, Any]:
    """Programs run and seconds of CPU on each side, processes (forks too), and ssh connections."""
    parents = {process.pid: process.parent for process in ended}
    programs: dict[str, collections.Counter[str]] = {
        "source": collections.Counter(),
        "receiver": collections.Counter(),
    }
    cpu: dict[str, dict[str, float]] = {"source": {}, "receiver": {}}
    processes = {"source": 0, "receiver": 0}
    for process in ended:
        side = _side(process.pid, parents, command, sshd)
        if side is None or process.parent == KERNEL:
            continue
        processes[side] += 1
        if process.executed or process.pid == command:
            programs[side][process.program] += 1
        cpu[side][process.program] = cpu[side].get(process.program, 0.0) + process.cpu
    return {
        "programs": programs,
        "cpu": cpu,
        "processes": processes,
        "connections": sum(process.parent == sshd for process in ended),
    }


def _side(pid: int, parents: dict[int, int], command: int, sshd: int) -> str | None:
    at: int | None = pid
    while at is not None:
        if at == command:
            return "source"
        if at == sshd:
            return "receiver"
        at = parents.get(at)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

# SPDX-License-Identifier: GPL-3.0-or-later
"""What is gathered from the guest when a test fails."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import cache
from .channel import GuestError, Result
from .guest import Guest

SHOWN_LINES = 120
SHOWN_BYTES = 3000

QUESTIONS = r"""
echo '--- zpool status'; zpool status 2>&1
echo '--- zfs list'; zfs list -t all -o name,used,refer,guid,createtxg,receive_resume_token 2>&1 | tail -n 60
for pool in $(zpool list -H -o name); do
    echo "--- history of $pool"
    zpool history -i "$pool" | tail -n 40
done
for log in /run/lab/hosts/*/sshd.log; do echo "--- $log"; tail -n 30 "$log"; done
echo '--- processes'; ps -eo pid,ppid,stat,etimes,args --sort=pid | grep -v ' \[' | tail -n 40
echo '--- kernel'; dmesg | tail -n 30
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a test began: the time, and how many commands had ended before it."""

    when: float
    commands: int

    @classmethod
    def now(cls, guest: Guest) -> Mark:
        """Here and now."""
        return cls(time.time(), len(guest.record))


def gather(guest: Guest, mark: Mark) -> str:
    """Everything since ``mark``, as text; a guest that no longer answers is said so, not raised."""
    parts = ["=== commands", *(described(result) for result in guest.record[mark.commands :])]
    try:
        journal = ["journalctl", "--no-pager", "-q", "-o", "short-precise", f"--since=@{int(mark.when)}"]
        parts += ["=== guest", guest.try_script(QUESTIONS, timeout=60).text]
        parts += ["=== journal", guest.run(journal, timeout=60).text]
    except GuestError as error:
        parts.append(f"=== the guest does not answer: {error}")
    console = getattr(guest, "console", "")
    return "\n".join([*parts, "=== console", console[-SHOWN_BYTES:]])


def described(result: Result) -> str:
    """A command, its status and what it said, shortened."""
    ending = "timed out" if result.timed_out else f"status {result.status}"
    lines = [f"$ {' '.join(result.argv)}  [{ending}, {result.seconds:.1f} s]"]
    for name, data in (("out", result.stdout), ("err", result.stderr)):
        if data:
            text = data[:SHOWN_BYTES].decode(errors="replace").rstrip()
            more = f" ... {len(data)} bytes" if len(data) > SHOWN_BYTES else ""
            lines += [f"  {name}| {line}" for line in text.splitlines()] + (
                [f"  {name}|{more}"] if more else []
            )
    return "\n".join(lines)


def save(text: str, test: str) -> Path:
    """Write the evidence below the cache folder and answer where."""
    folder = cache.cache_folder() / "evidence"
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", test)[-100:]
    path = folder / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{name}.txt"
    path.write_text(text)
    return path


def shortened(text: str) -> str:
    """The end of the evidence, for the report."""
    lines: Sequence[str] = text.splitlines()
    left = len(lines) - SHOWN_LINES
    return "\n".join(([f"... {left} lines before"] if left > 0 else []) + list(lines[-SHOWN_LINES:]))

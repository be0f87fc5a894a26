# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gatekeeper remembers of a client, in a folder that only the client's user can write.

``seen``: how far the pool had come when (see ``plan/floors.py``), a line a day: seconds since 1970, and the
open transaction group. ``WHAT-DAY``: how much was used on that day. ``slot-N``: locked while a receive runs.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ..plan.floors import Mark, in_order

_DAY = 24 * 60 * 60


class BookError(Exception):
    """The record cannot be read or written; the message says which file, and why."""


class Book:
    """The record in one folder. All raise ``BookError``."""

    def __init__(self, folder: Path, kstat: Path = Path("/proc/spl/kstat/zfs")) -> None:
        self._folder = folder
        self._kstat = kstat

    def mark(self, pool: str) -> None:
        """Note how far the pool is now, where the kernel tells."""
        try:
            txg = int((self._kstat / pool / "txgs").read_text().splitlines()[-1].split()[0])
        except (OSError, ValueError, IndexError):
            return
        with self._file("seen") as fd:
            fcntl.flock(fd, fcntl.LOCK_EX)
            now, size = int(time.time()), os.fstat(fd).st_size
            *_, last, cut = b"", *os.pread(fd, 64, max(0, size - 64)).split(b"\n")
            again = last[:10].isdigit() and int(last[:10]) // _DAY == now // _DAY
            # Over the mark of this day, and a line that a crash has cut off; it is shorter than neither.
            at = size - len(cut) - again * (len(last) + 1)
            os.pwrite(fd, b"%010d %020d\n" % (now, txg), at)

    def marks(self) -> list[Mark]:
        """All marks, in order."""
        with self._file("seen") as fd, open(fd, closefd=False) as file:
            # A line that a crash has cut off is left out.
            rows = [line.split() for line in file if line.endswith("\n")]
            return in_order(Mark(float(time), int(txg)) for time, txg in rows)

    def spend(self, what: str, amount: int, limit: int) -> int:
        """Use some of today's allowance; answers how much was left of it for that. Less than 0 gives back."""
        with self._file(f"{what}-{datetime.now(UTC).date()}") as fd:
            fcntl.flock(fd, fcntl.LOCK_EX)
            used = int(os.pread(fd, 20, 0) or b"0")
            granted = min(amount, max(0, limit - used))
            os.pwrite(fd, b"%020d" % (used + granted), 0)
            return granted

    @contextmanager
    def slot(self, count: int) -> Iterator[bool]:
        """Take one of so many slots; False where all are taken. What is run in our place keeps it."""
        for number in range(count):
            with self._file(f"slot-{number}") as fd:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                os.set_inheritable(fd, True)
                yield True
                return
        yield False

    @contextmanager
    def _file(self, name: str) -> Iterator[int]:
        path = self._folder / name
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                yield fd
            finally:
                os.close(fd)
        except (OSError, ValueError) as error:
            raise BookError(f"{path}: {error}") from None

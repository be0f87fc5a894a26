# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of one JSON object a line that grow at their end.

Several processes may write to one, and none fills a disk. What a crash or a full disk has left half written
is skipped by the reader and closed off by the next writer.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT = 8 << 20
"""Bytes: some 25,000 runs. The older half goes where a file would grow beyond that."""


def state_folder() -> Path:
    """Where what outlives a run is kept: the service's own state directory, the package's, or the user's."""
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    if os.geteuid() == 0:
        return Path("/var/lib/cyber-zfs-backup")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "cyber-zfs-backup"


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file: which file that was, and how many bytes of it lie before."""

    inode: int
    offset: int


@dataclass(frozen=True, slots=True)
class Journal:
    """One such file. ``limit`` is in bytes."""

    path: Path
    limit: int = LIMIT

    def add(self, lines: Sequence[str]) -> None:
        """Add lines, each with its end: all of them or none. Raises ``OSError``."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = "".join(lines).encode()
        with self._locked() as file:
            size = os.fstat(file).st_size
            if size and os.pread(file, 1, size - 1) != b"\n":
                # The writer before us died in the middle of its line.
                data = b"\n" + data
            if size + len(data) > self.limit:
                self._halve(file, size, data)
                return
            try:
                _write(file, data)
            except OSError:
                os.ftruncate(file, size)
                raise

    def rows(self) -> Iterator[dict[str, Any]]:
        """The objects, oldest first; none where there is no file. Raises ``OSError``."""
        with suppress(FileNotFoundError), self.path.open("rb") as file:
            yield from _objects(file)

    def since(self, mark: Mark | None) -> tuple[list[dict[str, Any]], Mark | None]:
        """The objects that were added after a mark (``None``: all), and the mark behind them.

        All of them, too, where the file is another one than it was, its older half having gone; the mark is
        ``None`` where there is no file. Raises ``OSError``.
        """
        try:
            with self.path.open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                begin = mark.offset if mark is not None and mark.inode == inode else 0
                file.seek(begin)
                data = file.read()
        except FileNotFoundError:
            return [], None
        # A line that is being written is read when it is whole.
        whole = data[: data.rfind(b"\n") + 1]
        return list(_objects(whole.splitlines())), Mark(inode, begin + len(whole))

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file, open and ours alone. It is asked for again where another writer has replaced it."""
        while True:
            file = os.open(
                self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if _is_at(file, self.path):
                    yield file
                    return
            finally:
                os.close(file)

    def _halve(self, file: int, size: int, data: bytes) -> None:
        """Put a file with the newer half, and ``data``, in this one's place."""
        room = max(0, self.limit // 2 - len(data))
        kept = os.pread(file, room, max(0, size - room))
        if size > room:
            kept = kept.partition(b"\n")[2]
        beside = self.path.with_name(f"{self.path.name}.new")
        fresh = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _write(fresh, kept + data)
            os.fsync(fresh)
            beside.replace(self.path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        finally:
            os.close(fresh)


def _is_at(file: int, path: Path) -> bool:
    try:
        there = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    ours = os.fstat(file)
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)


def _write(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _objects(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        with suppress(ValueError):  # half a line
            row = json.loads(line)
            if isinstance(row, dict):
                yield row

# SPDX-License-Identifier: GPL-3.0-or-later
"""One push to one destination at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..config.job import Destination


class LockError(Exception):
    """The lock's file cannot be made. The message says where and what to do."""


@dataclass(frozen=True, slots=True)
class PushLock:
    """What asking for the lock came to. True where this run has it.

    ``holder`` tells, where another run has it, which process that is and since when; empty where its
    file does not say so.
    """

    holder: str | None = None

    def __bool__(self) -> bool:
        return self.holder is None


def lock_folder() -> Path:
    """Where locks live: gone after a reboot, and never in a place that others may write to."""
    if os.geteuid() == 0:
        return Path("/run/lock/cyber-zfs-backup")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "cyber-zfs-backup" if runtime else Path.home() / ".cache" / "cyber-zfs-backup"


@contextmanager
def push_lock(source: str, destination: Destination, folder: Path | None = None) -> Iterator[PushLock]:
    """Hold the lock of a source (by name) and a destination while the context lasts, or answer who has it.

    The kernel lets go of it when the process dies, however it dies. So what the file says counts only
    while somebody holds it; it is there for the person who looks for a run that hangs.
    """
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", destination.label)[:80]
    digest = hashlib.sha256(f"{source}\0{destination.label}".encode()).hexdigest()[:8]
    with _opened(folder, f"{readable}.{digest}.lock", destination.label) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield PushLock(os.pread(file, 200, 0).decode("utf-8", "replace").strip())
            return
        try:
            _sign(file, f"process {os.getpid()} since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
            yield PushLock()
        finally:
            _sign(file, "")


@contextmanager
def run_lock(folder: Path | None = None) -> Iterator[bool]:
    """Hold the lock of a look at what is due, while the context lasts; answers whether we have it.

    Raises ``LockError``.
    """
    with _opened(folder, "run.lock", "runs by the configuration file") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


@contextmanager
def _opened(folder: Path | None, name: str, of: str) -> Iterator[int]:
    place = folder if folder is not None else lock_folder()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(place / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LockError(
            f"{place}: the lock of {of} cannot be made: {error.strerror}; make it writable"
        ) from None
    try:
        yield file
    finally:
        os.close(file)


def _sign(file: int, holder: str) -> None:
    """Let the lock's file say who holds it. A full disk is no reason not to push."""
    with suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, holder.encode(), 0)

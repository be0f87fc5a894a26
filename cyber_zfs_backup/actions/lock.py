# SPDX-License-Identifier: GPL-3.0-or-later
"""One push to one destination at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..config.job import Destination


class LockError(Exception):
    """The lock's file cannot be made. The message says where and what to do."""


def lock_folder() -> Path:
    """Where locks live: gone after a reboot, and never in a place that others may write to."""
    if os.geteuid() == 0:
        return Path("/run/lock/cyber-zfs-backup")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "cyber-zfs-backup" if runtime else Path.home() / ".cache" / "cyber-zfs-backup"


@contextmanager
def push_lock(source: str, destination: Destination, folder: Path | None = None) -> Iterator[bool]:
    """Hold the destination's lock while the context lasts; answers False where another run has it.

    The kernel lets go of it when the process dies, however it dies.
    """
    place = folder if folder is not None else lock_folder()
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", destination.label)[:80]
    digest = hashlib.sha256(f"{source}\0{destination.label}".encode()).hexdigest()[:8]
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(place / f"{readable}.{digest}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LockError(
            f"{place}: the lock of {destination.label} cannot be made: {error.strerror}; make it writable"
        ) from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(file)

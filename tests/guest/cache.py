# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache folder: finished things with a marker, one maker at a time."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

MARKER = "complete.json"
BLOCK = 1 << 20


def cache_folder() -> Path:
    """``$CYBER_ZFS_BACKUP_CACHE``, or ``cyber-zfs-backup`` below the user's cache; not made here."""
    given = os.environ.get("CYBER_ZFS_BACKUP_CACHE")
    if given:
        return Path(given).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "cyber-zfs-backup"


def checksum(path: Path) -> str:
    """SHA-256 over a file's blocks and where they lie, but for blocks of zeros.

    So holes of a sparse file cost nothing, and a copy that has filled them is still the same.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        position = 0
        while position < size:
            try:
                position = os.lseek(file.fileno(), position, os.SEEK_DATA) // BLOCK * BLOCK
            except OSError:  # ENXIO: nothing but a hole up to the end
                break
            data = os.pread(file.fileno(), BLOCK, position)
            if data != bytes(len(data)):
                digest.update(b"%d:%d:" % (position, len(data)) + data)
            position += BLOCK
        digest.update(b"%d" % size)
    return digest.hexdigest()


def finish(folder: Path) -> None:
    """Mark a folder as complete: records each file's size, time and checksum, then the marker."""
    rows = {
        str(path.relative_to(folder)): _row(path, checksum(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MARKER
    }
    partial = folder / f"{MARKER}.partial"
    partial.write_text(json.dumps(rows, indent=1))
    partial.replace(folder / MARKER)


def why_broken(folder: Path, *, thorough: bool = False) -> str:
    """Why a folder cannot be used, or nothing where it can.

    Checksums are read where a file's time has changed or ``thorough`` is asked; otherwise the size
    and time must do, so that a start does not read the whole image.
    """
    try:
        rows = json.loads((folder / MARKER).read_text())
    except FileNotFoundError:
        return "it was never finished" if folder.exists() else "it is not there"
    except (OSError, ValueError) as error:
        return f"its marker cannot be read ({error})"
    for name, row in rows.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        status = path.stat()
        if status.st_size != row["size"]:
            return f"{name} has {status.st_size} bytes instead of {row['size']}"
        if (thorough or status.st_mtime_ns != row["mtime_ns"]) and checksum(path) != row["sha256"]:
            return f"{name} has another checksum"
    return ""


def made(folder: Path, make: Callable[[str], None], *, thorough: bool = False) -> None:
    """Have a folder complete. Where it is not, ``make`` is called, by one process at a time.

    It gets why there is none, finds the folder empty, and calls ``finish``.
    """
    if not thorough and not why_broken(folder):
        return
    with locked(folder):
        why = why_broken(folder, thorough=thorough)
        if why:
            discard(folder)
            folder.mkdir(parents=True)
            make(why)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder (a file beside it) against other processes, waiting for it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def discard(folder: Path) -> None:
    """Remove a folder, the marker first, so that a half-removed one is not taken for complete.

    Raises OSError where something is mounted below it, rather than reaching into that.
    """
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    inside = [point for point in mounted if Path(point).is_relative_to(folder.resolve())]
    if inside:
        raise OSError(f"not removing {folder}: {', '.join(inside)} is mounted there")
    (folder / MARKER).unlink(missing_ok=True)
    if folder.exists():
        shutil.rmtree(folder)


def _row(path: Path, sha256: str) -> dict[str, object]:
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": sha256}

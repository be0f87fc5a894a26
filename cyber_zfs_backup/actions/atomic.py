# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a whole file at once: whoever reads it sees the former one or the new one, never a part.

And makes the folder for what all may read.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write(path: str, data: bytes, mode: int, *, keep_owner: bool = False) -> None:
    """Written beside it and renamed; on the disk before it counts. Raises ``OSError``.

    A link is replaced and not followed: who may make one in that folder could point it anywhere.

    What is written beside it has a name that begins with a dot and has no suffix, so that nobody who reads a
    folder takes it for what it is not yet; it never stays. ``keep_owner``: the file's former owner stays its
    owner.
    """
    descriptor, beside = tempfile.mkstemp(prefix=".cyber-zfs-backup-", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if keep_owner:
                with contextlib.suppress(FileNotFoundError):
                    was = os.stat(path)
                    os.fchown(file.fileno(), was.st_uid, was.st_gid)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise


def make_open(folder: Path) -> None:
    """Make a folder, and those above it, for everybody to enter, whatever the umask is; what is there stays
    as it is. Raises ``OSError``."""
    if not folder.exists():
        make_open(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)

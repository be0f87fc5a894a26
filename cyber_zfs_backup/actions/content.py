# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a mounted snapshot, or in a volume: counted, listed and, of a sample, read. Writes nothing."""

from __future__ import annotations

import hashlib
import os
import random
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..plan.drill import Content

_BLOCK = 128 * 1024


@dataclass(slots=True)
class _Sample:
    """So many of a stream of names whose length nobody knows, each as likely as any other (algorithm R)."""

    size: int
    chance: random.Random
    seen: int = 0
    names: list[bytes] = field(default_factory=list)

    def offer(self, name: bytes) -> None:
        """Take it or not."""
        self.seen += 1
        if len(self.names) < self.size:
            self.names.append(name)
        elif (place := self.chance.randrange(self.seen)) < self.size:
            self.names[place] = name


def read_files(root: str, count: int, seed: int) -> Content:
    """A folder's content; ``count`` of its files are read. Of equal folders it answers equal values.

    Raises ``OSError`` for what cannot be read.
    """
    # No secret: the same seed must choose the same files on both sides, and once more for who looks closer.
    sample = _Sample(count, random.Random(seed))  # noqa: S311 - see above
    top = os.fsencode(root)
    listing, entries = hashlib.sha256(), 0
    for path, about in _walk(top, b""):
        entries += 1
        link = os.readlink(os.path.join(top, path)) if stat.S_ISLNK(about.st_mode) else b""
        size = 0 if stat.S_ISDIR(about.st_mode) else about.st_size
        numbers = (about.st_mode, about.st_uid, about.st_gid, size, about.st_mtime_ns)
        listing.update(b"%s\0%s\0%s\0" % (path, repr(numbers).encode(), link))
        if stat.S_ISREG(about.st_mode):
            sample.offer(path)
    read = ((os.fsdecode(name), _digest(os.path.join(top, name))) for name in sorted(sample.names))
    return Content(entries, listing.hexdigest(), tuple(read))


def _walk(top: bytes, inside: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    """All below a folder, in the order of names; not into what is mounted there."""
    device = os.lstat(os.path.join(top, inside)).st_dev
    waiting = [inside]
    while waiting:
        folder = waiting.pop()
        with os.scandir(os.path.join(top, folder)) as found:
            names = sorted(entry.name for entry in found)
        below = []
        for name in names:
            path = os.path.join(folder, name)
            about = os.lstat(os.path.join(top, path))
            yield path, about
            if stat.S_ISDIR(about.st_mode) and about.st_dev == device:
                below.append(path)
        waiting += reversed(below)


def _digest(path: bytes) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_volume(device: str, count: int, seed: int) -> Content:
    """A volume's size, and the digests of ``count`` of its blocks, the first and the last among them."""
    with open(device, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        blocks = max(1, -(-size // _BLOCK))
        chosen = random.Random(seed).sample(range(blocks), min(count, blocks))  # noqa: S311 - as above
        samples = []
        for number in sorted({0, blocks - 1, *chosen}):
            file.seek(number * _BLOCK)
            samples.append((str(number * _BLOCK), hashlib.sha256(file.read(_BLOCK)).hexdigest()))
    return Content(size, "", tuple(samples))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the configuration file again and again, and checks it whole only where it has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from ..config.declared import Declared
from ..config.job import UsageError
from ..config.shape import SCHEMA
from .configuration import declared_by, hostname, text_of
from .result import Surface


@dataclass(frozen=True, slots=True)
class Read:
    """What a file declares, and the digest of its text."""

    declared: Declared
    digest: str


class Reader:
    """One file, for one process."""

    def __init__(self, file: Path, surface: Surface) -> None:
        self._file = file
        self._surface = surface
        self._last: Read | None = None
        self._complained = ""

    def read(self, good: Collection[str] = ()) -> Read:
        """What the file declares now; ``good`` are digests of texts that were checked by an earlier process.

        Raises ``UsageError`` with all that is wrong. Where this process has read it before, that counts on,
        and the mistake is told once: it is being edited, and work is under way.
        """
        try:
            text = text_of(self._file)
            digest = _digest(text)
            if self._last is None or self._last.digest != digest:
                declared = declared_by(text, self._file, self._surface, known_good=digest in good)
                self._last = Read(declared, digest)
        except UsageError as error:
            if self._last is None:
                raise
            if self._complained != str(error):
                self._complained = str(error)
                self._surface.warn(f"{error}; what it said before counts on")
        return self._last


def _digest(text: str) -> str:
    """Of the text and of all that decides whether it is right."""
    parts = (__version__.encode(), hostname().encode(), SCHEMA.read_bytes(), text.encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()

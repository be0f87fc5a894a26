# SPDX-License-Identifier: GPL-3.0-or-later
"""Host keys that the user trusts, read from known_hosts files as sshd(8) describes them.

paramiko's own reader knows neither wildcards nor negation nor markers: it would overlook a @revoked
line. So the files are read here, and a key is known, changed or unknown by the same rules as ssh's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Marker(Enum):
    """What a line says about its key."""

    NONE = ""
    AUTHORITY = "@cert-authority"
    REVOKED = "@revoked"


class Verdict(Enum):
    """What the files say about a key that a server showed."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One line that is about the host: where it stands, its key's type and bytes."""

    file: str
    line: int
    marker: Marker
    algorithm: str
    blob: bytes


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """All lines about one host. ``elsewhere`` holds those for its name without the port.

    ssh accepts such a line's key on any port, but never calls a key changed because of it.
    """

    lines: tuple[KnownKey, ...]
    elsewhere: tuple[KnownKey, ...] = ()

    @property
    def authority(self) -> KnownKey | None:
        """The first line that trusts a certificate authority for this host."""
        return next((k for k in (*self.lines, *self.elsewhere) if k.marker is Marker.AUTHORITY), None)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The types of the keys that are known, which a client must prefer to get one of them shown."""
        return tuple(
            dict.fromkeys(k.algorithm for k in self._plain(self.lines) or self._plain(self.elsewhere))
        )

    def judge(self, blob: bytes) -> tuple[Verdict, KnownKey | None]:
        """Judge a key that a server showed, with the line that decided where there is one."""
        for known in (*self.lines, *self.elsewhere):
            if known.marker is Marker.REVOKED and known.blob == blob:
                return Verdict.REVOKED, known
        for known in (*self._plain(self.lines), *self._plain(self.elsewhere)):
            if known.blob == blob:
                return Verdict.KNOWN, known
        algorithm = algorithm_of(blob)
        plain = sorted(self._plain(self.lines), key=lambda known: known.algorithm != algorithm)
        return (Verdict.CHANGED, plain[0]) if plain else (Verdict.UNKNOWN, None)

    @staticmethod
    def _plain(lines: Iterable[KnownKey]) -> list[KnownKey]:
        return [known for known in lines if known.marker is Marker.NONE]


def read(files: Sequence[str], name: str, name_without_port: str | None = None) -> KnownKeys:
    """Read the lines about a host from ``files``; files that are not there or not readable count as empty."""
    lines: list[KnownKey] = []
    elsewhere: list[KnownKey] = []
    for file in files:
        try:
            text = Path(file).read_text("utf-8", "replace")
        except OSError:
            continue
        lines += _about(text, file, name)
        if name_without_port is not None and name_without_port != name:
            elsewhere += _about(text, file, name_without_port)
    return KnownKeys(tuple(lines), tuple(elsewhere))


def fingerprint(blob: bytes) -> str:
    """Answer a key's fingerprint as ssh prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def algorithm_of(blob: bytes) -> str:
    """Answer the key type that an SSH public key's bytes begin with (RFC 4253, 6.6)."""
    length = int.from_bytes(blob[:4], "big")
    return blob[4 : 4 + length].decode("ascii", "replace")


def _about(text: str, file: str, name: str) -> Iterable[KnownKey]:
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = Marker.NONE
        if words[0].startswith("@"):
            try:
                marker = Marker(words.pop(0))
            except ValueError:
                continue
        if len(words) < 3 or not _matches(words[0], name.lower()):
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except binascii.Error:
            continue
        yield KnownKey(file, number, marker, words[1], blob)


def _matches(patterns: str, name: str) -> bool:
    if patterns.startswith("|1|"):
        return _is_hash_of(patterns, name)
    matched = False
    for pattern in patterns.lower().split(","):
        wanted = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern.removeprefix("!"))
        if re.fullmatch(wanted, name):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched


def _is_hash_of(hashed: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(word) for word in hashed.split("|")[2:])
    except ValueError:
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)

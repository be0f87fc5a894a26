# SPDX-License-Identifier: GPL-3.0-or-later
"""A client's public key, as somebody hands it over: looked at byte by byte before it is allowed in."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from ..hosts.known_hosts import algorithm_of, fingerprint
from .job import UsageError

ALGORITHMS = frozenset(
    {
        "ssh-ed25519",
        *("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
        "ssh-rsa",
        *("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"),
    }
)
"""The kinds of key that OpenSSH takes today (sshd(8), AUTHORIZED_KEYS FILE FORMAT). DSA is none of them."""

MOST_BYTES = 16 * 1024
"""No public key is longer: RSA of 16384 bits has 2.8 KB of base64."""

_COMMENT = re.compile(r"[ -~]*")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One public key: its kind, its bytes as base64, and what its owner has written behind it."""

    algorithm: str
    blob: str
    comment: str

    @property
    def line(self) -> str:
        """As it stands in an authorized_keys file, behind the options."""
        return " ".join(filter(None, (self.algorithm, self.blob, self.comment)))

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen -l prints it."""
        return fingerprint(base64.b64decode(self.blob))


def public_key(data: bytes, name: str) -> PublicKey:
    """The one public key in a file's bytes; ``name`` is how messages name the file.

    Raises ``UsageError`` for anything else: a private key, several keys, options before the key, a blob that
    is no base64, or that is of another kind than its line says.
    """
    if b"PRIVATE KEY" in data:
        raise UsageError(
            f"{name} holds a private key, which must not leave its machine; name the file beside it that "
            "ends with .pub, and make a new key if this one has travelled"
        )
    if len(data) > MOST_BYTES:
        raise UsageError(
            f"{name} is longer than any public key; name a file with one line, as id_ed25519.pub"
        )
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise UsageError(f"{name} is no public key: it holds other bytes than plain text") from None
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) > 1:
        raise UsageError(f"{name} holds {len(lines)} lines; a client has one key: leave only its own line")
    if not lines:
        raise UsageError(f"{name} is empty; it must hold one line, as id_ed25519.pub does")
    return _key_in(lines[0], name)


def _key_in(line: str, name: str) -> PublicKey:
    words = line.split(None, 2)
    if words[0] not in ALGORITHMS:
        begins = "ssh-ed25519, ssh-rsa or ecdsa-sha2-nistp256, without options before it"
        raise UsageError(f"{name}: {words[0][:40]!r} is no kind of key; its line must begin with {begins}")
    if len(words) < 2:
        raise UsageError(f"{name}: there is nothing behind {words[0]}; copy the whole line")
    comment = words[2] if len(words) == 3 else ""
    if not _COMMENT.fullmatch(comment):
        raise UsageError(f"{name}: the comment behind the key holds control characters; remove it")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except binascii.Error:
        raise UsageError(f"{name}: what stands behind {words[0]} is no base64; copy the whole line") from None
    if algorithm_of(blob) != words[0]:
        raise UsageError(f"{name}: the key says {words[0]} but its bytes do not; copy the whole line")
    if not _whole(blob):
        raise UsageError(f"{name}: the key is cut off or has something behind it; copy the whole line")
    return PublicKey(words[0], words[1], comment)


def _whole(blob: bytes) -> bool:
    """Whether the bytes are a row of strings, each with its length, that ends where the last one ends."""
    parts = 0
    while blob:
        length = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + length:
            return False
        blob, parts = blob[4 + length :], parts + 1
    return parts >= 2

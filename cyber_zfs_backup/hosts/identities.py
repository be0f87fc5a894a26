# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's key files, looked at without opening a secret: type, public half, whether encrypted."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

from .known_hosts import algorithm_of

_MAGIC = b"openssh-key-v1\0"
_PEM = {"RSA PRIVATE KEY": "ssh-rsa", "EC PRIVATE KEY": "ecdsa"}


@dataclass(frozen=True, slots=True)
class Identity:
    """One IdentityFile. ``blob`` is the public key where it can be known without a passphrase.

    ``algorithm`` is "" where the private file is not there or not in a form that is known here.
    """

    path: str
    algorithm: str
    encrypted: bool
    blob: bytes | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate for a user key."""

    path: str
    blob: bytes

    def certifies(self, public: bytes) -> bool:
        """True where this certificate holds that public key.

        A certificate is its type, a nonce, then the fields of the public key as in the plain key
        (PROTOCOL.certkeys).
        """
        if not algorithm_of(self.blob).startswith(algorithm_of(public)):
            return False
        return _after_strings(self.blob, 2).startswith(_after_strings(public, 1))


def look_at(path: str) -> Identity | None:
    """Look at an identity file; None where neither it nor its .pub is there (or is readable)."""
    public = _public_blob(path if path.endswith(".pub") else f"{path}.pub")
    try:
        text = Path(path).read_text("ascii", "replace")
    except OSError:
        return Identity(path, "", False, public) if public else None
    if "PRIVATE KEY-----" not in text:
        return Identity(path, "", False, _blob_in(text) or public)
    for label, algorithm in _PEM.items():
        if f"-----BEGIN {label}-----" in text:
            return Identity(path, algorithm, "ENCRYPTED" in text, public)
    return _openssh(path, text, public)


def certificates(paths: tuple[str, ...], identities: tuple[Identity, ...]) -> tuple[Certificate, ...]:
    """Read the named certificates and those that lie beside the identity files, as ssh does."""
    found = []
    for path in (*paths, *(f"{identity.path}-cert.pub" for identity in identities)):
        blob = _public_blob(path)
        if blob is not None and algorithm_of(blob).endswith("-cert-v01@openssh.com"):
            found.append(Certificate(path, blob))
    return tuple(found)


def _openssh(path: str, text: str, public: bytes | None) -> Identity:
    """Read the clear part of OpenSSH's own format (PROTOCOL.key)."""
    body = "".join(line for line in text.splitlines() if line and not line.startswith("-----"))
    try:
        data = base64.b64decode(body, validate=True)
    except binascii.Error:
        data = b""
    if not data.startswith(_MAGIC):
        return Identity(path, "", "ENCRYPTED" in text, public)
    rest = data[len(_MAGIC) :]
    cipher = algorithm_of(rest)  # a string as well: four bytes of length, then the name
    blob = _string(_after_strings(rest, 3)[4:])
    return Identity(path, algorithm_of(blob), cipher != "none", blob)


def _public_blob(path: str) -> bytes | None:
    try:
        return _blob_in(Path(path).read_text("utf-8", "replace"))
    except OSError:
        return None


def _blob_in(line: str) -> bytes | None:
    words = line.split()
    if len(words) < 2:
        return None
    try:
        blob = base64.b64decode(words[1], validate=True)
    except binascii.Error:
        return None
    return blob if algorithm_of(blob) == words[0] else None


def _string(data: bytes) -> bytes:
    return data[4 : 4 + int.from_bytes(data[:4], "big")]


def _after_strings(data: bytes, count: int) -> bytes:
    for _ in range(count):
        data = data[4 + int.from_bytes(data[:4], "big") :]
    return data

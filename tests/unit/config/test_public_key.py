# SPDX-License-Identifier: GPL-3.0-or-later
"""Which key files let a client in, and what each of the others is told."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from cyber_zfs_backup.config.job import UsageError
from cyber_zfs_backup.config.public_key import public_key
from tests.sshd.server import make_key


def blob(*parts: bytes) -> str:
    return base64.b64encode(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).decode()


GOOD = blob(b"ssh-ed25519", bytes(range(32)))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_what_ssh_keygen_makes_is_taken_as_it_is(tmp_path: Path, kind: str) -> None:
    key = make_key(tmp_path / "key", kind)
    line = Path(f"{key}.pub").read_bytes()
    assert public_key(line, "key.pub").line == line.decode().strip()


def test_blank_lines_comments_and_line_ends_of_windows_do_no_harm() -> None:
    found = public_key(f"# mine\r\n\r\nssh-ed25519 {GOOD} root@zippy\r\n".encode(), "key.pub")
    assert found.line == f"ssh-ed25519 {GOOD} root@zippy"
    assert public_key(f"ssh-ed25519 {GOOD}".encode(), "key.pub").line == f"ssh-ed25519 {GOOD}"


def test_a_private_key_is_refused_whatever_its_kind(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    with pytest.raises(UsageError, match=r"private key, which must not leave"):
        public_key(key.read_bytes(), "key")
    with pytest.raises(UsageError, match="private key"):
        public_key(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n", "key.pem")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n# nothing\n", "is empty"),
        (f"ssh-ed25519 {GOOD}\nssh-ed25519 {GOOD}\n", "holds 2 lines"),
        (f'command="sh" ssh-ed25519 {GOOD}', "is no kind of key"),
        (f"restrict ssh-ed25519 {GOOD}", "is no kind of key"),
        (f"ssh-dss {blob(b'ssh-dss', b'x')}", "is no kind of key"),
        ("ssh-ed25519", "nothing behind ssh-ed25519"),
        ("ssh-ed25519 AAAA!BBBB", "is no base64"),
        ("ssh-ed25519 AAAAC3N", "is no base64"),
        (f"ssh-rsa {GOOD}", "says ssh-rsa but its bytes do not"),
        (f"ssh-ed25519 {blob(b'ssh-rsa', b'x' * 32)}", "says ssh-ed25519 but its bytes do not"),
        (f"ssh-ed25519 {blob(b'ssh-ed25519')}", "cut off"),
        (f"ssh-ed25519 {base64.b64encode(base64.b64decode(GOOD)[:-3]).decode()}", "cut off"),
        (f"ssh-ed25519 {GOOD} a\x07b", "control characters"),
        (f"ssh-ed25519 {GOOD} " + "x" * 20000, "longer than any public key"),
        ("ssh-ed25519 ключ", "other bytes than plain text"),
    ],
)
def test_what_is_no_public_key_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        public_key(text.encode(), "key.pub")

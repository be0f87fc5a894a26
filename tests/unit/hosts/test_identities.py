# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from cyber_zfs_backup.hosts.identities import Identity, certificates, look_at
from tests.sshd.server import make_key, public


def blob_of(private: Path) -> bytes:
    return base64.b64decode(public(private).split()[1])


def seen(path: Path) -> Identity:
    identity = look_at(str(path))
    assert identity is not None
    return identity


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [("ed25519", "ssh-ed25519"), ("ecdsa", "ecdsa-sha2-nistp256"), ("rsa", "ssh-rsa")],
)
def test_openssh_keys_tell_their_public_half(tmp_path: Path, kind: str, algorithm: str) -> None:
    key = make_key(tmp_path / "key", kind)
    expected = blob_of(key)
    Path(f"{key}.pub").unlink()
    assert seen(key) == Identity(str(key), algorithm, False, expected)


def test_an_encrypted_key_is_seen_to_be_one(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(key)], check=True, capture_output=True
    )
    assert seen(key) == Identity(str(key), "ssh-ed25519", True, blob_of(key))


@pytest.mark.parametrize(("kind", "algorithm"), [("rsa", "ssh-rsa"), ("ecdsa", "ecdsa")])
@pytest.mark.parametrize("passphrase", ["", "secret"])
def test_pem_keys_are_known_too(tmp_path: Path, kind: str, algorithm: str, passphrase: str) -> None:
    key = make_key(tmp_path / "key", kind)
    command = ["ssh-keygen", "-q", "-p", "-m", "PEM", "-P", "", "-N", passphrase, "-f", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    assert seen(key) == Identity(str(key), algorithm, bool(passphrase), blob_of(key))


def test_a_form_that_is_not_known_here_has_no_algorithm(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key", "rsa")
    command = ["ssh-keygen", "-q", "-p", "-m", "PKCS8", "-P", "", "-N", "", "-f", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    assert seen(key) == Identity(str(key), "", False, blob_of(key))


def test_a_public_file_stands_for_a_key_of_the_agent(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    expected = blob_of(key)
    key.unlink()
    assert seen(key) == Identity(str(key), "", False, expected)
    assert seen(Path(f"{key}.pub")) == Identity(f"{key}.pub", "", False, expected)


def test_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert look_at(str(tmp_path / "none")) is None


@pytest.mark.parametrize("text", ["", "-----BEGIN OPENSSH PRIVATE KEY-----\n!!\n", "nothing of the kind"])
def test_rubbish_is_no_key(tmp_path: Path, text: str) -> None:
    file = tmp_path / "key"
    file.write_text(text)
    assert seen(file) == Identity(str(file), "", False, None)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_certificate_certifies_its_key_alone(tmp_path: Path, kind: str) -> None:
    authority, key = make_key(tmp_path / "ca"), make_key(tmp_path / "key", kind)
    other = make_key(tmp_path / "other", kind)
    command = ["ssh-keygen", "-q", "-s", str(authority), "-I", "me", "-n", "root", f"{key}.pub"]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = certificates((), (seen(key), seen(other)))
    assert found.path == f"{key}-cert.pub"
    assert found.certifies(blob_of(key))
    assert not found.certifies(blob_of(other))
    (named,) = certificates((f"{key}-cert.pub", f"{key}.pub", str(tmp_path / "none")), ())
    assert named.certifies(blob_of(key))

# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cyber_zfs_backup.hosts.identities import look_at
from cyber_zfs_backup.hosts.known_hosts import KnownKeys, Verdict, fingerprint, read
from tests.sshd.server import make_key, public


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("keys")
    kinds = {"one": "ed25519", "two": "ed25519", "ec": "ecdsa"}
    return {name: make_key(folder / name, kind) for name, kind in kinds.items()}


def blob(key: Path) -> bytes:
    identity = look_at(str(key))
    assert identity is not None
    assert identity.blob is not None
    return identity.blob


def known(tmp_path: Path, text: str, name: str, bare: str | None = None) -> KnownKeys:
    file = tmp_path / "known_hosts"
    file.write_text(text)
    return read([str(tmp_path / "missing"), str(file)], name, bare)


@pytest.mark.parametrize(
    ("patterns", "name", "verdict"),
    [
        ("host.example", "host.example", Verdict.KNOWN),
        ("host.example", "HOST.example", Verdict.KNOWN),
        ("host.example", "other.example", Verdict.UNKNOWN),
        ("host.example", "[host.example]:2222", Verdict.UNKNOWN),
        ("[host.example]:2222", "[host.example]:2222", Verdict.KNOWN),
        ("a.example,b.example", "b.example", Verdict.KNOWN),
        ("*.example", "b.example", Verdict.KNOWN),
        ("?.example", "b.example", Verdict.KNOWN),
        ("?.example", "bb.example", Verdict.UNKNOWN),
        ("*.example,!b.example", "b.example", Verdict.UNKNOWN),
        ("*.example,!b.example", "a.example", Verdict.KNOWN),
        ("h[a-z]st", "hast", Verdict.UNKNOWN),
        ("host.exampl", "host.example", Verdict.UNKNOWN),
    ],
)
def test_names_match_as_ssh_matches_them(
    tmp_path: Path, keys: dict[str, Path], patterns: str, name: str, verdict: Verdict
) -> None:
    found = known(tmp_path, f"# comment\n\n{patterns} {public(keys['one'])}", name)
    assert found.judge(blob(keys["one"]))[0] is verdict


def test_hashed_names_match(tmp_path: Path, keys: dict[str, Path]) -> None:
    file = tmp_path / "hashed"
    file.write_text(f"[host.example]:2222 {public(keys['one'])}")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True)
    assert file.read_text().startswith("|1|")
    assert read([str(file)], "[host.example]:2222").judge(blob(keys["one"]))[0] is Verdict.KNOWN
    assert read([str(file)], "host.example").judge(blob(keys["one"]))[0] is Verdict.UNKNOWN


def test_another_key_for_a_known_host_is_a_change(tmp_path: Path, keys: dict[str, Path]) -> None:
    text = f"host {public(keys['ec'])}host {public(keys['one'])}"
    verdict, line = known(tmp_path, text, "host").judge(blob(keys["two"]))
    assert verdict is Verdict.CHANGED
    assert line is not None
    assert (line.line, line.algorithm) == (2, "ssh-ed25519")


def test_another_type_of_key_for_a_known_host_is_a_change(tmp_path: Path, keys: dict[str, Path]) -> None:
    verdict, line = known(tmp_path, f"host {public(keys['ec'])}", "host").judge(blob(keys["two"]))
    assert verdict is Verdict.CHANGED
    assert line is not None
    assert line.algorithm == "ecdsa-sha2-nistp256"


def test_a_revoked_key_is_refused_wherever_it_stands(tmp_path: Path, keys: dict[str, Path]) -> None:
    text = f"host {public(keys['one'])}@revoked * {public(keys['one'])}"
    assert known(tmp_path, text, "host").judge(blob(keys["one"]))[0] is Verdict.REVOKED
    assert known(tmp_path, text, "host").judge(blob(keys["two"]))[0] is Verdict.CHANGED


def test_a_certificate_authority_is_found_but_is_no_host_key(tmp_path: Path, keys: dict[str, Path]) -> None:
    found = known(tmp_path, f"@cert-authority *.example {public(keys['one'])}", "a.example")
    assert found.authority is not None
    assert found.authority.line == 1
    assert found.judge(blob(keys["one"]))[0] is Verdict.UNKNOWN
    other = known(tmp_path, f"@cert-authority *.example {public(keys['one'])}", "elsewhere")
    assert other.authority is None


def test_a_key_known_without_the_port_is_accepted_but_never_a_change(
    tmp_path: Path, keys: dict[str, Path]
) -> None:
    found = known(tmp_path, f"host {public(keys['one'])}", "[host]:2222", "host")
    assert found.judge(blob(keys["one"]))[0] is Verdict.KNOWN
    assert found.judge(blob(keys["two"]))[0] is Verdict.UNKNOWN


def test_the_known_types_are_to_be_preferred(tmp_path: Path, keys: dict[str, Path]) -> None:
    text = f"host {public(keys['ec'])}other {public(keys['one'])}@revoked host {public(keys['two'])}"
    assert known(tmp_path, text, "host").algorithms == ("ecdsa-sha2-nistp256",)


@pytest.mark.parametrize(
    "line", ["host", "host ssh-ed25519", "host ssh-ed25519 !!!", "@what host x y", "|1|a host b"]
)
def test_lines_that_make_no_sense_are_passed_over(tmp_path: Path, keys: dict[str, Path], line: str) -> None:
    found = known(tmp_path, f"{line}\nhost {public(keys['one'])}", "host")
    assert found.judge(blob(keys["one"]))[0] is Verdict.KNOWN


def test_fingerprints_read_as_ssh_prints_them(keys: dict[str, Path]) -> None:
    said = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(keys["one"])], check=True, capture_output=True, text=True
    )
    assert fingerprint(blob(keys["one"])) == said.stdout.split()[1]

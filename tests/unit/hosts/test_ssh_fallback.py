# SPDX-License-Identifier: GPL-3.0-or-later
"""Control through OpenSSH itself where paramiko cannot."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.mux_control import MultiplexedControl
from cyber_zfs_backup.hosts.protocol import Finished
from cyber_zfs_backup.hosts.ssh import SshHost
from tests.sshd.fixture import NewSshd
from tests.sshd.server import ScratchSshd, make_key, public
from tests.unit.hosts.conftest import Hosts
from tests.unit.hosts.test_local import BOTH_AT_ONCE, MIB
from tests.unit.hosts.test_quoting import NASTY
from tests.unit.hosts.test_ssh import appears


@pytest.fixture
def only_ssh(new_sshd: NewSshd) -> ScratchSshd:
    """A server with a cipher that no paramiko has."""
    return new_sshd("Ciphers chacha20-poly1305@openssh.com")


def by_ssh(host: SshHost) -> SshHost:
    host.connect()
    assert isinstance(host._control, MultiplexedControl)
    return host


def test_a_certificate_authority_in_known_hosts(
    hosts: Hosts, new_sshd: NewSshd, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority, key = make_key(tmp_path / "ca"), make_key(tmp_path / "host")
    command = ["ssh-keygen", "-q", "-s", str(authority), "-I", "it", "-h", "-n", "127.0.0.1", f"{key}.pub"]
    subprocess.run(command, check=True, capture_output=True)
    server = new_sshd(f"HostKey {key}", f"HostCertificate {key}-cert.pub")
    server.known_hosts.write_text(f"@cert-authority [127.0.*]:{server.port} {public(authority)}")
    host = hosts.far(server.config_file)
    with caplog.at_level(logging.WARNING):
        assert [host.run(["echo", "a"]).stdout for _ in range(3)] == ["a\n"] * 3
    assert isinstance(host._control, MultiplexedControl)
    (record,) = caplog.records
    assert "certificate authority" in record.getMessage()
    assert server.connections() == 1


def test_a_server_with_ciphers_that_paramiko_lacks(
    hosts: Hosts, only_ssh: ScratchSshd, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        host = by_ssh(hosts.far(only_ssh.config_file))
    assert len(caplog.records) == 1
    script = ("sh", "-c", "echo out; echo err >&2; exit 4")
    assert host.run(script) == Finished(script, 4, "out\n", "err\n")
    assert host.run(["printf", "%s\\n", *NASTY]).stdout == "".join(word + "\n" for word in NASTY)
    assert host.run(["no-such-zfs"]).status == 127
    assert host.run(["sh", "-c", "exit 255"]).status == 255
    assert host.run(["cat"], timeout=60).ok


@pytest.mark.parametrize(
    "line", ["Ciphers chacha20-poly1305@openssh.com", "KexAlgorithms sntrup761x25519-sha512@openssh.com"]
)
def test_a_configuration_with_algorithms_that_paramiko_lacks(
    hosts: Hosts, sshd: ScratchSshd, line: str
) -> None:
    assert by_ssh(hosts.far(sshd.client_config("narrow", line))).run(["true"]).ok


@pytest.mark.parametrize(
    "line",
    [
        "RevokedHostKeys {folder}/revoked",
        "KnownHostsCommand /bin/cat {folder}/known_hosts",
        "CertificateFile {folder}/%C",
    ],
)
def test_settings_that_only_ssh_heeds(hosts: Hosts, sshd: ScratchSshd, line: str) -> None:
    (sshd.folder / "revoked").touch()
    config = sshd.client_config("only_ssh", line.format(folder=sshd.folder))
    assert by_ssh(hosts.far(config)).run(["true"]).ok


def test_much_on_both_outputs_does_not_deadlock(hosts: Hosts, only_ssh: ScratchSshd) -> None:
    finished = hosts.far(only_ssh.config_file).run(["sh", "-c", BOTH_AT_ONCE], timeout=300)
    assert finished.status == 3
    assert (len(finished.stdout), len(finished.stderr)) == (5 * MIB, 10 * MIB)


@pytest.mark.parametrize("sessions", [2, 10])
def test_many_commands_at_once_share_one_connection(hosts: Hosts, new_sshd: NewSshd, sessions: int) -> None:
    server = new_sshd("Ciphers chacha20-poly1305@openssh.com", f"MaxSessions {sessions}")
    host = hosts.far(server.config_file)
    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(lambda n: host.run(["sh", "-c", 'sleep 0.1; echo "$0"', str(n)]), range(16)))
    assert [finished.stdout for finished in said] == [f"{n}\n" for n in range(16)]
    assert server.connections() == 1


def test_time_up_is_told(hosts: Hosts, only_ssh: ScratchSshd) -> None:
    host = by_ssh(hosts.far(only_ssh.config_file))
    with pytest.raises(HostError) as caught:
        host.run(["sleep", "3"], timeout=0.3)
    assert caught.value.kind is HostErrorKind.TIMEOUT
    assert host.run(["echo", "a"]).stdout == "a\n"


def test_a_connection_lost_under_a_command_leaves_its_status_unknown(
    hosts: Hosts, only_ssh: ScratchSshd, tmp_path: Path
) -> None:
    host, answers = hosts.far(only_ssh.config_file), list[Finished]()
    script = ["sh", "-c", 'echo partly; echo $$ > "$0"; exec sleep 60', str(tmp_path / "pid")]
    thread = threading.Thread(target=lambda: answers.append(host.run(script)))
    thread.start()
    far = int(appears(tmp_path / "pid"))
    only_ssh.drop_connections()
    thread.join(60)
    os.kill(far, signal.SIGKILL)
    assert [(answer.status, answer.stdout) for answer in answers] == [(None, "partly\n")]
    assert host.run(["echo", "again"]).stdout == "again\n"
    assert only_ssh.connections() == 2


def test_refusals_are_told_with_their_kind(hosts: Hosts, only_ssh: ScratchSshd) -> None:
    known = only_ssh.known_hosts.read_text()
    only_ssh.known_hosts.write_text(f"@cert-authority nobody {public(only_ssh.identity)}")
    config = only_ssh.client_config("asked", "KnownHostsCommand /bin/true")
    kinds = []
    for text, keys in (("", "x"), (known, "")):
        only_ssh.known_hosts.write_text(text)
        only_ssh.authorized_keys.write_text(keys)
        with pytest.raises(HostError) as caught:
            hosts.far(config).run(["true"])
        kinds.append(caught.value.kind)
        assert f"ssh -F {config}" in caught.value.remedy
    assert kinds == [HostErrorKind.HOST_KEY_UNKNOWN, HostErrorKind.LOGIN_REFUSED]


def test_nothing_is_left_behind(hosts: Hosts, only_ssh: ScratchSshd, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        host = by_ssh(hosts.far(only_ssh.config_file))
        (folder,) = Path(name).iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert [file.name for file in folder.iterdir()] == ["ssh"]
        assert host.run(["true"]).ok
        host.close()
        host.close()
        assert list(Path(name).iterdir()) == []
        assert hosts.gone() == []


def test_a_tmpdir_that_is_too_long_for_a_socket(
    hosts: Hosts, only_ssh: ScratchSshd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert by_ssh(hosts.far(only_ssh.config_file)).run(["true"]).ok
    assert list(long.iterdir()) == []

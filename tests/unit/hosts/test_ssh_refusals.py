# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps us from a host: each one line with its remedy, and the remedy tried."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cyber_zfs_backup.hosts import paramiko_control, wire
from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.paramiko_control import ParamikoControl
from cyber_zfs_backup.hosts.ssh import SshHost
from tests.sshd.fixture import NewSshd
from tests.sshd.server import ScratchSshd, free_port, make_key, public
from tests.unit.hosts.conftest import Hosts
from tests.unit.hosts.terminal import typed


def refused(host: SshHost) -> HostError:
    with pytest.raises(HostError) as caught:
        host.run(["true"])
    assert "\n" not in str(caught.value)
    return caught.value


def shown(key: Path) -> str:
    command = ["ssh-keygen", "-l", "-f", f"{key}.pub"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("BatchMode yes",),
        ("StrictHostKeyChecking yes",),
        ("StrictHostKeyChecking no",),
        ("StrictHostKeyChecking accept-new",),
        ("BatchMode yes", "StrictHostKeyChecking yes", "RemoteCommand false"),
        ("NoHostAuthenticationForLocalhost yes",),
        ("ControlMaster auto", "ControlPath none"),
        ("HashKnownHosts yes",),
        ("HostKeyAlias the-vault",),
    ],
    ids=" ".join,
)
def test_an_unknown_key_is_refused_and_the_printed_command_adds_it(
    hosts: Hosts, new_sshd: NewSshd, lines: tuple[str, ...]
) -> None:
    # paramiko must be shown the same one of the host's keys as ssh, or the fingerprints would differ.
    server = new_sshd(host_key_types=("ecdsa", "ed25519"))
    server.known_hosts.write_text("")
    config = server.client_config("strict", *lines)
    error = refused(hosts.far(config))
    assert error.kind is HostErrorKind.HOST_KEY_UNKNOWN
    assert not error.passing
    assert server.known_hosts.read_text() == ""
    assert shown(server.host_keys[-1]) in error.what
    assert str(server.known_hosts) in error.remedy
    status, said = typed(error.remedy.partition(" with: ")[2])
    assert (status, shown(server.host_keys[-1]) in said) == (0, True)
    host = hosts.far(config)
    assert host.run(["echo", "a"]).stdout == "a\n"
    assert isinstance(host._control, ParamikoControl)


def test_the_printed_command_also_makes_the_folder_of_known_hosts(
    hosts: Hosts, sshd: ScratchSshd, tmp_path: Path
) -> None:
    known = tmp_path / "not" / "yet" / "known_hosts"
    config = sshd.client_config("elsewhere", f"UserKnownHostsFile {known}")
    error = refused(hosts.far(config))
    assert typed(error.remedy.partition(" with: ")[2])[0] == 0
    assert known.exists()
    assert hosts.far(config).run(["true"]).ok


@pytest.mark.parametrize("file", ["/dev/null", "none"])
def test_known_hosts_that_cannot_keep_a_key_are_named(hosts: Hosts, sshd: ScratchSshd, file: str) -> None:
    config = sshd.client_config("forgetful", f"UserKnownHostsFile {file}")
    error = refused(hosts.far(config))
    assert error.kind is HostErrorKind.HOST_KEY_UNKNOWN
    assert f"UserKnownHostsFile in {config}" in error.remedy


def test_a_changed_key_is_refused_with_both_fingerprints_and_the_way_out(
    hosts: Hosts, new_sshd: NewSshd
) -> None:
    server = new_sshd()
    old = make_key(server.folder / "old")
    server.trust([old])
    error = refused(hosts.far(server.config_file))
    assert error.kind is HostErrorKind.HOST_KEY_CHANGED
    assert not error.passing
    assert shown(old) in error.what
    assert shown(server.host_keys[0]) in error.what
    assert f"{server.known_hosts} line 1" in error.what
    command = error.remedy.partition(": ")[2].partition(" (answer")[0]
    assert command.startswith("ssh-keygen -R")
    assert typed(command)[0] == 0
    assert hosts.far(server.config_file).run(["true"]).ok


def test_a_revoked_key_is_refused(hosts: Hosts, new_sshd: NewSshd) -> None:
    server = new_sshd()
    known = server.known_hosts.read_text()
    server.known_hosts.write_text(known + f"@revoked * {public(server.host_keys[0])}")
    error = refused(hosts.far(server.config_file))
    assert error.kind is HostErrorKind.HOST_KEY_CHANGED
    assert "revokes" in error.what


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_a_host_that_is_known_by_one_of_its_keys_is_known(hosts: Hosts, new_sshd: NewSshd, kind: str) -> None:
    server = new_sshd(host_key_types=("rsa", "ecdsa", "ed25519"))
    server.trust([server.folder / f"host_{kind}"])
    host = hosts.far(server.config_file)
    assert host.run(["true"]).ok
    assert isinstance(host._control, ParamikoControl)


def test_a_login_that_is_refused_names_user_host_key_and_remedy(hosts: Hosts, new_sshd: NewSshd) -> None:
    server = new_sshd()
    other = make_key(server.folder / "other")
    config = server.client_config("other_config", f"IdentityFile {other}")
    server.authorized_keys.write_text("")
    error = refused(hosts.far(config))
    assert error.kind is HostErrorKind.LOGIN_REFUSED
    assert not error.passing
    assert f"on 127.0.0.1 port {server.port}" in error.what
    assert shown(other) in error.what
    assert error.remedy.endswith(f"ssh-copy-id -F {config} -i {other}.pub scratch")


def test_a_login_without_any_key_says_how_to_make_one(
    hosts: Hosts, sshd: ScratchSshd, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(sshd.config_file.read_text().replace(str(sshd.identity), str(tmp_path / "mine")))
    error = refused(hosts.far(config))
    assert error.kind is HostErrorKind.LOGIN_REFUSED
    assert "no key to try" in error.what
    assert f"ssh-keygen -t ed25519 -f {tmp_path}/mine" in error.remedy


def test_a_key_that_needs_a_passphrase_is_named(hosts: Hosts, new_sshd: NewSshd) -> None:
    server = new_sshd()
    command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(server.identity)]
    subprocess.run(command, check=True, capture_output=True)
    error = refused(hosts.far(server.config_file))
    assert error.kind is HostErrorKind.LOGIN_REFUSED
    assert "needs a passphrase: load it with ssh-add" in error.what


def test_a_server_that_gives_up_on_too_many_keys_is_told(hosts: Hosts, new_sshd: NewSshd) -> None:
    server = new_sshd("MaxAuthTries 2")
    others = [make_key(server.folder / f"other{n}") for n in range(4)]
    config = server.client_config("many", *(f"IdentityFile {key}" for key in others))
    error = refused(hosts.far(config))
    assert error.kind is HostErrorKind.LOGIN_REFUSED
    assert "IdentitiesOnly" in error.what


@pytest.fixture
def slow_login(new_sshd: NewSshd) -> ScratchSshd:
    """A server that takes its time over the first key."""
    server = new_sshd("AuthorizedKeysCommand /bin/sleep 20", "AuthorizedKeysCommandUser root")
    # What the file allows needs no command.
    server.authorized_keys.write_text("")
    return server


def test_a_connection_that_dies_in_the_login_is_passing(hosts: Hosts, slow_login: ScratchSshd) -> None:
    host = hosts.far(slow_login.config_file)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(refused, host)
        time.sleep(2)
        assert not asked.done()
        slow_login.drop_connections()
        error = asked.result()
    assert (error.kind, error.passing) == (HostErrorKind.UNREACHABLE, True)
    assert "lost in the middle of the login" in error.what


def test_a_login_that_is_not_answered_is_passing(
    hosts: Hosts, slow_login: ScratchSshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paramiko_control, "HANDSHAKE_TIMEOUT", 2.0)
    error = refused(hosts.far(slow_login.config_file))
    assert (error.kind, error.passing) == (HostErrorKind.UNREACHABLE, True)
    assert "no answer to the login within 2 s" in error.what


def test_a_refused_connection_is_passing(hosts: Hosts, sshd: ScratchSshd) -> None:
    config = sshd.client_config("closed", f"Port {free_port()}")
    error = refused(hosts.far(config))
    assert error.kind is HostErrorKind.UNREACHABLE
    assert error.passing
    assert "Connection refused" in error.what


def test_a_name_that_does_not_resolve_is_passing(hosts: Hosts, sshd: ScratchSshd) -> None:
    error = refused(hosts.far(sshd.client_config("nowhere", "HostName nowhere.invalid")))
    assert error.kind is HostErrorKind.UNREACHABLE
    assert "nowhere.invalid cannot be resolved" in error.what
    assert "--ssh-config" not in error.remedy


def test_a_name_that_only_the_packages_configuration_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = tmp_path / "cyber-zfs-backup.ssh_config"
    monkeypatch.setattr(wire, "PACKAGED", packaged)
    host = SshHost("nowhere.invalid")
    assert "--ssh-config" not in refused(host).remedy
    packaged.touch()
    assert f"{packaged} counts only with --ssh-config={packaged}" in refused(host).remedy
    host.close()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield int(listener.getsockname()[1])


def test_a_port_that_never_answers_is_passing(hosts: Hosts, sshd: ScratchSshd, silent_port: int) -> None:
    error = refused(hosts.far(sshd.client_config("silent", f"Port {silent_port}", "ConnectTimeout 1")))
    assert error.kind is HostErrorKind.UNREACHABLE
    assert f"port {silent_port} does not talk ssh" in error.what


def test_threads_that_wait_for_one_connection_share_its_failure(
    hosts: Hosts, sshd: ScratchSshd, silent_port: int
) -> None:
    host = hosts.far(sshd.client_config("silent2", f"Port {silent_port}", "ConnectTimeout 1"))
    with ThreadPoolExecutor(5) as pool:
        errors = list(pool.map(lambda _: refused(host), range(5)))
    assert len({id(error) for error in errors}) < 5
    assert host._attempts < 5


def test_a_failure_is_no_traceback_in_the_log(
    hosts: Hosts, sshd: ScratchSshd, silent_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger(ParamikoControl.__module__ + ".transport").setLevel(logging.NOTSET)
    refused(hosts.far(sshd.client_config("silent3", f"Port {silent_port}", "ConnectTimeout 1")))
    assert caplog.records == []


def test_a_jump_host_that_is_not_known_is_told(hosts: Hosts, new_sshd: NewSshd, tmp_path: Path) -> None:
    outer, inner = new_sshd(), new_sshd()
    outer.client_config("config", host="jump")
    inner.client_config("config", "ProxyJump jump")
    outer.known_hosts.write_text("")
    both = tmp_path / "both"
    both.write_text((outer.folder / "config").read_text() + (inner.folder / "config").read_text())
    error = refused(hosts.far(both))
    assert error.kind is HostErrorKind.HOST_KEY_UNKNOWN
    assert typed(error.remedy.rpartition(": ")[2])[0] == 0
    assert hosts.far(both).run(["true"]).ok


def test_a_jump_host_that_is_down_is_passing(hosts: Hosts, new_sshd: NewSshd, tmp_path: Path) -> None:
    inner = new_sshd()
    inner.client_config("config", "ProxyJump jump")
    both = tmp_path / "both"
    both.write_text(
        f"Host jump\n HostName 127.0.0.1\n Port {free_port()}\n" + (inner.folder / "config").read_text()
    )
    error = refused(hosts.far(both))
    assert error.kind is HostErrorKind.UNREACHABLE
    assert "refused" in error.what


def test_a_proxy_that_is_no_command_is_told(hosts: Hosts, sshd: ScratchSshd) -> None:
    error = refused(hosts.far(sshd.client_config("broken_proxy", "ProxyCommand no-such-proxy %h")))
    assert error.kind is HostErrorKind.UNREACHABLE
    assert "no-such-proxy" in error.what


def test_without_paramiko_one_line_names_the_package(
    hosts: Hosts, sshd: ScratchSshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("cyber_zfs_backup.hosts.paramiko_")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "paramiko", None)
    error = refused(hosts.far(sshd.config_file))
    assert error.kind is HostErrorKind.MISSING_MODULE
    assert "apt install python3-paramiko" in error.remedy

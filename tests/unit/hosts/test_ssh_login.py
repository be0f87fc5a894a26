# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins with the kinds of keys, agents and certificates that ssh users have."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.mux_control import MultiplexedControl
from cyber_zfs_backup.hosts.paramiko_control import ParamikoControl
from cyber_zfs_backup.hosts.ssh import SshHost
from tests.sshd.fixture import NewSshd
from tests.sshd.server import ScratchSshd, make_key, public, user
from tests.unit.hosts.conftest import Hosts


class Agent:
    """A scratch ssh-agent."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "agent"
        self.env = {"SSH_AUTH_SOCK": str(self.socket)}
        self.process = subprocess.Popen(
            ["ssh-agent", "-D", "-a", str(self.socket)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        limit = time.monotonic() + 20
        while not self.socket.is_socket():
            assert time.monotonic() < limit
            time.sleep(0.02)

    def add(self, key: Path) -> None:
        environment = {**os.environ, **self.env}
        subprocess.run(["ssh-add", "-q", str(key)], check=True, env=environment, stdin=subprocess.DEVNULL)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    made = Agent(tmp_path)
    yield made
    made.process.terminate()
    made.process.wait()


def logs_in(host: SshHost) -> bool:
    """Tell whether paramiko logs in."""
    refusal: HostErrorKind | None = None
    try:
        finished = host.run(["true"])
    except HostError as error:
        refusal = error.kind
    if refusal is not None:
        assert refusal is HostErrorKind.LOGIN_REFUSED
        return False
    assert isinstance(host._control, ParamikoControl)
    return finished.ok


def config_with(server: ScratchSshd, *lines: str) -> Path:
    """A client configuration that names no key but those in ``lines``."""
    file = server.folder / "other_config"
    kept = [
        line
        for line in server.config_file.read_text().splitlines()
        if not line.strip().startswith(("IdentityFile", "IdentitiesOnly", "IdentityAgent"))
    ]
    file.write_text("\n    ".join([kept[0], *lines, *kept[1:]]) + "\n")
    return file


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("form", ["RFC4716", "PEM"])
def test_key_files_of_every_kind(
    hosts: Hosts, new_sshd: NewSshd, tmp_path: Path, kind: str, form: str
) -> None:
    key = make_key(tmp_path / "key", kind, "-m", form)
    assert logs_in(hosts.far(new_sshd(identity=key).config_file))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_keys_of_the_agent(hosts: Hosts, new_sshd: NewSshd, agent: Agent, tmp_path: Path, kind: str) -> None:
    server = new_sshd(identity=make_key(tmp_path / "key", kind))
    config = config_with(server, "IdentityFile none")
    assert not logs_in(hosts.far(config, **agent.env))
    agent.add(server.identity)
    assert logs_in(hosts.far(config, **agent.env))


def test_an_agent_that_the_configuration_names(hosts: Hosts, new_sshd: NewSshd, agent: Agent) -> None:
    server = new_sshd()
    agent.add(server.identity)
    config = config_with(server, "IdentityFile none", f"IdentityAgent {agent.socket}")
    assert logs_in(hosts.far(config, SSH_AUTH_SOCK="/nowhere"))
    assert not logs_in(hosts.far(config_with(server, "IdentityFile none", "IdentityAgent none"), **agent.env))


def test_a_key_with_a_passphrase_is_used_through_the_agent(
    hosts: Hosts, new_sshd: NewSshd, agent: Agent
) -> None:
    server = new_sshd()
    agent.add(server.identity)
    command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(server.identity)]
    subprocess.run(command, check=True, capture_output=True)
    assert logs_in(
        hosts.far(config_with(server, f"IdentityFile {server.identity}", "IdentitiesOnly yes"), **agent.env)
    )


def test_only_named_identities_of_the_agent(
    hosts: Hosts, new_sshd: NewSshd, agent: Agent, tmp_path: Path
) -> None:
    server = new_sshd("MaxAuthTries 2")
    for number in range(4):
        agent.add(make_key(tmp_path / f"other{number}"))
    agent.add(server.identity)
    public_alone = tmp_path / "named.pub"
    public_alone.write_text(public(server.identity))
    named = f"IdentityFile {public_alone}"
    assert logs_in(hosts.far(config_with(server, named, "IdentitiesOnly yes"), **agent.env))
    assert logs_in(hosts.far(config_with(server, named), **agent.env))  # a named key goes first
    assert not logs_in(hosts.far(config_with(server, "IdentityFile none"), **agent.env))
    other = f"IdentityFile {tmp_path}/other0.pub"
    assert not logs_in(hosts.far(config_with(server, other, "IdentitiesOnly yes"), **agent.env))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("through_agent", [False, True], ids=["file", "agent"])
def test_certificates_of_user_keys(
    hosts: Hosts, new_sshd: NewSshd, agent: Agent, tmp_path: Path, kind: str, through_agent: bool
) -> None:
    authority = make_key(tmp_path / "ca")
    server = new_sshd(f"TrustedUserCAKeys {authority}.pub", identity=make_key(tmp_path / "key", kind))
    server.authorized_keys.write_text("")
    if through_agent:
        agent.add(server.identity)
    command = ["ssh-keygen", "-q", "-s", str(authority), "-I", "me", "-n", user(), f"{server.identity}.pub"]
    assert not logs_in(hosts.far(config_with(server, f"IdentityFile {server.identity}"), **agent.env))
    subprocess.run(command, check=True, capture_output=True)
    assert logs_in(hosts.far(config_with(server, f"IdentityFile {server.identity}"), **agent.env))
    elsewhere = tmp_path / "certificate"
    Path(f"{server.identity}-cert.pub").rename(elsewhere)
    lines = (f"IdentityFile {server.identity}", f"CertificateFile {elsewhere}")
    assert logs_in(hosts.far(config_with(server, *lines), **agent.env))


def test_a_key_that_only_ssh_can_read_is_used_by_ssh(
    hosts: Hosts, new_sshd: NewSshd, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = make_key(tmp_path / "key", "rsa")
    command = ["ssh-keygen", "-q", "-p", "-m", "PKCS8", "-P", "", "-N", "", "-f", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    host = hosts.far(new_sshd(identity=key).config_file)
    with caplog.at_level(logging.WARNING):
        assert host.run(["echo", "a"]).stdout == "a\n"
    assert isinstance(host._control, MultiplexedControl)
    assert [str(key) in record.getMessage() for record in caplog.records] == [True]


def test_a_certificate_of_the_agent_is_used_by_ssh(
    hosts: Hosts, new_sshd: NewSshd, agent: Agent, tmp_path: Path
) -> None:
    authority = make_key(tmp_path / "ca")
    server = new_sshd(f"TrustedUserCAKeys {authority}.pub")
    server.authorized_keys.write_text("")
    command = ["ssh-keygen", "-q", "-s", str(authority), "-I", "me", "-n", user(), f"{server.identity}.pub"]
    subprocess.run(command, check=True, capture_output=True)
    agent.add(server.identity)  # and its certificate, which lies beside it
    host = hosts.far(config_with(server, "IdentityFile none"), **agent.env)
    assert host.run(["true"]).ok
    assert isinstance(host._control, MultiplexedControl)


def test_a_server_that_asks_for_two_keys_is_left_to_ssh(
    hosts: Hosts, new_sshd: NewSshd, tmp_path: Path
) -> None:
    server = new_sshd("AuthenticationMethods publickey,publickey")
    second = make_key(tmp_path / "second")
    with server.authorized_keys.open("a") as file:
        file.write(public(second))
    config = server.client_config("two", f"IdentityFile {server.identity}", f"IdentityFile {second}")
    host = hosts.far(config)
    assert host.run(["true"]).ok
    assert isinstance(host._control, MultiplexedControl)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``ssh -G`` says, asked for real: no connection is made here."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from cyber_zfs_backup.hosts.children import child_environment
from cyber_zfs_backup.hosts.control import ALIVE_INTERVAL
from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.ssh import SshHost
from cyber_zfs_backup.hosts.ssh_config import SshSettings, resolve
from cyber_zfs_backup.hosts.ssh_options import unattended

HOME = pwd.getpwuid(os.getuid()).pw_dir


def settings(tmp_path: Path, text: str, destination: str = "offsite", **env: str) -> SshSettings:
    file = tmp_path / "config"
    file.write_text(text)
    return resolve(destination, str(file), child_environment(env))


def test_an_alias_is_resolved(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        "Host offsite\n HostName backup.example\n Port 2222\n User keeper\n ConnectTimeout 7\n"
        " ServerAliveInterval 9\n ServerAliveCountMax 2\n HostKeyAlias The-Vault\n",
    )
    assert (found.hostname, found.port, found.user) == ("backup.example", 2222, "keeper")
    assert (found.connect_timeout, found.server_alive_interval) == (7.0, 9)
    assert found.server_alive_count == 2
    assert found.host_key_name.lower() == "the-vault"


def test_defaults_are_told_from_settings(tmp_path: Path) -> None:
    found = settings(tmp_path, "")
    assert (found.connect_timeout, found.server_alive_interval) == (None, None)
    assert (found.proxy_command, found.proxy_jump, found.host_key_alias) == (None, None, None)
    assert found.host_key_name == "offsite"


def test_debians_patience_with_dead_links_is_no_setting(tmp_path: Path) -> None:
    """Its ssh says 300 s for every unattended connection: a dead link would hold a run for long."""
    found = settings(tmp_path, "Host *\n BatchMode yes\n")
    assert found.one("serveraliveinterval") in ("0", "300")
    assert (found.server_alive_interval, found.server_alive_count) == (None, None)
    assert f"ServerAliveInterval={ALIVE_INTERVAL}" in unattended(found)


def test_user_and_port_of_the_destination_count(tmp_path: Path) -> None:
    found = settings(tmp_path, "", "ssh://keeper@offsite:2200")
    assert (found.user, found.port, found.host_key_name) == ("keeper", 2200, "[offsite]:2200")


def test_included_files_and_matches_are_followed(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("Host offsite\n HostName inner.example\n")
    text = f"Include {tmp_path}/more\nMatch host inner.example\n Port 99\n"
    found = settings(tmp_path, text)
    assert (found.hostname, found.port) == ("inner.example", 99)


@pytest.mark.parametrize(
    ("written", "expanded"),
    [
        ("~/keys/a", f"{HOME}/keys/a"),
        ("/k/%h-%n-%r-%p", "/k/backup.example-offsite-keeper-2222"),
        ("/k/100%%", "/k/100%"),
        ("%d/k", f"{HOME}/k"),
        ("/k/${VAULT}/a", "/k/blue/a"),
    ],
)
def test_paths_are_expanded(tmp_path: Path, written: str, expanded: str) -> None:
    text = "Host offsite\n HostName backup.example\n Port 2222\n User keeper\n"
    found = settings(
        tmp_path,
        f"{text} IdentityFile {written}\n CertificateFile {written}\n UserKnownHostsFile {written}\n",
        VAULT="blue",
    )
    assert found.identity_files == (expanded,)
    assert found.certificate_files == (expanded,)
    assert found.user_known_hosts == (expanded,)
    assert found.unexpanded == ()


def test_a_token_that_only_ssh_knows_is_noted(tmp_path: Path) -> None:
    assert settings(tmp_path, "IdentityFile /k/%C\n").unexpanded == ("%C",)


def test_several_files_and_none(tmp_path: Path) -> None:
    found = settings(
        tmp_path, "IdentityFile /a\nIdentityFile /b\nUserKnownHostsFile /x /y\nGlobalKnownHostsFile none\n"
    )
    assert found.identity_files == ("/a", "/b")
    assert found.user_known_hosts == ("/x", "/y")
    assert found.global_known_hosts == ()


@pytest.mark.parametrize(
    ("line", "agent"),
    [
        ("", "/run/agent"),
        ("IdentityAgent none", None),
        ("IdentityAgent SSH_AUTH_SOCK", "/run/agent"),
        ("IdentityAgent /other", "/other"),
        ("IdentityAgent $OTHER", "/elsewhere"),
        ("IdentityAgent ${OTHER}/x", "/elsewhere/x"),
    ],
)
def test_the_agent(tmp_path: Path, line: str, agent: str | None) -> None:
    found = settings(tmp_path, line + "\n", SSH_AUTH_SOCK="/run/agent", OTHER="/elsewhere")
    assert found.identity_agent == agent


def test_a_proxy_command_gets_its_tokens(tmp_path: Path) -> None:
    found = settings(tmp_path, "Host offsite\n Port 2222\n ProxyCommand nc %h %p 2>/dev/null\n")
    assert found.proxy_command == "nc offsite 2222 2>/dev/null"


def test_a_wrong_keyword_is_told_with_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        settings(tmp_path, "Host offsite\n Prot 22\n")
    error = caught.value
    assert error.kind is HostErrorKind.CONFIG
    assert not error.passing
    assert "line 2" in error.what
    assert "prot" in error.what.lower()
    assert str(tmp_path / "config") in error.remedy


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="No such file") as caught:
        resolve("offsite", str(tmp_path / "none"), child_environment())
    assert caught.value.kind is HostErrorKind.CONFIG


@pytest.mark.parametrize("destination", ["", "-oProxyCommand=id", "-F", "a b", "a\nb", "a\0b", "\x1b[1mhost"])
def test_what_ssh_would_take_for_an_option_is_refused_before_anything_runs(destination: str) -> None:
    with pytest.raises(HostError) as caught:
        SshHost(destination)
    assert caught.value.kind is HostErrorKind.CONFIG


def test_no_ssh_at_all_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="apt install openssh-client"):
        resolve("offsite", None, {"PATH": str(tmp_path)})

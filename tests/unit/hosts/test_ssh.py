# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands on a real sshd over one paramiko connection."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.paramiko_control import ParamikoControl
from cyber_zfs_backup.hosts.protocol import Finished
from cyber_zfs_backup.hosts.quoting import UnspeakableArgumentError
from cyber_zfs_backup.hosts.ssh import SshHost
from tests.sshd.fixture import NewSshd
from tests.sshd.server import ScratchSshd
from tests.unit.hosts.conftest import Hosts
from tests.unit.hosts.test_local import BOTH_AT_ONCE, MIB
from tests.unit.hosts.test_quoting import NASTY


def appears(file: Path) -> str:
    """Wait until a command on the far side has written ``file``."""
    limit = time.monotonic() + 60
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < limit
        time.sleep(0.02)
    return file.read_text()


def test_a_command_answers_what_it_said(hosts: Hosts, sshd: ScratchSshd) -> None:
    host = hosts.far(sshd.config_file)
    script = ("sh", "-c", "echo out; echo err >&2; exit 4")
    assert host.run(script) == Finished(script, 4, "out\n", "err\n")
    assert host.label == "scratch"
    assert isinstance(host._control, ParamikoControl)


def test_every_word_arrives_as_it_was(hosts: Hosts, sshd: ScratchSshd) -> None:
    said = hosts.far(sshd.config_file).run(["printf", "%s\\n", *NASTY]).stdout
    assert said == "".join(word + "\n" for word in NASTY)


def test_control_characters_are_refused_before_anything_connects(hosts: Hosts, sshd: ScratchSshd) -> None:
    host = hosts.far(sshd.config_file)
    with pytest.raises(UnspeakableArgumentError):
        host.run(["touch", "a\nb"])
    assert host._control is None


def test_a_missing_command_answers_127(hosts: Hosts, sshd: ScratchSshd) -> None:
    finished = hosts.far(sshd.config_file).run(["no-such-zfs", "list"])
    assert finished.status == 127
    assert "not found" in finished.stderr


def test_a_signal_leaves_the_status_unknown(hosts: Hosts, sshd: ScratchSshd) -> None:
    finished = hosts.far(sshd.config_file).run(["sh", "-c", "echo a; kill -KILL $$"])
    assert (finished.status, finished.stdout) == (None, "a\n")
    assert "signal" in finished.stderr


def test_much_on_both_outputs_does_not_deadlock(hosts: Hosts, sshd: ScratchSshd) -> None:
    finished = hosts.far(sshd.config_file).run(["sh", "-c", BOTH_AT_ONCE], timeout=300)
    assert finished.status == 3
    assert finished.stdout == "o" * (5 * MIB)
    assert finished.stderr == "e" * (5 * MIB) + "E" * (5 * MIB)


def test_a_command_reads_nothing(hosts: Hosts, sshd: ScratchSshd) -> None:
    assert hosts.far(sshd.config_file).run(["cat"], timeout=60).ok


def test_many_commands_at_once_share_one_connection(hosts: Hosts, new_sshd: NewSshd) -> None:
    server = new_sshd()
    host = hosts.far(server.config_file)
    with ThreadPoolExecutor(20) as pool:
        said = list(pool.map(lambda n: host.run(["sh", "-c", 'sleep 0.1; echo "$0"', str(n)]), range(20)))
    assert [finished.stdout for finished in said] == [f"{n}\n" for n in range(20)]
    assert server.connections() == 1


@pytest.mark.parametrize("sessions", [1, 3])
def test_a_server_with_few_sessions_is_asked_for_no_more(
    hosts: Hosts, new_sshd: NewSshd, sessions: int
) -> None:
    server = new_sshd(f"MaxSessions {sessions}")
    host = hosts.far(server.config_file)
    with ThreadPoolExecutor(12) as pool:
        said = list(pool.map(lambda n: host.run(["sh", "-c", 'sleep 0.1; echo "$0"', str(n)]), range(12)))
    assert [finished.stdout for finished in said] == [f"{n}\n" for n in range(12)]
    assert server.connections() == 1


def test_a_server_that_grants_no_session_is_told(hosts: Hosts, new_sshd: NewSshd) -> None:
    with pytest.raises(HostError, match="MaxSessions") as caught:
        hosts.far(new_sshd("MaxSessions 0").config_file).run(["true"])
    assert caught.value.kind is HostErrorKind.LOGIN_REFUSED


def test_time_up_is_told_and_the_connection_goes_on(hosts: Hosts, sshd: ScratchSshd) -> None:
    host = hosts.far(sshd.config_file)
    host.connect()
    with pytest.raises(HostError) as caught:
        host.run(["sleep", "3"], timeout=0.3)
    assert caught.value.kind is HostErrorKind.TIMEOUT
    assert caught.value.passing
    control = host._control
    assert host.run(["echo", "a"]).stdout == "a\n"
    assert host._control is control


def test_a_connection_lost_under_a_command_leaves_its_status_unknown(
    hosts: Hosts, new_sshd: NewSshd, tmp_path: Path
) -> None:
    server, answers = new_sshd(), list[Finished]()
    host = hosts.far(server.config_file)
    script = ["sh", "-c", 'echo partly; echo $$ > "$0"; exec sleep 60', str(tmp_path / "pid")]
    thread = threading.Thread(target=lambda: answers.append(host.run(script)))
    thread.start()
    far = int(appears(tmp_path / "pid"))
    server.drop_connections()
    thread.join(60)
    os.kill(far, signal.SIGKILL)
    (finished,) = answers
    assert (finished.status, finished.stdout) == (None, "partly\n")
    assert "connection was lost" in finished.stderr
    assert host.run(["echo", "again"]).stdout == "again\n"
    assert server.connections() == 2


def test_a_server_that_went_away_is_unreachable(hosts: Hosts, new_sshd: NewSshd) -> None:
    server = new_sshd()
    host = hosts.far(server.config_file)
    assert host.run(["true"]).ok
    server.stop()
    control = host._control
    assert control is not None
    while control.alive:  # until the end of the connection has reached us
        time.sleep(0.01)
    with pytest.raises(HostError) as caught:
        host.run(["true"])
    assert caught.value.kind is HostErrorKind.UNREACHABLE


def test_close_ends_what_runs_and_refuses_more(hosts: Hosts, sshd: ScratchSshd, tmp_path: Path) -> None:
    host, answers = hosts.far(sshd.config_file), list[Finished]()
    script = ["sh", "-c", 'echo $$ > "$0"; exec sleep 60', str(tmp_path / "pid")]
    thread = threading.Thread(target=lambda: answers.append(host.run(script)))
    thread.start()
    far = int(appears(tmp_path / "pid"))
    host.close()
    host.close()
    thread.join(60)
    os.kill(far, signal.SIGKILL)
    assert [answer.status for answer in answers] == [None]
    with pytest.raises(HostError) as caught:
        host.run(["true"])
    assert caught.value.kind is HostErrorKind.STOPPED


def test_close_before_any_command_is_fine(hosts: Hosts, sshd: ScratchSshd) -> None:
    hosts.far(sshd.config_file).close()


def test_two_threads_make_one_connection(hosts: Hosts, new_sshd: NewSshd) -> None:
    server = new_sshd()
    host = hosts.far(server.config_file)
    threads = [threading.Thread(target=host.connect) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert host.run(["true"]).ok
    for thread in threads:
        thread.join()
    assert server.connections() == 1


def test_included_files_aliases_and_wildcards_reach_the_host(
    hosts: Hosts, sshd: ScratchSshd, tmp_path: Path
) -> None:
    sshd.client_config("inner_config", host="vault")
    outer = tmp_path / "outer"
    outer.write_text(f"Include {sshd.folder}/inner_config\nHost va*\n ConnectTimeout 30\n")
    assert hosts.far(outer, "vault").run(["true"]).ok


def test_a_jump_host_is_passed_through(hosts: Hosts, new_sshd: NewSshd, tmp_path: Path) -> None:
    outer, inner = new_sshd(), new_sshd()
    outer.client_config("config", host="jump")
    inner.client_config("config", "ProxyJump jump")
    both = tmp_path / "both"
    both.write_text((outer.folder / "config").read_text() + (inner.folder / "config").read_text())
    host = hosts.far(both)
    assert host.run(["echo", "a"]).stdout == "a\n"
    assert (outer.connections(), inner.connections()) == (1, 1)
    assert isinstance(host._control, ParamikoControl)


def test_two_jump_hosts_are_passed_through(hosts: Hosts, new_sshd: NewSshd, tmp_path: Path) -> None:
    first, second, inner = new_sshd(), new_sshd(), new_sshd()
    first.client_config("config", host="first")
    second.client_config("config", host="second")
    inner.client_config("config", "ProxyJump first,second")
    all_three = tmp_path / "all"
    all_three.write_text("".join((server.folder / "config").read_text() for server in (first, second, inner)))
    assert hosts.far(all_three).run(["echo", "a"]).stdout == "a\n"
    assert (first.connections(), second.connections()) == (1, 1)


def test_a_proxy_command_is_a_shell_line(hosts: Hosts, sshd: ScratchSshd, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    proxy = f"ssh -F {sshd.config_file} -W 127.0.0.1:%p scratch 2>/dev/null | tee {seen}"
    config = sshd.client_config("proxy_config", f"ProxyCommand sh -c '{proxy}'")
    assert hosts.far(config).run(["echo", "a"]).stdout == "a\n"
    assert seen.read_bytes().startswith(b"SSH-2.0-")


def test_a_hardened_server_that_paramiko_can_talk_to(hosts: Hosts, new_sshd: NewSshd) -> None:
    server = new_sshd(
        "Ciphers aes256-ctr",
        "MACs hmac-sha2-512-etm@openssh.com",
        "KexAlgorithms curve25519-sha256@libssh.org",
    )
    host = hosts.far(server.config_file)
    assert host.run(["true"]).ok
    assert isinstance(host._control, ParamikoControl)


def test_data_goes_through_ssh_with_strict_options(sshd: ScratchSshd) -> None:
    host = SshHost("scratch", str(sshd.config_file))
    command = host.data_command([["zfs", "receive", "a b"], ["zfs", "receive", "c"]])
    assert command[:3] == ["ssh", "-F", str(sshd.config_file)]
    assert command[-3:] == ["--", "scratch", "zfs receive 'a b' && zfs receive c"]
    for option in (
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "ServerAliveInterval=15",
        "ControlMaster=no",
    ):
        assert option in command


def test_times_of_the_users_own_are_kept(sshd: ScratchSshd) -> None:
    config = sshd.client_config("times", "ServerAliveInterval 7", "ConnectTimeout 8")
    command = SshHost("scratch", str(config)).data_command([["true"]])
    assert not [word for word in command if word.startswith(("ServerAlive", "ConnectTimeout"))]


def test_close_ends_an_attempt_to_connect(hosts: Hosts, sshd: ScratchSshd) -> None:
    host, kinds = hosts.far(sshd.client_config("waiting", "ProxyCommand sleep 600")), list[HostErrorKind]()

    def connect() -> None:
        with pytest.raises(HostError) as caught:
            host.connect()
        kinds.append(caught.value.kind)

    thread = threading.Thread(target=connect)
    thread.start()
    while not any("sleep" in line for line in hosts.processes()):
        time.sleep(0.01)
    host.close()
    thread.join(60)
    assert kinds == [HostErrorKind.STOPPED]
    assert hosts.gone() == []


def test_a_command_is_told_to_those_who_want_it_all(
    hosts: Hosts, sshd: ScratchSshd, caplog: pytest.LogCaptureFixture
) -> None:
    host = hosts.far(sshd.config_file)
    with caplog.at_level(logging.DEBUG, "cyber_zfs_backup"):
        host.run(["echo", "a b"])
    assert "scratch: echo 'a b'" in caplog.messages

# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import logging
import signal
import threading
import time
from pathlib import Path

import pytest

from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.local import LocalHost
from cyber_zfs_backup.hosts.protocol import Finished
from cyber_zfs_backup.hosts.quoting import UnspeakableArgumentError
from tests.unit.hosts.conftest import Hosts

MIB = 1 << 20
BOTH_AT_ONCE = (
    f"head -c {5 * MIB} /dev/zero | tr '\\0' e >&2 & head -c {5 * MIB} /dev/zero | tr '\\0' o; wait; "
    f"head -c {5 * MIB} /dev/zero | tr '\\0' E >&2; exit 3"
)


def test_a_command_answers_what_it_said(hosts: Hosts) -> None:
    finished = hosts.local().run(["sh", "-c", "echo out; echo err >&2; exit 4", "unused word"])
    assert finished == Finished(
        ("sh", "-c", "echo out; echo err >&2; exit 4", "unused word"), 4, "out\n", "err\n"
    )
    assert not finished.ok


def test_a_signal_is_a_negative_status(hosts: Hosts) -> None:
    assert hosts.local().run(["sh", "-c", "kill -KILL $$"]).status == -signal.SIGKILL


def test_a_missing_command_answers_as_a_shell_would(hosts: Hosts) -> None:
    finished = hosts.local().run(["no-such-zfs", "list"])
    assert (finished.status, finished.stderr) == (127, "no-such-zfs: command not found\n")


def test_a_file_that_is_no_command_answers_as_a_shell_would(hosts: Hosts) -> None:
    finished = hosts.local().run(["/etc/passwd"])
    assert (finished.status, finished.stderr) == (126, "/etc/passwd: Permission denied\n")


def test_much_on_both_outputs_does_not_deadlock(hosts: Hosts) -> None:
    finished = hosts.local().run(["sh", "-c", BOTH_AT_ONCE], timeout=120)
    assert finished.status == 3
    assert finished.stdout == "o" * (5 * MIB)
    assert finished.stderr == "e" * (5 * MIB) + "E" * (5 * MIB)


def test_bytes_that_are_no_text_survive(hosts: Hosts) -> None:
    finished = hosts.local().run(["printf", r"\377\n"])
    assert finished.stdout.encode("utf-8", "surrogateescape") == b"\xff\n"


def test_a_command_is_fed(hosts: Hosts) -> None:
    data = b"\xff\n" * MIB
    finished = hosts.local().feed(["sh", "-c", "cat | sha256sum; cat"], data, timeout=60)
    assert finished.stdout == f"{hashlib.sha256(data).hexdigest()}  -\n"
    # Who does not read it keeps nobody waiting, and leaves nothing to the next.
    assert hosts.local().feed(["true"], data, timeout=60).ok
    assert hosts.local().feed(["cat"], b"second", timeout=60).stdout == "second"


def test_a_command_reads_nothing_from_our_terminal(hosts: Hosts) -> None:
    assert hosts.local().run(["cat"], timeout=30).stdout == ""


def test_a_command_has_a_session_of_its_own(hosts: Hosts) -> None:
    fields = hosts.local().run(["cat", "/proc/self/stat"]).stdout.rpartition(")")[2].split()
    own_group, own_session = fields[2], fields[3]
    assert own_group == own_session


def test_the_environment_is_small(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/bin:/usr/bin")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LD_PRELOAD_OF_OURS", "x")
    said = dict(line.split("=", 1) for line in hosts.local().run(["env"]).stdout.splitlines())
    assert said["PATH"] == "/bin:/usr/bin:/usr/sbin:/sbin"
    assert said["LC_ALL"] == "C"
    known = {"PATH", "LC_ALL", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "KRB5CCNAME", "XDG_RUNTIME_DIR"}
    assert set(said) - known == set(hosts.env)


def test_time_up_ends_the_command_and_its_children(hosts: Hosts) -> None:
    with pytest.raises(HostError) as caught:
        hosts.local().run(["sh", "-c", "sleep 60 & sleep 60"], timeout=0.3)
    assert caught.value.kind is HostErrorKind.TIMEOUT
    assert "0.3 s" in str(caught.value)
    assert hosts.gone() == []


def test_time_up_ends_a_command_that_ignores_term(hosts: Hosts) -> None:
    with pytest.raises(HostError, match="had not ended"):
        hosts.local().run(["sh", "-c", "trap '' TERM; while :; do sleep 1; done"], timeout=0.3)
    assert hosts.gone() == []


def test_close_ends_what_another_thread_runs(hosts: Hosts, tmp_path: Path) -> None:
    host, answers = hosts.local(), list[Finished]()
    started = tmp_path / "started"
    script = ["sh", "-c", 'touch "$0"; sleep 60', str(started)]
    thread = threading.Thread(target=lambda: answers.append(host.run(script)))
    thread.start()
    while not started.exists():
        time.sleep(0.01)
    host.close()
    thread.join(30)
    assert [answer.status for answer in answers] == [-signal.SIGTERM]
    host.close()


def test_control_characters_are_refused_before_anything_runs() -> None:
    with pytest.raises(UnspeakableArgumentError):
        LocalHost().run(["touch", "a\nb"])


def test_several_commands_on_one_input_need_a_shell() -> None:
    host = LocalHost()
    assert host.data_command([["zfs", "send", "a b"]]) == ["zfs", "send", "a b"]
    assert host.data_command([["a", "b c"], ["d"]]) == ["/bin/sh", "-c", "a 'b c' && d"]


def test_a_command_is_told_to_those_who_want_it_all(hosts: Hosts, caplog: pytest.LogCaptureFixture) -> None:
    hosts.local().run(["echo", "quiet"])
    assert caplog.messages == []
    with caplog.at_level(logging.DEBUG, "cyber_zfs_backup"):
        hosts.local().run(["echo", "a b"])
    assert caplog.messages == ["this machine: echo 'a b'"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams to, from and between hosts that are reached by ssh."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cyber_zfs_backup.hosts.errors import HostErrorKind
from cyber_zfs_backup.hosts.local import LocalHost
from cyber_zfs_backup.hosts.protocol import Transfer
from cyber_zfs_backup.hosts.ssh import SshHost
from cyber_zfs_backup.hosts.stream import ProcessLink
from tests.sshd.fixture import NewSshd
from tests.sshd.server import ScratchSshd, free_port
from tests.unit.hosts.conftest import Hosts
from tests.unit.hosts.test_ssh import appears

HostPair = tuple[LocalHost | SshHost, LocalHost | SshHost]


@pytest.fixture(params=["push", "pull", "between"])
def link(request: pytest.FixtureRequest, hosts: Hosts, sshd: ScratchSshd) -> ProcessLink:
    pairs: dict[str, HostPair] = {
        "push": (hosts.local(), hosts.far(sshd.config_file)),
        "pull": (hosts.far(sshd.config_file), hosts.local()),
        "between": (hosts.far(sshd.config_file), hosts.far(sshd.config_file)),
    }
    return ProcessLink(*pairs[request.param], stall=60.0)


def test_bytes_arrive_exactly_and_are_counted(link: ProcessLink, tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    data.write_bytes(os.urandom(9_876_543))
    counts: list[int] = []
    command = ["dd", "bs=64k", f"of={copy}"]
    transfer = link.transfer([["cat", str(data)]], [command], on_bytes=counts.append)
    assert transfer.ok
    assert transfer.bytes_moved == sum(counts) == 9_876_543
    assert hashlib.sha256(copy.read_bytes()).digest() == hashlib.sha256(data.read_bytes()).digest()
    assert "records" in transfer.receive.stderr


def test_streams_are_joined_on_one_connection(link: ProcessLink) -> None:
    transfer = link.transfer([["printf", "a b"], ["true"], ["echo", "$HOME"]], [["head", "-c", "3"], ["cat"]])
    assert transfer.ok
    assert transfer.receive.stdout == "a b$HOME\n"


def test_a_send_that_fails_ends_the_transfer(hosts: Hosts, link: ProcessLink, tmp_path: Path) -> None:
    third = tmp_path / "third"
    sends = [["echo", "a"], ["sh", "-c", "echo b; exit 5"], ["touch", str(third)]]
    transfer = link.transfer(sends, [["sh", "-c", "cat; exit 6"], ["echo", "never"]])
    assert [send.status for send in transfer.sends] == [0, 5]
    assert (transfer.receive.status, transfer.receive.stdout) == (6, "a\nb\n")
    assert not third.exists()
    assert hosts.gone() == []


def test_a_receive_that_fails_ends_the_send(hosts: Hosts, link: ProcessLink) -> None:
    transfer = link.transfer([["yes"], ["echo", "x"]], [["sh", "-c", "head -c 3; echo no >&2; exit 9"]])
    assert (transfer.receive.status, transfer.receive.stderr) == (9, "no\n")
    assert transfer.trouble is None
    assert len(transfer.sends) == 1
    assert not transfer.ok
    assert hosts.gone() == []


def test_commands_that_are_not_there_answer_127(link: ProcessLink) -> None:
    assert [send.status for send in link.transfer([["no-such-zfs"]], [["cat"]]).sends] == [127]
    assert link.transfer([["echo", "a"]], [["no-such-zfs"]]).receive.status == 127


def test_a_stall_ends_both_sides(hosts: Hosts, sshd: ScratchSshd) -> None:
    link = ProcessLink(hosts.local(), hosts.far(sshd.config_file), stall=1.0)
    transfer = link.transfer([["sh", "-c", "echo a; sleep 600"]], [["cat"]])
    assert transfer.stalled
    assert not transfer.ok
    assert hosts.gone() == []


def test_stop_ends_both_sides(hosts: Hosts, link: ProcessLink) -> None:
    moving, answers = threading.Event(), list[Transfer]()
    sink = ["sh", "-c", "cat >/dev/null"]
    thread = threading.Thread(
        target=lambda: answers.append(link.transfer([["yes"]], [sink], on_bytes=lambda count: moving.set()))
    )
    thread.start()
    assert moving.wait(60)
    link.stop()
    thread.join(60)
    assert [answer.ok for answer in answers] == [False]
    assert hosts.gone() == []


class Once:
    """Does something once, at the first bytes that move after the far side has begun."""

    def __init__(self, begun: Path, what: Callable[[], object]) -> None:
        self.begun = begun
        self.what = what
        self.done = False

    def __call__(self, count: int) -> None:
        if not self.done and self.begun.exists():
            self.done = True
            self.what()


def test_the_far_receive_sees_its_stream_end_when_we_stop(
    hosts: Hosts, sshd: ScratchSshd, tmp_path: Path
) -> None:
    link = ProcessLink(hosts.local(), hosts.far(sshd.config_file))
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    # It goes on until its input ends, whatever became of the connection.
    script = 'trap "" HUP PIPE; touch "$0"; cat >/dev/null; echo "$?" > "$1"'
    link.transfer([["yes"]], [["sh", "-c", script, str(begun), str(ended)]], on_bytes=Once(begun, link.stop))
    assert appears(ended)


def test_a_connection_that_dies_ends_the_transfer(hosts: Hosts, new_sshd: NewSshd, tmp_path: Path) -> None:
    server = new_sshd()
    far = hosts.far(server.config_file)
    begun = tmp_path / "begun"
    receive = ["sh", "-c", 'touch "$0"; cat >/dev/null', str(begun)]
    drop = Once(begun, server.drop_connections)
    transfer = ProcessLink(hosts.local(), far).transfer([["yes"]], [receive], on_bytes=drop)
    assert transfer.receive.status == 255
    assert transfer.sends[0].status in {-signal.SIGPIPE, None}
    assert transfer.trouble is not None
    assert transfer.trouble.kind is HostErrorKind.UNREACHABLE


def test_a_dead_sender_is_no_trouble_of_the_receiver(hosts: Hosts, new_sshd: NewSshd, tmp_path: Path) -> None:
    """In a pull it is the source that ssh does not reach: the error names it."""
    server = new_sshd()
    away = hosts.far(server.client_config("away", f"Port {free_port()}", host="away"), "away")
    transfer = ProcessLink(away, hosts.local()).transfer([["echo", "a"]], [["cat"]])
    assert [send.status for send in transfer.sends] == [255]
    assert transfer.receive.ok
    assert transfer.trouble is not None
    assert (transfer.trouble.where, transfer.trouble.kind) == ("away", HostErrorKind.UNREACHABLE)


def test_patience_ends_a_far_receive_that_hangs(hosts: Hosts, sshd: ScratchSshd) -> None:
    link = ProcessLink(hosts.local(), hosts.far(sshd.config_file), patience=1.5)
    transfer = link.transfer([["echo", "a"]], [["sh", "-c", "cat; exec sleep 600"]])
    assert (transfer.ok, transfer.stalled, transfer.trouble) == (False, True, None)
    assert hosts.gone() == []


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("Port {closed}", HostErrorKind.UNREACHABLE),
        ("UserKnownHostsFile {empty}", HostErrorKind.HOST_KEY_UNKNOWN),
        ("StrictHostKeyChecking no\n UserKnownHostsFile {empty}", HostErrorKind.HOST_KEY_UNKNOWN),
        ("UserKnownHostsFile {wrong}", HostErrorKind.HOST_KEY_CHANGED),
        ("User nobody-of-that-name", HostErrorKind.LOGIN_REFUSED),
        ("HostName nowhere.invalid", HostErrorKind.UNREACHABLE),
    ],
)
def test_what_keeps_the_data_from_the_host_is_explained(
    hosts: Hosts, sshd: ScratchSshd, tmp_path: Path, line: str, kind: HostErrorKind
) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "wrong").write_text(f"[127.0.0.1]:{sshd.port} {Path(f'{sshd.identity}.pub').read_text()}")
    text = line.format(closed=free_port(), empty=tmp_path / "empty", wrong=tmp_path / "wrong")
    far = hosts.far(sshd.client_config("data_config", text))
    transfer = ProcessLink(hosts.local(), far).transfer([["echo", "a"]], [["cat"]])
    assert transfer.receive.status == 255
    assert not transfer.ok
    assert transfer.trouble is not None
    assert (transfer.trouble.kind, transfer.trouble.where) == (kind, far.label)
    assert "\n" not in str(transfer.trouble)


def test_a_far_command_that_says_255_itself_is_no_trouble_of_the_host(
    hosts: Hosts, sshd: ScratchSshd
) -> None:
    far = hosts.far(sshd.config_file)
    transfer = ProcessLink(hosts.local(), far).transfer(
        [["true"]], [["sh", "-c", "echo cannot receive >&2; exit 255"]]
    )
    assert transfer.receive.status == 255
    assert transfer.trouble is None


def test_a_users_master_connection_is_left_alone(hosts: Hosts, sshd: ScratchSshd, tmp_path: Path) -> None:
    """A ssh that becomes a master in the background would hold our pipes open for ever."""
    config = sshd.client_config(
        "master", "ControlMaster auto", f"ControlPath {tmp_path}/m", "ControlPersist yes"
    )
    transfer = ProcessLink(hosts.local(), hosts.far(config)).transfer([["echo", "a"]], [["cat"]])
    assert transfer.receive.stdout == "a\n"
    assert not (tmp_path / "m").exists()

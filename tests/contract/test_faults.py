# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake behind the Host and Link protocols: what goes wrong when a test orders it."""

from __future__ import annotations

import os

import pytest

from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.protocol import Host, Link
from tests.fake.errors import Killed
from tests.fake.host import Crash, FakeHost, FakeLink, cut_in_listing, garbage, make_hosts

SEND = ("zfs", "send", "-w", "tank/a@one")
RECEIVE = ("zfs", "receive", "-s", "-u", "vault/a")


@pytest.fixture
def hosts() -> tuple[FakeHost, FakeHost, FakeLink]:
    """A source with two datasets of 200,000 bytes and a snapshot ``@one``, a receiver and a link."""
    source, receiver, link = make_hosts()
    for child in "ab":
        source.zfs("create", f"tank/{child}")
        source.write(f"tank/{child}", {"file": os.urandom(200_000)})
    source.zfs("snapshot", "-r", "tank@one")
    return source, receiver, link


Hosts = tuple[FakeHost, FakeHost, FakeLink]


def test_the_protocols_are_met(hosts: Hosts) -> None:
    """mypy says so, and the labels are there."""
    source: Host = hosts[0]
    link: Link = hosts[2]
    assert source.label == "this machine"
    assert link.transfer([SEND], [RECEIVE]).ok


def test_commands_and_connections_are_on_record(hosts: Hosts) -> None:
    """With sudo taken away; what a test does by hand is not."""
    source, receiver, link = hosts
    said = source.run(["sudo", "-n", "zfs", "list", "-H", "-o", "name"])
    assert said.ok
    assert said.argv[0] == "sudo"
    assert source.calls == [("zfs", "list", "-H", "-o", "name")]
    moved: list[int] = []
    transfer = link.transfer([SEND], [RECEIVE], on_bytes=moved.append)
    assert transfer.ok
    assert sum(moved) == transfer.bytes_moved > 200_000
    assert receiver.called("receive") == [RECEIVE]
    assert [one.bytes_moved for one in link.transfers] == [transfer.bytes_moved]


def test_a_command_that_is_not_there(hosts: Hosts) -> None:
    """Status 127, as a shell has it."""
    said = hosts[0].run(["bzfs", "--help"])
    assert (said.status, said.stderr) == (127, "sh: 1: bzfs: not found\n")


def test_a_connection_that_breaks(hosts: Hosts) -> None:
    """The far side never tells, the send dies of SIGPIPE, a token is left."""
    _, receiver, link = hosts
    link.break_next(100_000)
    broken = link.transfer([SEND], [RECEIVE])
    assert broken.bytes_moved == 100_000
    assert (broken.receive.status, [send.status for send in broken.sends]) == (None, [-13])
    token = receiver.world.datasets["vault/a"].partial
    assert token is not None
    assert token.taken > 0


def test_joined_sends_stop_at_the_first_that_fails(hosts: Hosts) -> None:
    """Send n+1 is not started, and the receive that waits meets the end."""
    source, receiver, link = hosts
    sends = [SEND, ("zfs", "send", "tank/gone@one"), ("zfs", "send", "tank/b@one")]
    receives = [RECEIVE, ("zfs", "receive", "vault/gone"), ("zfs", "receive", "vault/b")]
    transfer = link.transfer(sends, receives)
    assert [send.status for send in transfer.sends] == [0, 1]
    assert transfer.receive.status == 1
    assert transfer.receive.stderr.endswith("cannot receive: failed to read from stream\n")
    assert len(source.called("send")) == len(receiver.called("receive")) == 2
    assert "vault/b" not in receiver.world.datasets


def test_a_receive_that_fails_early(hosts: Hosts) -> None:
    """A big send loses its reader, a small one does not notice."""
    _, receiver, link = hosts
    receiver.zfs("create", "vault/a")
    transfer = link.transfer([SEND], [RECEIVE])
    assert transfer.receive.status == 1
    assert transfer.sends[0].status == -13


def test_a_receiver_without_room() -> None:
    """``out of space``, exit 1, and a token for what came."""
    source, receiver, link = make_hosts("tank", "vault", capacity=200_000)
    source.zfs("create", "tank/a")
    source.write("tank/a", {"file": os.urandom(400_000)})
    source.zfs("snapshot", "tank/a@one")
    transfer = link.transfer([SEND], [RECEIVE])
    assert transfer.receive.status == 1
    assert transfer.receive.stderr == "cannot receive new filesystem stream: out of space\n"
    assert receiver.zfs("get", "-H", "-o", "value", "receive_resume_token", "vault/a").startswith("1-")


def test_death_at_every_moment(hosts: Hosts) -> None:
    """A command has two moments, a transfer three; in its middle half of the stream arrives."""
    source, receiver, link = hosts
    counting = Crash()
    source.faults.hook = receiver.faults.hook = counting
    source.run(["zfs", "hold", "t", "tank/a@one"])
    assert [moment for moment, _ in counting.seen] == ["before", "after"]
    source.faults.hook = receiver.faults.hook = Crash(1)
    with pytest.raises(Killed):
        link.transfer([SEND], [RECEIVE])
    partial = receiver.world.datasets["vault/a"].partial
    assert partial is not None
    assert 0 < partial.taken < 200_000
    with pytest.raises(Killed):
        source.run(["zfs", "list"])


def test_death_after_a_command_loses_its_answer_alone(hosts: Hosts) -> None:
    """What it did is done."""
    source = hosts[0]
    source.faults.hook = Crash(1)
    with pytest.raises(Killed):
        source.run(["zfs", "snapshot", "tank@two"])
    assert source.world.find_snapshot("tank@two") is not None


def test_a_host_out_of_reach(hosts: Hosts) -> None:
    """``HostError`` for commands; a transfer to it ends with ssh's 255."""
    source, receiver, link = hosts
    receiver.faults.refuse_after = 1
    assert receiver.run(["zfs", "list"]).ok
    with pytest.raises(HostError) as caught:
        receiver.run(["zfs", "list"])
    assert caught.value.kind is HostErrorKind.UNREACHABLE
    receiver.faults.unreachable = True
    transfer = link.transfer([SEND], [RECEIVE])
    assert (transfer.receive.status, transfer.sends) == (255, ())
    assert source.called("send") == []


def test_answers_that_are_cut_or_rubbish(hosts: Hosts) -> None:
    """Listings alone; other commands answer as ever."""
    source = hosts[0]
    whole = source.run(["zfs", "list", "-H", "-o", "name"]).stdout
    source.faults.garble = cut_in_listing()
    cut = source.run(["zfs", "list", "-H", "-o", "name"])
    assert cut.status is None
    assert whole.startswith(cut.stdout)
    assert len(cut.stdout) < len(whole)
    source.faults.garble = garbage()
    assert source.run(["zfs", "get", "guid", "tank"]).stdout.startswith("\x00")
    assert source.run(["zfs", "hold", "t", "tank@one"]).ok


def test_a_link_that_was_stopped(hosts: Hosts) -> None:
    """It refuses new transfers."""
    link = hosts[2]
    link.stop()
    with pytest.raises(HostError) as caught:
        link.transfer([SEND], [RECEIVE])
    assert caught.value.kind is HostErrorKind.STOPPED


def test_two_worlds_never_share_a_guid() -> None:
    """Else what is not common would look common."""
    hosts = [make_hosts()[0] for _ in range(3)]
    for host in hosts:
        for number in range(50):
            host.zfs("snapshot", f"tank@{number}")
    guids = [snap.guid for host in hosts for snap in host.world.datasets["tank"].snapshots]
    assert len(set(guids)) == 150

# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams between processes of this machine; test_stream_ssh.py has the same over ssh."""

from __future__ import annotations

import hashlib
import logging
import os
import resource
import signal
import threading
import time
from pathlib import Path

import pytest

from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.protocol import Transfer
from cyber_zfs_backup.hosts.stream import ProcessLink
from tests.unit.hosts.conftest import Hosts

SIGPIPE = -signal.SIGPIPE


@pytest.fixture
def link(hosts: Hosts) -> ProcessLink:
    return ProcessLink(hosts.local(), hosts.local())


def statuses(transfer: Transfer) -> tuple[list[int | None], int | None]:
    return [send.status for send in transfer.sends], transfer.receive.status


def test_bytes_arrive_exactly_and_are_counted(hosts: Hosts, link: ProcessLink, tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    data.write_bytes(os.urandom(7_654_321))
    counts: list[int] = []
    transfer = link.transfer([["cat", str(data)]], [["tee", str(copy)]], on_bytes=counts.append)
    assert transfer.ok
    assert transfer.bytes_moved == sum(counts) == 7_654_321
    assert hashlib.sha256(copy.read_bytes()).digest() == hashlib.sha256(data.read_bytes()).digest()
    assert hosts.gone() == []


def test_streams_are_joined_in_order_on_one_receiving_side(link: ProcessLink) -> None:
    sends = [["echo", "one"], ["true"], ["echo", "three"]]
    transfer = link.transfer(sends, [["head", "-c", "4"], ["cat"]])
    assert transfer.receive.stdout == "one\nthree\n"
    assert transfer.receive.argv == ("head", "-c", "4", "&&", "cat")
    assert [send.argv for send in transfer.sends] == [tuple(send) for send in sends]
    assert (transfer.ok, transfer.bytes_moved, transfer.stalled) == (True, 10, False)


def test_streams_of_no_bytes_are_fine(link: ProcessLink) -> None:
    transfer = link.transfer([["true"], ["true"]], [["cat"]])
    assert (transfer.ok, transfer.bytes_moved) == (True, 0)


def test_the_next_send_starts_only_after_the_one_before_has_ended(link: ProcessLink, tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    # The first closes its output long before it ends; the second fails where it comes too early.
    first = ["sh", "-c", 'echo a; exec >&-; sleep 0.5; touch "$0"', str(ended)]
    second = ["sh", "-c", 'test -e "$0" && echo b', str(ended)]
    transfer = link.transfer([first, second], [["cat"]])
    assert (transfer.ok, transfer.receive.stdout) == (True, "a\nb\n")


def test_a_send_that_fails_ends_the_transfer(link: ProcessLink, tmp_path: Path) -> None:
    third = tmp_path / "third"
    sends = [["echo", "a"], ["sh", "-c", "echo b; echo oops >&2; exit 5"], ["touch", str(third)]]
    # What the receiving side says about its broken stream is heard to the end.
    receive = ["sh", "-c", "cat; echo broken >&2; exit 6"]
    transfer = link.transfer(sends, [receive, ["echo", "never"]])
    assert statuses(transfer) == ([0, 5], 6)
    assert (transfer.sends[1].stderr, transfer.receive.stderr) == ("oops\n", "broken\n")
    assert transfer.receive.stdout == "a\nb\n"
    assert not transfer.ok
    assert not third.exists()


def test_a_send_that_is_not_there_ends_the_transfer(link: ProcessLink) -> None:
    transfer = link.transfer([["no-such-zfs"], ["echo", "x"]], [["cat"]])
    assert statuses(transfer) == ([127], 0)
    assert transfer.receive.stdout == ""
    assert "command not found" in transfer.sends[0].stderr


def test_a_receive_that_is_not_there_starts_no_send(link: ProcessLink, tmp_path: Path) -> None:
    transfer = link.transfer([["touch", str(tmp_path / "sent")]], [["no-such-zfs"]])
    assert statuses(transfer) == ([], 127)
    assert not transfer.ok
    assert not (tmp_path / "sent").exists()


def test_a_receive_that_ends_early_ends_the_send(hosts: Hosts, link: ProcessLink) -> None:
    transfer = link.transfer([["yes"], ["echo", "x"]], [["sh", "-c", "head -c 3; exit 9"]])
    assert statuses(transfer) == ([SIGPIPE], 9)
    assert hosts.gone() == []


def test_a_receive_that_ends_early_and_well_is_no_success(link: ProcessLink, tmp_path: Path) -> None:
    """What was sent has not been taken: a status of 0 on both sides would be a lie.

    Too much for one widened pipe and little enough for two: so the send ends well, with its last
    bytes still in our hands.
    """
    sent = tmp_path / "sent"
    send = ["sh", "-c", 'head -c 1500000 /dev/zero; touch "$0"', str(sent)]
    receive = ["sh", "-c", 'while ! test -e "$0"; do sleep 0.05; done', str(sent)]
    transfer = link.transfer([send], [receive])
    assert statuses(transfer) == ([None], 0)
    assert "before it had taken everything" in transfer.sends[0].stderr
    assert not transfer.ok


def test_a_receive_that_has_gone_is_not_fed_the_next_stream(link: ProcessLink, tmp_path: Path) -> None:
    second = tmp_path / "second"
    # The first send lives on until the receiving side has gone.
    transfer = link.transfer(
        [["sh", "-c", "echo a; exec >&-; sleep 1"], ["touch", str(second)]], [["head", "-c", "2"]]
    )
    assert statuses(transfer) == ([0, None], 0)
    assert "not started" in transfer.sends[1].stderr
    assert not second.exists()


def test_a_silent_send_is_ended_once_the_receive_has_gone(hosts: Hosts, link: ProcessLink) -> None:
    transfer = link.transfer([["sleep", "600"]], [["false"]])
    assert statuses(transfer) == ([-signal.SIGTERM], 1)
    assert hosts.gone() == []


def test_a_receive_may_take_its_time_after_the_last_byte(hosts: Hosts) -> None:
    link = ProcessLink(hosts.local(), hosts.local(), stall=0.3)
    transfer = link.transfer([["echo", "a"]], [["sh", "-c", "cat; sleep 1"]])
    assert (transfer.ok, transfer.stalled) == (True, False)


def test_a_send_may_take_its_time_before_the_first_byte(hosts: Hosts) -> None:
    link = ProcessLink(hosts.local(), hosts.local(), stall=0.3)
    slow = ["sh", "-c", "sleep 0.8; echo a"]
    transfer = link.transfer([slow, slow], [["cat"]])
    assert (transfer.ok, transfer.receive.stdout) == (True, "a\na\n")


def test_a_send_that_stalls_in_its_stream_is_ended(hosts: Hosts) -> None:
    link = ProcessLink(hosts.local(), hosts.local(), stall=0.4)
    transfer = link.transfer([["sh", "-c", "echo a; sleep 600"], ["echo", "b"]], [["cat"]])
    assert transfer.stalled
    assert [send.status for send in transfer.sends] == [-signal.SIGTERM]
    assert not transfer.ok
    assert hosts.gone() == []


def test_a_receive_that_stalls_in_its_stream_is_ended(hosts: Hosts) -> None:
    link = ProcessLink(hosts.local(), hosts.local(), stall=0.4)
    transfer = link.transfer([["yes"]], [["sleep", "600"]])
    assert transfer.stalled
    assert transfer.receive.status == -signal.SIGTERM
    assert hosts.gone() == []


SILENCES = {
    "the receive hangs after the last byte": (
        [["echo", "a"]],
        [["sh", "-c", "cat; exec sleep 600"]],
        [0],
    ),
    "the receive takes nothing of a stream that fits into the pipes": (
        [["echo", "a"]],
        [["sleep", "600"]],
        [0],
    ),
    "the second receive takes nothing": (
        [["echo", "a"], ["echo", "b"]],
        [["head", "-c", "2"], ["sleep", "600"]],
        [0, 0],
    ),
    "the send hangs before its first byte": (
        [["sleep", "600"], ["echo", "b"]],
        [["cat"]],
        [-signal.SIGTERM],
    ),
    "the second send hangs before its first byte": (
        [["echo", "a"], ["sleep", "600"]],
        [["cat"]],
        [0, -signal.SIGTERM],
    ),
    "the send hangs after its last byte": (
        [["sh", "-c", "echo a; exec >&-; exec sleep 600"], ["echo", "b"]],
        [["cat"]],
        [-signal.SIGTERM],
    ),
}
"""Where the stall limit does not count: sends, receives, and how the sends that were started ended."""


@pytest.mark.parametrize(("sends", "receives", "ended"), SILENCES.values(), ids=SILENCES)
def test_patience_with_a_silence_has_an_end_too(
    hosts: Hosts, sends: list[list[str]], receives: list[list[str]], ended: list[int]
) -> None:
    link = ProcessLink(hosts.local(), hosts.local(), stall=0.6, patience=1.0)
    began = time.monotonic()
    transfer = link.transfer(sends, receives)
    assert 1.0 <= time.monotonic() - began < 10
    assert transfer.stalled
    assert not transfer.ok
    assert [send.status for send in transfer.sends] == ended
    assert hosts.gone() == []


def test_each_silence_within_the_patience_is_no_stall(hosts: Hosts) -> None:
    """Two before a first byte and two after a last one; together they are longer than it."""
    link = ProcessLink(hosts.local(), hosts.local(), stall=0.6, patience=2.0)
    slow = ["sh", "-c", "sleep 0.8; echo a; exec >&-; sleep 0.8"]
    transfer = link.transfer([slow, slow], [["sh", "-c", "cat; sleep 0.8"]])
    assert (transfer.ok, transfer.stalled, transfer.receive.stdout) == (True, False, "a\na\n")


def test_patience_does_not_count_within_a_stream(hosts: Hosts) -> None:
    link = ProcessLink(hosts.local(), hosts.local(), stall=30.0, patience=2.0)
    transfer = link.transfer([["sh", "-c", "echo a; sleep 2.5; echo b"]], [["cat"]])
    assert (transfer.ok, transfer.stalled) == (True, False)


def test_a_slow_stream_is_no_stall(hosts: Hosts) -> None:
    link = ProcessLink(hosts.local(), hosts.local(), stall=1.0)
    transfer = link.transfer([["sh", "-c", "for i in 1 2 3 4 5 6; do echo $i; sleep 0.3; done"]], [["cat"]])
    assert (transfer.ok, transfer.stalled) == (True, False)


def test_endless_words_keep_their_head_and_their_tail(link: ProcessLink) -> None:
    script = "echo first >&2; yes word | head -c 8000000 >&2; echo last >&2"
    transfer = link.transfer([["sh", "-c", script]], [["cat"]])
    said = transfer.sends[0].stderr
    assert said.startswith("first\nword\n")
    assert said.endswith("word\nlast\n")
    assert "bytes left out" in said
    assert len(said) < 200_000


def test_bytes_are_reported_while_the_stream_goes_on(link: ProcessLink, tmp_path: Path) -> None:
    """Also those that moved just before a pause: the send waits here until they were reported."""
    seen = tmp_path / "seen"
    script = 'echo a; while ! test -e "$0"; do sleep 0.05; done; echo b'
    transfer = link.transfer(
        [["sh", "-c", script, str(seen)]], [["cat"]], on_bytes=lambda count: seen.touch()
    )
    assert transfer.ok


def test_waiting_costs_no_processor_time(link: ProcessLink) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    transfer = link.transfer([["sh", "-c", "echo a; sleep 2; echo b"]], [["cat"]])
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert transfer.ok
    assert spent < 1.0


def test_stop_ends_what_is_under_way_and_refuses_more(hosts: Hosts, link: ProcessLink) -> None:
    moving, answers = threading.Event(), list[Transfer]()
    body = threading.Thread(
        target=lambda: answers.append(
            link.transfer([["yes"]], [["sh", "-c", "cat >/dev/null"]], on_bytes=lambda count: moving.set())
        )
    )
    body.start()
    assert moving.wait(30)
    link.stop()
    body.join(30)
    assert [answer.ok for answer in answers] == [False]
    assert answers[0].bytes_moved > 0
    assert hosts.gone() == []
    with pytest.raises(HostError) as caught:
        link.transfer([["true"]], [["true"]])
    assert caught.value.kind is HostErrorKind.STOPPED


def test_stop_ends_processes_that_ignore_term(hosts: Hosts, link: ProcessLink) -> None:
    stubborn = ["sh", "-c", "trap '' TERM PIPE; while :; do echo a; sleep 0.1; done"]
    timer = threading.Timer(0.5, link.stop)
    timer.start()
    transfer = link.transfer([stubborn], [["sh", "-c", "trap '' TERM; cat >/dev/null; sleep 600"]])
    timer.join()
    assert not transfer.ok
    assert hosts.gone() == []


def test_an_exception_of_the_watcher_ends_both_sides(hosts: Hosts, link: ProcessLink) -> None:
    def watch(count: int) -> None:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        link.transfer([["yes"]], [["sh", "-c", "cat >/dev/null"]], on_bytes=watch)
    assert hosts.gone() == []


def test_several_transfers_run_at_once(link: ProcessLink) -> None:
    answers: list[Transfer] = []
    threads = [
        threading.Thread(target=lambda: answers.append(link.transfer([["sleep", "0.5"]], [["cat"]])))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [answer.ok for answer in answers] == [True] * 4


def test_no_descriptor_is_left_open(link: ProcessLink) -> None:
    link.transfer([["echo", "a"]], [["cat"]])
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(5):
        link.transfer([["echo", "a"], ["false"]], [["cat"]])
        link.transfer([["yes"]], [["true"]])
    time.sleep(0)
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_transfer_is_told_to_those_who_want_it_all(
    link: ProcessLink, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "cyber_zfs_backup"):
        link.transfer([["echo", "a b"], ["true"]], [["head", "-c1"], ["cat"]])
    assert caplog.messages == ["this machine to this machine: echo 'a b'; true | head -c1 && cat"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""How many bytes a send will have about: asked with the flags of the send itself, and never an error."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.protocol import Argv, Finished
from cyber_zfs_backup.zfs import commands, parse
from cyber_zfs_backup.zfs.client import Zfs
from tests.fake.host import FakeHost, make_hosts

RECORDS = 100_000


@pytest.fixture
def host() -> FakeHost:
    source, _, _ = make_hosts()
    for name in ("tank/src", "tank/src/a"):
        source.zfs("create", name)
    for number in range(3):
        for name in ("tank/src", "tank/src/a"):
            source.write(name, {"file": bytes([number + 1]) * RECORDS})
        source.zfs("snapshot", "-r", f"tank/src@s{number}")
    source.zfs("bookmark", "tank/src/a@s0", "tank/src/a#s0")
    source.zfs("clone", "tank/src/a@s0", "tank/clone")
    source.write("tank/clone", {"more": b"c" * RECORDS})
    source.zfs("snapshot", "tank/clone@s3")
    return source


SENDS = {
    "the tree": (commands.send_replicate("tank/src@s2", None), 6),
    "the tree's news": (commands.send_replicate("tank/src@s2", "s0"), 4),
    "a dataset": (commands.send_full("tank/src/a@s0", properties=True), 1),
    "a dataset's news": (commands.send_level("tank/src/a@s2", "s0", properties=False), 2),
    "from a bookmark": (commands.send_bridge("tank/src/a@s1", "s0", properties=False), 1),
    "a clone": (commands.send_clone("tank/clone@s3", "tank/src/a@s0"), 2),  # the fake counts the origin's too
    "the same, not raw": (commands.send_level("tank/src/a@s2", "s1", properties=True, raw=False), 1),
}
"""A send, and how many times the written bytes are in it."""


@pytest.mark.parametrize(("send", "times"), SENDS.values(), ids=SENDS)
def test_an_estimate_is_asked_with_the_flags_of_the_send(host: FakeHost, send: list[str], times: int) -> None:
    found = Zfs(host).estimate(send)
    assert found is not None
    assert 1 <= found / (times * RECORDS) < 1.1
    asked = host.calls[-1]
    assert asked[:3] == ("zfs", "send", "-nvP")
    assert list(asked[3:]) == send[2:]


def test_the_rest_of_a_partial_receive() -> None:
    source, receiver, link = make_hosts()
    source.zfs("create", "tank/src")
    source.write("tank/src", {"file": b"x" * RECORDS})
    source.zfs("snapshot", "tank/src@s0")
    link.break_next(RECORDS // 2)
    link.transfer(
        [commands.send_full("tank/src@s0", properties=False)], [commands.receive_plain("vault/src")]
    )
    token = receiver.zfs("get", "-Hp", "-o", "value", "receive_resume_token", "vault/src").strip()
    found = Zfs(source).estimate(commands.send_resume(token))
    assert found is not None
    assert 0 < found < RECORDS
    assert source.calls[-1] == ("zfs", "send", "-nvP", *commands.send_resume(token)[2:])


class Answering:
    """A host with one answer."""

    label = "this machine"

    def __init__(self, status: int | None, stdout: str, stderr: str) -> None:
        self.said = (status, stdout, stderr)
        self.timeouts: list[float | None] = []

    def run(self, argv: Argv, *, timeout: float | None = None) -> Finished:
        self.timeouts.append(timeout)
        return Finished(tuple(argv), *self.said)

    def close(self) -> None:
        return


class Away(Answering):
    """A host that does not answer in time."""

    def run(self, argv: Argv, *, timeout: float | None = None) -> Finished:
        raise HostError(HostErrorKind.TIMEOUT, self.label, "did not end in time", "try again")


@pytest.mark.parametrize(
    ("status", "stdout", "stderr", "size"),
    [
        (0, "full\ttank/src@s0\t624\nsize\t624\n", "", 624),
        (0, "", "size\t1248\n", 1248),
        (0, "resume token contents:\nnvlist version: 0\n\ttoname = tank/src@s0\nsize\t5\n", "", 5),
        (0, "size\t0\n", "", 0),
        (1, "size\t624\n", "", None),
        (255, "", "cannot resume send: 'tank/src@s0' used in the initial send no longer exists\n", None),
        (None, "size\t624\n", "", None),
        (0, "", "", None),
        (0, "full\ttank/src@s0\t624\n", "", None),
        (0, "size\t1.2G\n", "", None),
        (0, "size\t-5\n", "", None),
        (0, "size\t\u0661\n", "", None),
        (0, f"size\t{'9' * 5000}\n", "", None),
    ],
)
def test_what_zfs_may_say(status: int | None, stdout: str, stderr: str, size: int | None) -> None:
    host = Answering(status, stdout, stderr)
    assert Zfs(host, timeout=99).estimate(["zfs", "send", "tank/src@s0"], 2.5) == size
    assert host.timeouts == [2.5]


def test_a_host_that_does_not_answer_has_no_estimate() -> None:
    assert Zfs(Away(0, "", "")).estimate(["zfs", "send", "tank/src@s0"]) is None


def test_the_sum_is_the_last_word() -> None:
    assert parse.send_size("incremental\ts4\troot@s5\t624\nsize\t1248\n") == 1248

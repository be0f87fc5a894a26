# SPDX-License-Identifier: GPL-3.0-or-later
"""The executable fake under signals, and two of its processes at once.

Measured on OpenZFS 2.1.11: a receive that is killed, by whatever signal, leaves a token; its token
can be seen while it runs; the dataset is busy until then; a send whose reader goes away dies of
SIGPIPE.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake.executable import wrap


class Ground:
    """Two pools in a folder, a source with data and a snapshot ``@one``."""

    def __init__(self, folder: Path) -> None:
        wrap(folder / "bin", folder / "world")
        self.world = folder / "world"
        self.env = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
        # A clock that stands still: what a command keeps must not hang on the second it runs in.
        self.env["FAKE_ZFS_NOW"] = "1700000000"
        for pool in ("tank", "vault"):
            self.run("zpool", "create", pool, "anything")
        self.run("zfs", "create", "tank/a")
        self.run("fake-write", "tank/a", "file", data=os.urandom(400_000))
        self.run("zfs", "snapshot", "tank/a@one")

    def run(self, *argv: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end."""
        return subprocess.run(argv, input=data, env=self.env, capture_output=True, check=False)

    def start(
        self, *argv: str, stdin: int | None = None, stdout: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command."""
        return subprocess.Popen(argv, env=self.env, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)

    def token(self, name: str) -> str:
        """The resume token of a dataset, nothing where it is not there."""
        said = self.run("zfs", "get", "-H", "-o", "value", "receive_resume_token", name)
        return said.stdout.decode().strip()

    def half_received(self) -> subprocess.Popen[bytes]:
        """A receive into vault/a that has taken half of the stream and waits for more."""
        stream = self.run("zfs", "send", "tank/a@one").stdout
        receive = self.start("zfs", "receive", "-s", "-u", "vault/a", stdin=subprocess.PIPE)
        assert receive.stdin is not None
        receive.stdin.write(stream[: len(stream) // 2])
        receive.stdin.flush()
        return receive


def _eventually(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Pools of this test's own."""
    return Ground(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_receive_that_is_killed_leaves_a_token(ground: Ground, number: signal.Signals) -> None:
    """And the resumed stream finishes it."""
    receive = ground.half_received()
    journal = ground.world
    _eventually(lambda: any(path.stat().st_size > 100_000 for path in journal.glob("receive.*")))
    receive.send_signal(number)
    assert receive.wait() == -number
    token = ground.token("vault/a")
    assert token.startswith("1-")
    rest = ground.run("zfs", "send", "-t", token)
    assert len(rest.stdout) < 350_000
    assert ground.run("zfs", "receive", "-s", "-u", "vault/a", data=rest.stdout).returncode == 0
    assert ground.token("vault/a") == "-"
    assert not list(journal.glob("receive.*"))
    guids = [
        ground.run("zfs", "get", "-H", "-o", "value", "guid", f"{pool}/a@one").stdout
        for pool in ("tank", "vault")
    ]
    assert guids[0] == guids[1]


def test_a_dataset_that_is_being_received(ground: Ground) -> None:
    """It is there with a token and busy; other commands do not wait for the stream."""
    receive = ground.half_received()
    _eventually(lambda: ground.token("vault/a").startswith("1-"))
    for argv, said in (
        (("destroy", "vault/a"), b"cannot destroy 'vault/a': dataset is busy\n"),
        (("receive", "-A", "vault/a"), b"cannot destroy 'vault/a': dataset is busy\n"),
    ):
        done = ground.run("zfs", *argv)
        assert (done.returncode, done.stderr) == (1, said)
    assert ground.run("zfs", "snapshot", "-r", "vault@other").returncode == 0
    _, err = receive.communicate()
    assert receive.returncode == 1
    assert b"Partially received snapshot is saved." in err


def test_a_send_whose_reader_goes_away(ground: Ground) -> None:
    """It dies of SIGPIPE and says nothing."""
    send = ground.start("zfs", "send", "tank/a@one", stdout=subprocess.PIPE)
    assert send.stdout is not None
    send.stdout.read(10)
    send.stdout.close()
    _, err = send.communicate()
    assert (send.returncode, err) == (-signal.SIGPIPE, b"")


def test_the_calls_are_on_record(ground: Ground) -> None:
    """For tests that count."""
    ground.run("zfs", "list", "-H")
    last = (ground.world / "calls").read_text().splitlines()[-1]
    assert json.loads(last) == ["zfs", "list", "-H"]

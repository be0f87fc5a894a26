# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest's agent, the channel to it and the keeper, on this machine over a socket instead of a port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guest.channel import Channel, GuestError
from tests.guest.guest import Guest
from tests.guest.inside.agent import Job
from tests.guest.keeper import Keeper

CHECKOUT = Path(__file__).parents[2]
AGENT = "from tests.guest.inside.agent import Agent; Agent(0).serve()"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Path]:
    """A socket with an agent behind it, as QEMU's would be."""
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        made: list[subprocess.Popen[bytes]] = []

        def accept() -> None:
            connection, _address = listener.accept()
            with connection:
                made.append(
                    subprocess.Popen([sys.executable, "-c", AGENT], stdin=connection.fileno(), cwd=CHECKOUT)
                )

        thread = threading.Thread(target=accept)
        thread.start()
        yield path
        thread.join()
        made[0].kill()
        made[0].wait()


@pytest.fixture
def guest(port: Path) -> Iterator[Guest]:
    channel = Channel(port)
    channel.synchronise(60)
    made = Guest(channel)
    yield made
    made.close()


def test_a_command(guest: Guest) -> None:
    result = guest.run(["sh", "-c", "cat; echo err >&2; exit 4"], stdin=b"\0in", cwd="/")
    assert (result.status, result.stdout, result.stderr) == (4, b"\0in", b"err\n")
    assert guest.record == [result]


def test_much_data_both_ways(guest: Guest) -> None:
    data = os.urandom(5_000_000)
    assert guest.run(["cat"], stdin=data, cwd="/").stdout == data


def test_commands_at_the_same_time(guest: Guest, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "meet")
    reader = guest.start(["cat", str(tmp_path / "meet")], cwd="/")
    guest.run(["sh", "-c", f"echo hello > {tmp_path}/meet"], cwd="/").check()
    assert reader.wait(60).stdout == b"hello\n"


def test_a_timeout_kills_the_group(guest: Guest) -> None:
    result = guest.run(["sh", "-c", "sleep 1000 & wait"], cwd="/", timeout=0.3)
    assert (result.timed_out, result.status) == (True, -signal.SIGKILL)


def test_what_cannot_be_started(guest: Guest) -> None:
    with pytest.raises(GuestError, match="FileNotFoundError"):
        guest.run(["no-such-program"], cwd="/")
    with pytest.raises(GuestError, match="FileNotFoundError"):
        guest.run(["true"], cwd="/no/such/folder")


def test_a_file_is_whole_or_not_there(guest: Guest, tmp_path: Path) -> None:
    guest.put(b"content", f"{tmp_path}/new/file", mode=0o600)
    assert guest.get(f"{tmp_path}/new/file") == b"content"
    assert sorted(os.listdir(tmp_path / "new")) == ["file"]
    with pytest.raises(GuestError, match="File exists"):
        guest.put(b"content", f"{tmp_path}/new/file/below")


class _Machine:
    """What a keeper needs of a machine."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.alive = True
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1


class TestKeeper:
    @pytest.fixture
    def machine(self, guest: Guest) -> _Machine:
        return _Machine(guest.channel)

    @pytest.fixture
    def shared(self, machine: _Machine, tmp_path: Path) -> Iterator[Path]:
        path = tmp_path / "keeper.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            Keeper(machine).begin(listener)
            yield path

    def client(self, path: Path) -> Guest:
        channel = Channel(path)
        channel.synchronise(60)
        return Guest(channel)

    def test_clients_do_not_mix(self, shared: Path) -> None:
        first, second = self.client(shared), self.client(shared)
        waiting = first.start(["cat"], cwd="/")
        assert second.run(["echo", "second"], cwd="/").text == "second"
        waiting.feed(b"first", end=True)
        assert waiting.wait(60).text == "first"
        first.close()
        second.close()

    def test_what_a_client_leaves_running_is_killed(self, shared: Path, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "held")
        client = self.client(shared)
        client.start(["sh", "-c", f"exec 3> {tmp_path}/held; echo open >&3; sleep 1000"], cwd="/")
        with (tmp_path / "held").open("rb") as held:
            assert held.readline() == b"open\n"
            client.close()
            assert held.read() == b""  # the end comes when nobody holds the other side any more

    def test_orders(self, shared: Path, machine: _Machine) -> None:
        client = self.client(shared)
        client.reset()
        assert machine.resets == 1
        with pytest.raises(GuestError, match="unknown order"):
            client.order_keeper("dance")
        client.close()


class _Told:
    """What a job has reported."""

    def __init__(self) -> None:
        self.status: int | None = None

    def send(self, frame: object) -> None:
        """Output; there is none."""

    def end(self, job: int, status: int | None, *, timed_out: bool = False, error: str = "") -> None:
        """The end."""
        self.status = status


def test_a_signal_that_comes_before_the_process_is_known_is_not_lost() -> None:
    told = _Told()
    job = Job(1, {"argv": ["sleep", "1000"], "cwd": "/", "timeout": 60}, told)  # type: ignore[arg-type]
    job.signal(signal.SIGKILL)
    job.run()
    assert told.status == -signal.SIGKILL

# SPDX-License-Identifier: GPL-3.0-or-later
"""Passing trouble is tried again, after asking and planning anew; what needs a person never is."""

from __future__ import annotations

import io

import pytest

from cyber_zfs_backup.actions import retry
from tests.fake.front import Streams
from tests.fake.host import FakeHost
from tests.unit.actions.rig import FORCED, LEVEL, ONLY_PUSH, REPLICATE, THERE, Rig, action, kinds, problems

BIG = 60_000
INVALID = "cannot receive resume stream: kernel modules must be upgraded to receive this stream.\n"


def test_the_waits_grow_and_have_a_bound() -> None:
    assert [retry.delay(number, 1.0) for number in (1, 2, 3, 6, 7, 50)] == [10, 20, 40, 320, 600, 600]
    assert (retry.delay(1, 0.5), retry.delay(1, 1.5)) == (5, 15)


@pytest.mark.parametrize("mode", [LEVEL, REPLICATE])
def test_a_stream_that_broke_goes_on_in_the_same_run(mode: object) -> None:
    rig = Rig("a")
    rig.always = {"send_mode": mode, "retries": 2}
    rig.first()
    rig.size = BIG
    rig.link.break_next(20_000, 20_000)
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there
    assert 1 <= len(rig.pauses) <= 2
    assert 5 <= rig.pauses[0] <= 15
    figures = action(result, "push").figures
    assert figures["retries"] == len(rig.pauses)
    assert figures["bytes"] == sum(moved.bytes_moved for moved in rig.link.transfers[1:])
    assert any("trying again in" in warning and "(1 of 2)" in warning for warning in rig.said.warnings)


def test_a_receiver_that_stays_away_is_given_up_in_the_end() -> None:
    rig = Rig("a")
    rig.first()
    rig.receiver.faults.unreachable = True
    result = rig.night(retries=2)
    assert (result.exit_code, kinds(result)) == (75, ["unreachable"])
    assert len(rig.pauses) == 2
    assert 10 <= rig.pauses[1] <= 30


class ItComesBack(list[float]):
    """Pauses during which the receiver is repaired."""

    def __init__(self, host: FakeHost) -> None:
        super().__init__()
        self._host = host

    def append(self, seconds: float) -> None:
        super().append(seconds)
        self._host.faults.unreachable = False


def test_a_receiver_that_comes_back_is_asked_anew() -> None:
    rig = Rig("a")
    rig.first()
    rig.receiver.faults.unreachable = True
    rig.pauses = ItComesBack(rig.receiver)
    result = rig.night(retries=1)
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there


def test_a_conflict_is_not_tried_again() -> None:
    rig = Rig("a")
    rig.first()
    rig.receiver.write(f"{THERE}/a", {"foreign": b"data"})
    result = rig.night(retries=5)
    assert (result.exit_code, kinds(result), rig.pauses) == (3, ["diverged"], [])
    empty = Rig("a")
    assert (empty.night(retries=5).exit_code, empty.pauses) == (65, [])


def test_a_full_pool_is_not_tried_again() -> None:
    rig = Rig("a", capacity=100_000)
    rig.first()
    rig.size = 400_000
    result = rig.night(retries=5)
    assert (result.exit_code, rig.pauses) == (1, [])
    assert set(kinds(result)) == {"no-space"}


def test_a_receive_that_outlives_its_connection_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without retries: it ends by itself, and what it took is kept."""
    rig = Rig("a")
    rig.first()
    busy = "cannot receive incremental stream: dataset is busy\n"
    real = FakeHost.execute
    left = [2]

    def denied(self: FakeHost, command: tuple[str, ...], streams: object = None) -> object:
        if self is rig.receiver and "receive" in command and left[0]:
            left[0] -= 1
            assert streams is not None
            streams.err.append(busy)  # type: ignore[attr-defined]
            return 1, streams
        return real(self, command, streams)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeHost, "execute", denied)
    result = rig.night(retries=0, lanes=1)
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there
    assert len(rig.pauses) in (1, 2)
    left[0] = 100
    result = rig.night(retries=0, lanes=1)
    assert result.exit_code == 75
    assert set(kinds(result)) == {"busy"}
    assert "zfs holds" not in problems(result)[0]


def test_a_partial_receive_that_moved_on_meanwhile_is_gone_on_with_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The receive of a dead connection takes what was on its way after we have asked for its token."""
    rig = Rig("a")
    rig.always = {"send_mode": LEVEL, "lanes": 1}
    rig.first()
    rig.size = BIG
    rig.link.break_next(20_000)
    assert rig.night().exit_code == 75
    (path,) = rig.tokens()
    real, moved = FakeHost.attempt, [False]

    def attempt(self: FakeHost, command: tuple[str, ...], streams: object = None) -> object:
        if self is rig.receiver and command[1] == "receive" and not moved[0]:
            moved[0] = True
            token = rig.tokens()[path]
            late = rig.link.source.execute(("zfs", "send", "-t", token), sent := Streams(write=data.append))
            assert (late[0], "".join(sent.err)) == (0, "")
            rest = Streams(io.BytesIO(b"".join(data)[:25_000]))
            rig.receiver.execute(("zfs", "receive", "-s", rig.full(path, THERE)), rest)
            assert rig.tokens()[path] != token
            assert streams is not None
            streams.err.append(INVALID)  # type: ignore[attr-defined]
            return 1, streams
        return real(self, command, streams)  # type: ignore[arg-type]

    data: list[bytes] = []
    monkeypatch.setattr(FakeHost, "attempt", attempt)
    result = rig.run(actions=ONLY_PUSH)
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there


@pytest.mark.parametrize("version", [(2, 1, 11), (2, 3, 9)])
def test_a_partial_receive_of_a_first_stream_that_has_ended_meanwhile_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int]
) -> None:
    """The receive of a dead connection has taken the rest: zfs refuses the resumed stream, 2.3 in words of
    its own. What has arrived is seen, and a newer snapshot goes on from there."""
    rig = Rig("a")
    rig.always = {"send_mode": LEVEL, "lanes": 1}
    rig.receiver.world.version = version
    rig.size = BIG
    rig.link.break_next(20_000)
    assert rig.night(force=FORCED).exit_code == 75
    (path,) = rig.tokens()
    real = FakeHost.attempt
    refused: list[tuple[int, Streams]] = []

    def attempt(self: FakeHost, command: tuple[str, ...], streams: object = None) -> object:
        if self is not rig.receiver or command[1] != "receive" or refused:
            return real(self, command, streams)  # type: ignore[arg-type]
        data: list[bytes] = []
        rig.link.source.execute(("zfs", "send", "-t", rig.tokens()[path]), Streams(write=data.append))
        late = Streams(io.BytesIO(b"".join(data)))
        assert rig.receiver.execute(("zfs", "receive", "-s", "-u", rig.full(path, THERE)), late)[0] == 0
        assert not rig.tokens()
        refused.append(real(self, command, streams))  # type: ignore[arg-type]
        return refused[0]

    monkeypatch.setattr(FakeHost, "attempt", attempt)
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    ((status, streams),) = refused
    assert status == 1
    assert ("Resuming recv on existing destination" in "".join(streams.err)) == (version > (2, 3))
    assert rig.here == rig.there


def test_a_stream_that_does_not_fit_is_not_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig("a")
    rig.always = {"send_mode": LEVEL, "lanes": 1}
    rig.first()
    rig.size = BIG
    rig.link.break_next(20_000)
    rig.night()
    real = FakeHost.attempt

    def attempt(self: FakeHost, command: tuple[str, ...], streams: object = None) -> object:
        if self is rig.receiver and command[1] == "receive" and rig.tokens():
            assert streams is not None
            streams.err.append(INVALID)  # type: ignore[attr-defined]
            return 1, streams
        return real(self, command, streams)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeHost, "attempt", attempt)
    result = rig.run(actions=ONLY_PUSH, retries=5)
    assert "too-old" in kinds(result)
    assert rig.pauses == []

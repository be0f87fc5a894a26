# SPDX-License-Identifier: GPL-3.0-or-later
"""Totals for the progress display: asked only where somebody looks, and never in the way of a push."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cyber_zfs_backup.actions import execute
from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.protocol import Finished
from cyber_zfs_backup.plan.cost import SendMode

from .rig import FORCED, LEVEL, ONLY_PUSH, REPLICATE, ROOT, Rig, problems

BIG = 100_000
MODES = pytest.mark.parametrize("mode", [LEVEL, REPLICATE])


def watched(*children: str) -> Rig:
    """A rig with somebody who watches the progress, after its first night."""
    rig = Rig(*children)
    rig.size = BIG
    rig.first()
    rig.said.estimates = True
    rig.said.shown.clear()
    return rig


def asked(rig: Rig) -> list[tuple[str, ...]]:
    """The estimates that were asked for."""
    return [call for call in rig.source.calls if "-nvP" in call]


@MODES
def test_nobody_asks_where_nobody_looks(mode: SendMode) -> None:
    rig = Rig("a")
    rig.first(send_mode=mode)
    rig.night(send_mode=mode)
    assert asked(rig) == []
    assert {total for _, total in rig.said.shown} == {None}


@MODES
def test_a_total_for_each_connection(mode: SendMode) -> None:
    """Of all its streams together: about what then moves."""
    rig = watched("a", "b")
    rig.said.moved.clear()
    assert rig.night(send_mode=mode, lanes=1).exit_code == 0
    ((label, total),) = rig.said.shown
    assert label == (f"{ROOT} and 2 more" if mode is LEVEL else f"{ROOT} and all below it")
    assert total is not None
    assert 0.9 < total / sum(rig.said.moved) < 1.1
    assert len(asked(rig)) == (3 if mode is LEVEL else 1)


def test_each_lane_has_a_total_of_its_own() -> None:
    rig = watched("a", "b", "c")
    assert rig.night(send_mode=LEVEL, lanes=2).exit_code == 0
    assert len(rig.said.shown) == 2
    assert all(total is not None and 2 * BIG < total < 2.2 * BIG for _, total in rig.said.shown)


def test_the_rest_of_a_stream_that_was_cut_off() -> None:
    rig = watched("a")
    rig.snap()
    rig.link.break_next(BIG // 2)
    assert rig.run(send_mode=REPLICATE, actions=ONLY_PUSH).exit_code != 0
    assert rig.tokens()
    rig.calm()
    rig.said.shown.clear()
    assert rig.run(actions=ONLY_PUSH).exit_code == 0
    first = rig.said.shown[0][1]
    assert first is not None
    assert 0 < first < BIG
    assert any("-t" in call for call in asked(rig))


def garbled(finished: Finished) -> Finished:
    return Finished(finished.argv, 0, "no number\n", "") if "-nvP" in finished.argv else finished


def refused(finished: Finished) -> Finished:
    return Finished(finished.argv, 1, "", "no way\n") if "-nvP" in finished.argv else finished


def broken(finished: Finished) -> Finished:
    if "-nvP" in finished.argv:
        raise HostError(HostErrorKind.TIMEOUT, "this machine", "did not end in time", "try again")
    return finished


@pytest.mark.parametrize("trouble", [garbled, refused, broken])
@MODES
def test_an_estimate_that_fails_stops_no_push(
    mode: SendMode, trouble: Callable[[Finished], Finished]
) -> None:
    rig = watched("a")
    rig.source.faults.garble = trouble
    result = rig.night(send_mode=mode)
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there
    assert asked(rig)
    assert {total for _, total in rig.said.shown} == {None}


def test_a_transfer_waits_only_so_long_for_its_total(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of that time is each command's own limit too."""
    rig = watched("a", "b")
    now, limits = [0.0], list[Any]()
    monkeypatch.setattr("cyber_zfs_backup.actions.execute.time.monotonic", lambda: now[0])
    run = rig.source.run

    def slow(argv: Any, *, timeout: float | None = None) -> Finished:
        if "-nvP" in argv:
            limits.append(timeout)
            now[0] += 15
        return run(argv, timeout=timeout)

    monkeypatch.setattr(rig.source, "run", slow)
    assert rig.night(send_mode=LEVEL, lanes=1).exit_code == 0
    assert limits == [20, 5]
    assert [total for _, total in rig.said.shown] == [None]
    assert rig.here == rig.there


def test_a_run_that_is_ended_ends_the_estimates_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """They run in the lanes' threads, which a signal does not reach."""
    rig = watched("a", "b", "c")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(execute, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rig.night(send_mode=LEVEL, lanes=2, force=FORCED)
    assert rig.source.closed
    assert rig.link.stopped

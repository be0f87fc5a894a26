# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed at any moment loses nothing that the receiver may build on.

Each scenario is played once for every moment at which our process can die: before and after each
command on either side, and before, in the middle of and after each connection. Then an expire that
would destroy all it may runs alone, and what the receiver has (or may have) must still be on the source.
At last one undisturbed run must bring both sides to the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from cyber_zfs_backup.config.job import Action, Destination, Exclude, Force
from cyber_zfs_backup.plan.cost import SendMode
from tests.fake.errors import Killed
from tests.fake.host import Crash
from tests.unit.actions.rig import (
    FORCED,
    HARSH,
    LEVEL,
    ONLY_EXPIRE,
    ONLY_PUSH,
    REPLICATE,
    ROOT,
    THERE,
    Rig,
    problems,
)

BIG = 40_000
"""Bytes of a dataset in a scenario that is interrupted: three records, so that half gives a token."""

OTHER = "vault/other"
"""The copy of a second destination, where a scenario has one."""

ALL_FORCE = Force(destroy_lots=True, non_incremental=True)


def ordinary(mode: SendMode) -> Rig:
    """Three snapshots at the receiver, two more snapshots since, a new child, and something to expire."""
    rig = Rig("a")
    for _ in range(2):
        rig.snap()
    rig.first(send_mode=mode)
    rig.snap()
    rig.source.zfs("create", rig.full("a/new"))
    rig.snap()
    rig.wait()
    return rig


def first_full(mode: SendMode) -> Rig:
    """Three snapshots, and a receiver that has nothing."""
    rig = Rig("a")
    rig.size = BIG
    for _ in range(3):
        rig.snap()
    rig.wait()
    return rig


def interrupted_full(mode: SendMode) -> Rig:
    """A first push that broke in the middle of the second dataset; one more snapshot since."""
    rig = first_full(mode)
    rig.link.break_next(BIG + BIG // 2 if mode is LEVEL else 4 * BIG)
    rig.run(send_mode=mode, force=FORCED, actions=ONLY_PUSH)
    assert rig.tokens()
    rig.snap()
    rig.wait()
    return rig


def interrupted(mode: SendMode) -> Rig:
    """An incremental push of several snapshots that broke in the middle of a dataset."""
    rig = ordinary(mode)
    rig.size = BIG
    rig.snap()
    rig.snap()
    rig.link.break_next(*((None, 2 * BIG) if mode is LEVEL else (2 * BIG,)))
    rig.run(send_mode=mode, actions=ONLY_PUSH)
    assert rig.tokens()
    rig.snap()
    rig.wait()
    return rig


def lagging(mode: SendMode) -> Rig:
    """A child that a conflict has kept behind for two nights, mended since; its record is one of its own."""
    rig = ordinary(mode)
    rig.receiver.write(rig.full("a", THERE), {"foreign": b"data"})
    base = rig.names_there("a")[-1]
    for _ in range(2):
        assert rig.night(send_mode=mode, actions=ONLY_PUSH | {Action.SNAPSHOT}).exit_code == 3
    ledger = rig.ledger()
    assert ledger is not None
    assert "a" in ledger.lagging
    rig.receiver.zfs("rollback", f"{rig.full('a', THERE)}@{base}")
    rig.snap()
    rig.wait()
    return rig


def excluded(mode: SendMode) -> Rig:
    """A dataset that never takes part: then everything is named one by one, and nothing is recursive."""
    rig = ordinary(mode)
    rig.source.zfs("create", rig.full("tmp"))
    rig.always = {"exclude": Exclude(("tmp",))}
    rig.wait()
    assert rig.run(actions=frozenset({Action.SNAPSHOT})).exit_code == 0
    rig.wait()
    return rig


def two_destinations(mode: SendMode) -> Rig:
    """Another destination has a base of its own, three nights old, which no expire may take."""
    rig = ordinary(mode)
    other = Destination("offsite", OTHER)
    assert rig.run(actions=ONLY_PUSH, destination=other, force=FORCED).exit_code == 0
    for _ in range(3):
        rig.snap()
    rig.wait()
    return rig


def killed(rig: Rig, moment: int, mode: SendMode) -> tuple[bool, Crash]:
    """Run, and die at that moment. False where the run ended before."""
    crash = rig.crash(moment)
    try:
        rig.run(send_mode=mode, force=ALL_FORCE, retention=HARSH)
    except Killed:
        return True, crash
    finally:
        # Our process is dead: so are its threads.
        for thread in threading.enumerate():
            if thread.name == "ask":
                thread.join()
        rig.calm()
    return False, crash


def newest_common(rig: Rig) -> list[tuple[str, int]]:
    """Path and GUID of each copy's newest snapshot that the source has too: the next base of either copy."""
    here = rig.snapshots(rig.source, ROOT)
    found = []
    for root in (THERE, OTHER):
        for path, guids in rig.snapshots(rig.receiver, root).items():
            common = [guid for guid in guids if guid in here.get(path, {})]
            found += [(path, guid) for guid in common[-1:]]
    return found


def to_be_sent(rig: Rig) -> dict[str, set[int]]:
    """By path the own snapshots that the receiver does not have."""
    there = rig.there
    return {path: set(guids) - set(there.get(path, {})) for path, guids in rig.here.items()}


@pytest.mark.parametrize("mode", [LEVEL, REPLICATE], ids=["level", "replicate"])
@pytest.mark.parametrize(
    "scenario", [ordinary, first_full, interrupted_full, interrupted, lagging, excluded, two_destinations]
)
def test_a_run_killed_at_any_moment_loses_nothing(
    scenario: Callable[[SendMode], Rig], mode: SendMode
) -> None:
    prepared = scenario(mode)
    moment = 0
    alive = False
    while not alive:
        rig = prepared.copy()
        sending = to_be_sent(rig)
        died, crash = killed(rig, moment, mode)
        where = f"moment {moment}: {crash.seen[moment] if died else 'none'}"
        check_harsh_expire(rig, where, sending if began_and_unsettled(rig, crash) else {})
        check_undisturbed(rig, where, mode)
        moment += 1
        alive = not died
    assert moment > 24, "the scenario has hardly a moment in which to die"


def began_and_unsettled(rig: Rig, crash: Crash) -> bool:
    """Whether bytes have moved and nobody has looked yet what came of them."""
    words = [(moment, argv[0], argv[1]) for moment, argv in crash.seen]
    if not any(name == "transfer" and moment != "before" for moment, name, _ in words):
        return False
    last = max(number for number, (_, name, _) in enumerate(words) if name == "transfer")
    return not any(verb == "set" for _, _, verb in words[last:])


def check_harsh_expire(rig: Rig, where: str, sending: dict[str, set[int]]) -> None:
    """Expire destroys nothing that the receiver has as base, or that may have arrived there."""
    common, tokens = newest_common(rig), rig.token_guids()
    result = rig.run(actions=ONLY_EXPIRE, retention=HARSH, force=ALL_FORCE)
    assert result.exit_code == 0, (where, problems(result))
    here = rig.snapshots(rig.source, ROOT)
    for path, guid in common:
        assert guid in here[path], f"{where}: the base of {path or 'the root'} is gone"
    for path, guid in tokens.items():
        assert guid in here[path], f"{where}: what the token of {path or 'the root'} asks for is gone"
    for path, guids in sending.items():
        assert guids <= set(here[path]), f"{where}: {path or 'the root'}: what may have arrived is gone"


def check_undisturbed(rig: Rig, where: str, mode: SendMode) -> None:
    """One run later both sides hold the same, and the holds are those that the record names."""
    rig.wait()
    result = rig.run(retention=HARSH, force=ALL_FORCE, send_mode=mode)
    assert result.exit_code == 0, (where, problems(result), rig.said.details)
    assert {path: own for path, own in rig.here.items() if own} == rig.there, where
    assert rig.held() == rig.named(), where
    ledger = rig.ledger()
    assert ledger is not None, where
    assert (ledger.root.pending, ledger.root.former, ledger.lagging) == ((), (), {}), where
    assert not rig.mirror_due(), where
    assert not rig.tokens(), where

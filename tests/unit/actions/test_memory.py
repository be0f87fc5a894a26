# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is forgotten of a copy before it was seen: what it builds on stays named, held and unexpired.

Each test is a story in which somebody else acts between two runs: another tool prunes its snapshots, the
receiver's pool is away, a dataset is renamed or left out, a nested job expires.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cyber_zfs_backup.actions.result import RunResult
from cyber_zfs_backup.config.job import Action, Destination, Exclude
from cyber_zfs_backup.hosts.protocol import Transfer
from cyber_zfs_backup.zfs import commands
from tests.fake.errors import Killed
from tests.fake.host import FakeLink
from tests.unit.actions.rig import (
    FORCED,
    HARSH,
    LEVEL,
    NO_NETWORK,
    ONLY_PUSH,
    REPLICATE,
    ROOT,
    THERE,
    Rig,
    kinds,
    problems,
)

HOUR = 3600


def hour(rig: Rig, **changes: Any) -> RunResult:
    """The next run of the same day, with new data everywhere."""
    rig.wait(HOUR)
    for path in rig.paths():
        rig.write(path)
    return rig.run(**changes)


def contact_lost_after(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything arrives in the next run, and nobody hears of it."""
    transfer = rig.link.transfer

    def then_silence(
        sends: Sequence[Sequence[str]], receives: Sequence[Sequence[str]], **how: Any
    ) -> Transfer:
        moved = transfer(sends, receives, **how)
        rig.receiver.faults.unreachable = True
        return moved

    monkeypatch.setattr(rig.link, "transfer", then_silence)


def unheard(rig: Rig, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """A run of which everything arrives, and nobody hears of it."""
    contact_lost_after(rig, monkeypatch)
    assert hour(rig, **changes).exit_code == 75
    contact_again(rig, monkeypatch)


def contact_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not undo(): that would also give the tests' lock folder up.
    monkeypatch.setattr(rig.link, "transfer", FakeLink.transfer.__get__(rig.link))
    rig.receiver.faults.unreachable = False


def all_equal(rig: Rig) -> bool:
    """Whether every dataset's newest snapshot is on the receiver, and what is held is what is named."""
    there = rig.there
    newest = all(list(own)[-1] in there.get(path, {}) for path, own in rig.here.items() if own)
    return newest and rig.held() == rig.named()


@pytest.mark.parametrize("first", [False, True], ids=["increment", "first push"])
def test_a_foreign_snapshot_with_which_a_copy_ends_is_its_base(first: bool) -> None:
    """A stream was cut behind it; the tool that took it must not prune it before we have gone on."""
    rig = Rig("a")
    foreign = f"{ROOT}/a@autosnap_1"
    if not first:
        rig.first()
        rig.write("a")
    rig.source.zfs("snapshot", foreign)
    rig.snap()
    # What a stream that broke off has left there.
    if first:
        rig.link.transfer(
            [commands.send_full(f"{ROOT}@{rig.names()[0]}", properties=True)],
            [commands.receive_root(THERE, [])],
        )
        rig.link.transfer(
            [commands.send_full(foreign, properties=True)], [commands.receive_below(f"{THERE}/a", [])]
        )
    else:
        base = rig.names("a")[0]
        rig.link.transfer(
            [commands.send_level(foreign, base, properties=False)], [commands.receive_plain(f"{THERE}/a")]
        )
    # The root's stream breaks too where it has one, and then the child's own.
    rig.link.break_next(*([0] if first else [0, 0]))
    assert rig.run(actions=ONLY_PUSH, send_mode=LEVEL, lanes=1, force=FORCED).exit_code == 75
    assert "autosnap_1" in rig.held()["a"]
    ledger = rig.ledger()
    assert ledger is not None
    assert "autosnap_1" in ledger.of("a").names
    assert hour(rig, actions=ONLY_PUSH, send_mode=LEVEL).exit_code == 0
    assert all_equal(rig)
    rig.source.zfs("destroy", foreign)


@pytest.mark.parametrize("force", [FORCED, None], ids=["forced", "as every night"])
def test_a_receiver_whose_pool_is_away_is_no_answer(force: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig("a")
    rig.always = {"retention": HARSH}
    rig.first()
    unheard(rig, monkeypatch, send_mode=REPLICATE)
    arrived = rig.names_there()[-1]
    away = dict(rig.receiver.world.datasets)
    rig.receiver.world.datasets.clear()
    for _ in range(3):
        result = hour(rig, **({"force": force} if force else {}))
        assert result.exit_code in (1, 65), problems(result)
    ledger = rig.ledger()
    assert ledger is not None
    assert arrived in ledger.root.names
    # Of the nights without a receiver nothing is left behind.
    assert set(rig.held()[""]) == set(ledger.root.names) == {rig.names()[0], arrived}
    rig.receiver.world.datasets.update(away)
    result = hour(rig)
    assert result.exit_code == 0, problems(result)
    assert all_equal(rig)


def test_a_dataset_that_is_renamed_before_its_arrival_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig("x")
    rig.always = {"retention": HARSH}
    rig.first()
    rig.receiver.faults.denied = frozenset({"rename"})
    unheard(rig, monkeypatch, send_mode=REPLICATE)
    rig.source.zfs("rename", f"{ROOT}/x", f"{ROOT}/z")
    for _ in range(3):
        result = hour(rig)
        assert (result.exit_code, kinds(result)) == (3, ["renamed"]), problems(result)
    rig.receiver.zfs("rename", f"{THERE}/x", f"{THERE}/z")
    result = hour(rig)
    assert result.exit_code == 0, problems(result)
    assert all_equal(rig)


def test_a_renamed_dataset_keeps_its_base_while_the_root_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig("x")
    rig.always = {"retention": HARSH}
    rig.first()
    rig.receiver.faults.denied = frozenset({"rename"})
    rig.source.zfs("rename", f"{ROOT}/x", f"{ROOT}/z")
    unheard(rig, monkeypatch)
    rig.receiver.write(THERE, {"foreign": b"data"})
    for _ in range(3):
        result = hour(rig)
        assert set(kinds(result)) == {"diverged", "renamed"}, problems(result)
    rig.receiver.zfs("rename", f"{THERE}/x", f"{THERE}/z")
    rig.receiver.zfs("rollback", f"{THERE}@{rig.names_there()[-1]}")
    result = hour(rig)
    assert result.exit_code == 0, problems(result)
    assert all_equal(rig)


@pytest.mark.parametrize("lags", [True, False], ids=["one that lags", "one that is up to date"])
def test_one_run_without_a_dataset_forgets_nothing_of_it(lags: bool) -> None:
    rig = Rig("x", "y")
    rig.always = {"retention": HARSH}
    rig.first()
    base = rig.names("x")[0]
    if lags:
        rig.receiver.write(f"{THERE}/x", {"foreign": b"data"})
        for _ in range(2):
            assert hour(rig).exit_code == 3
    for _ in range(2):
        assert hour(rig, exclude=Exclude(("x",))).exit_code == 0
    rig.receiver.faults.unreachable = True
    assert hour(rig).exit_code == 75
    rig.receiver.faults.unreachable = False
    assert base in rig.held()["x"]
    if lags:
        rig.receiver.zfs("rollback", f"{THERE}/x@{base}")
    result = hour(rig)
    assert result.exit_code == 0, problems(result)
    assert all_equal(rig)
    ledger = rig.ledger()
    assert ledger is not None
    assert ledger.lagging == {}


def test_a_dataset_that_never_takes_part_gets_no_record() -> None:
    rig = Rig("x", "y")
    rig.always = {"exclude": Exclude(("x",))}
    rig.first()
    for _ in range(2):
        assert rig.night().exit_code == 0
    ledger = rig.ledger()
    assert ledger is not None
    assert ledger.lagging == {}


@pytest.mark.parametrize(
    "pushes", ["tank/src", "tank/src/in"], ids=["the outer job pushes", "the inner job pushes"]
)
def test_a_nested_job_expires_nothing_that_may_have_arrived_for_the_other(
    pushes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig("in", "in/a")
    expires = "tank/src/in" if pushes == "tank/src" else "tank/src"
    to = Destination("offsite", THERE if pushes == "tank/src" else "vault/inner")
    job: dict[str, Any] = {"dataset": pushes, "destination": to, "send_mode": LEVEL, "lanes": 1}
    assert rig.run(force=FORCED, **job).exit_code == 0
    for _ in range(3):
        rig.wait(HOUR)
        for path in rig.paths():
            rig.write(path)
        assert rig.run(actions=frozenset({Action.SNAPSHOT}), **job).exit_code == 0
    # The stream of in/a ends behind the second of three, and then nobody hears of it.
    names = rig.names("in/a")
    there = f"{to.dataset}{f'{ROOT}/in/a'.removeprefix(pushes)}"
    transfer = rig.link.transfer

    def cut(
        sends: Sequence[Sequence[str]], receives: Sequence[Sequence[str]], **how: Callable[..., None]
    ) -> Transfer:
        transfer(
            [commands.send_level(f"{ROOT}/in/a@{names[-2]}", names[0], properties=False)],
            [commands.receive_plain(there)],
        )
        rig.link.break_next(0)
        moved = transfer(sends, receives)
        rig.receiver.faults.unreachable = True
        return moved

    monkeypatch.setattr(rig.link, "transfer", cut)
    assert rig.run(actions=ONLY_PUSH, **job).exit_code == 75
    contact_again(rig, monkeypatch)
    other: dict[str, Any] = {
        "dataset": expires,
        "destination": Destination("offsite", "vault/other"),
        "retention": HARSH,
    }
    rig.wait(HOUR)
    assert rig.run(actions=NO_NETWORK, **other).exit_code == 0
    assert names[-2] in rig.names("in/a"), "what the receiver's copy ends with was destroyed"
    rig.wait(HOUR)
    result = rig.run(**job)
    assert result.exit_code == 0, problems(result)


def test_hundreds_of_datasets_with_an_oldest_snapshot_of_their_own() -> None:
    """What is named on the way must fit into 8 KiB a property; containers have a dataset for each layer."""
    children = [f"c{number:03}" for number in range(300)]
    rig = Rig(*children)
    for child in children:
        rig.source.zfs("snapshot", f"{ROOT}/{child}@autosnap_of_the_layer_{child}_with_a_long_name")
    rig.snap()
    rig.link.break_next(200_000)
    assert rig.run(send_mode=LEVEL, force=FORCED, actions=ONLY_PUSH).exit_code in (3, 75)
    result = hour(rig, send_mode=LEVEL, force=FORCED)
    assert result.exit_code == 0, problems(result)
    assert all_equal(rig)
    ledger = rig.ledger()
    assert ledger is not None
    assert ledger.lagging == {}


def test_what_several_new_datasets_get_on_the_way_is_held_on_them_alone() -> None:
    """Their oldest snapshot is on the whole tree; nobody would release it where it is not named."""
    rig = Rig("a")
    rig.first()
    for child in ("n1", "n2"):
        rig.source.zfs("create", f"{ROOT}/{child}")
    rig.snap()
    assert rig.night(send_mode=LEVEL).exit_code == 0
    assert all_equal(rig)


def test_of_a_first_push_that_brought_nothing_nothing_is_held() -> None:
    rig = Rig("a")
    rig.snap()
    rig.source.zfs("create", f"{ROOT}/late")
    rig.snap()
    rig.snap()
    rig.link.break_next(0)
    assert rig.run(actions=ONLY_PUSH, send_mode=LEVEL, force=FORCED).exit_code == 75
    assert rig.held() == {}
    ledger = rig.ledger()
    assert ledger is not None
    assert (ledger.root.names, ledger.lagging) == ((), {})


def test_one_run_without_a_dataset_that_lags_keeps_what_it_got_while_the_root_did_not() -> None:
    """A first push in which the root's stream broke off, and all else arrived."""
    rig = Rig("a")
    rig.always = {"retention": HARSH, "send_mode": LEVEL}
    rig.size = 40_000
    rig.snap()
    rig.link.break_next(20_000)
    rig.night(force=FORCED)
    assert (rig.there[""], rig.there["a"]) == ({}, rig.here["a"])
    base = rig.names("a")[-1]
    assert rig.night(exclude=Exclude(("a",))).exit_code == 0
    rig.wait()
    rig.run(actions=NO_NETWORK)
    assert base in rig.names("a")
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert all_equal(rig)


def test_what_may_have_reached_one_that_was_left_out_before_is_kept() -> None:
    """The root has the target already; the dataset gets it in a run that dies, and another run expires."""
    rig = Rig("x")
    rig.always = {"retention": HARSH, "send_mode": LEVEL}
    rig.first()
    rig.snap()
    rig.size = 80_000
    rig.snap()
    assert rig.run(actions=ONLY_PUSH, exclude=Exclude(("x",))).exit_code == 0
    # Two snapshots are on their way to x; we die, and the stream with us, when the first has arrived.
    count = rig.copy()
    seen = count.crash(None).seen
    count.run(actions=ONLY_PUSH)
    rig.crash(next(number for number, (moment, _) in enumerate(seen) if moment == "middle"))
    with pytest.raises(Killed):
        rig.run(actions=ONLY_PUSH)
    rig.calm()
    assert len(rig.names_there("x")) == 2
    rig.receiver.faults.unreachable = True
    for _ in range(3):
        hour(rig)
    assert rig.names_there("x")[-1] in rig.names("x")
    rig.receiver.faults.unreachable = False
    assert hour(rig).exit_code == 0

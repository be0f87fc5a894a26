# SPDX-License-Identifier: GPL-3.0-or-later
"""Quarantine: a snapshot dated in the future gets a name that no rule reads, on both sides."""

from __future__ import annotations

from cyber_zfs_backup.actions.quarantine import quarantine_on
from cyber_zfs_backup.actions.result import ActionResult
from cyber_zfs_backup.config.job import Destination, Force
from cyber_zfs_backup.config.requests import Quarantine
from tests.unit.actions.rig import HARSH, ONLY_EXPIRE, ONLY_PUSH, ROOT, THERE, Rig, mutations, problems

FUTURE = "2030-01-01T00:00:00Z"
AWAY = f"quarantined-{FUTURE}"
FORCE = Force(destroy_lots=True)


def quarantine(rig: Rig, *snapshots: str, dry_run: bool = False) -> ActionResult:
    request = Quarantine(ROOT, snapshots, Destination("offsite", THERE), dry_run=dry_run)
    return quarantine_on(rig.ends(actions=ONLY_PUSH, dry_run=dry_run), request)


def with_future(*children: str) -> Rig:
    """The clock was wrong for one night, and everything of it was pushed."""
    rig = Rig(*children)
    rig.first()
    rig.night()
    right = rig.source.world.now
    rig.source.world.now = 1_893_456_000
    rig.run()
    rig.source.world.now = right
    assert rig.names()[-1] == FUTURE == rig.names_there()[-1]
    assert rig.night(actions=ONLY_EXPIRE, retention=HARSH).exit_code == 1
    return rig


def test_both_sides_are_renamed_with_all_below() -> None:
    rig = with_future("a", "a/b")
    result = quarantine(rig, f"{ROOT}@{FUTURE}")
    assert result.outcome.value == "done", result.problems
    for path in ("", "a", "a/b"):
        assert rig.names(path)[-1] == rig.names_there(path)[-1] == AWAY
    assert rig.snapshots(rig.source, ROOT) == rig.snapshots(rig.receiver, THERE)


def test_the_base_keeps_working_under_its_new_name() -> None:
    rig = with_future("a")
    quarantine(rig, f"{ROOT}@{FUTURE}")
    ledger = rig.ledger()
    assert ledger is not None
    assert ledger.root.base == AWAY
    assert rig.held() == {"": {AWAY}, "a": {AWAY}}
    rig.link.transfers.clear()
    result = rig.night(retention=HARSH, force=FORCE)
    assert result.exit_code == 0, problems(result)
    sends = [send for moved in rig.link.transfers for send in moved.sends]
    assert all(f"@{AWAY}" in send for send in sends)
    assert rig.here == rig.there
    assert rig.names() == [AWAY, rig.names()[-1]]
    assert rig.held() == rig.named()


def test_a_child_alone_is_renamed_and_its_record_is_mended() -> None:
    rig = Rig("a", "b")
    rig.first()
    rig.source.zfs("snapshot", f"{ROOT}/a@{FUTURE}")
    result = quarantine(rig, f"{ROOT}/a@{FUTURE}")
    assert result.outcome.value == "done"
    assert rig.names("a")[-1] == AWAY
    assert len(rig.receiver.called("rename")) == 0
    assert rig.night().exit_code == 0
    assert rig.names_there("a") == rig.names("a")


def test_of_the_same_name_with_another_guid_the_receivers_is_left_alone() -> None:
    rig = Rig()
    rig.first()
    rig.source.zfs("snapshot", f"{ROOT}@{FUTURE}")
    rig.receiver.zfs("snapshot", f"{THERE}@{FUTURE}")
    quarantine(rig, f"{ROOT}@{FUTURE}")
    assert rig.names()[-1] == AWAY
    assert rig.names_there()[-1] == FUTURE


def test_a_snapshot_that_does_not_exist_is_told_and_the_others_are_renamed() -> None:
    rig = with_future("a")
    result = quarantine(rig, f"{ROOT}@2031-01-01T00:00:00Z", f"{ROOT}@{FUTURE}")
    assert (result.outcome.value, [problem.kind for problem in result.problems]) == ("partial", ["not-there"])
    assert rig.names()[-1] == AWAY


def test_a_dry_run_touches_neither_side() -> None:
    rig = with_future("a")
    before = rig.states()
    rig.source.calls.clear()
    rig.receiver.calls.clear()
    result = quarantine(rig, f"{ROOT}@{FUTURE}", dry_run=True)
    assert "would rename 2" in result.summary
    assert rig.states() == before
    assert mutations([*rig.source.calls, *rig.receiver.calls]) == []


def test_a_run_that_died_half_way_can_be_run_again() -> None:
    """The receiver is renamed, the source is not yet."""
    rig = with_future("a")
    rig.receiver.zfs("rename", "-r", f"{THERE}@{FUTURE}", f"{THERE}@{AWAY}")
    assert quarantine(rig, f"{ROOT}@{FUTURE}").outcome.value == "done"
    assert rig.snapshots(rig.source, ROOT) == rig.snapshots(rig.receiver, THERE)
    assert rig.night().exit_code == 0


def test_a_run_that_died_before_the_record_was_mended_finds_the_base_again() -> None:
    rig = with_future("a")
    rig.receiver.zfs("rename", "-r", f"{THERE}@{FUTURE}", f"{THERE}@{AWAY}")
    rig.source.zfs("rename", "-r", f"{ROOT}@{FUTURE}", f"{ROOT}@{AWAY}")
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there


def test_a_source_that_was_never_pushed_does_not_ask_the_receiver() -> None:
    rig = Rig()
    rig.source.zfs("snapshot", f"{ROOT}@{FUTURE}")
    rig.receiver.faults.unreachable = True
    assert quarantine(rig, f"{ROOT}@{FUTURE}").outcome.value == "done"
    assert rig.receiver.calls == []


def test_a_snapshot_that_only_the_receiver_has_is_renamed_there() -> None:
    """Its copy was destroyed on the source by hand; the mirror would refuse for ever."""
    rig = with_future("a")
    rig.snap()
    assert rig.run(actions=ONLY_PUSH).exit_code == 0
    rig.source.zfs("destroy", "-r", f"{ROOT}@{FUTURE}")
    rig.run(actions=ONLY_EXPIRE, retention=HARSH, force=FORCE)
    stuck = rig.night(retention=HARSH, force=FORCE)
    assert problems(stuck)[0].startswith("mirror: future")
    assert quarantine(rig, f"{ROOT}@{FUTURE}").outcome.value == "done"
    assert AWAY in rig.names_there()
    assert AWAY in rig.names_there("a")
    result = rig.night(retention=HARSH, force=FORCE)
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there


def test_each_of_two_destinations_is_renamed_by_a_call_of_its_own() -> None:
    rig = with_future("a")
    second = Destination("offsite", "vault/second")
    assert rig.night(actions=ONLY_PUSH, destination=second, force=Force(non_incremental=True)).exit_code == 0
    assert quarantine(rig, f"{ROOT}@{FUTURE}").outcome.value == "done"
    request = Quarantine(ROOT, (f"{ROOT}@{FUTURE}",), second)
    assert quarantine_on(rig.ends(actions=ONLY_PUSH, destination=second), request).outcome.value == "done"
    there = rig.snapshots(rig.receiver, "vault/second")
    assert all(FUTURE not in names.values() for names in there.values())
    assert all(AWAY in names.values() for names in there.values())

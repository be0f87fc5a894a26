# SPDX-License-Identifier: GPL-3.0-or-later
"""``verify`` on both sides: what it tells, its exit code, and that it changes nothing."""

from __future__ import annotations

from cyber_zfs_backup.actions.result import RunResult
from cyber_zfs_backup.actions.run import beside, finished_run
from cyber_zfs_backup.actions.verify import verify_on
from cyber_zfs_backup.config.job import Exclude
from tests.unit.actions.rig import FORCED, ONLY_PUSH, ROOT, THERE, Rig, action, kinds, mutations, problems


def verify(rig: Rig, **changes: object) -> RunResult:
    home = rig.home(actions=ONLY_PUSH, **changes)
    return finished_run(home, lambda: beside(rig.ways(home), verify_on))


def pushed(*children: str) -> Rig:
    rig = Rig(*children)
    rig.first()
    rig.night()
    return rig


def test_equal_is_exit_0_and_read_only() -> None:
    rig = pushed("a", "b")
    before = rig.states()
    rig.source.calls.clear()
    rig.receiver.calls.clear()
    result = verify(rig)
    assert (result.exit_code, kinds(result)) == (0, [])
    assert action(result, "verify").summary == "offsite:vault/copy is equal: 3 datasets and 6 snapshots"
    assert rig.states() == before
    assert mutations(rig.source.calls) == mutations(rig.receiver.calls) == []


def test_no_copy_yet() -> None:
    rig = Rig("a")
    result = verify(rig)
    assert (result.exit_code, kinds(result)) == (3, ["no-receiver-tree"])


def test_what_a_push_will_mend_is_exit_3() -> None:
    rig = pushed("a")
    rig.snap()
    result = verify(rig)
    assert (result.exit_code, kinds(result)) == (3, ["snapshots-missing"] * 2)
    assert rig.run(actions=ONLY_PUSH).exit_code == 0
    assert verify(rig).exit_code == 0


def test_a_partial_receive() -> None:
    rig = pushed("a")
    rig.size = 60_000
    rig.link.break_next(None, 30_000)
    rig.night(send_mode=rig.job().delivery.send_mode)
    result = verify(rig)
    assert "partial-receive" in kinds(result)
    assert result.exit_code == 3


def test_what_needs_a_person_is_exit_65() -> None:
    rig = pushed("a")
    rig.receiver.write(f"{THERE}/a", {"foreign": b"data"})
    result = verify(rig)
    assert (result.exit_code, kinds(result)) == (65, ["modified-since"])
    assert f"{ROOT}/a" in problems(result)[0]


def test_an_orphan_is_told_by_its_place_on_the_receiver() -> None:
    rig = pushed("a")
    rig.source.zfs("release", "-r", f"cyber-zfs-backup:{rig.tag}", f"{ROOT}/a@{rig.names('a')[-1]}")
    rig.source.zfs("destroy", "-r", f"{ROOT}/a")
    result = verify(rig)
    assert (result.exit_code, kinds(result)) == (3, ["orphan"])
    assert f"orphan: {THERE}/a" in problems(result)[0]


def test_what_is_excluded_does_not_count() -> None:
    rig = pushed("a", "tmp")
    rig.write("tmp")
    rig.source.zfs("snapshot", f"{ROOT}/tmp@new")
    assert verify(rig).exit_code == 3
    assert verify(rig, exclude=Exclude(("tmp",))).exit_code == 0


def test_a_receiver_out_of_reach_is_no_difference() -> None:
    rig = pushed("a")
    rig.receiver.faults.unreachable = True
    result = verify(rig)
    assert (result.exit_code, kinds(result)) == (75, ["unreachable"])


def test_a_first_push_that_was_forced_is_equal_at_once() -> None:
    rig = Rig("a", "a/b")
    rig.snap()
    rig.run(force=FORCED, actions=ONLY_PUSH)
    assert verify(rig).exit_code == 0

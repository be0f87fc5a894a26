# SPDX-License-Identifier: GPL-3.0-or-later
"""``check`` on the fake: from the source's own record, and from what has arrived."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cyber_zfs_backup.actions.check import check_on
from cyber_zfs_backup.actions.ends import Home
from cyber_zfs_backup.actions.result import ActionResult, Outcome
from cyber_zfs_backup.config.job import RetentionPolicy
from cyber_zfs_backup.config.requests import Check
from cyber_zfs_backup.model.ages import parse_age
from cyber_zfs_backup.model.history import Finished
from cyber_zfs_backup.zfs.client import Zfs
from tests.unit.actions.rig import HARSH, ONLY_EXPIRE, ONLY_PUSH, ROOT, THERE, Rig

PLAIN = Check(ROOT, timedelta(hours=26), timedelta(hours=50))
ARRIVED = Check(THERE, timedelta(hours=26), timedelta(hours=36), receiver=True)


def check(rig: Rig, request: Check = PLAIN, runs: Iterable[Finished] = ()) -> ActionResult:
    home = rig.home(actions=ONLY_EXPIRE, retention=request.retention, exclude=request.exclude)
    return check_on(home, request, runs)


def received(rig: Rig, request: Check = ARRIVED) -> ActionResult:
    home = rig.home(actions=ONLY_EXPIRE)
    there = Home(
        job=replace(home.job, dataset=request.dataset),
        source=Zfs(rig.receiver),
        surface=home.surface,
        clock=home.clock,
        pause=home.pause,
    )
    return check_on(there, request, ())


def nightly(*children: str) -> Rig:
    rig = Rig(*children)
    rig.first()
    rig.night()
    return rig


def test_a_good_backup_is_one_line_and_changes_nothing() -> None:
    rig = nightly("a")
    before = rig.states()
    rig.source.calls.clear()
    rig.receiver.calls.clear()
    result = check(rig)
    assert result.outcome is Outcome.DONE
    (line,) = result.lines
    assert line.startswith(
        "CYBER-ZFS-BACKUP OK - the newest snapshot of tank/src is 0 s old; what offsite:vault/copy"
    )
    assert "'offsite:vault/copy reached'=0s;93600;180000;0" in line
    assert rig.states() == before
    # Nobody but this machine is asked.
    assert rig.receiver.calls == []
    assert [call[:2] for call in rig.source.calls] == [("zfs", "get"), ("zfs", "list")]


def test_a_night_that_is_late_and_one_that_is_missing() -> None:
    rig = nightly()
    rig.wait(27 * 3600)
    assert check(rig).outcome is Outcome.WARNINGS
    rig.wait(24 * 3600)
    assert check(rig).outcome is Outcome.CRITICAL


def test_a_receiver_that_is_down_is_told_with_the_last_error() -> None:
    rig = nightly()
    rig.receiver.faults.unreachable = True
    for _ in range(3):
        rig.night()
    run = Finished(
        ROOT, f"offsite:{THERE}", datetime(2026, 1, 1, tzinfo=UTC), 1.0, 75, error="push: no route"
    )
    result = check(
        rig, runs=[replace(run, error="older"), run, replace(run, dataset="tank/other", error="other")]
    )
    assert result.outcome is Outcome.CRITICAL
    assert "is 3 days old (last run: push: no route)" in result.lines[0]
    assert "newest snapshot" not in result.lines[0]


def test_what_retention_gives_up_and_nobody_has_destroyed() -> None:
    rig = nightly()
    for _ in range(4):
        rig.night(actions=ONLY_PUSH | {next(iter(rig.job().actions - ONLY_PUSH - ONLY_EXPIRE))})
    assert check(rig).outcome is Outcome.DONE
    result = check(rig, replace(PLAIN, retention=HARSH))
    assert result.outcome is Outcome.WARNINGS
    assert "should have been expired" in result.lines[0]


def test_what_grows_too_old_until_the_next_run_is_not_late() -> None:
    aged = RetentionPolicy(0, 0, 0, years=0, within=parse_age("3d"))
    rig = nightly()
    for _ in range(5):
        rig.night(retention=aged)
    assert len(rig.names()) == 4
    rig.wait(23 * 3600)
    request = replace(PLAIN, retention=aged)
    assert check(rig, request).outcome is Outcome.DONE
    # Once a run has taken its snapshot and has not expired, it is.
    rig.snap()
    result = check(rig, replace(request, local=True))
    assert "2 snapshots of tank/src should have been expired" in result.lines[0]


def test_a_tree_that_is_pushed_nowhere() -> None:
    rig = Rig("a")
    rig.snap()
    assert check(rig).outcome is Outcome.CRITICAL
    assert check(rig, replace(PLAIN, local=True)).outcome is Outcome.DONE


def test_no_tree_is_critical_and_no_answer_is_unknown() -> None:
    rig = nightly()
    gone = rig.copy()
    gone.source.zfs("rename", ROOT, f"{ROOT}-away")
    result = check(gone)
    assert result.outcome is Outcome.CRITICAL
    assert "there is no such dataset" in result.lines[0]
    rig.source.faults.unreachable = True
    result = check(rig)
    assert (result.outcome, result.problems) == (Outcome.UNKNOWN, ())
    assert result.lines[0].startswith("CYBER-ZFS-BACKUP UNKNOWN - this machine: ")


def test_the_receiver_sees_a_sender_that_never_started() -> None:
    rig = nightly("a")
    assert received(rig).outcome is Outcome.DONE
    assert received(rig, replace(ARRIVED, dataset="vault")).outcome is Outcome.DONE
    rig.wait(37 * 3600)
    result = received(rig)
    assert result.outcome is Outcome.CRITICAL
    assert "the newest snapshot of vault/copy is 37 h old" in result.lines[0]
    nothing = received(rig, replace(ARRIVED, dataset="vault/other"))
    assert (nothing.outcome, "there is no vault/other here" in nothing.lines[0]) == (Outcome.CRITICAL, True)


def test_the_default_retention_is_the_runs() -> None:
    assert PLAIN.retention == RetentionPolicy()

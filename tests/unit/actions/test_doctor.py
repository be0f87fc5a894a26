# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor on both sides of the fake: what it asks, what it finds, and that it changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cyber_zfs_backup.actions.doctor import FILE, doctor_on
from cyber_zfs_backup.actions.doctor_here import Here
from cyber_zfs_backup.actions.journal import Journal
from cyber_zfs_backup.actions.result import ActionResult, Outcome
from cyber_zfs_backup.hosts.protocol import Finished
from cyber_zfs_backup.plan.findings import Severity
from tests.fake.host import FakeHost
from tests.unit.actions.rig import DAY, ONLY_PUSH, ROOT, THERE, Rig

QUIET = Here(None, {}, {})
STATUS = "  pool: {}\n state: ONLINE\n\nerrors: No known data errors\n"


def answering(host: FakeHost, ahead: float = 0.0, **others: str) -> None:
    """Let a fake host answer what is not zfs's: the clock, and what zpool's model does not have."""

    def garble(finished: Finished) -> Finished:
        words = [word.rpartition("/")[2] for word in finished.argv]
        if words[0] == "date":
            return Finished(finished.argv, 0, f"{host.world.now + ahead:.0f}\n", "")
        if words[:2] == ["zpool", "status"]:
            return Finished(finished.argv, 0, others.get("status", STATUS.format(words[2])), "")
        if words[:2] == ["zpool", "get"]:
            return Finished(finished.argv, 0, others.get("features", "feature@encryption\tenabled\n"), "")
        return finished

    host.faults.garble = garble


def healthy(*children: str) -> Rig:
    rig = Rig(*children)
    rig.first()
    rig.night()
    # What the program itself makes of a copy at its first push is left to the receive; here nobody mounts.
    answering(rig.source)
    answering(rig.receiver)
    return rig


def look(rig: Rig, tmp_path: Path, here: Here = QUIET, **changes: object) -> ActionResult:
    home = rig.home(actions=ONLY_PUSH, **changes)
    return doctor_on(home, rig.ways(home), here, Journal(tmp_path / FILE))


def bad(result: ActionResult) -> list[tuple[str, str]]:
    return [(each.kind, each.where) for each in result.findings if each.severity is not Severity.GOOD]


def test_a_healthy_pair(tmp_path: Path) -> None:
    rig = healthy("a", "b")
    before = rig.states()
    rig.source.calls.clear()
    rig.receiver.calls.clear()
    before_garble = rig.receiver.faults.garble
    asked: list[str] = []

    def garble(finished: Finished) -> Finished:
        asked.extend(word for word in finished.argv if word == "sudo")
        return before_garble(finished)

    rig.receiver.faults.garble = garble
    result = look(rig, tmp_path)
    assert bad(result) == []
    assert (result.outcome, result.summary.partition(";")[0]) == (Outcome.DONE, "all is well")
    assert rig.states() == before
    # The rig's receiver is reached with sudo, which need not allow what anybody may ask.
    assert asked == []
    # Each is asked once, over the one connection.
    assert [call[:2] for call in rig.receiver.calls] == [
        ("zfs", "get"),
        ("zfs", "get"),
        ("zfs", "list"),
        ("zfs", "version"),
        ("zpool", "list"),
        ("zpool", "status"),
        ("date", "-u"),
        ("zpool", "get"),
    ]
    assert [call[:2] for call in rig.source.calls] == [
        ("zfs", "get"),
        ("zfs", "list"),
        ("zfs", "list"),
        ("zfs", "holds"),
        ("zfs", "version"),
        ("zpool", "list"),
        ("zpool", "status"),
        ("date", "-u"),
        ("zpool", "get"),
    ]


def test_what_hangs_and_what_is_forgotten(tmp_path: Path) -> None:
    rig = healthy("a")
    name = rig.names()[-1]
    rig.source.zfs("hold", f"cyber-zfs-backup:{'c' * 16}", f"{ROOT}/a@{name}")
    rig.source.zfs("bookmark", f"{ROOT}/a@{name}", f"{ROOT}/a#cyber-zfs-backup.{'d' * 16}.{name}")
    rig.source.zfs("snapshot", "-r", f"{ROOT}@2037-01-01T00:00:00Z")
    result = look(rig, tmp_path)
    assert bad(result) == [("future", "this machine"), ("leaked", "this machine"), ("leaked", "this machine")]
    assert result.outcome is Outcome.CRITICAL
    assert result.figures == {"looked_at": len(result.findings), "warnings": 2, "failing": 1}
    assert result.findings[0].severity is Severity.FAILS


def test_a_partial_receive_is_old_after_a_day(tmp_path: Path) -> None:
    rig = healthy("a")
    rig.size = 60_000
    rig.link.break_next(None, 30_000)
    rig.night()
    assert rig.tokens()
    assert "token" not in dict(bad(look(rig, tmp_path)))
    rig.wait(DAY + 1)
    assert "token" in dict(bad(look(rig, tmp_path)))


def test_what_could_not_be_asked_is_a_finding_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    rig = healthy("a")
    rig.receiver.faults.unreachable = True
    result = look(rig, tmp_path)
    assert bad(result) == [("unreachable", f"offsite:{THERE}")]
    assert result.outcome is Outcome.CRITICAL
    assert {each.kind for each in result.findings if each.where == "this machine"} >= {
        "pool-health",
        "leaked",
        "timer",
    }


def test_a_command_that_fails_there_is_a_finding(tmp_path: Path) -> None:
    rig = healthy("a")
    rig.receiver.faults.garble = lambda finished: finished  # no date, no zpool status
    result = look(rig, tmp_path)
    assert {kind for kind, _where in bad(result)} == {"zfs"}
    rig.source.faults.garble = lambda finished: replace(finished, stdout="Welcome!\n" + finished.stdout)
    result = look(rig, tmp_path)
    assert ("record", "this machine") in bad(result)


def test_no_copy_yet_and_no_destination(tmp_path: Path) -> None:
    rig = Rig("a")
    answering(rig.source)
    answering(rig.receiver)
    assert bad(look(rig, tmp_path)) == [("no-copy", f"offsite:{THERE}")]
    assert bad(look(rig, tmp_path, destinations=())) == []


def test_a_copy_that_mounts_and_clocks_that_differ(tmp_path: Path) -> None:
    rig = healthy("a")
    rig.receiver.zfs("set", "mountpoint=/home", f"{THERE}/a")
    rig.receiver.zfs("set", "readonly=off", THERE)
    answering(rig.receiver, ahead=40.0)
    assert sorted(kind for kind, _where in bad(look(rig, tmp_path))) == ["clock", "mount", "mount"]


def test_growth_is_known_from_the_second_call_on(tmp_path: Path) -> None:
    rig = healthy()
    look(rig, tmp_path)
    rig.wait(2 * DAY)
    rig.size = 50_000
    rig.night()
    grown = [each for each in look(rig, tmp_path).findings if each.kind == "pool-growth"]
    assert len(grown) == 2
    assert all("a day, and is full in" in each.what for each in grown)
    rows = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]
    assert [row["pool"] for row in rows] == ["tank", "vault"] * 2


def test_a_note_that_cannot_be_written_or_read_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    assert bad(look(healthy(), tmp_path)) == []
    (tmp_path / FILE).rmdir()
    (tmp_path / FILE).write_text('{"time": "x", "where": 1, "pool": "tank", "allocated": null}\n{}\n')
    assert bad(look(healthy(), tmp_path)) == []


@pytest.mark.parametrize(
    ("given", "missing"),
    [("create,destroy,mount,receive", []), ("mount,receive", ["permissions", "permissions"])],
)
def test_the_permissions_of_a_user(tmp_path: Path, given: str, missing: list[str]) -> None:
    rig = healthy()
    answer = (
        f"---- Permissions on {THERE} ---------------------------\n"
        f"Local+Descendent permissions:\n\tuser bob {given}\n"
    )
    before = rig.receiver.faults.garble

    def garble(finished: Finished) -> Finished:
        asked = finished.argv[:2] == ("zfs", "allow")
        return Finished(finished.argv, 0, answer, "") if asked else before(finished)

    rig.receiver.faults.garble = garble
    result = look(rig, tmp_path, replace(QUIET, users={"offsite": "bob"}))
    assert [kind for kind, _where in bad(result)] == missing

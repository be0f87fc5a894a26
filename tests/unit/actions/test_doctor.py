# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor on both sides of the fake: what it asks, what it finds, and that it changes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cyber_zfs_backup.actions.doctor import doctor_on
from cyber_zfs_backup.actions.doctor_here import Here, blocked, look_here
from cyber_zfs_backup.actions.doctor_notes import FILE
from cyber_zfs_backup.actions.journal import Journal
from cyber_zfs_backup.actions.result import ActionResult, Outcome
from cyber_zfs_backup.config.job import Destination, SourceHost
from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
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
    result = look(rig, tmp_path)
    assert bad(result) == []
    assert (result.outcome, result.summary.partition(";")[0]) == (Outcome.DONE, "all is well")
    assert rig.states() == before
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
    result = look(rig, tmp_path)
    assert bad(result) == [("no-copy", f"offsite:{THERE}")]
    assert result.outcome is Outcome.CRITICAL
    assert result.findings[0].remedy == (
        f"cyber-zfs-backup --dataset {ROOT} --ssh-destination offsite --zfs-receive-dataset {THERE} "
        "--force-non-incremental"
    )
    assert any(each.kind == "room" for each in result.findings)
    assert bad(look(rig, tmp_path, destinations=())) == []


@pytest.mark.parametrize(
    ("copy", "remedy"),
    [
        ("vault/a/copy", "zfs create -p -o mountpoint=none -o canmount=off vault/a"),
        ("lost/copy", "zpool import lost"),
    ],
)
def test_nothing_to_put_the_copy_in(tmp_path: Path, copy: str, remedy: str) -> None:
    rig = Rig("a")
    answering(rig.source)
    answering(rig.receiver)
    found = look(rig, tmp_path, destination=Destination("offsite", copy)).findings
    (told,) = (each for each in found if each.kind == "no-copy")
    assert (told.severity, told.remedy) == (Severity.FAILS, f"as root there: {remedy}")


def room_of(result: ActionResult) -> tuple[Severity, str]:
    (found,) = (each for each in result.findings if each.kind == "room")
    return found.severity, found.what


@pytest.mark.parametrize(("capacity", "severity"), [(200_000, Severity.GOOD), (190_000, Severity.FAILS)])
def test_a_first_push_must_fit(tmp_path: Path, capacity: int, severity: Severity) -> None:
    rig = Rig("a", capacity=capacity)
    answering(rig.source)
    answering(rig.receiver)
    rig.size = 60_000
    rig.snap()
    told = room_of(look(rig, tmp_path))
    assert (told[0], "brings about 165.2 KiB" in told[1]) == (severity, True)


@pytest.mark.parametrize(("size", "severity"), [(100_000, Severity.GOOD), (400_000, Severity.FAILS)])
def test_what_the_next_push_brings_must_fit(tmp_path: Path, size: int, severity: Severity) -> None:
    rig = Rig("a", capacity=400_000)
    answering(rig.source)
    answering(rig.receiver)
    rig.first()
    assert "brings about 0 B" in room_of(look(rig, tmp_path))[1]
    rig.size = size
    rig.write("a")
    told = room_of(look(rig, tmp_path))
    assert (told[0], f"brings about {size / 1024:.1f} KiB" in told[1]) == (severity, True)


@pytest.mark.parametrize("fault", ["unreachable", "no zfs"])
def test_of_a_receiver_that_says_nothing_no_room_is_told(tmp_path: Path, fault: str) -> None:
    rig = healthy("a")
    if fault == "unreachable":
        rig.receiver.faults.unreachable = True
    else:
        rig.receiver.faults.garble = lambda finished: Finished(
            finished.argv, 127, "", f"sh: 1: {finished.argv[0]}: not found\n"
        )
    result = look(rig, tmp_path)
    assert not [each for each in result.findings if each.kind in ("room", "no-copy")]
    assert result.outcome is Outcome.CRITICAL
    (first, *_) = (each for each in result.findings if each.severity is Severity.FAILS)
    assert (first.where, bool(first.remedy)) == (f"offsite:{THERE}", True)


def test_a_copy_that_mounts_and_clocks_that_differ(tmp_path: Path) -> None:
    rig = healthy("a")
    rig.receiver.zfs("set", "mountpoint=/home", f"{THERE}/a")
    rig.receiver.zfs("set", "readonly=off", THERE)
    answering(rig.receiver, ahead=40.0)
    assert sorted(kind for kind, _where in bad(look(rig, tmp_path))) == ["clock", "mount", "mount"]


@pytest.mark.parametrize(
    ("ahead", "told"),
    [
        (0, "its clock is that of this machine"),
        (-9, "its clock is that of this machine"),
        (-70, "its clock is 69 s behind that of this machine"),
        # For all that is known, the answer was made at the end of the 40 seconds that it took.
        (45, "its clock is that of this machine"),
        (70, "its clock is 30 s ahead of that of this machine"),
    ],
)
def test_what_a_slow_line_may_explain_is_no_difference_of_clocks(
    tmp_path: Path, ahead: int, told: str
) -> None:
    rig = healthy()
    answering(rig.receiver, ahead=ahead)
    before = rig.receiver.faults.garble

    def slowly(finished: Finished) -> Finished:
        answer = before(finished)
        if finished.argv[0] == "date":
            rig.source.world.now += 40
        return answer

    rig.receiver.faults.garble = slowly
    assert [each.what for each in look(rig, tmp_path).findings if each.kind == "clock"] == [told]


def test_growth_is_guessed_at_first_and_known_from_the_second_call_on(tmp_path: Path) -> None:
    rig = healthy()
    first = [each.what for each in look(rig, tmp_path).findings if each.kind == "pool-growth"]
    assert len(first) == 2
    assert all("grows by at most 300 B a day, as the snapshots of 1 days tell" in what for what in first)
    rig.wait(2 * DAY)
    rig.size = 50_000
    rig.night()
    grown = [each for each in look(rig, tmp_path).findings if each.kind == "pool-growth"]
    assert len(grown) == 2
    assert all("grows by" in each.what and "at most" not in each.what for each in grown)
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


# What is seen of this machine

TIMER_ANSWER = """\
Id=cyber-zfs-backup.timer
LoadState=loaded
UnitFileState=enabled
ActiveState=active
LastTriggerUSec=@1764201600
Unit=cyber-zfs-backup.service
TimersCalendar={ OnCalendar=Mon,Thu *-*-* 02:00:00 ; next_elapse=Mon 2026-11-30 02:00:00 UTC }

Id=cyber-zfs-backup@tank-data.timer
LoadState=loaded
UnitFileState=disabled
ActiveState=inactive
LastTriggerUSec=
Unit=cyber-zfs-backup@tank-data.service
"""


START = (
    "{ path=/usr/bin/cyber-zfs-backup ; argv[]=cyber-zfs-backup --ssh-config=/etc/ssh/x.conf --dataset=a ; "
    "ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }"
)
WEEKLY = """\
Normalized form: Mon,Thu *-*-* 02:00:00
    Next elapse: Mon 2026-11-30 02:00:00 UTC
       From now: 2 days left
       Iter. #2: Thu 2026-12-03 02:00:00 UTC
       From now: 5 days left
   Iteration #3: Mon 2026-12-07 02:00:00 UTC
       From now: 1 week 2 days left
"""


def systemctl(
    timers: str,
    protect: str = "read-only",
    status: int = 0,
    capabilities: str = "cap_dac_override cap_sys_admin",
) -> object:
    def run(argv: Sequence[str]) -> Finished:
        if "systemd-analyze" in argv:
            assert argv[-1] == "Mon,Thu *-*-* 02:00:00"
            return Finished(tuple(argv), 0, WEEKLY, "")
        asked = argv[argv.index("-p") + 1]
        if asked.startswith("ProtectHome"):
            text = f"ProtectHome={protect}\nCapabilityBoundingSet={capabilities}\n"
        elif asked.startswith("Id,Result"):
            text = "".join(
                f"Id={unit}\nResult=exit-code\nExecStart={START}\n\n" for unit in argv[argv.index("--") + 1 :]
            )
        else:
            text = timers
        return Finished(tuple(argv), status, text, "")

    return run


def test_timers_are_read_from_systemd() -> None:
    here = look_here((SourceHost(),), systemctl(TIMER_ANSWER))  # type: ignore[arg-type]
    assert here.timers is not None
    first, second = here.timers
    assert (first.name, first.enabled, first.active, first.result) == (
        "cyber-zfs-backup.timer",
        "enabled",
        True,
        "exit-code",
    )
    assert first.last == datetime.fromtimestamp(1764201600, UTC)
    assert (first.every, second.every) == (timedelta(days=4), None)
    assert first.config == "/etc/ssh/x.conf"
    assert (second.active, second.last, second.service) == (False, None, "cyber-zfs-backup@tank-data.service")
    gone = "Id=cyber-zfs-backup.timer\nLoadState=not-found\nUnit=\n"
    assert look_here((), systemctl(gone)).timers == ()  # type: ignore[arg-type]
    assert look_here((), systemctl("", status=1)).timers is None  # type: ignore[arg-type]

    def none(_argv: Sequence[str]) -> Finished:
        raise HostError(HostErrorKind.TIMEOUT, "this machine", "had not ended", "wait")

    assert look_here((), none).timers is None


def test_ssh_is_seen_as_its_configuration_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "id"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    key.chmod(0o640)
    known = tmp_path / "known"
    known.write_text(
        "10.0.0.1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHDjZ5cDLxyb7dSPhO5rTPeZ4FmYtqDrSOOu5nJDRyVg\n"
    )
    config = tmp_path / "config"
    config.write_text(
        f"Host offsite\n HostName 10.0.0.1\n User bob\n IdentityFile {key}\n UserKnownHostsFile {known}\n"
        "Host other\n HostName 10.0.0.2\n IdentityFile /nowhere\n UserKnownHostsFile /nowhere\n"
    )
    monkeypatch.setattr("cyber_zfs_backup.actions.doctor_here._HOMES", (f"{tmp_path}/",))
    ends = [Destination(name, "a/b", config) for name in ("offsite", "other", "offsite")]
    here = look_here((SourceHost(), *ends), systemctl("", "yes"))  # type: ignore[arg-type]
    assert here.users["offsite"] == "bob"
    way = here.ways["offsite"]
    assert [(each.path, each.mode) for each in way.keys] == [(str(key), 0o640)]
    assert (way.known, way.hidden) == (True, (str(config), str(key), str(known)))
    assert way.blocked == {}
    # The package's service has not all of root's rights.
    key.chmod(0o000)
    strict = systemctl("", capabilities="cap_sys_admin")
    assert str(key) in look_here((SourceHost(), *ends), strict).ways["offsite"].blocked  # type: ignore[arg-type]
    assert look_here((SourceHost(), *ends), systemctl("")).ways["offsite"].blocked == {}  # type: ignore[arg-type]
    other = here.ways["other"]
    assert (other.known, other.keys) == (False, ())
    config.write_text("Nonsense yes\n")
    assert "refuses its configuration" in look_here(ends, systemctl("")).ways["offsite"].trouble  # type: ignore[arg-type]


FILE_OF_BOB = "/home/bob/.ssh/id"


@pytest.mark.parametrize(
    ("folder", "file", "by"),
    [
        # Owner, group and mode of a folder above, and of the file.
        ((0, 0, 0o755), (0, 0, 0o600), ""),
        ((0, 0, 0o700), (0, 0, 0o400), ""),
        ((0, 0, 0o755), (0, 0, 0o200), FILE_OF_BOB),
        ((0, 0, 0o755), (1000, 1000, 0o600), FILE_OF_BOB),
        ((0, 0, 0o755), (1000, 1000, 0o604), ""),
        ((0, 0, 0o755), (1000, 0, 0o640), ""),
        ((0, 0, 0o755), (1000, 0, 0o604), FILE_OF_BOB),
        ((1000, 1000, 0o700), (1000, 1000, 0o604), "/home/bob"),
        ((1000, 1000, 0o711), (1000, 1000, 0o604), ""),
        ((1000, 0, 0o710), (0, 0, 0o600), ""),
    ],
)
def test_what_the_services_root_may_not_read(
    folder: tuple[int, int, int], file: tuple[int, int, int], by: str
) -> None:
    """Without CAP_DAC_OVERRIDE root is to the files of others what everybody is."""

    def look_up(path: Path) -> os.stat_result:
        owner, group, mode = {"/home/bob": folder, FILE_OF_BOB: file}.get(str(path), (0, 0, 0o755))
        return os.stat_result((mode, 0, 0, 1, owner, group, 0, 0, 0, 0))

    assert blocked(["", FILE_OF_BOB], look_up) == ({FILE_OF_BOB: by} if by else {})


def test_a_file_that_is_not_there_is_not_blocked() -> None:
    assert blocked(["/nowhere/at/all"]) == {}


# What the next push would meet


def push_findings(result: ActionResult) -> list[tuple[Severity, str, str]]:
    return [(each.severity, each.what, each.remedy) for each in result.findings if each.kind == "push"]


def test_a_copy_that_was_written_to_stops_the_next_push(tmp_path: Path) -> None:
    rig = healthy("a")
    assert [severity for severity, _, _ in push_findings(look(rig, tmp_path))] == [Severity.GOOD]
    rig.receiver.write(f"{THERE}/a", {"other": b"x" * 99})
    before = rig.states()
    ((severity, what, remedy),) = push_findings(look(rig, tmp_path))
    assert rig.states() == before
    assert severity is Severity.FAILS
    assert f"would stop at {THERE}/a: something has written to the copy" in what
    assert f"zfs rollback '{THERE}/a@{rig.names()[-1]}'" in remedy
    # It does stop there, and no more once that was typed.
    assert rig.night().exit_code == 3
    rig.receiver.zfs("rollback", f"{THERE}/a@{rig.names()[-2]}")
    assert rig.night().exit_code == 0
    assert [severity for severity, _, _ in push_findings(look(rig, tmp_path))] == [Severity.GOOD]


def test_sides_that_share_nothing_stop_the_next_push(tmp_path: Path) -> None:
    rig = healthy("a")
    rig.receiver.zfs("destroy", "-r", f"{THERE}")
    rig.receiver.zfs("create", THERE)
    rig.receiver.zfs("snapshot", f"{THERE}@{rig.names()[-1]}")
    result = look(rig, tmp_path)
    assert result.outcome is Outcome.CRITICAL
    assert "share no snapshot" in push_findings(result)[0][1]


def test_what_a_push_mends_by_itself_does_not_stop_it(tmp_path: Path) -> None:
    rig = healthy("a", "b")
    rig.source.zfs("rename", f"{ROOT}/a", f"{ROOT}/c")
    rig.source.zfs("create", f"{ROOT}/new")
    rig.receiver.zfs("snapshot", f"{THERE}/b@by-hand")
    assert [severity for severity, _, _ in push_findings(look(rig, tmp_path))] == [Severity.GOOD]
    assert rig.night().exit_code == 0

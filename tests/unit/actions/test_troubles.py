# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong, from check, the history and systemd: under which key, and which question it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from cyber_zfs_backup.actions.result import ActionResult, Outcome
from cyber_zfs_backup.actions.troubles import (
    Look,
    Unit,
    busy_for,
    from_checks,
    from_history,
    from_units,
    guessed_look,
    just_begun,
    looks_of,
    still_meant,
    units,
)
from cyber_zfs_backup.config.declared import CRITICAL
from cyber_zfs_backup.config.job import UsageError
from cyber_zfs_backup.config.requests import Check
from cyber_zfs_backup.hosts.protocol import Finished as Ended
from cyber_zfs_backup.model.history import Finished
from cyber_zfs_backup.model.places import HERE
from cyber_zfs_backup.plan.findings import Finding, Severity
from cyber_zfs_backup.plan.lateness import BELOW
from cyber_zfs_backup.plan.telling import Seen
from cyber_zfs_backup.plan.told import Topic
from tests.unit.config.worlds import declared

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CHECK = Check("tank", 26 * HOUR, 50 * HOUR)
QUESTION = "backed up tank"


def run(destination: str = "off:a/b", code: int = 0, hours: float = 3, **changes: object) -> Finished:
    made = Finished(
        "tank", destination, NOW - hours * HOUR, 1.0, code, error="push: no route" if code else ""
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def keys(seen: Seen) -> list[str]:
    return [trouble.key for trouble in seen.troubles]


# Late


def found(*findings: Finding) -> ActionResult:
    return ActionResult("check", Outcome.CRITICAL, "bad", findings=findings)


LATE = Finding(
    Severity.FAILS, "reached", HERE, "what off:a/b has of tank is 3 days old", "doctor", "tank off:a/b"
)
LAGS = Finding(Severity.WARNING, "taken", HERE, "tank/x had no snapshot", "dry run", f"tank{BELOW}")
OVERDUE = Finding(Severity.WARNING, "expired", HERE, "9 snapshots should have been expired", "expire", "tank")
WELL = Finding(Severity.GOOD, "taken", HERE, "the newest snapshot of tank is 3 h old", "", "tank")


def test_what_is_late_is_told_under_a_key_without_its_age() -> None:
    seen = from_checks([Look(CHECK)], lambda _check: found(WELL, LATE, LAGS, OVERDUE), None)
    assert keys(seen) == ["reached tank off:a/b", "taken tank below", "expired tank"]
    late = seen.troubles[0]
    assert (late.topic, late.severity, late.what, late.remedy) == (
        *(Topic.LATE, Severity.FAILS),
        *(LATE.what, LATE.remedy),
    )
    assert (set(seen.answered), set(seen.unanswered)) == ({QUESTION}, set())


def test_of_a_tree_that_is_guessed_only_what_is_sure_is_told() -> None:
    seen = from_checks([Look(CHECK, guessed=True)], lambda _check: found(WELL, LATE, LAGS, OVERDUE), None)
    assert keys(seen) == ["reached tank off:a/b"]


def test_a_check_without_an_answer_is_told_and_ends_nothing() -> None:
    unknown = ActionResult("check", Outcome.UNKNOWN, "zfs list had not ended after 600 s")
    seen = from_checks([Look(CHECK)], lambda _check: unknown, None)
    assert keys(seen) == ["unknown backed up tank"]
    assert "whether backups of tank are late is not known: zfs list had not ended" in seen.troubles[0].what
    assert (set(seen.answered), set(seen.unanswered)) == (set(), {QUESTION})

    def refuse(_check: Check) -> ActionResult:
        raise UsageError("--exclude 'tank' leaves out the tree itself")

    assert from_checks([Look(CHECK)], refuse, None).unanswered == {QUESTION}


def test_while_a_run_is_under_way_nothing_is_called_late_unless_it_hangs() -> None:
    looks = [Look(CHECK), Look(replace(CHECK, dataset="vault", receiver=True))]
    seen = from_checks(looks, lambda _check: found(LATE), HOUR)
    assert (keys(seen), set(seen.unanswered)) == (["reached tank off:a/b"], {QUESTION})
    assert seen.answered == {"received vault"}
    assert from_checks(looks, lambda _check: found(LATE), 51 * HOUR).unanswered == frozenset()


# Failed


def test_the_last_run_of_each_destination_counts() -> None:
    runs = [run(code=1, hours=9), run("nas:a/b", 75, hours=9), run(), run("nas:a/b", 65)]
    seen = from_history(runs, frozenset(), NOW)
    assert keys(seen) == ["run tank nas:a/b"]
    (trouble,) = seen.troubles
    assert trouble.what == "the backup of tank to nas:a/b failed, 2026-11-27 09:00 UTC: push: no route"
    assert "no run mends this by itself" in trouble.remedy
    assert trouble.topic is Topic.FAILURE
    assert seen.answered == {"run tank off:a/b", "run tank nas:a/b"}


@pytest.mark.parametrize("code", [4, 130, 143])
def test_a_run_that_was_kept_from_it_says_nothing_of_the_one_before(code: int) -> None:
    assert keys(from_history([run(code=1), run(code=code)], frozenset(), NOW)) == ["run tank off:a/b"]
    assert keys(from_history([run(), run(code=code)], frozenset(), NOW)) == []


@pytest.mark.parametrize(("code", "said"), [(1, "failed"), (3, "was done in part only"), (75, "failed")])
def test_how_it_failed(code: int, said: str) -> None:
    (trouble,) = from_history([run(code=code, error="")], frozenset(), NOW).troubles
    assert trouble.what == f"the backup of tank to off:a/b {said}, 2026-11-27 09:00 UTC (exit {code})"
    assert trouble.remedy


def test_a_slip_of_the_hand_is_told_only_where_the_tree_is_one_that_is_backed_up() -> None:
    runs = [run(code=2, dataset="tnak"), run(code=2)]
    assert keys(from_history(runs, frozenset({"tank"}), NOW)) == ["run tank off:a/b"]
    assert keys(from_history(runs, frozenset(), NOW)) == []


def test_what_failed_long_ago_is_no_question_any_more() -> None:
    seen = from_history([run(code=1, hours=24 * 8), run("nas:a/b", 1, hours=24 * 6)], frozenset(), NOW)
    assert (keys(seen), set(seen.answered)) == (["run tank nas:a/b"], {"run tank nas:a/b"})


def test_a_run_without_a_push_is_made_good_by_any_later_one() -> None:
    local = run("", 1, hours=5)
    assert from_history([local], frozenset(), NOW).troubles[0].what.startswith("the backup of tank failed")
    assert keys(from_history([local, run()], frozenset(), NOW)) == []
    assert keys(from_history([run(code=1), run("", hours=1)], frozenset(), NOW)) == ["run tank off:a/b"]


def test_a_declared_push_makes_good_what_was_done_before_a_later_snapshot_alone() -> None:
    """It takes none itself: an expiry that fails each night must not be hidden by the push beside it."""
    local = run("", 1, job="tank", hours=10)
    same_night = run(job="tank", target="2026-11-27T01:59:58Z")
    assert keys(from_history([local, same_night], frozenset(), NOW)) == ["run tank"]
    # The failure that a receiver tells of later says nothing of it either.
    assert keys(from_history([local, run(code=75, job="tank")], frozenset(), NOW))[0] == "run tank"
    for later in (
        run(job="tank", target="2026-11-27T02:05:00Z"),
        run(code=75, target="2026-11-27T02:05:00Z"),
    ):
        assert "run tank" not in keys(from_history([local, later], frozenset(), NOW))


# Services

FAILED = Unit("cyber-zfs-backup.service", "failed", "exit-code", 1, NOW - 3 * HOUR)


def test_a_service_that_failed_without_a_word_is_told() -> None:
    killed = replace(FAILED, result="oom-kill", status=9)
    seen = from_units([killed, replace(FAILED, name="other", state="inactive")], [])
    (trouble,) = seen.troubles
    assert trouble.key == "unit cyber-zfs-backup.service"
    assert trouble.what == "cyber-zfs-backup.service has failed (oom-kill, begun 2026-11-27 09:00 UTC)"
    assert "journalctl -u cyber-zfs-backup.service" in trouble.remedy
    assert seen.answered == {"units"}


def test_a_service_whose_run_is_in_the_history_is_not_told_twice() -> None:
    ours = run(code=1, hours=3)
    assert keys(from_units([FAILED], [ours])) == []
    for other in (run(code=3), run(code=1, hours=4)):
        assert keys(from_units([FAILED], [other])) == ["unit cyber-zfs-backup.service"]
    assert keys(from_units([replace(FAILED, result="timeout")], [ours])) != []
    assert keys(from_units([replace(FAILED, started=None)], [ours])) != []


@pytest.mark.parametrize("code", [4, 130, 143])
def test_a_service_that_was_kept_from_it_has_not_failed(code: int) -> None:
    assert keys(from_units([replace(FAILED, status=code)], [])) == []


def systemd(said: str, status: int = 0) -> tuple[list[Sequence[str]], object]:
    asked: list[Sequence[str]] = []

    def answer(argv: Sequence[str]) -> Ended:
        asked.append(argv)
        return Ended(tuple(argv), status, said, "")

    return asked, answer


def test_systemd_is_asked_for_all_our_services() -> None:
    said = (
        "Id=cyber-zfs-backup.service\nActiveState=failed\nResult=exit-code\nExecMainStatus=1\n"
        "ExecMainStartTimestamp=@1795770000\n\n"
        "Id=cyber-zfs-backup@tank-data.service\nActiveState=activating\nResult=success\nExecMainStatus=\n"
        "ExecMainStartTimestamp=\n"
    )
    asked, answer = systemd(said)
    assert units(answer) == (  # type: ignore[arg-type]
        Unit("cyber-zfs-backup.service", "failed", "exit-code", 1, datetime.fromtimestamp(1795770000, UTC)),
        Unit("cyber-zfs-backup@tank-data.service", "activating", "success", 0, None),
    )
    assert asked[0][-4:] == [
        "cyber-zfs-backup.service",
        "cyber-zfs-backup-run.service",
        "cyber-zfs-backup@*.service",
        "cyber-zfs-backup-receiver.service",
    ]
    assert units(systemd("", 1)[1]) is None  # type: ignore[arg-type]
    assert from_units(None, []) == Seen()


def test_what_is_under_way() -> None:
    one = replace(FAILED, state="activating", started=NOW - 2 * HOUR)
    two = replace(one, name="cyber-zfs-backup@x.service", started=NOW - HOUR)
    receiver = replace(one, name="cyber-zfs-backup-receiver.service", started=NOW)
    assert busy_for([one, two, receiver, FAILED], NOW) == HOUR
    assert busy_for([receiver, FAILED, replace(one, started=None)], NOW) is None
    assert busy_for(None, NOW) is None


def test_a_run_that_begins_every_five_minutes_is_no_reason_to_be_silent_for_ever() -> None:
    look = replace(FAILED, name="cyber-zfs-backup-run.service", state="activating", started=NOW)
    assert busy_for([look], NOW + timedelta(seconds=3)) is None
    assert busy_for([look], NOW + HOUR) == HOUR
    # It is waited for, until it shows what it is.
    assert just_begun([FAILED, look], NOW + timedelta(seconds=3)) == timedelta(seconds=57)
    for found in ([look], [replace(look, state="inactive")], [FAILED], [replace(look, started=None)], None):
        assert just_begun(found, NOW + timedelta(minutes=1)) is None
    assert just_begun([replace(look, name="cyber-zfs-backup.service")], NOW) is None


# What is looked at


def test_the_datasets_of_the_file_but_for_those_that_rest() -> None:
    text = (
        '[retention.few]\ndaily = 3\n[destination.off]\ndataset = "off/{name}"\n'
        '[[dataset]]\nname = "tank"\ndestinations = ["off"]\nexclude = ["x"]\nretention = "few"\n'
        'critical-after = "6h"\n'
        '[[dataset]]\nname = "local"\nschedule = "every 1w"\n[[dataset]]\nname = "rests"\npause = true\n'
        '[[dataset]]\nname = "later"\npause = 2026-12-24\n'
    )
    looks = looks_of(declared(text), NOW, lambda *_asked: None)
    assert [look.check.dataset for look in looks] == ["local", "tank"]
    local, tank = (look.check for look in looks)
    assert (tank.warning, tank.critical, tank.exclude.patterns, tank.local) == (
        6 * HOUR,
        6 * HOUR,
        ("x",),
        False,
    )
    assert tank.retention.days == 3
    assert local.local
    assert (local.warning, local.critical) == ((7 * 24 + 2) * HOUR, (14 * 24 + 2) * HOUR)
    over = datetime.combine(date(2026, 12, 25), datetime.min.time(), UTC)
    assert [look.check.dataset for look in looks_of(declared(text), over, lambda *_asked: None)] == [
        "later",
        "local",
        "tank",
    ]


def test_of_what_rests_or_is_not_declared_any_more_nobody_has_to_hear_each_day() -> None:
    text = (
        '[destination.off]\ndataset = "a/b"\n[[dataset]]\nname = "tank"\ndestinations = ["off"]\n'
        '[[dataset]]\nname = "rests"\npause = true\n'
    )
    meant = [run(job="tank"), run("", job="tank"), run("nas:x/y"), run(dataset="elsewhere")]
    gone = [run("nas:x/y", job="tank"), run("", dataset="rests", job="rests"), run(dataset="x", job="x")]
    assert still_meant([*meant, *gone], declared(text), NOW) == meant


@pytest.mark.parametrize(
    ("hours", "late"), [(24, 50 * HOUR), (24 * 7, (2 * 24 * 7 + 2) * HOUR), (1, CRITICAL)]
)
def test_without_a_file_the_plain_timer_says_what_is_late(hours: int, late: timedelta) -> None:
    last = 1795770000
    said = f"ActiveState=active\nLastTriggerUSec=@{last}\nNextElapseUSecRealtime=@{last + hours * 3600}\n"
    first = late / HOUR
    (look,) = guessed_look("tank", [run(hours=first), run()], systemd(said)[1], NOW)  # type: ignore[arg-type]
    assert look == Look(Check("tank", late, late), guessed=True)
    (local,) = guessed_look("tank", [run("", hours=first)], systemd(said)[1], NOW)  # type: ignore[arg-type]
    assert local.check.local
    # Nothing is late of what has just begun.
    assert guessed_look("tank", [run(hours=first - 1)], systemd(said)[1], NOW) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize("said", ["ActiveState=inactive\n", "", "ActiveState=failed\nLastTriggerUSec=@1\n"])
def test_without_a_timer_or_a_run_nothing_is_guessed(said: str) -> None:
    assert guessed_look("tank", [run(hours=99)], systemd(said)[1], NOW) == ()  # type: ignore[arg-type]
    active = systemd("ActiveState=active\nLastTriggerUSec=\nNextElapseUSecRealtime=\n")[1]
    assert guessed_look("tank", [run(hours=99, dataset="other")], active, NOW) == ()  # type: ignore[arg-type]
    (look,) = guessed_look("tank", [run(hours=99)], active, NOW)  # type: ignore[arg-type]
    assert look.check.critical == CRITICAL

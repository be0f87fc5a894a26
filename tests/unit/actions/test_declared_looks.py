# SPDX-License-Identifier: GPL-3.0-or-later
"""``status``, ``check``, ``metrics`` and ``report`` of what a configuration file declares, on the fake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cyber_zfs_backup.actions import declared_metrics
from cyber_zfs_backup.actions.check import runs_on_record
from cyber_zfs_backup.actions.declared_doctor import doctor_of
from cyber_zfs_backup.actions.declared_looks import Answers, Trees, World, check_all, look_on, status_of
from cyber_zfs_backup.actions.declared_metrics import metrics_of, write_after_run
from cyber_zfs_backup.actions.declared_report import page_of
from cyber_zfs_backup.actions.doctor_here import Here, run_timer_is_off
from cyber_zfs_backup.actions.ends import Ends, Home
from cyber_zfs_backup.actions.journal import Journal
from cyber_zfs_backup.actions.report_page import Around, on_record
from cyber_zfs_backup.actions.reread import Read
from cyber_zfs_backup.actions.result import ActionResult, Outcome, RunResult, Surface
from cyber_zfs_backup.config.declared import Declared
from cyber_zfs_backup.config.declared_requests import RunDue
from cyber_zfs_backup.config.job import Action, Job
from cyber_zfs_backup.hosts.protocol import Finished
from cyber_zfs_backup.plan.report_page import Page
from cyber_zfs_backup.plan.standing import COLUMNS
from tests.unit.actions.fleet import Fleet
from tests.unit.actions.rig import Rig
from tests.unit.config.worlds import declared

FILE = Path("/etc/config.toml")
TWO = """
[destination.offsite]
dataset = "vault/copy"

[[dataset]]
name = "tank/src"
destinations = ["offsite"]
schedule = "every 1h"
warn-after = "2h"
critical-after = "4h"

[[dataset]]
name = "tank/src/local"
schedule = "02:00"
"""
HOUR = 3600
HERE = Here((), {}, {})
CHECK = partial(check_all, FILE)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path / "state"


def look(fleet: Fleet, answer: Answers, *, off: bool = False) -> ActionResult:
    due, day = fleet.world, timedelta(days=1)
    world = World(due.source, due.open, due.clock, runs_on_record(), due.elapse, lambda *_asked: day, off=off)
    return look_on(world, declared(fleet.text), answer)


def status(fleet: Fleet, *, online: bool = False) -> list[dict[str, str]]:
    result = look(fleet, partial(status_of, online=online))
    assert result.table is not None
    return [dict(zip(result.table.columns, row, strict=True)) for row in result.table.rows]


def fleet_of(text: str = TWO) -> Fleet:
    fleet = Fleet(text, "local", "a")
    assert fleet.due().exit_code == 0
    return fleet


def test_each_declared_destination_has_a_row() -> None:
    fleet = fleet_of()
    off, local = status(fleet)
    assert (off["dataset"], off["destination"]) == ("tank/src", "offsite:vault/copy")
    assert (local["dataset"], local["destination"]) == ("tank/src/local", "none")
    assert off["there"] == off["newest"] == fleet.names()[-1]
    assert off["behind by"] == "nothing"
    # By each one's own schedule.
    assert off["next run"].endswith(":00")
    assert local["next run"].endswith(" 02:00")
    assert list(off) == list(COLUMNS)


def test_a_destination_that_nothing_was_pushed_to_yet() -> None:
    fleet = fleet_of()
    fleet.text = TWO.replace(
        "[[dataset]]", '[destination.new]\ndataset = "other/copy"\n[[dataset]]', 1
    ).replace('["offsite"]', '["offsite", "new"]')
    new, off, _local = status(fleet)
    assert (new["destination"], new["there"]) == ("new:other/copy", "nothing")
    assert off["there"] == off["newest"]
    # It is due at once.
    assert new["next run"] == f"{fleet.now:%Y-%m-%d %H:%M}"
    found = look(fleet, CHECK)
    assert found.outcome is Outcome.CRITICAL
    assert "nothing of tank/src has arrived at new:other/copy yet" in found.summary


def test_a_destination_that_is_not_declared_any_more_is_not_late_but_to_be_forgotten() -> None:
    text = TWO.replace("[[dataset]]", '[destination.new]\ndataset = "vault/other"\n[[dataset]]', 1)
    fleet = fleet_of(text.replace('["offsite"]', '["offsite", "new"]'))
    fleet.later(HOUR)
    fleet.text = text.replace('["offsite"]', '["new"]')
    for _ in range(6):
        fleet.later(HOUR)
    found = look(fleet, CHECK)
    assert found.outcome is Outcome.WARNINGS
    (left,) = [each for each in found.findings if each.severity]
    assert left.what.startswith("offsite:vault/copy is no destination of tank/src any more")
    assert "cyber-zfs-backup forget offsite:vault/copy --dataset tank/src" in left.remedy


def test_run_after_run_all_is_well() -> None:
    """With an entry below an entry, whose snapshots have the same names; and more snapshots than are kept."""
    fleet = fleet_of(TWO.replace("02:00", "every 1h"))
    for _ in range(6):
        assert fleet.later(HOUR).exit_code == 0
        found = look(fleet, CHECK)
        assert found.outcome is Outcome.DONE, found.summary
        off, _local = status(fleet)
        assert off["there"] == off["newest"] == fleet.names()[-1]
    # What has an entry of its own is pinned by nobody else's.
    names = [each.name for each in fleet.source.world.datasets["tank/src/local"].snapshots]
    # The former one goes with the next snapshot, or with this one where the push beside it has ended before.
    assert names in (fleet.names()[-2:], fleet.names()[-1:])
    # But not where nothing expires at all.
    for _ in range(3):
        fleet.later(HOUR, actions=frozenset({Action.SNAPSHOT, Action.PUSH}))
    found = look(fleet, CHECK)
    assert found.outcome is Outcome.WARNINGS
    assert "snapshots of tank/src should have been expired" in found.summary


def test_what_rests_says_so_and_is_not_late() -> None:
    fleet = fleet_of()
    fleet.wait(9 * HOUR)
    assert look(fleet, CHECK).outcome is Outcome.CRITICAL
    fleet.text = TWO.replace('schedule = "every 1h"', "pause = 2099-01-01")
    off, _local = status(fleet)
    assert off["next run"] == "paused until 2099-01-01"
    found = look(fleet, CHECK)
    assert found.outcome is Outcome.DONE
    assert "tank/src is paused until 2099-01-01" in found.summary


def test_a_receiver_that_is_asked_tells_for_itself() -> None:
    fleet = fleet_of()
    online, offline = status(fleet, online=True), status(fleet)
    assert online == offline
    fleet.receiver.calls.clear()
    status(fleet)
    assert fleet.receiver.calls == []


def test_each_tree_is_held_against_its_own_limits() -> None:
    fleet = fleet_of()
    fleet.wait(3 * HOUR)
    found = look(fleet, CHECK)
    assert found.outcome is Outcome.WARNINGS
    line = found.lines[0]
    assert line.startswith("CYBER-ZFS-BACKUP WARNING - the newest snapshot of tank/src is 3 h old")
    assert "'tank/src taken'=10800s;7200;14400;0" in line
    assert "'tank/src/local taken'=10800s;93600;180000;0" in line
    assert "\n" not in line


def test_what_is_due_each_week_is_not_late_on_the_third_day() -> None:
    fleet = fleet_of('[[dataset]]\nname = "tank/src/local"\nschedule = "every 1w"\n')
    fleet.wait(3 * 24 * HOUR)
    assert look(fleet, CHECK).outcome is Outcome.DONE


def test_what_is_pushed_by_a_schedule_of_its_own_is_late_by_that() -> None:
    fleet = fleet_of(TWO.replace('warn-after = "2h"\ncritical-after = "4h"', 'push-schedule = "every 1w"'))
    fleet.later(HOUR)
    fleet.later(3 * 24 * HOUR)
    assert look(fleet, CHECK).outcome is Outcome.DONE
    fleet.wait(5 * HOUR)
    found = look(fleet, CHECK)
    assert "'tank/src taken'=18000s;10800;14400;0" in found.lines[0]
    assert found.outcome is Outcome.CRITICAL


def test_where_the_timer_is_off_nothing_is_promised() -> None:
    fleet = fleet_of()
    due = fleet.world
    world = World(due.source, due.open, due.clock, (), due.elapse, lambda *_asked: None, off=True)
    result = look_on(world, declared(fleet.text), partial(status_of, online=False))
    assert result.table is not None
    place = COLUMNS.index("next run")
    assert [row[place] for row in result.table.rows] == ["", ""]
    assert "systemctl enable --now cyber-zfs-backup-run.timer" in result.answer[0]
    world = replace(world, off=False)
    assert look_on(world, declared(fleet.text), partial(status_of, online=False)).answer == ()


@pytest.mark.parametrize(
    ("said", "off"), [("inactive", True), ("active", False), ("failed", True), ("", False)]
)
def test_whether_the_timer_is_off_is_systemds_to_say(said: str, off: bool) -> None:
    def run(argv: Sequence[str]) -> Finished:
        return Finished(tuple(argv), 0 if said else 1, f"ActiveState={said}\n", "")

    assert run_timer_is_off(run) is off


def test_a_tree_that_is_not_there_hides_nothing_of_the_others() -> None:
    fleet = fleet_of()
    fleet.text += '[[dataset]]\nname = "gone/away"\n'
    result = look(fleet, partial(status_of, online=False))
    assert result.outcome is Outcome.PARTIAL
    assert ["gone/away" in problem.what for problem in result.problems] == [True]
    assert result.table is not None
    assert [row[0] for row in result.table.rows] == ["tank/src", "tank/src/local"]
    found = look(fleet, CHECK)
    assert found.outcome is Outcome.CRITICAL
    assert "gone/away" in found.summary


def test_a_file_that_declares_nothing_is_not_well() -> None:
    fleet = Fleet("[notification]\nlogin = true\n")
    found = look(fleet, CHECK)
    assert (found.outcome, found.summary) == (Outcome.UNKNOWN, f"{FILE} declares no [[dataset]]")


def test_zfs_that_does_not_answer_is_unknown_and_not_well() -> None:
    fleet = fleet_of()
    fleet.source.faults.unreachable = True
    found = look(fleet, CHECK)
    assert found.outcome is Outcome.UNKNOWN
    assert found.lines[0].startswith("CYBER-ZFS-BACKUP UNKNOWN - tank/src: ")
    assert look(fleet, partial(status_of, online=False)).outcome is Outcome.PARTIAL


def test_what_is_bad_and_what_is_not_known_are_told_together() -> None:
    fleet = fleet_of()
    opened, blind = fleet.open, "tank/src/local"

    @contextmanager
    def open_but_one(job: Job) -> Iterator[tuple[Home, Sequence[Ends]]]:
        fleet.source.faults.unreachable = job.dataset == blind
        with opened(job) as ends:
            yield ends

    def found(hours: int) -> ActionResult:
        fleet.source.faults.unreachable = False
        fleet.wait(hours * HOUR)
        due = fleet.world
        world = World(due.source, open_but_one, due.clock, runs_on_record(), due.elapse, lambda *_asked: None)
        return look_on(world, declared(fleet.text), CHECK)

    late = found(3)
    assert late.outcome is Outcome.UNKNOWN
    assert "tank/src/local: " in late.lines[0]
    assert "the newest snapshot of tank/src is 3 h old" in late.lines[0]
    very = found(3)
    assert very.outcome is Outcome.CRITICAL
    assert "the newest snapshot of tank/src is 6 h old" in very.lines[0]
    assert "not known: tank/src/local: " in very.lines[0]


def test_the_metrics_of_all_are_one_exposition(tmp_path: Path) -> None:
    fleet = fleet_of()
    output = tmp_path / "x.prom"
    assert look(fleet, partial(metrics_of, output)).outcome is Outcome.DONE
    found = {
        (sample.name, sample.labels.get("dataset")): sample.value
        for family in text_string_to_metric_families(output.read_text())
        for sample in family.samples
    }
    assert found["cyber_zfs_backup_warn_after_seconds", "tank/src"] == 2 * HOUR
    assert found["cyber_zfs_backup_warn_after_seconds", "tank/src/local"] == 26 * HOUR
    assert found["cyber_zfs_backup_next_run_timestamp_seconds", "tank/src"] > fleet.now.timestamp()


def test_they_are_written_where_the_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = fleet_of()
    output, rig = tmp_path / "x.prom", Rig()
    fleet.text = f'[monitoring]\nmetrics = "{output}"\n{TWO}'

    def looked(_declared: Declared, _surface: Surface, answer: Answers) -> RunResult:
        return RunResult("", (), fleet.now, 0.0, False, (look(fleet, answer),))

    monkeypatch.setattr(declared_metrics, "looked", looked)
    reader = SimpleNamespace(read=lambda _good: Read(declared(fleet.text), "digest"))
    monkeypatch.setattr(declared_metrics, "Reader", lambda _file, _surface: reader)
    write_after_run(RunDue(FILE), rig.said)
    assert 'dataset="tank/src/local"' in output.read_text()
    output.unlink()
    fleet.text = TWO
    write_after_run(RunDue(FILE), rig.said)
    assert not output.exists()
    assert rig.said.warnings == []


def test_the_doctor_tells_what_trees_have_in_common_once(state: Path) -> None:
    fleet = fleet_of()
    fleet.text += '[[dataset]]\nname = "gone/away"\n'
    past = Journal(state / "pools.jsonl")

    def answer(world: World, trees: Trees) -> ActionResult:
        return doctor_of(HERE, past, world, [tree.task.looking(online=True) for tree in trees])

    found = look(fleet, answer)
    assert found.outcome is Outcome.CRITICAL
    told = [(each.kind, each.where, each.what) for each in found.findings]
    assert len(told) == len(set(told))
    assert [each.what for each in found.findings if "gone/away" in each.what]
    wheres = {each.where for each in found.findings}
    assert "offsite:vault/copy" in wheres
    assert not [each for each in found.findings if "is off" in each.what]
    off = look(fleet, answer, off=True)
    assert [each.remedy for each in off.findings if "is off" in each.what] == [
        "systemctl enable --now cyber-zfs-backup-run.timer"
    ]


def test_the_report_has_all_of_them_on_one_page(state: Path) -> None:
    fleet = fleet_of()
    fleet.text += '[[dataset]]\nname = "gone/away"\n'
    around = Around(None, HERE, Journal(state / "pools.jsonl"), on_record(state))
    made: list[Page] = []

    def answer(world: World, trees: object) -> ActionResult:
        page, problems = page_of(around, world, trees, online=True)  # type: ignore[arg-type]
        made.append(page)
        return ActionResult("report", Outcome.DONE, "", problems=problems)

    result = look(fleet, answer)
    (page,) = made
    assert sorted(tree.root for tree in page.trees) == ["gone/away", "tank/src", "tank/src/local"]
    assert len(result.problems) == 1

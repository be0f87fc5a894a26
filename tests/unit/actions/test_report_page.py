# SPDX-License-Identifier: GPL-3.0-or-later
"""``report`` on the fake: what it reads, what it writes, and what it says where it cannot."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from cyber_zfs_backup.actions.doctor_here import Here
from cyber_zfs_backup.actions.history import _add
from cyber_zfs_backup.actions.journal import Journal
from cyber_zfs_backup.actions.report_page import (
    Around,
    look_at,
    on_record,
    refuse_file,
    report_on,
    report_run,
    written,
)
from cyber_zfs_backup.actions.result import ActionResult, Outcome
from cyber_zfs_backup.config.job import Exclude, UsageError
from cyber_zfs_backup.config.requests import Report
from cyber_zfs_backup.model.history import Finished
from cyber_zfs_backup.plan.report_page import report_page
from cyber_zfs_backup.plan.standing import Row, Standing
from tests.browser import made
from tests.unit.actions.rig import ONLY_PUSH, ROOT, THERE, Rig

TO = f"offsite:{THERE}"
HERE = Here((), {}, {})


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path / "state"


def around(state: Path) -> Around:
    return Around(None, HERE, Journal(state / "pools.jsonl"), on_record(state))


def report(rig: Rig, state: Path, output: Path, *, doctor: bool = False, **changes: object) -> ActionResult:
    home = rig.home(actions=ONLY_PUSH, **changes)
    return report_on(home, rig.ways(home) if doctor else [], output, around(state))


def nightly(*children: str) -> Rig:
    rig = Rig(*children)
    rig.first()
    rig.night()
    return rig


def test_no_receiver_is_asked_and_the_tree_is_listed_as_often_as_it_is_read(
    state: Path, tmp_path: Path
) -> None:
    rig = nightly("a", "b")
    before = rig.states()
    rig.receiver.faults.unreachable = True
    rig.source.calls.clear()
    result = report(rig, state, tmp_path / "web")
    assert result.outcome is Outcome.DONE
    listings = [call for call in rig.source.calls if "snapshot,bookmark" in call]
    # What the doctor has read is read once, however many datasets there are.
    assert len(listings) == 1
    assert sum(call[:2] == ("zfs", "get") for call in rig.source.calls) == 1
    assert len(rig.source.calls) <= 12, rig.source.calls
    assert rig.states() == before
    text = (tmp_path / "web/index.html").read_text()
    assert f"{ROOT}/b" in text
    assert TO in text
    assert (result.figures["datasets"], result.figures["trees"]) == (3, 1)
    assert result.figures["bytes"] == len(text.encode())
    assert str(tmp_path / "web/index.html") in result.summary


def test_history_and_drills_are_on_it(state: Path, tmp_path: Path) -> None:
    rig = nightly()
    _add([Finished(ROOT, TO, rig.now, 1.0, 0, target=rig.names()[-1], bytes=3 << 20)])
    wrong = {"snapshot": f"{THERE}@x", "verdict": "differs", "why": "names differ"}
    drill = {"time": "1970-01-03T00:00:00Z", "dataset": ROOT, "destination": TO, "good": False}
    Journal(state / "drills.jsonl").add([f"{json.dumps({**drill, 'datasets': [wrong]})}\n", "{}\n"])
    result = report(rig, state, tmp_path)
    text = (tmp_path / "index.html").read_text()
    assert "3.0 MiB in 1 run" in text
    assert f"found something wrong: {THERE}@x: names differ" in text
    assert int(result.figures["failing"]) >= 1


def test_what_is_behind_tells_what_it_keeps_here(state: Path, tmp_path: Path) -> None:
    rig = nightly()
    rig.receiver.faults.unreachable = True
    rig.night()
    looked = look_at(rig.home(actions=ONLY_PUSH), [], around(state))
    (standing,) = looked.seen.standings
    assert standing.row.kept is not None
    assert standing.row.destination == TO


def test_the_doctor_asks_the_receivers_where_that_was_asked_for(state: Path, tmp_path: Path) -> None:
    rig = nightly()
    rig.receiver.faults.unreachable = True
    quiet = report(rig, state, tmp_path)
    asked = report(rig, state, tmp_path, doctor=True)
    assert int(asked.figures["failing"]) == int(quiet.figures["failing"]) + 1
    assert asked.outcome is Outcome.DONE


def test_what_a_configuration_expects_counts(state: Path) -> None:
    rig = nightly()
    home = rig.home(actions=ONLY_PUSH)
    (told,) = look_at(home, [], around(state)).seen.standings
    rests = replace(told, paused="moving")
    assert look_at(home, [], around(state), [rests]).seen.standings == (rests,)


def test_what_is_excluded_is_not_shown(state: Path, tmp_path: Path) -> None:
    rig = nightly("a", "scratch")
    result = report(rig, state, tmp_path, exclude=Exclude(("scratch",)))
    assert result.figures["datasets"] == 2
    assert f"{ROOT}/scratch" not in (tmp_path / "index.html").read_text()


def test_a_tree_that_is_not_there_is_told_on_the_page(state: Path, tmp_path: Path) -> None:
    rig = Rig()
    result = report(rig, state, tmp_path, dataset="tank/gone")
    assert (result.outcome, [each.kind for each in result.problems]) == (Outcome.PARTIAL, ["missing"])
    text = (tmp_path / "index.html").read_text()
    assert "1 thing is wrong" in text
    assert "tank/gone: there is no such dataset" in text


def test_so_is_one_that_zfs_does_not_answer_for(state: Path, tmp_path: Path) -> None:
    rig = nightly()
    rig.source.faults.unreachable = True
    given = Standing(Row(ROOT, TO, "", ""), made.LIMITS)
    looked = look_at(rig.home(actions=ONLY_PUSH), [], around(state), [given])
    assert (looked.seen.tree, looked.seen.standings) == (None, (given,))
    assert [each.kind for each in looked.problems] == ["unreachable"]
    page = report_page("zippy", rig.now, [looked.seen], on_record(state))
    assert written(page, tmp_path, looked.problems).outcome is Outcome.PARTIAL
    assert "not known" in (tmp_path / "index.html").read_text()


def test_the_whole_command_writes_it_whatever_this_machine_has(tmp_path: Path) -> None:
    result = report_run(Report("tank/there-is-no-such-tree", tmp_path), Rig().said)
    # With zfs or without: the tree cannot be read, and the page says so.
    assert (result.exit_code, result.destinations) == (3, ())
    assert "tank/there-is-no-such-tree" in (tmp_path / "index.html").read_text()
    with pytest.raises(UsageError, match="is no folder"):
        report_run(Report("tank/a", tmp_path / "index.html"), Rig().said)


def test_the_page_is_for_everybody_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert written(made.well(), tmp_path / "a/b").outcome is Outcome.DONE
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b", "a/b/index.html")}
    assert modes == {"a": 0o755, "a/b": 0o755, "a/b/index.html": 0o644}
    assert [each.name for each in (tmp_path / "a/b").iterdir()] == ["index.html"]


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o700)
    written(made.empty(), folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_former_page_is_replaced_and_a_link_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("not mine")
    page = tmp_path / "web/index.html"
    page.parent.mkdir()
    page.symlink_to(other)
    written(made.empty(), page.parent)
    written(made.well(), page.parent)
    assert not page.is_symlink()
    assert "All is well" in page.read_text()
    assert other.read_text() == "not mine"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UsageError, match=r"--output: .*/file is no folder; name one"):
        refuse_file(file)
    refuse_file(tmp_path)
    refuse_file(tmp_path / "new")


@pytest.mark.parametrize("taken", ["index.html", "below"])
def test_where_it_cannot_be_written_nothing_is_left(tmp_path: Path, taken: str) -> None:
    folder = tmp_path / "web"
    folder.mkdir()
    if taken == "below":
        (folder / "file").touch()
        output = folder / "file/deep"
    else:
        (folder / "index.html").mkdir()
        output = folder
    result = written(made.well(), output)
    (problem,) = result.problems
    assert (result.outcome, problem.kind) == (Outcome.FAILED, "output")
    assert problem.what.startswith("cannot be written: ")
    assert "--output" in problem.remedy
    assert len(list(folder.iterdir())) == 1


def test_records_that_may_not_be_read_are_none(state: Path) -> None:
    (state / "drills.jsonl").mkdir(parents=True)
    assert on_record(state).drills == {}

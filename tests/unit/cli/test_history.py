# SPDX-License-Identifier: GPL-3.0-or-later
"""Every run leaves a line for each of its destinations, however it ends, and never fails by that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cyber_zfs_backup.actions.history import FILE, history
from cyber_zfs_backup.actions.result import ActionResult, Outcome, Problem, RunResult
from cyber_zfs_backup.cli import main as command
from cyber_zfs_backup.cli.signals import Interrupted
from cyber_zfs_backup.config.job import UsageError
from cyber_zfs_backup.model.history import Finished

from .results import NEW_YORK, PROBLEM, action, replace_work, run_result

TREE = ["--dataset", "zippy/zippy", "--zfs-receive-dataset", "offsite/zippy"]
SNAPSHOT = ActionResult("snapshot", Outcome.DONE, "taken", figures={"name": "2026-11-24T03:30:05Z"})
PUSH = ActionResult(
    "push",
    Outcome.PARTIAL,
    "6 of 7 datasets",
    problems=(PROBLEM, Problem("no space", "offsite:offsite/zippy/b", "make room", "no-space")),
    figures={
        "target": "2026-11-24T03:30:05Z",
        "datasets": 7,
        "confirmed": 6,
        "bytes": 123456,
        "streams": 3,
        "repaired": 1,
    },
    destination="offsite:offsite/zippy",
)
EXPIRE = ActionResult("expire", Outcome.DONE, "4 destroyed", figures={"snapshots": 4, "commands": 1})


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_run_is_put_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_work(monkeypatch, lambda _work, _surface: run_result(SNAPSHOT, PUSH, EXPIRE))
    assert command.main(TREE) == 3
    assert list(history()) == [
        Finished(
            dataset="zippy/zippy",
            destination="offsite:offsite/zippy",
            started=datetime(2026, 11, 24, 3, 30, 5, tzinfo=UTC),
            seconds=12.34567,
            exit=3,
            snapshot="2026-11-24T03:30:05Z",
            target="2026-11-24T03:30:05Z",
            datasets=7,
            confirmed=6,
            bytes=123456,
            steps=3,
            repaired=1,
            destroyed=4,
            error="push: offsite:offsite/zippy/home: the receiver has data that the source never sent",
        )
    ]


def test_each_destination_has_its_line_and_its_own_end(monkeypatch: pytest.MonkeyPatch) -> None:
    good = replace(PUSH, outcome=Outcome.DONE, problems=(), destination="nas:pool/zippy")
    both = replace(run_result(SNAPSHOT, good, PUSH), destinations=("nas:pool/zippy", "offsite:offsite/zippy"))
    replace_work(monkeypatch, lambda _work, _surface: both)
    command.main(TREE)
    assert [(run.destination, run.exit, bool(run.error)) for run in history()] == [
        ("nas:pool/zippy", 0, False),
        ("offsite:offsite/zippy", 3, True),
    ]


def test_a_snapshot_that_failed_counts_for_every_destination(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = ActionResult("snapshot", Outcome.FAILED, "no snapshot was taken")
    replace_work(monkeypatch, lambda _work, _surface: run_result(bad, action("push", Outcome.NOTHING)))
    command.main(TREE)
    (run,) = history()
    assert (run.exit, run.error) == (1, "snapshot: no snapshot was taken")


def test_a_run_without_a_push_has_a_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = replace(run_result(SNAPSHOT, EXPIRE), destinations=())
    replace_work(monkeypatch, lambda _work, _surface: alone)
    assert command.main([*TREE, "--action", "snapshot", "expire"]) == 0
    (run,) = history()
    assert (run.destination, run.destroyed, run.good) == ("", 4, True)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Interrupted(15), 143, "interrupted by SIGTERM"),
        (UsageError("zippy/zippy: there is no such dataset"), 2, "zippy/zippy: there is no such dataset"),
        (
            RuntimeError("boo"),
            1,
            "internal error: RuntimeError: boo; please report it, run again with --debug",
        ),
    ],
)
def test_a_run_that_breaks_off_is_on_record(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    def work(_work: object, _surface: object) -> RunResult:
        raise error

    replace_work(monkeypatch, work)
    before = datetime.now(UTC) - timedelta(seconds=1)
    assert command.main([*TREE, "--ssh-destination", "nas"]) == code
    (run,) = history()
    assert (run.destination, run.exit, run.error) == ("nas:offsite/zippy", code, said)
    assert before.replace(microsecond=0) <= run.started <= datetime.now(UTC)
    assert command.main([*TREE, "--action", "expire"]) == code
    assert [run.destination for run in history()][1:] == [""]


def test_a_dry_run_and_other_commands_leave_no_line(monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    replace_work(monkeypatch, lambda _work, _surface: run_result(PUSH, dry_run=True))
    command.main([*TREE, "-n"])
    replace_work(monkeypatch, lambda _work, _surface: run_result(PUSH))
    command.main(["verify", *TREE])

    def broken(_work: object, _surface: object) -> RunResult:
        raise RuntimeError

    replace_work(monkeypatch, broken)
    command.main([*TREE, "-n"])
    command.main(["forget", "nas", *TREE])
    assert not (state / FILE).exists()


def test_a_record_that_cannot_be_written_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state.write_text("in the way")
    replace_work(monkeypatch, lambda _work, _surface: run_result(action("push", Outcome.DONE)))
    assert command.main(TREE) == 0
    assert "cannot be put on record" in capsys.readouterr().err


def test_what_stands_there_that_is_no_run_is_skipped(monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    replace_work(monkeypatch, lambda _work, _surface: run_result(PUSH))
    command.main(TREE)
    with (state / FILE).open("a") as file:
        file.write('{"schema": 1, "dataset": "cut o')
    command.main(TREE)
    assert len(list(history())) == 2
    assert next(history()).started == run_result().started.replace(microsecond=0).astimezone(NEW_YORK)

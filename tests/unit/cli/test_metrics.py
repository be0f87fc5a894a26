# SPDX-License-Identifier: GPL-3.0-or-later
"""``metrics`` and ``--metrics``: the grammar, and that no exit code ever hangs on them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cyber_zfs_backup.actions import declared_metrics, metrics
from cyber_zfs_backup.actions.result import Outcome, RunResult, Surface
from cyber_zfs_backup.cli import main as command
from cyber_zfs_backup.cli.parser import parse
from cyber_zfs_backup.cli.request import Lines
from cyber_zfs_backup.cli.signals import Interrupted
from cyber_zfs_backup.config.declared import CONFIG
from cyber_zfs_backup.config.declared_requests import Look, LookDeclared, RunDue
from cyber_zfs_backup.config.job import Exclude, Job, SourceHost, UsageError
from cyber_zfs_backup.config.requests import Metrics

from .results import action, replace_work, run_result

Capture = pytest.CaptureFixture[str]
FILE = "/var/lib/prometheus/node-exporter/cyber-zfs-backup.prom"
TREE = ["--dataset", "zippy/zippy", "--zfs-receive-dataset", "offsite/zippy"]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path


def test_what_is_meant() -> None:
    request = parse(["metrics"], hostname="zippy")
    assert request.work == LookDeclared(Look.METRICS, CONFIG, Metrics("zippy/zippy"))
    assert request.show.lines is Lines.SCRIPT
    words = [
        "metrics",
        "--dataset",
        "a/b",
        "--output",
        "x",
        "--exclude",
        "c",
        "--source-ssh-destination",
        "h",
    ]
    request = parse(words, hostname="zippy")
    assert request.work == Metrics("a/b", SourceHost("h"), Exclude(("c",)), Path("x"))
    assert request.show.lines is Lines.PLAN
    assert parse(["metrics", "--json"], hostname="zippy").show.lines is Lines.PLAN


def test_what_is_meant_by_the_option() -> None:
    work = parse(["--metrics", FILE], hostname="zippy").work
    assert isinstance(work, Job)
    assert work.metrics == Path(FILE)
    plain = parse([], hostname="zippy").work
    assert isinstance(plain, Job)
    assert plain.metrics is None


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--metrics", ""], "--metrics '': write a file's name"),
        (["--metrics", "/tmp/x.txt"], "node_exporter reads what ends with .prom alone"),
        (["--metrics", "a\0.prom"], "write a file's name"),
        (["metrics", "--output", ""], "--output '': write a file's name"),
        (["metrics", "--dataset", "a//b"], "empty part"),
        (["metrics", "--lanes", "2"], "--lanes"),
    ],
)
def test_what_is_refused(words: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse(words, hostname="zippy")


def written(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs after which metrics were asked for."""
    jobs: list[Job] = []
    monkeypatch.setattr(metrics, "write_after", lambda job, _surface: jobs.append(job))
    return jobs


def test_they_are_written_after_a_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = written(monkeypatch)
    replace_work(monkeypatch, lambda _work, _surface: run_result(action("push", Outcome.PARTIAL)))
    assert command.main([*TREE, "--metrics", FILE]) == 3
    assert [job.metrics for job in jobs] == [Path(FILE)]
    assert command.main(TREE) == 3
    assert command.main(["verify", *TREE]) == 3
    assert len(jobs) == 1


def test_they_are_written_after_a_run_by_the_file_that_did_something(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    asked: list[RunDue] = []
    monkeypatch.setattr(declared_metrics, "write_after_run", lambda work, _surface: asked.append(work))
    outcome = Outcome.DONE
    replace_work(
        monkeypatch,
        lambda work, _surface: run_result(action("run", outcome), dry_run=getattr(work, "dry_run", False)),
    )
    assert command.main(["run"]) == 0
    assert [work.file for work in asked] == [CONFIG]
    assert command.main(["run", "--dry-run"]) == 0
    outcome = Outcome.NOTHING
    assert command.main(["run"]) == 0
    assert len(asked) == 1
    replace_work(
        monkeypatch, lambda _work, _surface: replace(run_result(action("run", outcome)), outdated=True)
    )
    assert command.main(["run"]) == 0
    assert len(asked) == 2

    def slow(_work: object, _surface: object) -> None:
        raise Interrupted(15)

    outcome = Outcome.DONE
    monkeypatch.setattr(declared_metrics, "write_after_run", slow)
    assert command.main(["run"]) == 0
    assert "metrics: interrupted by SIGTERM; the run itself is done" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "count"),
    [
        (UsageError("zippy/zippy: there is no such dataset"), 2, 1),
        (RuntimeError("boo"), 1, 1),
        # Whoever ends a run does not want to wait.
        (Interrupted(15), 143, 0),
    ],
)
def test_they_are_written_after_a_run_that_breaks_off(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, count: int
) -> None:
    jobs = written(monkeypatch)

    def work(_work: object, _surface: Surface) -> RunResult:
        raise error

    replace_work(monkeypatch, work)
    assert command.main([*TREE, "--metrics", FILE]) == code
    assert len(jobs) == count


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.FAILED])
def test_no_exit_code_hangs_on_them(
    outcome: Outcome, monkeypatch: pytest.MonkeyPatch, capsys: Capture, state: Path
) -> None:
    """Really: this file cannot be written, and nothing of ZFS is here."""
    replace_work(monkeypatch, lambda _work, _surface: run_result(action("push", outcome)))
    without = command.main(TREE)
    capsys.readouterr()
    assert command.main([*TREE, "--metrics", str(state / "missing/x.prom")]) == without
    out, err = capsys.readouterr()
    assert "push" in out
    assert "the metrics cannot be written: No such file or directory" in err
    assert "warning" in err


def test_a_signal_while_they_are_written_changes_no_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def slow(_job: object, _surface: object) -> None:
        raise Interrupted(15)

    monkeypatch.setattr(metrics, "write_after", slow)
    replace_work(monkeypatch, lambda _work, _surface: run_result(action("push", Outcome.DONE)))
    assert command.main([*TREE, "--metrics", FILE]) == 0
    assert f"{FILE}: interrupted by SIGTERM; the run itself is done" in capsys.readouterr().err


def test_the_command_without_the_module(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    assert command.main(["metrics", "--dataset", "tank/x"]) == 2
    assert "python3-prometheus-client is missing: apt install" in capsys.readouterr().err

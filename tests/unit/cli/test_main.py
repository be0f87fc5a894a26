# SPDX-License-Identifier: GPL-3.0-or-later
"""One call, in this process: exit codes, and what is said when something breaks."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from cyber_zfs_backup.actions.result import Outcome, RunResult, Surface
from cyber_zfs_backup.cli import main as command
from cyber_zfs_backup.cli.parser import parse
from cyber_zfs_backup.cli.request import Request
from cyber_zfs_backup.cli.signals import Interrupted
from cyber_zfs_backup.config.declared_requests import LookDeclared
from cyber_zfs_backup.config.job import Job, UsageError
from cyber_zfs_backup.config.requests import Forget, Quarantine

from .results import PROBLEM, action, replace_work, run_result
from .test_show import SCHEMA

TREE = ["--dataset", "zippy/zippy", "--zfs-receive-dataset", "offsite/zippy"]

Capture = pytest.CaptureFixture[str]


def breaking_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(_work: object, _surface: Surface) -> RunResult:
        raise error

    replace_work(monkeypatch, work)


def test_the_exit_code_is_the_results(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    outcomes = iter((Outcome.DONE, Outcome.PARTIAL, Outcome.CONFLICT))
    replace_work(monkeypatch, lambda _work, _surface: run_result(action("push", next(outcomes))))
    assert [command.main(TREE) for _ in range(3)] == [0, 3, 65]
    assert capsys.readouterr().out.splitlines() == [
        "push: done: push of 20 datasets",
        "push: done in part: push of 20 datasets",
        "push: needs a person: push of 20 datasets",
    ]


def test_the_work_gets_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def work(asked: object, _surface: Surface) -> RunResult:
        seen.append(asked)
        return run_result()

    replace_work(monkeypatch, work)
    assert command.main([*TREE, "-n"]) == 0
    assert command.main(["forget", "nas", *TREE]) == 0
    assert command.main(["quarantine", "2037-01-01T00:00:00Z", *TREE]) == 0
    assert [type(asked) for asked in seen] == [Job, Forget, Quarantine]


def test_what_actions_say_goes_to_stderr(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def work(_work: object, surface: Surface) -> RunResult:
        surface.note("sending")
        surface.detail("because")
        surface.warn("slow")
        with surface.progress("zippy/zippy", 100) as advance:
            advance(50)
        return run_result(action("push", Outcome.PARTIAL, PROBLEM))

    replace_work(monkeypatch, work)
    assert command.main([*TREE, "--json", "-v"]) == 3
    out, err = capsys.readouterr()
    document = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    assert document["exit_code"] == 3
    assert [line.partition("; ")[0] for line in err.splitlines()] == [
        "cyber-zfs-backup: sending",
        "cyber-zfs-backup: because",
        "cyber-zfs-backup: warning: slow",
        "cyber-zfs-backup: error: push: offsite:offsite/zippy/home: "
        "the receiver has data that the source never sent",
    ]


def test_quiet_shows_nothing_of_a_good_run(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    replace_work(monkeypatch, lambda _work, _surface: run_result(action("push", Outcome.DONE)))
    assert command.main([*TREE, "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_usage_error_is_one_line_and_a_hint(capsys: Capture) -> None:
    assert command.main(["--lanes", "99"]) == 2
    assert capsys.readouterr() == (
        "",
        "cyber-zfs-backup: error: --lanes 99: write a number from 1 to 16\nTry 'cyber-zfs-backup --help'.\n",
    )


def test_a_usage_error_with_debug_has_its_traceback(capsys: Capture) -> None:
    assert command.main(["--lanes", "99", "--debug"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.endswith("write a number from 1 to 16\nTry 'cyber-zfs-backup --help'.\n")


def test_what_was_typed_cannot_steer_the_terminal(capsys: Capture) -> None:
    assert command.main(["\x1b[2J"]) == 2
    assert capsys.readouterr().err.splitlines()[0] == (
        r"cyber-zfs-backup: error: unrecognized arguments: \x1b[2J"
    )


@pytest.mark.parametrize(
    ("error", "code", "kind", "said"),
    [
        (UsageError("no such tree"), 2, "usage", "no such tree"),
        (
            ModuleNotFoundError("No module named 'paramiko'", name="paramiko"),
            2,
            "missing-module",
            "python3-paramiko is missing: apt install python3-paramiko",
        ),
        (
            ModuleNotFoundError("No module named 'rich.table'", name="rich.table"),
            2,
            "missing-module",
            "python3-rich is missing: apt install python3-rich",
        ),
        (
            ModuleNotFoundError("No module named 'rich'", name="rich"),
            2,
            "missing-module",
            "python3-rich is missing: apt install python3-rich",
        ),
        (
            ModuleNotFoundError("No module named 'nonsense'", name="nonsense"),
            1,
            "internal",
            "internal error: ModuleNotFoundError: No module named 'nonsense'; "
            "please report it, run again with --debug",
        ),
        (
            ZeroDivisionError("division by zero"),
            1,
            "internal",
            "internal error: ZeroDivisionError: division by zero; please report it, run again with --debug",
        ),
        (
            ValueError("two\nlines \x1b[2J"),
            1,
            "internal",
            "internal error: ValueError: two\nlines \x1b[2J; please report it, run again with --debug",
        ),
        (Interrupted(2), 130, "interrupted", "interrupted by SIGINT"),
        (Interrupted(15), 143, "interrupted", "interrupted by SIGTERM"),
        (Interrupted(1), 143, "interrupted", "interrupted by SIGHUP"),
    ],
)
def test_what_breaks_is_one_line_an_exit_code_and_a_document(
    error: BaseException, code: int, kind: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    breaking_with(error, monkeypatch)
    line = "cyber-zfs-backup: error: " + said.replace("\n", "\\n").replace("\x1b", "\\x1b") + "\n"
    assert command.main(TREE) == code
    assert capsys.readouterr() == ("", line)
    assert command.main([*TREE, "--json", "-n"]) == code
    out, err = capsys.readouterr()
    assert err == line
    document = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    assert document["error"] == {"kind": kind, "message": said}
    assert document["exit_code"] == code
    assert document["actions"] == []
    assert document["dry_run"] is True
    assert document["destination"] == "offsite:offsite/zippy"


def test_a_document_of_a_run_without_a_push_names_no_receiver(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    breaking_with(UsageError("x"), monkeypatch)
    assert command.main([*TREE, "--json", "--action", "expire"]) == 2
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, SCHEMA)
    assert document["destination"] == ""


def test_only_debug_shows_a_traceback(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    breaking_with(ZeroDivisionError("x"), monkeypatch)
    assert command.main([*TREE, "-vv"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert command.main([*TREE, "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_result_that_stdout_cannot_take_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    replace_work(monkeypatch, lambda _work, _surface: run_result(action("push", Outcome.DONE)))

    def full(_text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cyber_zfs_backup.cli.show.emit", full)
    assert command.main(TREE) == 1
    assert capsys.readouterr().err == (
        "cyber-zfs-backup: error: cannot write the result to stdout: No space left on device; "
        "the work itself is done\n"
    )


@pytest.mark.parametrize("host", ["zippy", "9lives"])
def test_a_file_that_says_only_who_is_told_leaves_the_plain_job_to_look_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, host: str
) -> None:
    """What the monitoring of a nightly job says must not change with the address that its mail goes to."""
    file = tmp_path / "config.toml"
    file.write_text('[notification]\nmail = ["root"]\n')
    file.chmod(0o644)
    zfs = tmp_path / "zfs"
    zfs.write_text("#!/bin/sh\necho \"cannot open 'zippy/zippy': dataset does not exist\" >&2\nexit 1\n")
    zfs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))

    def parsed(words: Sequence[str]) -> Request:
        request = parse(words, hostname=host)
        assert isinstance(request.work, LookDeclared)
        return replace(request, work=replace(request.work, file=file))

    monkeypatch.setattr(command, "parse", parsed)
    code = command.main(["check"])
    said = capsys.readouterr()
    assert code == 2
    if host == "zippy":
        assert said.out.startswith("CYBER-ZFS-BACKUP CRITICAL - zippy/zippy: there is no such dataset")
    else:
        assert "--dataset" in said.err


def test_a_named_file_without_datasets_is_not_well(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[notification]\nlogin = true\n")
    file.chmod(0o644)
    assert command.main(["check", "--config", str(file)]) == 3
    assert capsys.readouterr().out == f"CYBER-ZFS-BACKUP UNKNOWN - {file} declares no [[dataset]]\n"

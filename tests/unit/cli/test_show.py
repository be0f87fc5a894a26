# SPDX-License-Identifier: GPL-3.0-or-later
"""What stdout and stderr say of a result."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import replace

import jsonschema
import pytest

from cyber_zfs_backup import __version__
from cyber_zfs_backup.actions.result import ActionResult, Outcome
from cyber_zfs_backup.cli import logs, show
from cyber_zfs_backup.cli.request import Show
from cyber_zfs_backup.plan.findings import fails, good, warning

from .results import PROBLEM, Terminal, action, run_result

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
DESTINATION = {
    "type": "object",
    "additionalProperties": False,
    "required": ["label", "exit_code"],
    "properties": {"label": TEXT, "exit_code": {"enum": [0, 1, 2, 3, 4, 65, 75, 130, 143]}},
}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": [
        *("schema", "version", "dataset", "destination", "destinations", "started", "seconds", "dry_run"),
        *("exit_code", "error", "actions"),
    ],
    "properties": {
        "schema": {"const": 1},
        "version": TEXT,
        "dataset": TEXT,
        "destination": TEXT,
        "destinations": {"type": "array", "items": DESTINATION},
        "started": {
            "anyOf": [{"type": "null"}, TEXT | {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}],
        },
        "seconds": NUMBER,
        "dry_run": {"type": "boolean"},
        "exit_code": {"enum": [0, 1, 2, 3, 4, 65, 75, 130, 143]},
        "error": {
            "anyOf": [
                {"type": "null"},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["kind", "message"],
                    "properties": {
                        "kind": {"enum": ["interrupted", "missing-module", "usage", "internal"]},
                        "message": TEXT,
                    },
                },
            ]
        },
        "actions": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": [
                    *(
                        "action",
                        "destination",
                        "outcome",
                        "summary",
                        "lines",
                        "answer",
                        "problems",
                        "figures",
                    ),
                ],
                "properties": {
                    "action": TEXT,
                    "destination": TEXT,
                    "outcome": {"enum": [outcome.value for outcome in Outcome]},
                    "summary": TEXT,
                    "lines": {"type": "array", "items": TEXT},
                    "answer": {"type": "array", "items": TEXT},
                    "problems": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["what", "where", "remedy", "kind"],
                            "properties": dict.fromkeys(("what", "where", "remedy", "kind"), TEXT),
                        },
                    },
                    "figures": {
                        "type": "object",
                        "additionalProperties": {"type": ["number", "string", "null"]},
                    },
                    "rows": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {"typed": {}},
                            "additionalProperties": TEXT,
                        },
                    },
                    "findings": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["severity", "kind", "where", "what", "remedy"],
                            "properties": {
                                "severity": {"enum": ["good", "warning", "fails"]},
                                **dict.fromkeys(("kind", "where", "what", "remedy"), TEXT),
                            },
                        },
                    },
                },
            },
        },
    },
}
"""The shape that the help text and ``cli/show.py`` promise."""

RESULT = run_result(
    action("snapshot", Outcome.DONE),
    action("push", Outcome.PARTIAL, PROBLEM),
    action("expire", Outcome.NOTHING),
)


def test_text_has_one_line_an_action_and_the_verdict() -> None:
    assert show.text(RESULT, Show(), colour=False).splitlines() == [
        "snapshot: done: snapshot of 20 datasets",
        "push: done in part: push of 20 datasets",
        "expire: nothing to do: expire of 20 datasets",
        "not all done (exit 3): push: done in part",
    ]


def test_the_verdict_names_what_counts_in_the_exit_code_and_nothing_else() -> None:
    for outcome in Outcome:
        result = run_result(action("snapshot", Outcome.DONE), action("push", outcome))
        verdict = show.text(result, Show(), colour=False).splitlines()[-1]
        assert (verdict == "all done") == (result.exit_code == 0)
        assert f"(exit {result.exit_code}): push: " in verdict or result.exit_code == 0


def test_a_real_run_does_not_repeat_its_plan() -> None:
    """With -v it was shown when it was decided."""
    assert len(show.text(RESULT, Show(verbosity=1), colour=False).splitlines()) == 4


def test_a_dry_run_shows_what_it_would_keep_with_v_only() -> None:
    kept = ActionResult("expire", Outcome.DONE, "x", lines=("keep a@1: newest", "destroy a@0: old"))
    result = replace(run_result(kept), dry_run=True)
    assert show.text(result, Show(), colour=False).splitlines()[2:] == ["  destroy a@0: old"]
    assert len(show.text(result, Show(verbosity=1), colour=False).splitlines()) == 4


def test_a_dry_run_says_so_first_and_shows_the_plan() -> None:
    assert show.text(replace(RESULT, dry_run=True), Show(), colour=False).splitlines()[:3] == [
        "dry run of zippy/zippy to offsite:offsite/zippy: nothing has been changed",
        "snapshot: done: snapshot of 20 datasets",
        "  snapshot zippy/zippy: because it is due",
    ]


def test_a_dry_run_without_a_push_names_no_receiver() -> None:
    result = replace(RESULT, dry_run=True, destinations=())
    assert show.text(result, Show(), colour=False).startswith(
        "dry run of zippy/zippy: nothing has been changed\n"
    )


def test_of_several_receivers_each_line_and_each_problem_tells_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    offsite, nas = "offsite:offsite/zippy", "nas:pool/zippy"
    result = replace(
        run_result(
            action("snapshot", Outcome.DONE),
            replace(action("push", Outcome.DONE), destination=offsite),
            replace(action("push", Outcome.PARTIAL, PROBLEM), destination=nas),
        ),
        destinations=(offsite, nas),
    )
    assert show.text(result, Show(), colour=False).splitlines() == [
        "snapshot: done: snapshot of 20 datasets",
        f"push ({offsite}): done: push of 20 datasets",
        f"push ({nas}): done in part: push of 20 datasets",
        f"not all done (exit 3): push ({nas}): done in part",
    ]
    document = show.document(result)
    assert document["destination"] == f"{offsite}, {nas}"
    assert document["destinations"] == [
        {"label": offsite, "exit_code": 0},
        {"label": nas, "exit_code": 3},
    ]
    show.show(result, Show(quiet=True))
    assert f"push ({nas}): {PROBLEM.where}: {PROBLEM.what}" in caplog.text


def test_every_outcome_has_a_word_and_a_colour() -> None:
    for outcome in Outcome:
        plain = show.text(run_result(action("push", outcome)), Show(), colour=False)
        coloured = show.text(run_result(action("push", outcome)), Show(), colour=True)
        assert "\x1b" not in plain
        assert coloured.count("\x1b[") == 2
        assert coloured.endswith("\x1b[0m: push of 20 datasets\n")


def test_nothing_in_a_result_can_steer_the_terminal() -> None:
    evil = "a\x1b[2Jb\r\nc\u202ed\x9be\x7f"
    result = run_result(replace(action("push", Outcome.DONE), summary=evil, lines=(evil,)))
    written = show.text(replace(result, dry_run=True, destinations=()), Show(), colour=False)
    assert written.partition("\n")[2] == (
        "push: done: a\\x1b[2Jb\\r\\nc\\u202ed\\x9be\\x7f\n  a\\x1b[2Jb\\r\\nc\\u202ed\\x9be\\x7f\n"
    )


@pytest.mark.parametrize(
    ("environ", "terminal", "colour"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),  # no-color.org: present and not empty
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({}, True, False),
        ({"TERM": "xterm"}, False, False),
    ],
)
def test_colour_only_where_it_is_welcome(environ: dict[str, str], terminal: bool, colour: bool) -> None:
    assert show.colourful(environ, Terminal() if terminal else io.StringIO()) is colour


def test_the_json_document_has_the_promised_shape() -> None:
    document = json.loads(show.json_text(show.document(RESULT)))
    jsonschema.validate(document, SCHEMA)
    assert document == {
        "schema": 1,
        "version": __version__,
        "dataset": "zippy/zippy",
        "destination": "offsite:offsite/zippy",
        "destinations": [{"label": "offsite:offsite/zippy", "exit_code": 0}],
        "started": "2026-11-24T03:30:05Z",
        "seconds": 12.346,
        "dry_run": False,
        "exit_code": 3,
        "error": None,
        "actions": [
            {
                "action": name,
                "destination": "",
                "outcome": outcome,
                "summary": f"{name} of 20 datasets",
                "lines": [f"{name} zippy/zippy: because it is due"],
                "answer": [],
                "problems": problems,
                "figures": {"datasets": 20, "seconds": 1.5, "form": "level"},
            }
            for name, outcome, problems in (
                ("snapshot", "done", []),
                (
                    "push",
                    "partial",
                    [
                        {
                            "what": "the receiver has data that the source never sent",
                            "where": "offsite:offsite/zippy/home",
                            "remedy": "look at it there, then roll it back with zfs rollback",
                            "kind": "diverged",
                        }
                    ],
                ),
                ("expire", "nothing", []),
            )
        ],
    }


def test_the_json_document_is_ascii_and_knows_no_infinity() -> None:
    odd = replace(
        action("push", Outcome.DONE),
        summary="é\x1b",
        figures={"rate": float("inf"), "ratio": float("nan"), "bytes": 2**63},
    )
    written = show.json_text(show.document(run_result(odd)))
    assert written.isascii()
    assert "\x1b" not in written
    read = json.loads(written)
    jsonschema.validate(read, SCHEMA)
    assert read["actions"][0]["figures"] == {"rate": None, "ratio": None, "bytes": 2**63}
    assert read["actions"][0]["summary"] == "é\x1b"


@pytest.mark.parametrize("how", [Show(), Show(json=True), Show(quiet=True), Show(verbosity=2)])
def test_problems_go_to_stderr_in_every_way_of_showing(how: Show, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(how)
    show.show(RESULT, how)
    out, err = capsys.readouterr()
    assert err == (
        "cyber-zfs-backup: error: push: offsite:offsite/zippy/home: the receiver has data that the source "
        "never sent; look at it there, then roll it back with zfs rollback\n"
    )
    if how.json:
        jsonschema.validate(json.loads(out), SCHEMA)
    else:
        assert bool(out) is not how.quiet


FOUND = replace(
    action("doctor", Outcome.CRITICAL),
    findings=(
        fails("key", "this machine", "there is no key", "setup sender makes one"),
        warning("clock", "offsite", "its clock\x1b is late", "timedatectl set-ntp true"),
        good("pool-health", "offsite", "pool vault is ONLINE"),
    ),
)


def test_findings_are_lines_with_what_mends_them() -> None:
    result = run_result(FOUND)
    assert result.exit_code == 2
    assert show.text(result, Show(), colour=False).splitlines() == [
        "doctor: a backup would fail: doctor of 20 datasets",
        "  fails: this machine: there is no key; mend: setup sender makes one",
        "  warning: offsite: its clock\\x1b is late; mend: timedatectl set-ntp true",
    ]
    assert show.text(result, Show(verbosity=1), colour=False).splitlines()[3:] == [
        "  good: offsite: pool vault is ONLINE"
    ]
    assert "\x1b[31mfails\x1b[0m: this machine" in show.text(result, Show(), colour=True)
    warned = run_result(replace(FOUND, outcome=Outcome.WARNINGS))
    assert warned.exit_code == 1


def test_findings_as_json() -> None:
    document = json.loads(show.json_text(show.document(run_result(FOUND))))
    jsonschema.validate(document, SCHEMA)
    assert document["actions"][0]["findings"][0] == {
        "severity": "fails",
        "kind": "key",
        "where": "this machine",
        "what": "there is no key",
        "remedy": "setup sender makes one",
    }
    assert [each["severity"] for each in document["actions"][0]["findings"]] == ["fails", "warning", "good"]


def test_a_character_that_stdout_cannot_write_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", errors="strict"))
    show.emit("é \udcff\n")
    assert raw.getvalue() == b"\\xe9 \\udcff\n"


def test_without_a_stdout_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    show.emit("lost\n")
    assert sys.stdout is None


EMIT = "from cyber_zfs_backup.cli.show import emit\nemit('x' * 1000000)\nemit('y')\nprint('z')\n"


def test_a_reader_that_has_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", EMIT], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_is_an_error() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", EMIT], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr

# SPDX-License-Identifier: GPL-3.0-or-later
"""What reaches stderr, and in which form."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from cyber_zfs_backup.cli import logs, progress
from cyber_zfs_backup.cli.request import Show
from cyber_zfs_backup.cli.surface import LogSurface


def say_everything() -> None:
    surface = LogSurface(progress.Silence())
    logging.getLogger("cyber_zfs_backup.zfs.client").debug("run zfs %s", "list")
    surface.detail("a reason")
    surface.note("a note")
    surface.warn("a warning")
    logging.getLogger("cyber_zfs_backup.actions.push").error("an error")


@pytest.mark.parametrize(
    ("how", "shown"),
    [
        (Show(quiet=True), ["an error"]),
        (Show(), ["a note", "a warning", "an error"]),
        (Show(verbosity=1), ["a reason", "a note", "a warning", "an error"]),
        (Show(verbosity=2), ["run zfs list", "a reason", "a note", "a warning", "an error"]),
        (Show(debug=True), ["run zfs list", "a reason", "a note", "a warning", "an error"]),
    ],
)
def test_how_much_is_shown(how: Show, shown: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(how)
    say_everything()
    out, err = capsys.readouterr()
    assert [line.rpartition(": ")[2] for line in err.splitlines()] == shown
    assert out == ""


def test_for_people_a_line_begins_with_the_programs_name(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Show(verbosity=2))
    say_everything()
    assert capsys.readouterr().err.splitlines() == [
        "cyber-zfs-backup: run zfs list",
        "cyber-zfs-backup: a reason",
        "cyber-zfs-backup: a note",
        "cyber-zfs-backup: warning: a warning",
        "cyber-zfs-backup: error: an error",
    ]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[TextIO]:
    """A file to stand in for the journal."""
    with (tmp_path / "journal").open("w+") as stream:
        yield stream


def log_to(journal: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the file in the place of stderr, and name it in $JOURNAL_STREAM as systemd does."""
    # Not in the fixture: pytest puts its own stderr back before the test begins.
    status = os.fstat(journal.fileno())
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    monkeypatch.setattr(sys, "stderr", journal)


def test_for_the_journal_a_line_begins_with_its_priority(
    journal: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_to(journal, monkeypatch)
    logs.configure(Show(verbosity=2))
    say_everything()
    logging.getLogger("cyber_zfs_backup").critical("a disaster")
    journal.seek(0)
    assert journal.read().splitlines() == [
        "<7>run zfs list",
        "<6>a reason",
        "<5>a note",
        "<4>a warning",
        "<3>an error",
        "<2>a disaster",
    ]


def test_every_line_of_a_traceback_has_its_priority(journal: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    log_to(journal, monkeypatch)
    logs.configure(Show(debug=True))
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("cyber_zfs_backup.x").exception("broken")
    journal.seek(0)
    lines = journal.read().splitlines()
    assert lines[0] == "<3>broken"
    assert "<3>ValueError: two" in lines
    assert all(line.startswith("<3>") for line in lines)


def test_without_debug_there_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Show(verbosity=2))
    try:
        raise ValueError("x")
    except ValueError:
        logging.getLogger("cyber_zfs_backup.x").exception("broken")
    assert capsys.readouterr().err == "cyber-zfs-backup: error: broken\n"


def test_an_inherited_journal_stream_does_not_count_where_stderr_leads_elsewhere(
    journal: TextIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_to(journal, monkeypatch)
    assert logs.under_systemd(os.environ, journal)
    with (tmp_path / "elsewhere").open("w") as elsewhere:
        assert not logs.under_systemd(os.environ, elsewhere)
    assert not logs.under_systemd({}, journal)
    assert not logs.under_systemd({"JOURNAL_STREAM": ""}, journal)
    assert not logs.under_systemd({"JOURNAL_STREAM": "junk"}, journal)
    assert not logs.under_systemd(os.environ, None)
    journal.close()
    assert not logs.under_systemd(os.environ, journal)


def test_a_name_cannot_steer_the_terminal_nor_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Show())
    evil = "tank/\x1b]0;x\x07\ncyber-zfs-backup: all is well\u2028\u202e\u200b é"
    LogSurface(progress.Silence()).warn(evil)
    assert capsys.readouterr().err == (
        "cyber-zfs-backup: warning: tank/\\x1b]0;x\\x07\\ncyber-zfs-backup: all is well"
        "\\u2028\\u202e\\u200b é\n"
    )


@pytest.mark.parametrize(
    ("debug", "shown"), [(False, ""), (True, "cyber-zfs-backup: error: EOF in transport\n")]
)
def test_paramikos_own_messages_are_for_debugging(
    debug: bool, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(Show(debug=debug))
    logging.getLogger("paramiko.transport").error("EOF in transport")
    logging.getLogger("paramiko.transport").debug("userauth is OK")
    assert capsys.readouterr().err == shown


def test_configuring_twice_says_everything_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Show())
    logs.configure(Show())
    LogSurface(progress.Silence()).note("once")
    assert capsys.readouterr().err == "cyber-zfs-backup: once\n"


def test_a_stderr_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    logs.configure(Show())
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        say_everything()
        monkeypatch.setattr(sys, "stderr", None)
        say_everything()
        monkeypatch.undo()
        # What full still buffers must not fail at its close.
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())

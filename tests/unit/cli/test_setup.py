# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of `setup`, and what is shown of it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from cyber_zfs_backup.actions.result import Outcome
from cyber_zfs_backup.cli import main as command
from cyber_zfs_backup.cli.parser import parse
from cyber_zfs_backup.cli.request import Lines
from cyber_zfs_backup.config.job import UsageError
from cyber_zfs_backup.config.setup import PACKAGE_CONFIG, Counts, PolicyWish, SetupReceiver, SetupSender
from tests.sshd.server import make_key

from .results import action, replace_work, run_result


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return Path(f"{make_key(tmp_path / 'key')}.pub")


def test_what_setup_receiver_asks_for(key: Path) -> None:
    words = ("setup", "receiver", "--client", "zippy", "--root", "offsite/zippy", str(key))
    request = parse(words)
    assert isinstance(request.work, SetupReceiver)
    assert request.work.key is not None
    assert request.work.key.line == key.read_text().strip()
    assert request.work.policy == PolicyWish()
    assert request.show.lines is Lines.ALL
    more = (
        "--mode",
        "mirror",
        "--keep-at-least",
        "1",
        "2",
        "3",
        "--retention",
        "4",
        "5",
        "6",
        "--quota",
        "5G",
    )
    switches = ("--allow-restore", "--no-keep-properties", "--no-never-destroy")
    request = parse((*words, *more, *switches, "--print"))
    assert isinstance(request.work, SetupReceiver)
    wish = PolicyWish("mirror", Counts(1, 2, 3), Counts(4, 5, 6), "5G", True, False, False)
    assert (request.work.policy, request.work.dry_run) == (wish, True)
    assert request.show.lines is Lines.SCRIPT


def test_the_key_may_come_from_standard_input(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(key.read_bytes())))
    work = parse(("setup", "receiver", "--client", "zippy", "--root", "offsite/zippy", "-")).work
    assert isinstance(work, SetupReceiver)
    assert work.key is not None


def test_what_setup_sender_asks_for() -> None:
    work = parse(("setup", "sender", "offsite"), hostname="Zippy.example.org").work
    assert work == SetupSender("offsite", "zippy", "offsite/zippy", config=PACKAGE_CONFIG)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "write receiver or sender"),
        (("both",), "and not 'both'"),
        (("receiver", "--root", "a/b"), "--client"),
        (("receiver", "--client", "z", "--root", "a/b"), "KEYFILE"),
        (("receiver", "--client", "z", "--undo", "-"), "is empty"),
        (("receiver", "--client", "z", "--root", "a/b", "/nowhere/key.pub"), "No such file or directory"),
        (("receiver", "--client", "z", "--root", "a/b", "/"), "Is a directory"),
        (
            ("receiver", "--client", "z", "--root", "a/b", "--keep-at-least", "1", "-2", "3", "-"),
            "is empty|0 or",
        ),
        (("receiver", "--client", "z", "--root", "a/b", "--mode", "both", "-"), "invalid choice"),
        (("sender",), "DESTINATION"),
        (("sender", "offsite", "--port", "x"), "whole number"),
    ],
)
def test_mistakes(words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(UsageError, match=said):
        parse(("setup", *words), hostname="zippy")


def test_undo_takes_no_key(key: Path) -> None:
    with pytest.raises(UsageError, match="--undo takes no KEYFILE"):
        parse(("setup", "receiver", "--client", "z", "--undo", str(key)))


def test_print_shows_the_lines_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_result(action("setup sender", Outcome.DONE), dry_run=True)
    replace_work(monkeypatch, lambda work, surface: done)
    assert command.main(["setup", "sender", "offsite", "--client", "z", "--print"]) == 0
    assert capsys.readouterr().out == "setup sender zippy/zippy: because it is due\n"
    assert command.main(["setup", "sender", "offsite", "--client", "z", "--print", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["actions"][0]["action"] == "setup sender"
    assert command.main(["setup", "sender", "offsite", "--client", "z"]) == 0
    assert "  setup sender zippy/zippy: because it is due\n" in capsys.readouterr().out

# SPDX-License-Identifier: GPL-3.0-or-later
"""``notify``: its grammar, and whole calls."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from cyber_zfs_backup.cli import main as command
from cyber_zfs_backup.cli.parser import parse
from cyber_zfs_backup.cli.request import Request, Show
from cyber_zfs_backup.config.declared import CONFIG
from cyber_zfs_backup.config.job import Exclude, UsageError
from cyber_zfs_backup.config.requests import Check, Notify

HOUR = timedelta(hours=1)


def parsed(*words: str, host: str = "zippy") -> Request:
    return parse(["notify", *words], hostname=host)


@pytest.mark.parametrize(
    ("words", "work"),
    [
        ((), Notify(CONFIG, guess="zippy/zippy")),
        (("--test",), Notify(CONFIG, guess="zippy/zippy", test=True)),
        (("-n", "--config", "a.toml"), Notify(Path("a.toml"), guess="zippy/zippy", dry_run=True)),
        (
            ("--receiver", "offsite", "--max-age", "36h", "--exclude", "tmp"),
            Notify(
                CONFIG, Check("offsite", 26 * HOUR, 36 * HOUR, True, exclude=Exclude(("tmp",))), "offsite"
            ),
        ),
        (
            ("--dataset", "tank", "--local"),
            Notify(CONFIG, Check("tank", 26 * HOUR, 50 * HOUR, local=True), "tank"),
        ),
    ],
)
def test_what_is_understood(words: tuple[str, ...], work: Notify) -> None:
    assert parsed(*words) == Request(work, Show())


def test_a_host_name_that_is_no_pool_is_no_reason_to_fail() -> None:
    assert parsed(host="9lives").work == Notify(CONFIG)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--local",), "name it with --dataset or --receiver"),
        (("--max-age", "36h"), "name it with --dataset or --receiver"),
        (("--keep-last", "3"), "name it with --dataset or --receiver"),
        (("--receiver", "a", "--dataset", "b"), "choose one"),
        (("--dataset", "a b@"), "--dataset"),
        (("--config", ""), "--config: write a file's name"),
        (("tank",), "unrecognized arguments: tank"),
    ],
)
def test_what_is_refused(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parsed(*words)


def test_a_whole_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry one, of a configuration that cannot be used."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    file = tmp_path / "config.toml"
    file.write_text("[notification]\nlogn = true\n")
    file.chmod(0o644)
    assert command.main(["notify", "--dry-run", "--config", str(file)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "notify: done: would deliver 1 message\n" in out
    assert "the notice at the next login: " in out
    assert "unknown key" in out
    assert command.main(["notify", "--dry-run", "--json", "--config", str(file)]) == 0
    (action,) = json.loads(capsys.readouterr().out)["actions"]
    assert (action["action"], action["outcome"]) == ("notify", "done")
    assert list(tmp_path.iterdir()) == [file]

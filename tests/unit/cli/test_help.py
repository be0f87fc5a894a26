# SPDX-License-Identifier: GPL-3.0-or-later
"""``--help`` names everything."""

from __future__ import annotations

import pytest

from cyber_zfs_backup import __version__
from cyber_zfs_backup.actions.result import EXIT_CODES, Outcome
from cyber_zfs_backup.cli import helptext, parser
from cyber_zfs_backup.cli import main as command
from cyber_zfs_backup.cli.show import document

from .results import run_result


def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setenv("COLUMNS", "200")
    assert command.main([*words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.mark.parametrize(
    "text",
    [
        "--action ACTION [ACTION ...]",
        "any of snapshot, expire, push (default: all three)",
        "--pool",
        "--dataset POOL/DATASET",
        "(default: HOSTNAME/HOSTNAME, unqualified)",
        "--retention-policy DAYS WEEKS MONTHS",
        "(default: 31 12 36)",
        "--force-destroy-lots",
        "--force-non-incremental",
        "--ssh-destination [USER@]HOST",
        "(default: offsite)",
        "--zfs-receive-dataset POOL/DATASET",
        "(default: offsite/HOSTNAME)",
        "--ssh-config FILE",
        "--use-sudo",
        "--dry-run, --no-act, -n",
        "--verbose, -v",
        "--debug",
        "--quiet, -q",
        "--json",
        "--progress",
        "--no-progress",
        "--exclude DATASET-PATTERN",
        "--send-mode {auto,replicate,level}",
        "--lanes N",
        "--version",
        "cyber-zfs-backup forget DESTINATION",
        "cyber-zfs-backup quarantine SNAPSHOT",
        "\nexamples:\n",
        "\nexit codes:\n",
    ],
)
def test_every_option_and_default_is_named(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert text in shown(capsys, monkeypatch, "--help")


def test_every_exit_code_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = shown(capsys, monkeypatch, "-h").partition("\nexit codes:\n")[2].partition("\n\n")[0]
    codes = {int(line.split()[0]) for line in table.splitlines()}
    assert codes == {0, 2, 130, 143} | {code for _outcome, code in EXIT_CODES}


def test_every_member_of_the_json_document_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(capsys, monkeypatch, "--help").partition("\njson:\n")[2]
    assert [name for name in document(run_result()) if f'"{name}"' not in text] == []
    assert [outcome.value for outcome in Outcome if outcome.value not in text] == []


def test_the_commands_have_help_of_their_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forget = shown(capsys, monkeypatch, "forget", "--help")
    assert "usage: cyber-zfs-backup forget " in forget
    assert "DESTINATION" in forget
    assert "--lanes" not in forget
    quarantine = shown(capsys, monkeypatch, "quarantine", "--help")
    assert "usage: cyber-zfs-backup quarantine " in quarantine
    assert "--ssh-config FILE" in quarantine


@pytest.mark.parametrize("words", [["--version"], ["-n", "--version"], ["forget", "--version"]])
def test_version(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown(capsys, monkeypatch, *words) == f"cyber-zfs-backup {__version__}\n"


def test_the_completion_knows_the_commands_and_their_options() -> None:
    """shtab reads the parser that this gives it; ``parse`` itself has no need of it."""
    options = parser.whole_parser().format_help()
    assert "--action ACTION" in options
    for name, about in helptext.ABOUT.items():
        assert name in options
        assert about in options

# SPDX-License-Identifier: GPL-3.0-or-later
"""An ssh configuration that was edited badly ends the run before any command of zfs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyber_zfs_backup.cli import main as command

BAD = "Host offsite\n    HostName 127.0.0.1\n    Port 1\n    IdentifyFile /etc/ssh/key\n"


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that every call of zfs is written to; that zfs fails."""
    made = tmp_path / "calls"
    program = tmp_path / "bin" / "zfs"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {made}\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return made


@pytest.fixture
def config(tmp_path: Path) -> Path:
    made = tmp_path / "ssh_config"
    made.write_text(BAD)
    return made


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--dry-run"],
        ["--ssh-destination", "", "--ssh-destination", "offsite", *["--zfs-receive-dataset", "a/b"] * 2],
        ["--ssh-destination", "", "--source-ssh-destination", "offsite", "--action", "snapshot"],
    ],
    ids=["run", "dry run", "second of two", "source"],
)
def test_a_bad_ssh_configuration(
    words: list[str], calls: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--dataset", "tank/data", "--ssh-config", str(config), *words]) == 2
    said = capsys.readouterr().err
    assert f"{config}: line 4: Bad configuration option: identifyfile" in said
    assert f"correct {config}; this shows the same: ssh -G -F {config} -- offsite" in said
    assert not calls.exists()


def test_without_a_push_it_is_not_read(calls: Path, config: Path) -> None:
    words = ["--dataset", "tank/data", "--ssh-config", str(config), "--action", "snapshot"]
    assert command.main(words) != 2
    assert calls.exists()

# SPDX-License-Identifier: GPL-3.0-or-later
"""``config check`` and ``config show``: the grammar, and whole calls on files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest

from cyber_zfs_backup.cli import main as command
from cyber_zfs_backup.cli.parser import parse
from cyber_zfs_backup.config.declared import CONFIG
from cyber_zfs_backup.config.declared_requests import ConfigCheck, ConfigShow
from cyber_zfs_backup.config.job import UsageError
from cyber_zfs_backup.hosts.local import LocalHost
from cyber_zfs_backup.hosts.protocol import Finished

from .test_show import SCHEMA

Capture = pytest.CaptureFixture[str]

TEXT = """\
[defaults]
destinations = ["nas"]

[destination.nas]
dataset = "vault/x"

[[dataset]]
name = "tank"
exclude = ["tmp"]

[[dataset]]
name = "tank/home"
schedule = "hourly"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good file, on a machine whose systemd understands every calendar expression but ``bogus``."""

    def run(_host: LocalHost, argv: list[str], *, timeout: float | None = None) -> Finished:
        assert argv[:3] == ["systemd-analyze", "calendar", "--"]
        bad = [each for each in argv[3:] if each == "bogus"]
        err = "".join(f"Failed to parse calendar specification '{each}': Invalid argument\n" for each in bad)
        return Finished(tuple(argv), 1 if bad else 0, "", err)

    monkeypatch.setattr(LocalHost, "run", run)
    path = tmp_path / "config.toml"
    path.write_text(TEXT)
    path.chmod(0o644)
    return path


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("check",), ConfigCheck(CONFIG)),
        (("check", "--config", "a.toml"), ConfigCheck(Path("a.toml"))),
        (("show",), ConfigShow(CONFIG)),
        (("show", "tank/home", "--config", "a.toml"), ConfigShow(Path("a.toml"), "tank/home")),
        (("show", "--config", "a.toml", "tank/home"), ConfigShow(Path("a.toml"), "tank/home")),
    ],
)
def test_what_is_meant(words: tuple[str, ...], meant: object) -> None:
    assert parse(["config", *words], hostname="zippy").work == meant


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "WHAT"),
        (("list",), "write check or show after it, not 'list'"),
        (("check", "tank"), "'tank' is one word too many"),
        (("show", "tank", "pool"), "'pool' is one too many"),
        (("show", "tank//x"), "empty part"),
        (("check", "--config", ""), "--config: write a file's name"),
        (("check", "--lanes", "2"), "--lanes"),
    ],
)
def test_what_is_refused(words: tuple[str, ...], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse(["config", *words], hostname="zippy")


def test_a_good_file(file: Path, capsys: Capture) -> None:
    assert command.main(["config", "check", "--config", str(file)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out == (f"config check: done: {file} can be used: 2 datasets, 1 destination, 1 retention\n")


def test_all_that_is_wrong_has_a_line_of_its_own(file: Path, capsys: Capture) -> None:
    file.write_text(TEXT.replace("exclude", "exlude").replace("hourly", "bogus"))
    assert command.main(["config", "check", "--config", str(file), "--json"]) == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert lines == [
        f"cyber-zfs-backup: error: {file}:9: [[dataset]] tank: exlude: unknown key; did you mean exclude?",
        f'cyber-zfs-backup: error: {file}:13: [[dataset]] tank/home: schedule: "bogus" is no calendar '
        'expression (systemd.time(7)); write a calendar expression, for example "02:00", or a period, for '
        'example "every 15min"',
    ]
    document = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    said = "\n".join(line.removeprefix("cyber-zfs-backup: error: ") for line in lines)
    assert document["error"] == {"kind": "usage", "message": said}
    assert document["exit_code"] == 2


def test_show_tells_what_counts_and_where_it_comes_from(file: Path, capsys: Capture) -> None:
    assert command.main(["config", "show", "--config", str(file), "tank/home/me", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, SCHEMA)
    (action,) = document["actions"]
    rows = {row["setting"]: (row["of"], row["value"], row["from"]) for row in action["rows"]}
    me = "tank/home/me"
    assert action["summary"] == f"{me} is backed up"
    assert rows["schedule"] == (me, "hourly", "config.toml:13 [[dataset]] tank/home")
    assert rows["exclude"] == (me, "none", "built in")
    typed = {row["setting"]: row["typed"] for row in action["rows"]}
    assert (typed["exclude"], typed["destinations"], typed["recursive"]) == ([], ["nas"], True)
    assert rows["destinations"] == (me, "nas", "config.toml:2 [defaults]")
    assert rows["copy at nas"] == (me, "nas:vault/x/home/me", "config.toml:4 [destination.nas]")


def test_show_says_what_is_left_out(file: Path, capsys: Capture) -> None:
    assert command.main(["config", "show", "--config", str(file), "tank/tmp/x"]) == 0
    out = capsys.readouterr().out
    why = "the pattern 'tmp' of exclude fits tmp"
    assert out.startswith(f"config show: done: tank/tmp/x is not backed up: {why}\n")
    assert "copy at" not in out


def test_show_without_a_dataset_has_all(file: Path, capsys: Capture) -> None:
    assert command.main(["config", "show", "--config", str(file)]) == 0
    out = capsys.readouterr().out
    for line in out.splitlines()[2:]:
        assert line.startswith(
            ("tank ", "tank/home ", "[destination.nas] ", "[notification] ", "[monitoring] ")
        )
    assert "[[dataset]] tank/home" in out


def test_a_file_that_is_missing_says_how_to_begin(tmp_path: Path, capsys: Capture) -> None:
    missing = tmp_path / "none.toml"
    assert command.main(["config", "check", "--config", str(missing)]) == 2
    assert capsys.readouterr().err == (
        f"cyber-zfs-backup: error: there is no {missing}; to begin: install -D -m 644 "
        f"/usr/share/doc/cyber-zfs-backup/examples/config.toml {missing}\n"
    )


def owned_by(user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is root's, and each file that it opens is the user's."""
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        found = list(real(descriptor))
        found[4] = user
        return os.stat_result(found)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fstat", fstat)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_root_reads_no_file_that_others_can_write(
    mode: int, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    owned_by(0, monkeypatch)
    assert command.main(["config", "check", "--config", str(file)]) == 0
    file.chmod(mode)
    assert command.main(["config", "check", "--config", str(file)]) == 2
    assert capsys.readouterr().err.endswith(f"read it, then: chmod go-w {file}\n")


def test_root_reads_no_file_of_somebody_else(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    owned_by(1000, monkeypatch)
    assert command.main(["config", "check", "--config", str(file)]) == 2
    assert capsys.readouterr().err.endswith(f"read it, then: chown root {file}\n")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'[defaults]\nretention = "\xff"\n', "config.toml:2: this is no text in UTF-8"),
        (b"#" * (1024 * 1024 + 1), "is longer than 1048576 bytes"),
    ],
)
def test_what_is_no_text(data: bytes, said: str, file: Path, capsys: Capture) -> None:
    file.write_bytes(data)
    assert command.main(["config", "check", "--config", str(file)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.timeout(20)
def test_what_would_never_end_is_not_read(tmp_path: Path, capsys: Capture) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for endless in (fifo, Path("/dev/zero")):
        assert command.main(["config", "check", "--config", str(endless)]) == 2
        assert f"{endless} is no regular file; name one with --config" in capsys.readouterr().err


def test_a_byte_order_mark_is_no_fault(file: Path, capsys: Capture) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert command.main(["config", "check", "--config", str(file)]) == 0
    file.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("exclude", "exlude").encode())
    assert command.main(["config", "check", "--config", str(file)]) == 2
    assert f"{file}:9: [[dataset]] tank: exlude" in capsys.readouterr().err


def test_a_directory_and_a_name_that_none_can_have(tmp_path: Path, capsys: Capture) -> None:
    assert command.main(["config", "check", "--config", str(tmp_path)]) == 2
    assert "Is a directory; name a file" in capsys.readouterr().err
    assert command.main(["config", "check", "--config", "a\0b"]) == 2
    assert "null byte" in capsys.readouterr().err

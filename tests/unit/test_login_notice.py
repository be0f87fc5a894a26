# SPDX-License-Identifier: GPL-3.0-or-later
"""The script of /etc/profile.d, sourced by the shells of a login: it shows, and never breaks anything."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "etc/cyber-zfs-backup.sh"
PLACE = "/run/cyber-zfs-backup/notice"
AFTER = 'echo "status $? options $- set ${notice-unset} ${id-unset} ${folder-unset}"'
ID = "0123456789abcdef"


@dataclass(frozen=True)
class Login:
    """A login: a shell, a home, and a notice where the script looks for one."""

    shell: str
    folder: Path

    @property
    def notice(self) -> Path:
        return self.folder / "notice"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def seen(self) -> Path:
        return self.home / ".local/state/cyber-zfs-backup/seen"

    def write(self, data: bytes, identity: str = ID) -> None:
        self.notice.write_bytes(f"{identity}\n".encode() + data)

    def begin(self, before: str = "", *, interactive: bool = True, **env: str | None) -> tuple[str, str]:
        """What is shown on the terminal, and what the shell says afterwards."""
        script = self.folder / "profile.sh"
        script.write_text(SCRIPT.read_text().replace(PLACE, str(self.notice)))
        # As a login does it: interactive by its options, and with a terminal as its standard error.
        own = ["--norc"] if self.shell == "bash" else []
        words = [self.shell, *own, *(("-i",) if interactive else ()), "-c", f"{before}\n. {script}\n{AFTER}"]
        values: dict[str, str | None] = {"HOME": str(self.home), "PATH": os.environ["PATH"], **env}
        return on_terminal(words, {name: value for name, value in values.items() if value is not None})


def on_terminal(words: list[str], env: Mapping[str, str]) -> tuple[str, str]:
    """Run it with a terminal as its standard error: what came there, and on its standard output."""
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            words,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=theirs,
            check=False,
            timeout=30,
        )
        shown = b""
        while select.select([ours], [], [], 0.02)[0]:
            shown += os.read(ours, 65536)
    finally:
        os.close(ours)
        os.close(theirs)
    lines = shown.decode(errors="surrogateescape").replace("\r\n", "\n")
    # What bash says of a terminal that is not its own has nothing to do with us.
    kept = [
        line
        for line in lines.splitlines(keepends=True)
        if "job control" not in line and "process group" not in line
    ]
    return "".join(kept), done.stdout.decode()


@pytest.fixture(params=["dash", "bash"])
def login(request: pytest.FixtureRequest, tmp_path: Path) -> Login:
    made = Login(request.param, tmp_path)
    made.home.mkdir()
    return made


def unharmed(after: str) -> bool:
    return after.startswith("status 0 options ") and after.endswith("set unset unset unset\n")


def test_nothing_where_there_is_no_notice(login: Login) -> None:
    shown, after = login.begin()
    assert (shown, unharmed(after)) == ("", True)
    assert not login.seen.exists()


def test_it_is_shown_until_it_was_seen_and_again_when_it_is_new(login: Login) -> None:
    login.write("Backups of zippy need you: ä\n".encode())
    shown, after = login.begin()
    assert shown == "Backups of zippy need you: ä\n"
    assert unharmed(after)
    assert login.seen.read_text() == f"{ID}\n"
    assert login.begin()[0] == ""
    login.write(b"more\n", identity="f" * 16)
    assert login.begin()[0] == "more\n"
    assert login.begin()[0] == ""


def test_another_user_sees_it_too(login: Login) -> None:
    login.write(b"look\n")
    assert login.begin()[0] == "look\n"
    assert login.begin(HOME=str(login.folder / "other"))[0] == "look\n"
    assert login.begin(XDG_STATE_HOME=str(login.folder / "state"))[0] == "look\n"
    assert (login.folder / "state/cyber-zfs-backup/seen").read_text() == f"{ID}\n"


def test_a_shell_that_nobody_sits_at_shows_nothing(login: Login) -> None:
    login.write(b"look\n")
    assert login.begin(interactive=False)[0] == ""
    script = login.folder / "profile.sh"
    words = [login.shell, "-i", "-c", f". {script}"]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=30
    )
    assert "look" not in done.stdout + done.stderr
    assert not login.seen.exists()


def test_odd_bytes_move_no_cursor(login: Login) -> None:
    login.write(b"a\x1b[2Jb\x07\x00\r\x9d\xff\tc\n\x7fd")
    shown, after = login.begin()
    assert shown == "a[2Jb\udc9d\udcff\tc\nd"
    assert unharmed(after)


@pytest.mark.parametrize("text", [b"", b"\n", b"\nno identity\n", b"only an identity", b"\x00\xff\n\x00"])
def test_a_notice_that_is_none_breaks_nothing(login: Login, text: bytes) -> None:
    login.notice.write_bytes(text)
    for _ in range(2):
        shown, after = login.begin()
        assert unharmed(after)
        assert "error" not in shown


@pytest.mark.parametrize("home", [None, "", "/proc/nowhere", "/dev/null"])
def test_without_a_home_to_write_in_it_is_shown_each_time(login: Login, home: str | None) -> None:
    login.write(b"look\n")
    for _ in range(2):
        shown, after = login.begin(HOME=home)
        assert (shown, unharmed(after)) == ("look\n", True)


def test_a_marker_that_is_a_folder_or_full_of_rubbish(login: Login) -> None:
    login.write(b"look\n")
    login.seen.mkdir(parents=True)
    assert login.begin()[0].startswith("look\n")
    login.seen.rmdir()
    login.seen.write_bytes(b"\xff\x00")
    shown, after = login.begin()
    assert unharmed(after)
    assert "look\n" in shown
    assert login.begin()[0] == ""


@pytest.mark.parametrize("before", ["set -eu", "set -C", "set -f", "IFS=0", "alias tail=false mkdir=false"])
def test_whatever_the_login_has_set(login: Login, before: str) -> None:
    login.write(b"look\n")
    login.seen.parent.mkdir(parents=True)
    login.seen.write_text("other\n")
    shown, after = login.begin(before)
    assert (shown, unharmed(after)) == ("look\n", True)
    assert login.seen.read_text() == f"{ID}\n"
    if before == "set -eu":
        assert {"e", "u"} <= set(after.split()[3])


def test_the_script_looks_where_the_notice_is_written() -> None:
    from cyber_zfs_backup.actions.channels import NOTICE

    assert str(NOTICE) == PLACE
    # Once to ask, and once to read: the other tests put another place there.
    assert SCRIPT.read_text().count(PLACE) == 2

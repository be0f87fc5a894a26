# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess

import pytest

from cyber_zfs_backup.hosts.quoting import UnspeakableArgumentError, checked, command_line, joined, shown

NASTY = [
    "a b",
    "",
    "'",
    '"',
    "$HOME",
    "`id`",
    "$(id)",
    "a;id",
    "a|id",
    "a&&id",
    "*",
    "~",
    "-n",
    "\\",
    "#x",
    "!x",
    "ä",
]


def test_every_word_comes_through_a_shell_as_it_was() -> None:
    line = command_line(["printf", "%s\\n", *NASTY])
    said = subprocess.run(["sh", "-c", line], check=True, capture_output=True, text=True).stdout
    assert said == "".join(word + "\n" for word in NASTY)


def test_joined_commands_run_as_long_as_each_succeeds() -> None:
    line = joined([["echo", "a;b"], ["false"], ["echo", "c"]])
    assert line == "echo 'a;b' && false && echo c"


@pytest.mark.parametrize("word", ["a\0b", "a\nb", "a\rb", "\x1b[0m", "\x7f", "\x85"])
def test_control_characters_are_refused(word: str) -> None:
    with pytest.raises(UnspeakableArgumentError, match="control character"):
        command_line(["zfs", "list", word])


@pytest.mark.parametrize("argv", [[], [""]])
def test_no_command_is_refused(argv: list[str]) -> None:
    with pytest.raises(UnspeakableArgumentError, match="empty command"):
        checked(argv)


def test_no_commands_to_join_are_refused() -> None:
    with pytest.raises(UnspeakableArgumentError):
        joined([])


def test_a_log_shows_commands_quoted_and_cut() -> None:
    assert shown([["echo", "a b"], ["cat"]], "; ") == "echo 'a b'; cat"
    long = shown([["zfs", "list", *(f"tank/d{number}@x" for number in range(1000))]])
    assert len(long) < 1100
    assert long.startswith("zfs list tank/d0@x tank/d1@x ")
    assert long.endswith(" characters)")

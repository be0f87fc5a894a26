# SPDX-License-Identifier: GPL-3.0-or-later
"""One Host entry of an ssh_config(5), changed and put back; all else of the file stays byte for byte.

What is changed leaves a comment that says what was there before, so that it can be taken back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_MARK = "# cyber-zfs-backup setup: "
_MADE = f"{_MARK}made this entry"
_WAS = f"{_MARK}was "
_HAD_NO = f"{_MARK}had no "
_SETTING = re.compile(
    r"^(?P<indent>[ \t]*)(?P<key>[A-Za-z]+)(?P<between>[ \t]*=[ \t]*|[ \t]+)(?P<value>.*?)[ \t]*$"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A Host entry: its first line and the one after its last setting, the names it is for, its settings.

    ``values`` has the first value of each keyword (in small letters), which is the one that counts.
    """

    start: int
    end: int
    names: tuple[str, ...]
    values: Mapping[str, str]


def entry(text: str, name: str) -> Entry | None:
    """The first Host entry that has this very name among its patterns."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        key, value = _setting(line)
        if key == "host" and name in (names := tuple(value.replace('"', "").split())):
            return _entry(lines, number, names)
    return None


def _entry(lines: list[str], start: int, names: tuple[str, ...]) -> Entry:
    values: dict[str, str] = {}
    end = start + 1
    for number in range(start + 1, len(lines)):
        key, value = _setting(lines[number])
        if key in ("host", "match"):
            break
        if key:
            values.setdefault(key, value.strip('"'))
            end = number + 1
    return Entry(start, end, names, values)


def _setting(line: str) -> tuple[str, str]:
    match = _SETTING.match(line)
    return (match["key"].lower(), match["value"]) if match else ("", "")


def with_entry(text: str, name: str, settings: Mapping[str, str]) -> str:
    """The file with a new entry before all that are there: in an ssh_config the first value counts."""
    lines = text.splitlines(keepends=True)
    first = next((n for n, line in enumerate(lines) if _setting(line)[0] in ("host", "match")), len(lines))
    # A comment right above an entry is about it.
    while first > 0 and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    if first == 0 or first == len(lines):
        before, after = "".join(lines[:first]), "".join(lines[first:])
    else:
        before, after = "".join(lines[:first]), "".join(lines[first:])
    if before and not before.endswith("\n"):
        before += "\n"
    body = "".join(f"    {key} {value}\n" for key, value in settings.items())
    return f"{before}Host {name}\n    {_MADE}\n{body}\n{after}"


def changed(text: str, found: Entry, settings: Mapping[str, str]) -> str:
    """The file with these settings in an entry that is there. What was before is remembered above each."""
    lines = text.splitlines(keepends=True)
    for key, value in settings.items():
        _change(lines, found, key, value)
    return "".join(lines)


def _change(lines: list[str], found: Entry, key: str, value: str) -> None:
    for number in range(found.start + 1, found.end):
        match = _SETTING.match(lines[number].rstrip("\r\n"))
        if match is None or match["key"].lower() != key.lower():
            continue
        indent = match["indent"]
        new = f"{indent}{match['key']} {value}\n"
        # The line above may be one that was changed just now, with its comment.
        above = lines[number - 1].splitlines()[-1] if lines[number - 1] else ""
        if not above.lstrip().startswith(_MARK):
            # One element, so that the numbers of the lines below stay what they are.
            new = f"{indent}{_WAS}{lines[number].strip()}\n{new}"
        lines[number] = new
        return
    if not lines[found.start].endswith("\n"):
        lines[found.start] += "\n"
    lines[found.start] += f"    {_HAD_NO}{key}\n    {key} {value}\n"


def without(text: str, found: Entry) -> str:
    """The file as it was before: without the entry where it was made here, else with its former settings."""
    lines = text.splitlines(keepends=True)
    inside = lines[found.start + 1 : found.end]
    if any(line.strip() == _MADE for line in inside):
        end = found.end + (found.end < len(lines) and not lines[found.end].strip())
        return "".join(lines[: found.start] + lines[end:])
    back: list[str] = []
    skip = False
    for line in inside:
        stripped = line.strip()
        if skip:
            skip = False
        elif stripped.startswith(_WAS):
            indent = line[: len(line) - len(line.lstrip())]
            back.append(f"{indent}{stripped.removeprefix(_WAS)}\n")
            skip = True
        elif stripped.startswith(_HAD_NO):
            skip = True
        else:
            back.append(line)
    return "".join(lines[: found.start + 1] + back + lines[found.end :])

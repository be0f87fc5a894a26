# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong in the configuration file: gathered, all of it, and told in one go."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .job import UsageError
from .toml_lines import Place, line_at


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where, and what, with what to write instead. One line."""

    place: Place
    what: str


class ConfigError(UsageError):
    """The configuration cannot be used. ``lines`` has one line for each thing that is wrong."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = tuple(lines)
        super().__init__("\n".join(self._lines))

    @property
    def lines(self) -> tuple[str, ...]:
        """The message, line by line."""
        return self._lines


def told(
    faults: Iterable[Fault], file: str, values: Mapping[str, object], lines: Mapping[Place, int]
) -> list[str]:
    """The messages, in the order of the file: ``FILE:LINE: WHERE: WHAT``.

    The line is that of the key or the array's element. What is missing has the line of the table that lacks
    it, and none where nothing of the kind is written.
    """
    found = {
        (line_at(lines, fault.place) or 0, f"{named(fault.place, values)}{fault.what}"): None
        for fault in faults
    }
    return [f"{file}:{line}: {what}" if line else f"{file}: {what}" for line, what in sorted(found)]


def named(place: Place, values: Mapping[str, object]) -> str:
    """How a place is called: its table as the file has it, then its keys; elements are counted from 1."""
    if not place:
        return ""
    first, rest = str(place[0]), place[1:]
    if first == "dataset" and rest and isinstance(rest[0], int):
        head, rest = f"[[dataset]] {_name_of(values, rest[0])}", rest[1:]
    elif first in ("destination", "retention") and rest:
        head, rest = f"[{first}.{rest[0]}]", rest[1:]
    elif first in ("defaults", "notification", "monitoring"):
        head = f"[{first}]"
    else:
        head = first
    keys = ""
    for each in rest:
        keys += f" {each + 1}" if isinstance(each, int) else f".{each}" if keys else f" {each}"
    return f"{head}:{keys}{':' if keys else ''} "


def _name_of(values: Mapping[str, object], number: int) -> str:
    entries = values.get("dataset")
    entry = entries[number] if isinstance(entries, list) and number < len(entries) else None
    name = entry.get("name") if isinstance(entry, dict) else None
    return name if isinstance(name, str) and name else f"number {number + 1}"


def meant(word: str, words: Iterable[str]) -> str:
    """``; did you mean ...?`` where one of the words is near enough; else what there is to choose from."""
    known = sorted(words)
    # The smaller the word, the more a slip changes of it.
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there is {', '.join(known)}" if known else ""


def shown(value: object) -> str:
    """A value as TOML has it, more or less, and not all of it where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."

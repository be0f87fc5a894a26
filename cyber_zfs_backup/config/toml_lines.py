# SPDX-License-Identifier: GPL-3.0-or-later
"""In which line of a TOML file each thing stands, which tomllib does not tell.

Only for text that tomllib has read without an error: what is wrong with TOML itself, tomllib says, with the
line. Source of the grammar: https://toml.io/en/v1.0.0
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping

Place = tuple[str | int, ...]
"""Where something is in a file: the keys from the top on, and numbers (from 0) in arrays."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
# A text of several lines may end with two quotes more than it takes to end it.
_SCALAR = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})|' + r"'''.*?'''(?:'{0,2})|"
    r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'|[^,\]}#\n]+",
    re.DOTALL,
)


def lines_of(text: str) -> Mapping[Place, int]:
    """The line (from 1 on) of each table, key and array element of a TOML text, by its place.

    A key's line is the one that the key stands in, an element's the one in which it begins. Raises
    ``ValueError`` for some texts that are no TOML.
    """
    return _Scanner(text).scanned()


def line_at(lines: Mapping[Place, int], place: Place) -> int | None:
    """The line of a place, or of what is nearest above it: for what is missing, that of its table."""
    while place:
        if place in lines:
            return lines[place]
        place = place[:-1]
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._ends = [found.start() for found in re.finditer("\n", text)]
        self._at = 0
        self._lines: dict[Place, int] = {}
        self._counts: dict[Place, int] = {}

    def scanned(self) -> Mapping[Place, int]:
        table: Place = ()
        while self._peek():
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _peek(self) -> str:
        """The next character that says something; empty at the end."""
        self._skip(_BLANK)
        return self._text[self._at : self._at + 1]

    def _skip(self, what: re.Pattern[str]) -> str:
        found = what.match(self._text, self._at)
        if found is None:
            raise ValueError(f"no TOML at character {self._at}")
        self._at = found.end()
        return found[0]

    def _note(self, place: Place) -> None:
        self._lines.setdefault(place, bisect_right(self._ends, self._at - 1) + 1)

    def _header(self) -> Place:
        many = self._text.startswith("[[", self._at)
        self._at += 1 + many
        keys = self._keys()
        self._at += 1 + many
        place: Place = ()
        for number, key in enumerate(keys):
            place = (*place, key)
            self._note(place)
            if many and number == len(keys) - 1:
                self._counts[place] = self._counts.get(place, 0) + 1
            if place in self._counts:
                place = (*place, self._counts[place] - 1)
                self._note(place)
        # A table may come after those below it.
        self._lines[place] = bisect_right(self._ends, self._at - 1) + 1
        return place

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._skip(_SPACE)
            raw = self._skip(_KEY)
            keys.append(tomllib.loads(f"key = {raw}")["key"] if raw[0] in "\"'" else raw)
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return keys
            self._at += 1

    def _pair(self, table: Place) -> None:
        self._skip(_SPACE)
        begin = self._at
        keys = self._keys()
        after, self._at = self._at + 1, begin
        place = table
        for key in keys:
            place = (*place, key)
            self._note(place)
        self._at = after
        self._value(place)

    def _value(self, place: Place) -> None:
        first = self._peek()
        if first == "[":
            self._at += 1
            number = 0
            while self._peek() != "]":
                self._note((*place, number))
                self._value((*place, number))
                number += 1
                self._comma()
            self._at += 1
        elif first == "{":
            self._at += 1
            while self._peek() != "}":
                self._pair(place)
                self._comma()
            self._at += 1
        else:
            self._skip(_SCALAR)

    def _comma(self) -> None:
        if self._peek() == ",":
            self._at += 1

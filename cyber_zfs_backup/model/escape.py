# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes text from elsewhere safe to show: a name may hold anything that a terminal would obey."""

from __future__ import annotations

import unicodedata

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control, format (among them those that turn the direction of text), surrogates, line separators."""


def escape(text: str) -> str:
    """One line of text in which nothing moves a cursor, ends a line or hides a character.

    Such characters come out as Python writes them: ``\\x1b``, ``\\n``, ``\\u202e``.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape", "surrogatepass").decode("ascii")
        if unicodedata.category(char) in _UNSAFE_CATEGORIES
        else char
        for char in text
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo prints: headings, command lines as typed, and their output indented below."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence


def heading(text: str) -> None:
    """A step of the story."""
    say("", f"== {text}")


def typed(command: str | Sequence[str]) -> None:
    """A command line, as one would type it."""
    say(f"  $ {command if isinstance(command, str) else shlex.join(command)}")


def output(lines: Iterable[str]) -> None:
    """What a command said."""
    say(*(f"    {line}".rstrip() for line in lines))


def say(*lines: str) -> None:
    """Lines as they are, at once."""
    for line in lines:
        print(line, flush=True)


def table(rows: Sequence[Sequence[str]]) -> None:
    """Rows of equal length in columns, the first one is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    output("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)

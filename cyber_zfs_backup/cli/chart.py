# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws a timeline on the terminal: a row for each part of the rule, time from left to right."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..plan.simulation import Row, Timeline

MOST_COLUMNS, LEAST_COLUMNS = 200, 60
_BARS = "▁▂▃▄▅▆▇█"
_NONE = "·"
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "red")
_MARGIN = 34
"""Columns that the label and the number take, at most."""


def draw(timeline: Timeline, columns: int, *, colour: bool) -> list[str]:
    """The timeline as lines of text, at most ``columns`` wide.

    The higher the mark, the more snapshots exist of that time; full height is the most that any has.
    """
    width = min(max(columns, LEAST_COLUMNS), MOST_COLUMNS)
    cells = width - _MARGIN
    counted = [_counts(timeline, row, cells) for row in timeline.rows]
    most = max((count for counts in counted for count in counts), default=1)
    table = Table(box=None, padding=(0, 1, 0, 0), show_header=False, pad_edge=False)
    table.add_column(max_width=24, overflow="ellipsis", no_wrap=True)
    table.add_column(justify="right", max_width=6, no_wrap=True)
    table.add_column(no_wrap=True)
    for number, (row, counts) in enumerate(zip(timeline.rows, counted, strict=True)):
        bar = Text(_bar(counts, most), style=_COLOURS[number % len(_COLOURS)])
        table.add_row(Text(row.label), Text(str(len(row.times))), bar)
    table.add_row("", "", Text(_axis(timeline, cells), style="dim"))
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        legacy_windows=False,
    )
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


def _cell(timeline: Timeline, moment: datetime, cells: int) -> int:
    part = (moment - timeline.begin) / (timeline.end - timeline.begin)
    return min(int(part * cells), cells - 1)


def _counts(timeline: Timeline, row: Row, cells: int) -> list[int]:
    counts = [0] * cells
    for moment in row.times:
        counts[_cell(timeline, moment, cells)] += 1
    return counts


def _bar(counts: Sequence[int], most: int) -> str:
    return "".join(_BARS[-(-count * len(_BARS) // most) - 1] if count else _NONE for count in counts)


def _axis(timeline: Timeline, cells: int) -> str:
    """The first day, the last one, and between them each year that finds room where it begins."""
    last = f"{timeline.end:%Y-%m-%d}"
    axis = list(f"{timeline.begin:%Y-%m-%d}".ljust(cells))
    axis[-len(last) :] = last
    for year in range(timeline.begin.year + 1, timeline.end.year + 1):
        at = _cell(timeline, timeline.begin.replace(year=year, month=1, day=1, hour=0), cells)
        word = f" {year} "
        if at and "".join(axis[at - 1 : at - 1 + len(word)]).isspace() and at - 1 + len(word) < cells:
            axis[at - 1 : at - 1 + len(word)] = word
    return "".join(axis)

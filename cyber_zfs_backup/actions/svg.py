# SPDX-License-Identifier: GPL-3.0-or-later
"""A timeline as an SVG document (SVG 1.1, without a script, a font or anything that is fetched)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from xml.sax.saxutils import escape, quoteattr

from ..plan.simulation import Row, Timeline

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _BAR = 1000, 170, 70, 56, 28, 18
_COLOURS = ("#0072b2", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito's, which the colour-blind tell apart too."""


def svg(timeline: Timeline, title: str) -> str:
    """The document: a row for each part of the rule, a line for each snapshot that tells its time."""
    height = _TOP + _ROW * len(timeline.rows) + 40
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="26" font-size="16">{escape(title)}</text>',
        *_years(timeline, height),
    ]
    for number, row in enumerate(timeline.rows):
        lines += _row(timeline, row, number)
    return "\n".join([*lines, "</svg>", ""])


def _x(timeline: Timeline, moment: datetime) -> float:
    part = (moment - timeline.begin) / (timeline.end - timeline.begin)
    return _LEFT + part * (_WIDTH - _LEFT - _RIGHT)


def _years(timeline: Timeline, height: int) -> Iterator[str]:
    """Both ends and each new year, as lines from top to bottom."""
    years = range(timeline.begin.year + 1, timeline.end.year + 1)
    news = [datetime(year, 1, 1, tzinfo=timeline.begin.tzinfo) for year in years]
    inner = [moment for moment in news if timeline.begin < moment < timeline.end]
    shown: list[float] = []
    for moment in (timeline.begin, timeline.end, *inner):
        x = _x(timeline, moment)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{height - 34}" stroke="#cccccc"/>'
        if all(abs(x - other) >= 80 for other in shown):
            shown.append(x)
            label = f"{moment:%Y-%m-%d}"
            yield f'<text x="{x:.1f}" y="{height - 16}" text-anchor="middle">{label}</text>'


def _row(timeline: Timeline, row: Row, number: int) -> Sequence[str]:
    y = _TOP + number * _ROW
    colour = _COLOURS[number % len(_COLOURS)]
    marks = [
        f'<line x1="{_x(timeline, moment):.2f}" x2="{_x(timeline, moment):.2f}" y1="{y}" y2="{y + _BAR}">'
        f"<title>{moment:%Y-%m-%d %H:%M:%S} UTC</title></line>"
        for moment in row.times
    ]
    return [
        f"<g aria-label={quoteattr(row.label)}>",
        f'<text x="12" y="{y + _BAR - 4}">{escape(row.label)}</text>',
        f'<text x="{_WIDTH - 12}" y="{y + _BAR - 4}" text-anchor="end">{len(row.times)}</text>',
        f'<g stroke="{colour}" stroke-width="1.5">',
        *marks,
        "</g></g>",
    ]

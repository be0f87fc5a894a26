# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the report's page: one HTML document that fetches nothing and runs nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .. import __version__
from ..model.names import own_time
from ..model.places import HERE
from ..plan.findings import Severity
from ..plan.lateness import said
from ..plan.report_axis import WIDTH, Span
from ..plan.report_page import Kept, Page
from ..plan.report_traffic import Sum
from . import words

FOLDER = Path(__file__).with_name("page")
_BAR, _HIGH = 10, 58
"""The step from bar to bar, and how high the highest is; the template and the style have them, too."""
_MOST = 20
"""How many findings are seen at once; the others unfold."""
_UNSEEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What has no place in a document, or would turn the text around it about."""


def html(page: Page) -> str:
    """The document. Every name and message in it is text, whatever is in it."""
    # A quarter of a second to import: only who draws a page pays for it, or needs it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - see above

    drawing = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_seen,
    )
    drawing.filters |= {
        "bars": _bars,
        "count_of": words.count,
        "failures": _failures,
        "iso": lambda moment: f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "kept_told": lambda kept: _kept_told(kept, page.now),
        "minute": lambda moment: f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}",
        "named": own_time,
        "said": said,
        "size": words.size,
        "spans": _spans,
        "ticks": _ticks,
        "told": _told,
    }
    style = (FOLDER / "report.css").read_text(encoding="utf-8")
    from markupsafe import Markup  # noqa: PLC0415 - jinja2's own

    return drawing.get_template("report.html").render(
        page=page,
        verdict=verdict(page),
        here=HERE,
        width=WIDTH,
        most=_MOST,
        version=__version__,
        style=Markup(style),  # noqa: S704 - a file of ours
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def verdict(page: Page) -> str:
    """The page in a few words."""
    wrong = sum(each.severity is Severity.FAILS for each in page.wrong)
    look = len(page.wrong) - wrong
    told = [f"{words.count(wrong, 'thing')} {'is' if wrong == 1 else 'are'} wrong"] if wrong else []
    told += [f"{words.count(look, 'thing')} to look at"] if look else []
    return ", ".join(told) or "All is well"


def _seen(value: Any) -> Any:
    # What is markup already was seen when it was text.
    return _UNSEEN.sub("\ufffd", value) if type(value) is str else value


def _spans(spans: Sequence[Span], top: int, height: int) -> str:
    """A path of boxes, one for each span."""
    return "".join(f"M{left} {top}h{right - left}v{height}h-{right - left}z" for left, right in spans)


def _ticks(steps: Sequence[int], height: int) -> str:
    return "".join(f"M{step} 0v{height}" for step in steps)


def _bars(sums: Sequence[Sum]) -> str:
    """A path with a stroke for each that moved anything; the smallest is seen, too."""
    most = max(each.bytes for each in sums) or 1
    heights = [-(-each.bytes * _HIGH // most) for each in sums]
    return "".join(f"M{_middle(number)} 60v-{height}" for number, height in enumerate(heights) if height)


def _middle(number: int) -> int:
    return number * _BAR + _BAR // 2


def _failures(sums: Sequence[Sum]) -> str:
    """A path with a stroke below each in which a run did not do everything."""
    return "".join(f"M{_middle(number)} 63v5" for number, each in enumerate(sums) if each.failed)


def _told(sums: Sequence[Sum], unit: str) -> str:
    """The same in words: all of it, and the most in one."""
    total, runs = sum(each.bytes for each in sums), sum(each.runs for each in sums)
    failed = sum(each.failed for each in sums)
    most = max(sums, key=lambda each: each.bytes)
    told = f"{words.size(total)} in {words.count(runs, 'run')}"
    if most.bytes:
        when = f"on {most.begin}" if unit == "day" else f"in the {unit} of {most.begin}"
        told += f", most {words.size(most.bytes)} {when}"
    if failed:
        told += f"; {words.count(failed, 'run')} (marked below the line) did not do everything"
    return told


def _kept_told(kept: Kept, now: datetime) -> str:
    """How many snapshots of a dataset there are, and of what time."""
    foreign = f"; {kept.foreign} that others have taken" if kept.foreign else ""
    if kept.newest is None or kept.oldest is None:
        return f"no snapshot of ours{foreign}"
    parts = "; ".join(f"{label}: {count}" for label, count in kept.counts if count)
    age = said(max(now - kept.newest, timedelta()))
    told = (
        f"{words.count(kept.count, 'snapshot')}, the newest {age} old, the oldest of {kept.oldest:%Y-%m-%d}"
    )
    return f"{told} ({parts}){foreign}"

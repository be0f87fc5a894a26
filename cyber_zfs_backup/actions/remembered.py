# SPDX-License-Identifier: GPL-3.0-or-later
"""What one run by the configuration file remembers for the next, so that nothing is worked out twice.

Everything in it can be found again (from the history, and from systemd), so that losing it costs time alone;
and nothing in it is believed where the history or the file has changed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..plan.due import Reached, Way, learned
from . import atomic
from .history import FILE as HISTORY
from .history import runs_in
from .journal import Journal, Mark, state_folder

FILE = "due.json"
_SCHEMA = 1
_MOST_SPANS = 4096

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Span:
    """After each moment from ``since`` on, and before ``then``, an expression comes next at ``then``
    (``None``: never). In seconds since 1970."""

    since: int
    then: int | None


@dataclass(frozen=True, slots=True)
class Remembered:
    """``good`` are digests of configuration files in which nothing was wrong, ``mark`` is how far the history
    was read, and ``reached`` what it told; ``spans`` are by calendar expression."""

    good: tuple[str, ...] = ()
    mark: Mark | None = None
    reached: Mapping[Way, Reached] = field(default_factory=dict)
    spans: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)


def recall(folder: Path | None = None) -> Remembered:
    """What the last run has left; nothing where that is damaged."""
    try:
        return _read(json.loads(((folder or state_folder()) / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return Remembered()


def keep(remembered: Remembered, folder: Path | None = None) -> None:
    """Leave it for the next run. Where that is not possible, the next one works it out again."""
    place = folder or state_folder()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic.write(str(place / FILE), json.dumps(_row(remembered)).encode(), 0o600)
    except OSError as error:
        _log.debug("%s: cannot be written: %s", place / FILE, error.strerror)


def caught_up(remembered: Remembered, folder: Path | None = None) -> Remembered:
    """The same, after what the history has been given since. A history that cannot be read tells nothing."""
    try:
        rows, mark = Journal((folder or state_folder()) / HISTORY).since(remembered.mark)
    except OSError:
        return replace(remembered, mark=None, reached={})
    anew = remembered.mark is None or mark is None or mark.inode != remembered.mark.inode
    before = {} if anew else remembered.reached
    return replace(remembered, mark=mark, reached=learned(before, runs_in(rows)))


class Calendar:
    """Answers when calendar expressions come next, asking systemd only for what is not remembered."""

    def __init__(
        self,
        spans: Mapping[str, tuple[Span, ...]],
        ask: Callable[[str, datetime], datetime | None],
        zone: str,
    ) -> None:
        self._known = spans
        self._ask = ask
        self._zone = zone
        self._used: dict[str, dict[Span, None]] = {}

    @property
    def spans(self) -> dict[str, tuple[Span, ...]]:
        """Those that were used, for the next run."""
        return {key: tuple(spans)[-_MOST_SPANS:] for key, spans in self._used.items()}

    def after(self, expression: str, moment: datetime) -> datetime | None:
        """When it comes next after a moment; ``None`` for never. Raises what ``ask`` raises."""
        # Where a night begins depends on the time zone, which somebody may set anew.
        key = f"{self._zone} {expression}"
        second = int(moment.timestamp())
        used = self._used.setdefault(key, {})
        for span in (*used, *self._known.get(key, ())):
            if span.since <= second and (span.then is None or second < span.then):
                used[span] = None
                return _moment(span.then)
        then = self._ask(expression, moment)
        used[Span(second, None if then is None else int(then.timestamp()))] = None
        return then


def _moment(second: int | None) -> datetime | None:
    return None if second is None else datetime.fromtimestamp(second, UTC)


def _row(remembered: Remembered) -> dict[str, Any]:
    mark = remembered.mark
    return {
        "schema": _SCHEMA,
        "good": list(remembered.good),
        "mark": None if mark is None else [mark.inode, mark.offset],
        "reached": [
            [
                *(way.dataset, way.destination, r.target),
                *map(_seconds, (r.pushed, r.tried)),
                r.failures,
                r.exit,
            ]
            for way, r in remembered.reached.items()
        ],
        "spans": {key: [[s.since, s.then] for s in spans] for key, spans in remembered.spans.items()},
    }


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _read(row: dict[str, Any]) -> Remembered:
    if row["schema"] != _SCHEMA:
        return Remembered()
    reached = {
        Way(str(dataset), str(destination)): Reached(
            str(target), _when(pushed), _when(tried), int(failures), int(code)
        )
        for dataset, destination, target, pushed, tried, failures, code in row["reached"]
    }
    spans = {
        str(key): tuple(Span(int(since), None if then is None else int(then)) for since, then in each)
        for key, each in row["spans"].items()
    }
    mark = None if row["mark"] is None else Mark(int(row["mark"][0]), int(row["mark"][1]))
    return Remembered(tuple(map(str, row["good"])), mark, reached, spans)


def _when(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(float(seconds), UTC)

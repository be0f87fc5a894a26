# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how far transfers have come: bars on a terminal, a line a minute elsewhere. Always on stderr.

Several transfers may run at once, each from a thread of its own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TextIO

from ..model.escape import escape
from . import logs
from .request import Show

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

INTERVAL = 60.0
"""Seconds between two lines of one transfer, where there is no terminal for a bar."""

_log = logging.getLogger(__name__)


class Meter(Protocol):
    """A way to show progress."""

    @property
    def estimates(self) -> bool:
        """As ``actions.result.Surface.estimates``."""

    def transfer(self, label: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """As ``actions.result.Surface.progress``."""


class Silence:
    """Shows nothing."""

    estimates = False

    @contextlib.contextmanager
    def transfer(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:  # noqa: ARG002 - every meter's
        """Nothing; the arguments are those of every meter."""
        yield lambda count: None  # noqa: ARG005 - the shape of on_bytes


class Lines:
    """One log line a minute for each transfer; short ones stay silent.

    ``estimates`` is whether totals are wanted: they cost a command for each stream, of every run.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        estimates: bool = False,
    ) -> None:
        self.estimates = estimates
        self._write = write
        self._clock = clock

    @contextlib.contextmanager
    def transfer(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Write a line each time that a minute has passed since the last one; its rate is of that time."""
        moved = told = 0
        since = self._clock()

        def advance(count: int) -> None:
            nonlocal moved, told, since
            moved += count
            now = self._clock()
            if now - since >= INTERVAL:
                rate = (moved - told) / (now - since) if now > since else None
                told, since = moved, now
                self._write(f"{label}: {describe(moved, total, rate)}")

        yield advance


class Bars:
    """A bar for each transfer, all of them in one display while at least one transfer lasts."""

    estimates = True

    def __init__(self, handler: logs.Handler) -> None:
        self._handler = handler
        self._lock = threading.Lock()
        self._display: Progress | None = None
        self._transfers = 0

    @contextlib.contextmanager
    def transfer(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show a bar with bytes, rate and the time that is left."""
        display = self._enter()
        moved = 0
        try:
            task = display.add_task(escape(label), total=total or None, estimate=total)

            def advance(count: int) -> None:
                nonlocal moved
                moved += count
                if total and moved > total >= moved - count:
                    _open_end(display, task)
                display.advance(task, count)

            try:
                yield advance
            finally:
                display.remove_task(task)
        finally:
            self._leave()

    def _enter(self) -> Progress:
        with self._lock:
            if self._display is None:
                display = _display()
                display.start()
                # Lines that are logged meanwhile must come above the bars, not through them.
                self._handler.write = lambda line: display.console.print(
                    line, markup=False, highlight=False, soft_wrap=True
                )
                self._display = display
            self._transfers += 1
            return self._display

    def _leave(self) -> None:
        with self._lock:
            self._transfers -= 1
            if self._transfers == 0 and self._display is not None:
                self._handler.write = logs.to_stderr
                self._display.stop()
                self._display = None


def choose(how: Show, handler: logs.Handler, environ: Mapping[str, str], stderr: TextIO | None) -> Meter:
    """The meter that fits what was asked for and where stderr leads."""
    if how.progress is False or (how.quiet and how.progress is None):
        return Silence()
    terminal = stderr is not None and stderr.isatty() and environ.get("TERM", "dumb") != "dumb"
    if terminal and _rich_is_there():
        return Bars(handler)
    # With --quiet --progress the line must pass a threshold that hides notices.
    level = logging.ERROR if how.quiet else logs.NOTICE
    return Lines(lambda line: _log.log(level, "%s", line), estimates=how.progress is True)


def describe(moved: int, total: int | None, rate: float | None) -> str:
    """How far a transfer has come: ``1.5 GiB of about 3.0 GiB, 50%, 25.0 MiB/s, about 1 min left``.

    ``moved`` and ``total`` (an estimate, or ``None``) are bytes, ``rate`` is bytes per second where known.
    """
    said = [size(moved)]
    if total and moved > total:
        said.append(f"more than the estimated {size(total)}")
    elif total:
        said = [f"{size(moved)} of about {size(total)}", f"{100 * moved // total}%"]
    if rate is not None:
        said.append(f"{size(rate)}/s")
    if total and rate and moved < total:
        said.append(f"about {duration((total - moved) / rate)} left")
    return ", ".join(said)


def brief(moved: int, total: int | None, rate: float | None) -> str:
    """The same beside a bar: ``1.5 GiB/3.0 GiB 50% 25.0 MiB/s 62 s left``."""
    known = total if total and moved <= total else None
    said = f"{size(moved)}/{size(known)} {100 * moved // known}%" if known else size(moved)
    if rate is not None:
        said += f" {size(rate)}/s"
    return f"{said} {duration((known - moved) / rate)} left" if known and rate and moved < known else said


def duration(seconds: float) -> str:
    """A time for people, in the largest unit of which it has two or more: ``90 s``, ``4 min``, ``3 days``."""
    for unit, length, below in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172800)):
        if seconds < below:
            return f"{max(1, round(seconds / length))} {unit}"
    return f"{round(seconds / 86400)} days"


def size(count: float) -> str:
    """A number of bytes for people, in binary units."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} PiB"


def _rich_is_there() -> bool:
    import importlib.util  # noqa: PLC0415 - only a terminal needs it

    if importlib.util.find_spec("rich") is not None:
        return True
    _log.warning("no progress bar: python3-rich is missing: apt install python3-rich")
    return False


def _display() -> Progress:
    # rich takes a quarter of a second to import; only a terminal that shows a transfer pays for it.
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.progress import BarColumn, Progress, ProgressColumn, Task  # noqa: PLC0415 - see above
    from rich.table import Column  # noqa: PLC0415 - see above
    from rich.text import Text  # noqa: PLC0415 - see above

    class Words(ProgressColumn):
        """What ``say`` answers. It keeps to one line: where there is little room a label is cut off first."""

        def __init__(self, say: Callable[[Task], str], *, yields: bool = False) -> None:
            super().__init__(Column(no_wrap=not yields))
            self._say = say

        def render(self, task: Task) -> Text:
            return Text(self._say(task), no_wrap=True, overflow="ellipsis")

    return Progress(
        Words(lambda task: task.description, yields=True),
        BarColumn(16),
        Words(lambda task: brief(int(task.completed), task.fields["estimate"], task.speed)),
        console=Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")) or None),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _open_end(display: Progress, number: TaskID) -> None:
    """Let a bar whose estimate was too low only show that something moves."""
    task = next(task for task in display.tasks if task.id == number)
    task.total = task.finished_time = None


def current(how: Show, handler: logs.Handler) -> Meter:
    """``choose`` for this process."""
    return choose(how, handler, os.environ, sys.stderr)

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

from . import logs
from .escape import escape
from .request import Show

if TYPE_CHECKING:
    from rich.progress import Progress

INTERVAL = 60.0
"""Seconds between two lines of one transfer, where there is no terminal for a bar."""

_log = logging.getLogger(__name__)


class Meter(Protocol):
    """A way to show progress."""

    def transfer(self, label: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """As ``actions.result.Surface.progress``."""


class Silence:
    """Shows nothing."""

    @contextlib.contextmanager
    def transfer(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        """Nothing; the arguments are those of every meter."""
        yield lambda count: None  # noqa: ARG005 - the shape of on_bytes


class Lines:
    """One log line a minute for each transfer; short ones stay silent."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock

    @contextlib.contextmanager
    def transfer(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Write a line each time that a minute has passed since the last one."""
        begun = self._clock()
        moved = 0
        due = begun + INTERVAL

        def advance(count: int) -> None:
            nonlocal moved, due
            moved += count
            now = self._clock()
            if now >= due:
                due = now + INTERVAL
                self._write(f"{label}: {describe(moved, total, now - begun)}")

        yield advance


class Bars:
    """A bar for each transfer, all of them in one display while at least one transfer lasts."""

    def __init__(self, handler: logs.Handler) -> None:
        self._handler = handler
        self._lock = threading.Lock()
        self._display: Progress | None = None
        self._transfers = 0

    @contextlib.contextmanager
    def transfer(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show a bar with bytes, rate and the time that is left."""
        display = self._enter()
        try:
            task = display.add_task(escape(label), total=total)
            try:
                yield lambda count: display.advance(task, count)
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
    return Lines(lambda line: _log.log(logging.ERROR if how.quiet else logs.NOTICE, "%s", line))


def describe(moved: int, total: int | None, seconds: float) -> str:
    """How far a transfer has come: ``1.5 GiB of 3.0 GiB (50 %), 25.0 MiB/s``."""
    said = size(moved)
    if total:
        said += f" of {size(total)} ({min(100, 100 * moved // total)} %)"
    return f"{said}, {size(moved / seconds)}/s" if seconds > 0 else said


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
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")) or None),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def current(how: Show, handler: logs.Handler) -> Meter:
    """``choose`` for this process."""
    return choose(how, handler, os.environ, sys.stderr)

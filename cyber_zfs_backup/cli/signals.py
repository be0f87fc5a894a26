# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the signals that end a run into one exception, so that everything below unwinds and cleans up."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}
"""Exit code by signal. A terminal that goes away (SIGHUP) ends a run as SIGTERM does."""


class Interrupted(BaseException):
    """A signal has asked the run to end. Not an ``Exception``, so that no handler of errors swallows it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = signal.Signals(number)

    @property
    def exit_code(self) -> int:
        """The exit code that tells of this signal."""
        return EXIT_CODES[self.signal]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise ``Interrupted`` in the main thread at the first SIGINT, SIGTERM or SIGHUP.

    Only the first: while its exception unwinds, children are being ended and the locks given back, and a
    second Ctrl-C in that moment would leave them behind. Signals that were ignored when the process was
    started (nohup, a shell's background job) stay ignored. The former handlers come back at the end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen = False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        if not seen:
            seen = True
            raise Interrupted(number)

    former = {number: signal.getsignal(number) for number in EXIT_CODES}
    ours = [number for number, handler in former.items() if handler is not signal.SIG_IGN]
    try:
        for number in ours:
            signal.signal(number, handle)
        yield
    finally:
        for number in ours:
            # A handler that C code installed is None here and cannot be put back from Python.
            signal.signal(number, former[number] or signal.SIG_DFL)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Work with processes that a signal's exception cannot cut in two.

Python raises ``KeyboardInterrupt`` and the exceptions of signal handlers in the main thread, between
any two bytecodes: also between the birth of a process and the line that remembers it. So whatever
has processes to look after runs in a thread of its own, and the caller waits for it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")


class Cancel:
    """A wish that some work should end; its descriptor polls as readable once it was uttered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._closed = False
        self.wished = False

    def __enter__(self) -> Cancel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._fd)

    def fileno(self) -> int:
        """Answer the descriptor to poll."""
        return self._fd

    def wish(self) -> None:
        """Ask the work to end. May be called twice, and after the work has ended."""
        with self._lock:
            self.wished = True
            if not self._closed:
                os.eventfd_write(self._fd, 1)


class TimeUpError(Exception):
    """The work took longer than it may; it was asked to end, and has ended."""


def shielded(work: Callable[[], T], cancel: Cancel, timeout: float | None = None) -> T:
    """Run ``work`` in a thread of its own and answer what it answers (or raise what it raises).

    Any exception in the calling thread, and the end of ``timeout`` seconds (``TimeUpError``), utter
    ``cancel`` and wait until ``work`` has ended.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []
    done = threading.Event()

    def body() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # whatever it is belongs to the caller, who raises it below
            failure.append(error)
        finally:
            done.set()

    # Not a daemon: when a second signal cuts the wait below, the interpreter still waits at its end.
    thread = threading.Thread(target=body, name="cyber-zfs-backup process", daemon=False)
    try:
        thread.start()
        in_time = done.wait(timeout)
        if not in_time:
            raise TimeUpError
    except BaseException:
        cancel.wish()
        if thread.ident is not None:
            done.wait()
        raise
    if failure:
        raise failure[0]
    return outcome[0]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages to stderr: for people as ``cyber-zfs-backup: warning: ...``, for the journal with priorities.

Every module below logs to ``logging.getLogger(__name__)``; what is shown is decided here.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import TextIO

from ..model.escape import escape
from .request import Show

NOTICE = 25
"""The level of what everybody wants to know: above INFO (shown with -v), below WARNING."""

ROOT = "cyber_zfs_backup"
PROGRAM = "cyber-zfs-backup"

_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (NOTICE, 5),
    (logging.INFO, 6),
)
"""The lowest level of each syslog priority (sd-daemon(3)); what is below all of them is debug, 7."""


def level(show: Show) -> int:
    """The lowest level that is shown."""
    if show.debug or show.verbosity >= 2:
        return logging.DEBUG
    if show.verbosity == 1:
        return logging.INFO
    return logging.ERROR if show.quiet else NOTICE


def under_systemd(environ: Mapping[str, str], stderr: TextIO | None) -> bool:
    """True where stderr is the journal itself: $JOURNAL_STREAM names its device and inode.

    The variable alone proves nothing, a child whose stderr was redirected inherits it (systemd.exec(5)).
    """
    stream = environ.get("JOURNAL_STREAM")
    if not stream or stderr is None:
        return False
    try:
        status = os.fstat(stderr.fileno())
    except (OSError, ValueError):
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"


class Formatter(logging.Formatter):
    """One record, one line; only a traceback has more, and each of its lines is marked alike."""

    def __init__(self, *, journal: bool, traceback: bool) -> None:
        super().__init__()
        self._journal = journal
        self._traceback = traceback

    def format(self, record: logging.LogRecord) -> str:
        lines = [escape(record.getMessage())]
        if self._traceback and record.exc_info:
            lines += [escape(line) for line in self.formatException(record.exc_info).splitlines()]
        prefix = self._prefix(record.levelno)
        return "\n".join(prefix + line for line in lines)

    def _prefix(self, number: int) -> str:
        if self._journal:
            return f"<{next((priority for lowest, priority in _PRIORITIES if number >= lowest), 7)}>"
        if number >= logging.ERROR:
            return f"{PROGRAM}: error: "
        if number >= logging.WARNING:
            return f"{PROGRAM}: warning: "
        return f"{PROGRAM}: "


class Handler(logging.Handler):
    """Writes each record as a line to ``write``, which a progress bar may replace while it lasts."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self.write = write

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.write(self.format(record))
        except (OSError, ValueError):
            # Whoever read our stderr has gone, or the disk is full. The work goes on; there is nobody
            # left to tell, and the exit code still speaks.
            return


def to_stderr(line: str) -> None:
    """Write one line to whatever stderr is at this moment."""
    if sys.stderr is not None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def configure(show: Show) -> Handler:
    """Send this program's messages, and none but them, to stderr; answer the handler that does.

    paramiko's own messages repeat what our errors say, so they are shown with --debug only.
    """
    handler = Handler(to_stderr)
    handler.setFormatter(Formatter(journal=under_systemd(os.environ, sys.stderr), traceback=show.debug))
    for name, lowest in ((ROOT, level(show)), ("paramiko", logging.INFO if show.debug else logging.CRITICAL)):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(lowest)
        logger.propagate = False
    logging.raiseExceptions = False
    return handler

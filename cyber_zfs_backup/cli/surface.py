# SPDX-License-Identifier: GPL-3.0-or-later
"""What actions say while they work, sent to the log and to the progress display."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager

from .logs import NOTICE
from .progress import Meter

_log = logging.getLogger(__name__)


class LogSurface:
    """The ``actions.result.Surface`` of the command line."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    @property
    def estimates(self) -> bool:
        """Whether the meter makes use of totals."""
        return self._meter.estimates

    def note(self, message: str) -> None:
        """Something everybody wants to know."""
        _log.log(NOTICE, "%s", message)

    def detail(self, message: str) -> None:
        """Something shown with -v."""
        _log.info("%s", message)

    def warn(self, message: str) -> None:
        """Something that is not right but stops nothing."""
        _log.warning("%s", message)

    def progress(self, label: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """Show one transfer while the context lasts."""
        return self._meter.transfer(label, total)

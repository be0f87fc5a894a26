# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command line asks for: the work, and how to show it."""

from __future__ import annotations

from dataclasses import dataclass

from ..config.drilling import Drill
from ..config.job import Job
from ..config.requests import Forget, Quarantine, Verify
from ..config.restoring import Restore, RestoreFile, RestoreList

Work = Job | Forget | Quarantine | Verify | Restore | RestoreFile | RestoreList | Drill
"""What can be asked for."""


@dataclass(frozen=True, slots=True)
class Show:
    """How to show the work.

    ``verbosity`` counts -v: 0 summaries, 1 the plan and its reasons, 2 the commands too. ``progress`` is
    ``None`` where nothing was said. ``debug`` also shows tracebacks.
    """

    verbosity: int = 0
    quiet: bool = False
    json: bool = False
    progress: bool | None = None
    debug: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the command, understood and checked."""

    work: Work
    show: Show = Show()

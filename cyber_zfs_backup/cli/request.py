# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command line asks for: the work, and how to show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config.declared_requests import ConfigCheck, ConfigShow, LookDeclared, RunDue
    from ..config.drilling import Drill
    from ..config.job import Job
    from ..config.requests import (
        Check,
        Doctor,
        ExpireReceived,
        Forget,
        Metrics,
        Notify,
        Quarantine,
        Report,
        Status,
        Verify,
    )
    from ..config.restoring import Restore, RestoreFile, RestoreList
    from ..config.retaining import Explain, Simulate
    from ..config.setup import SetupReceiver, SetupSender

    Work = (
        Job
        | ExpireReceived
        | Forget
        | Quarantine
        | Verify
        | SetupReceiver
        | SetupSender
        | Restore
        | RestoreFile
        | RestoreList
        | Drill
        | Doctor
        | Simulate
        | Explain
        | Check
        | Notify
        | ConfigCheck
        | ConfigShow
        | RunDue
        | Status
        | Metrics
        | Report
        | LookDeclared
    )
    """What can be asked for."""


class Lines(Enum):
    """Which lines of a result are shown as text."""

    PLAN = "plan"
    """Those of a dry run: the plan."""
    ALL = "all"
    """Those of any run: they are what somebody goes on with."""
    SCRIPT = "script"
    """Nothing but them, as they are, to be pasted into a shell."""


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
    lines: Lines = Lines.PLAN


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the command, understood and checked, and when that was."""

    work: Work
    show: Show = Show()
    began: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)

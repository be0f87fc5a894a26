# SPDX-License-Identifier: GPL-3.0-or-later
"""Results to show, and a terminal to show them on."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from cyber_zfs_backup.actions.result import ActionResult, Outcome, Problem, RunResult, Surface

NEW_YORK = timezone(timedelta(hours=-5))

PROBLEM = Problem(
    what="the receiver has data that the source never sent",
    where="offsite:offsite/zippy/home",
    remedy="look at it there, then roll it back with zfs rollback",
    kind="diverged",
)


def action(name: str, outcome: Outcome, *problems: Problem) -> ActionResult:
    """One action's result with a line of plan and two figures."""
    return ActionResult(
        action=name,
        outcome=outcome,
        summary=f"{name} of 20 datasets",
        lines=(f"{name} zippy/zippy: because it is due",),
        problems=problems,
        figures={"datasets": 20, "seconds": 1.5, "form": "level"},
    )


def run_result(*actions: ActionResult, dry_run: bool = False) -> RunResult:
    """A run's result; it began at 22:30 in New York, which is the next day in UTC."""
    return RunResult(
        dataset="zippy/zippy",
        destinations=("offsite:offsite/zippy",),
        started=datetime(2026, 11, 23, 22, 30, 5, 250000, tzinfo=NEW_YORK),
        seconds=12.34567,
        dry_run=dry_run,
        actions=actions,
    )


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """Always."""
        return True


Work = Callable[[object, Surface], RunResult]


def replace_work(monkeypatch: pytest.MonkeyPatch, work: Work) -> None:
    """Let the command line call ``work`` instead of any action."""
    monkeypatch.setattr(
        "cyber_zfs_backup.cli.main._dispatch", lambda request, surface: work(request.work, surface)
    )

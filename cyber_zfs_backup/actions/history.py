# SPDX-License-Identifier: GPL-3.0-or-later
"""Records each finished run, and reads what was recorded. The record must never make a run fail."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..config.job import Action, Job
from ..model.history import Finished, finished, line
from .journal import Journal, state_folder
from .result import EXIT_CODES, ActionResult, RunResult, exit_code

FILE = "history.jsonl"

_log = logging.getLogger(__name__)


def history(folder: Path | None = None) -> Iterator[Finished]:
    """All runs on record, oldest first. Raises ``OSError`` where the record cannot be read."""
    return runs_in(Journal((folder or state_folder()) / FILE).rows())


def runs_in(rows: Iterable[Mapping[str, Any]]) -> Iterator[Finished]:
    """The runs that rows of the history tell of; what no version of ours has written is passed over."""
    return (run for row in rows if (run := finished(row)) is not None)


def record(job: Job, result: RunResult, name: str = "", meant: str = "") -> None:
    """Record a run that came to its end; nothing where it was a dry run. ``name`` is the declared job's.

    ``meant`` is the snapshot that was to be pushed, for a push that failed before it could tell.
    """
    if not result.dry_run:
        runs = [_of(job, result, destination) for destination in result.destinations or ("",)]
        _add([replace(run, job=name, target=run.target or ("" if run.good else meant)) for run in runs])


def record_broken(job: Job, started: datetime, error: str, code: int) -> None:
    """Record a run that broke off: a signal, or an error of our own."""
    if job.dry_run:
        return
    pushes = Action.PUSH in job.actions
    seconds = round((datetime.now(UTC) - started).total_seconds(), 3)
    _add(
        [
            Finished(job.dataset, label, started, seconds, code, error=error)
            for label in ([each.label for each in job.destinations] if pushes else [""])
        ]
    )


def _add(runs: list[Finished]) -> None:
    path = state_folder() / FILE
    try:
        Journal(path).add([line(run) for run in runs])
    except OSError as error:
        _log.warning("%s: this run cannot be put on record: %s; the run itself is done", path, error.strerror)


def _of(job: Job, result: RunResult, destination: str) -> Finished:
    ours = [action for action in result.actions if action.destination in ("", destination)]
    counted = {outcome for outcome, _code in EXIT_CODES}
    bad = (action for action in ours if action.outcome in counted)
    push = next((action for action in ours if action.action == "push"), None)
    return Finished(
        dataset=job.dataset,
        destination=destination,
        started=result.started,
        seconds=result.seconds,
        exit=exit_code(ours),
        snapshot=_word(ours, "snapshot", "name"),
        target=_word(ours, "push", "target"),
        datasets=_count(push, "datasets"),
        confirmed=_count(push, "confirmed"),
        bytes=_count(push, "bytes"),
        steps=_count(push, "streams"),
        repaired=_count(push, "repaired"),
        destroyed=sum(_count(action, "snapshots") for action in ours if action.action == "expire"),
        error=next((_why(action) for action in bad), ""),
    )


def _word(actions: list[ActionResult], action: str, name: str) -> str:
    return next((str(each.figures.get(name, "")) for each in actions if each.action == action), "")


def _count(action: ActionResult | None, name: str) -> int:
    return int(action.figures.get(name, 0)) if action else 0


def _why(action: ActionResult) -> str:
    if not action.problems:
        return f"{action.action}: {action.summary}"
    problem = action.problems[0]
    where = f"{problem.where}: " if problem.where else ""
    return f"{action.action}: {where}{problem.what}"

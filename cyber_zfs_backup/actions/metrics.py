# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics: how trees and their copies stand, for Prometheus. Asks the source alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from .. import __version__
from ..config.job import Action, Job
from ..config.requests import Metrics
from ..hosts.local import LocalHost
from ..model.history import Finished, by_dataset
from ..plan.lateness import Limits
from ..plan.metrics import Family, families
from ..plan.standing import Row, Standing, rows
from . import exposition, words
from .attempt import attempt, missing
from .check import NIGHTLY, runs_on_record
from .doctor_here import next_run
from .ends import Home
from .errors import SourceMissingError
from .result import ActionResult, Outcome, Problem, RunResult, Surface
from .run import finished_run, real_home
from .status import offline_rows

PACKAGE = "python3-prometheus-client"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watched:
    """A tree, on its source, and what is expected of it: see ``plan.standing.Standing``."""

    home: Home
    limits: Limits = NIGHTLY
    paused: str = ""
    next_run: datetime | None = None
    arrived: Limits | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is known of all of them, and why of some it is no more than the history tells."""

    families: tuple[Family, ...]
    problems: tuple[Problem, ...] = ()


def gather(watched: Sequence[Watched], runs: Sequence[Finished]) -> Gathered:
    """What the sources' own records and the history (oldest first) tell; no destination is asked.

    Raises ``UsageError`` for an exclude pattern that fits a root.
    """
    standings: list[Standing] = []
    problems: dict[str, tuple[Problem, ...]] = {}
    by_root = by_dataset(runs)
    for each in watched:
        root = each.home.job.dataset
        mine = by_root.get(root, ())
        done = attempt("metrics", partial(_rows, each.home, mine))
        if isinstance(done, ActionResult):
            problems[root] = done.problems
            done = rows(root, "", {}, mine)
        standings += [Standing(row, each.limits, each.paused, each.next_run, each.arrived) for row in done]
    told = families(standings, runs, __version__, frozenset(problems))
    return Gathered(told, tuple(problem for each in problems.values() for problem in each))


def _rows(home: Home, runs: Sequence[Finished]) -> tuple[Row, ...] | ActionResult:
    try:
        return offline_rows(home, runs)
    except SourceMissingError as error:
        # A pool that is not imported is what metrics are here to tell of.
        return missing("metrics", error, kind="no-such-dataset")


def metrics(request: Metrics, surface: Surface) -> RunResult:
    """Tell the metrics of one tree, or write them into a file. Raises ``UsageError``."""
    job = Job(
        request.dataset, frozenset({Action.SNAPSHOT}), (), source=request.source, exclude=request.exclude
    )
    coming = next_run(LocalHost().run)
    with real_home(job, surface) as home:
        return finished_run(home, lambda: [metrics_on(home, request.output, coming)])


def metrics_on(home: Home, output: Path | None, coming: datetime | None) -> ActionResult:
    """The same on the given source. Raises ``ModuleNotFoundError`` without prometheus-client."""
    return told(gather([Watched(home, next_run=coming)], runs_on_record()), output)


def told(gathered: Gathered, output: Path | None) -> ActionResult:
    """The metrics as an action's result, or in a file. Raises ``ModuleNotFoundError``."""
    samples = sum(len(family.samples) for family in gathered.families)
    problems = list(gathered.problems)
    where = ""
    if output is not None:
        where = f" into {output}"
        try:
            exposition.write(output, gathered.families)
        except OSError as error:
            problems.append(_unwritten(output, error))
            where = ", not written"
    return ActionResult(
        "metrics",
        Outcome.FAILED if problems else Outcome.DONE,
        f"{words.count(samples, 'sample')}{where}",
        lines=() if output else tuple(exposition.rendered(gathered.families).splitlines()),
        problems=tuple(problems),
        figures={"samples": samples},
    )


def _unwritten(output: Path, error: OSError) -> Problem:
    remedy = "make its folder, or let this user write there; a service's sandbox needs ReadWritePaths= too"
    return Problem(f"the metrics cannot be written: {error.strerror}", str(output), remedy, "not-written")


def write_after(job: Job, surface: Surface) -> None:
    """Write the metrics that a run was asked for, after it is on record; trouble is a warning."""
    if job.metrics is None or job.dry_run:
        return
    output = job.metrics
    look = Job(job.dataset, frozenset({Action.SNAPSHOT}), (), source=job.source, exclude=job.exclude)

    def write() -> ActionResult:
        with real_home(look, surface) as home:
            return metrics_on(home, output, next_run(LocalHost().run))

    after_run(output, write, surface)


def after_run(output: Path, write: Callable[[], ActionResult], surface: Surface) -> None:
    """Write metrics where the work itself is done: trouble is a warning, whatever it is."""
    try:
        result = write()
    except ModuleNotFoundError as error:
        surface.warn(f"no metrics are written: {error.name} is missing: apt install {PACKAGE}")
    except Exception as error:  # the last resort: the run is done, whatever becomes of what tells of it
        _log.debug("metrics: internal error", exc_info=True)
        surface.warn(f"{output}: no metrics are written: {error}; the run itself is done")
    else:
        for problem in result.problems:
            where = f"{problem.where}: " if problem.where else ""
            surface.warn(f"metrics: {where}{problem.what}; {problem.remedy}; the run itself is done")

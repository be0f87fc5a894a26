# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention, shown before it is applied: simulated over years, and explained for what exists. Destroys
nothing."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ..config.job import Action, Job, UsageError
from ..config.retaining import Explain, Simulate
from ..model.names import is_within, relative
from ..plan.destroy import DatasetPlan, DestroyPlan
from ..plan.simulation import Schedule, simulate
from . import words
from .attempt import attempt
from .destroying import verdict_lines
from .ends import Home
from .expire import planned
from .result import ActionResult, Outcome, Problem, RunResult, Surface
from .run import finished_run, real_home
from .svg import svg

LONG = 8000
"""From so many snapshots on, a simulation takes long enough to say so."""


def retention_simulate(request: Simulate, surface: Surface) -> RunResult:
    """Tell which snapshots would exist, and draw them where that was asked for."""
    started, began = datetime.now(UTC), time.monotonic()
    count = request.days * request.per_day
    if count > LONG:
        surface.note(
            f"retention simulate: {count} snapshots, and what is kept after each; this takes a while"
        )
    result = _simulate(request)
    return RunResult("", (), started, round(time.monotonic() - began, 3), False, (result,))


def _simulate(request: Simulate) -> ActionResult:
    schedule = Schedule(request.first, request.days, request.per_day)
    found = simulate(request.retention.rule, schedule)
    last = f"{schedule.end.date() - timedelta(days=1)}"
    existing = words.count(len(found.left), "snapshot")
    what = (
        f"at the end of {last} {existing} of {found.taken} would exist; at most "
        f"{found.most} existed at a time"
    )
    problems: tuple[Problem, ...] = ()
    if request.output is not None:
        try:
            request.output.write_text(
                svg(found.timeline, f"{existing} at the end of {last}"), encoding="utf-8"
            )
        except OSError as error:
            remedy = "name another file with --output"
            problem = Problem(f"cannot be written: {error.strerror}", str(request.output), remedy, "output")
            problems = (problem,)
    return ActionResult(
        "retention simulate",
        Outcome.FAILED if problems else Outcome.DONE,
        what,
        lines=tuple(f"keep {name}: {ruling.reason}" for name, ruling in found.left),
        problems=problems,
        figures={"snapshots": len(found.left), "taken": found.taken, "most": found.most},
        timeline=found.timeline,
    )


def retention_explain(request: Explain, surface: Surface) -> RunResult:
    """Tell what an expire would do now with each snapshot that exists, and why."""
    job = Job(
        dataset=request.dataset,
        actions=frozenset({Action.EXPIRE}),
        destinations=(),
        source=request.source,
        retention=request.retention,
        force=request.force,
        exclude=request.exclude,
        dry_run=True,
    )
    with real_home(job, surface) as home:
        return retention_explain_on(request, home)


def retention_explain_on(request: Explain, home: Home) -> RunResult:
    """The same on the given source."""

    def explain() -> list[ActionResult]:
        return [attempt("retention explain", lambda: _explained(request, planned(home)[1]))]

    # Not the dry run of anything: to look is all that there is to do.
    return replace(finished_run(home, explain), dry_run=False)


def _explained(request: Explain, plan: DestroyPlan) -> ActionResult:
    shown = [each for each in plan.datasets if _is_shown(request, each)]
    if not shown:
        raise UsageError(
            f"{request.wanted}: there is no such dataset in the tree {request.dataset}; "
            "name one that exists, or its tree with --dataset"
        )
    lines = tuple(verdict_lines(plan.tree, shown))
    going = sum(len(each.destroy) for each in shown)
    refusals = tuple(f"expire refuses: {each.message}; {each.remedy}" for each in plan.refusals)
    would = "would be destroyed, but expire refuses" if refusals else "would be destroyed"
    return ActionResult(
        "retention explain",
        Outcome.DONE,
        f"{going} of {words.count(len(lines), 'snapshot')} of {request.wanted} {would}",
        answer=(*refusals, *lines),
        figures={"snapshots": len(lines), "destroy": going, "refusals": len(refusals)},
    )


def _is_shown(request: Explain, plan: DatasetPlan) -> bool:
    path = relative(request.dataset, request.wanted)
    return plan.path == path or (request.recursive and is_within(path, plan.path))

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
from . import report
from .attempt import attempt
from .destroying import named_verdicts
from .ends import Home
from .expire import planned
from .result import ActionResult, NamedVerdict, Outcome, Problem, RunResult, Surface
from .run import finished_run, real_home
from .svg import svg

LONG = 1_000_000
"""Where snapshots are looked at so often, a simulation takes long enough to say so."""


def retention_simulate(request: Simulate, surface: Surface) -> RunResult:
    """Tell which snapshots would exist, and draw them where that was asked for."""
    started, began = datetime.now(UTC), time.monotonic()
    if request.judged > LONG:
        surface.note(f"retention simulate: {request.taken} snapshots; this takes a while")
    result = _simulate(request)
    return RunResult("", (), started, round(time.monotonic() - began, 3), False, (result,))


def _simulate(request: Simulate) -> ActionResult:
    schedule = Schedule(request.first, request.days, request.per_day)
    found = simulate(request.retention.rule, schedule)
    verdicts = tuple(NamedVerdict(name, ruling.keep, ruling.reason) for name, ruling in found.left)
    last = f"{schedule.end.date() - timedelta(days=1)}"
    existing = report.count(len(found.left), "snapshot")
    what = (
        f"at the end of {last} {existing} of {found.taken} would exist; at most "
        f"{found.most} at the end of any day"
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
        lines=tuple(verdict.line for verdict in verdicts),
        problems=problems,
        figures={"snapshots": len(found.left), "taken": found.taken, "most": found.most},
        timeline=found.timeline,
        verdicts=verdicts,
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
    verdicts = tuple(named_verdicts(plan.tree, shown))
    going = sum(len(each.destroy) for each in shown)
    refusals = tuple(f"expire refuses: {each.message}; {each.remedy}" for each in plan.refusals)
    would = "would be destroyed, but expire refuses" if refusals else "would be destroyed"
    return ActionResult(
        "retention explain",
        Outcome.DONE,
        f"{going} of {report.count(len(verdicts), 'snapshot')} of {request.wanted} {would}",
        answer=(*refusals, *(verdict.line for verdict in verdicts)),
        figures={"snapshots": len(verdicts), "destroy": going, "refusals": len(refusals)},
        verdicts=verdicts,
    )


def _is_shown(request: Explain, plan: DatasetPlan) -> bool:
    path = relative(request.dataset, request.wanted)
    return plan.path == path or (request.recursive and is_within(path, plan.path))

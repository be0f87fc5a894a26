# SPDX-License-Identifier: GPL-3.0-or-later
"""Report: a page for people who would rather look. Reads, and writes that one file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ..config.job import Action, Destination, Job, SourceHost, UsageError
from ..config.requests import Report
from ..hosts.local import LocalHost
from ..plan.findings import Finding, Severity, fails
from ..plan.report_page import Page, Recorded, Seen, recorded, report_page
from ..plan.standing import Row, Standing, rows
from . import atomic, words
from .attempt import attempt, missing
from .check import NIGHTLY, runs_on_record
from .doctor import FILE as POOLS
from .doctor import examine
from .doctor_here import Here, Run, look_here, next_run
from .drills import drills
from .ends import Ends, Home, SourceFacts
from .errors import SourceMissingError
from .journal import Journal, state_folder
from .report_html import html, verdict
from .result import ActionResult, Outcome, Problem, RunResult, Surface
from .run import finished_run, real_home, real_ways
from .status import kept_of

NAME = "index.html"


@dataclass(frozen=True, slots=True)
class Around:
    """What there is beside the trees: when the timer fires next, this machine, how much of its pools was
    used, and what is on record."""

    coming: datetime | None
    here: Here
    pools: Journal
    recorded: Recorded


def report_run(request: Report, surface: Surface) -> RunResult:
    """Look at the tree, have the doctor look at it too, and write the page."""
    refuse_file(request.output)
    run = LocalHost().run
    around = surroundings((request.source, *request.destinations), run)
    job = Job(
        dataset=request.dataset,
        actions=frozenset({Action.PUSH}),
        destinations=around.here.reachable(request.destinations),
        source=request.source,
        exclude=request.exclude,
    )
    with real_home(job, surface) as home, real_ways(home) as ways:
        return finished_run(home, lambda: [report_on(home, ways, request.output, around)])


def surroundings(ends: Iterable[SourceHost | Destination], run: Run) -> Around:
    """Look at this machine, and at what is on record."""
    state = state_folder()
    return Around(next_run(run), look_here(ends, run), Journal(state / POOLS), on_record(state))


def refuse_file(output: Path) -> None:
    """Raise ``UsageError`` where what should be the page's folder is none: before anybody has waited."""
    if output.exists() and not output.is_dir():
        raise UsageError(f"--output: {output} is no folder; name one, {NAME} is written into it")


def report_on(home: Home, ways: Sequence[Ends], output: Path, around: Around) -> ActionResult:
    """The same on the given ends; ``ways`` lead to the destinations that the doctor asks."""
    looked = look_at(home, ways, around)
    page = report_page(os.uname().nodename, home.clock(), [looked.seen], around.recorded)
    return written(page, output, looked.problems)


@dataclass(frozen=True, slots=True)
class Looked:
    """One tree as it was seen, and what could not be."""

    seen: Seen
    problems: tuple[Problem, ...] = ()


def look_at(home: Home, ways: Sequence[Ends], around: Around, standings: Sequence[Standing] = ()) -> Looked:
    """Look at one tree.

    ``standings`` say what is expected of it where a configuration does; else its own records tell where it
    goes. What cannot be read is a finding, and a problem of the result.
    """
    given = tuple(standings)
    done = attempt("report", lambda: _looked(home, ways, around, given))
    if isinstance(done, Looked):
        return done
    findings = tuple(fails("source", each.where, each.what, each.remedy) for each in done.problems)
    return _unread(home, around, given, findings, done.problems)


def _looked(
    home: Home, ways: Sequence[Ends], around: Around, given: tuple[Standing, ...]
) -> Looked | ActionResult:
    try:
        done = examine(home, ways, around.here, around.pools)
    except SourceMissingError as error:
        # A pool that is not imported is what the page is there to tell of.
        return missing("report", error, where=home.source.label)
    if done.facts is None or done.tree is None:
        problems = tuple(Problem(each.what, each.where, each.remedy, each.kind) for each in done.troubles)
        return _unread(home, around, given, done.findings, problems)
    newest = done.tree.datasets[""].newest_own
    told = given or _standings(home, done.facts, newest.name if newest else "", around)
    ledgers = tuple(done.facts.awaited.values())
    return Looked(Seen(done.facts.root, told, done.tree, ledgers, done.findings))


def _unread(
    home: Home,
    around: Around,
    given: tuple[Standing, ...],
    findings: tuple[Finding, ...],
    problems: tuple[Problem, ...],
) -> Looked:
    root = home.job.dataset
    standings = given or (Standing(Row(root, "", "", ""), NIGHTLY, next_run=around.coming),)
    return Looked(Seen(root, standings, findings=findings), problems)


def _standings(home: Home, facts: SourceFacts, newest: str, around: Around) -> tuple[Standing, ...]:
    return tuple(
        Standing(replace(row, kept=kept_of(home, facts, row)), NIGHTLY, next_run=around.coming)
        for row in rows(facts.root, newest, facts.awaited, around.recorded.runs.get(facts.root, ()))
    )


def on_record(state: Path) -> Recorded:
    """All runs and drills on record. Who may not read them gets a page without."""
    try:
        drilled = list(drills(state))
    except OSError:
        drilled = []
    return recorded(runs_on_record(), drilled)


def written(page: Page, output: Path, problems: tuple[Problem, ...] = ()) -> ActionResult:
    """Write the page, whole or not at all, for everybody to read; the folder is made where it is missing."""
    text = html(page).encode("utf-8", "replace")
    path = output / NAME
    try:
        atomic.make_open(output)
        atomic.write(str(path), text, 0o644)
    except OSError as error:
        remedy = "make it writable, or name another folder with --output"
        problem = Problem(f"cannot be written: {error.strerror}", str(path), remedy, "output")
        return ActionResult("report", Outcome.FAILED, problem.what, problems=(*problems, problem))
    return ActionResult(
        "report",
        Outcome.PARTIAL if problems else Outcome.DONE,
        f"{verdict(page)}; {words.count(page.datasets, 'dataset')} in {path}",
        problems=problems,
        figures={
            "trees": len(page.trees),
            "datasets": page.datasets,
            "failing": sum(each.severity is Severity.FAILS for each in page.wrong),
            "warnings": sum(each.severity is Severity.WARNING for each in page.wrong),
            "bytes": len(text),
        },
    )

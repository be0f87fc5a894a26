# SPDX-License-Identifier: GPL-3.0-or-later
"""Check: one line for a monitoring system. Asks this machine alone, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from ..config.declared import CRITICAL, WARNING
from ..config.job import Action, Exclude, Job
from ..config.requests import Check
from ..model.history import Finished
from ..model.names import own_time
from ..model.places import HERE
from ..model.trees import Tree
from ..plan import destroy
from ..plan.findings import Severity, fails, worst
from ..plan.lateness import (
    Checked,
    Limits,
    about,
    check_expired,
    check_left,
    check_reached,
    check_received,
    check_taken,
    status_line,
)
from ..plan.ledger import Ledger, Record
from ..zfs import parse
from .attempt import attempt
from .destroying import finish
from .ends import Home, read_source
from .errors import SourceMissingError
from .expire import protected, source_tree, terms_of
from .history import history
from .result import ActionResult, Outcome, RunResult, Surface
from .run import finished_run, real_home

NIGHTLY = Limits(WARNING, CRITICAL)
"""From when on something is late where no configuration says so."""

_OUTCOMES = {
    Severity.GOOD: (Outcome.DONE, "OK"),
    Severity.WARNING: (Outcome.WARNINGS, "WARNING"),
    Severity.FAILS: (Outcome.CRITICAL, "CRITICAL"),
}


def check(request: Check, surface: Surface) -> RunResult:
    """Look whether backups come as they should."""
    with real_home(job_of(request), surface) as home:
        return finished_run(home, lambda: [check_on(home, request, runs_on_record())])


def job_of(request: Check) -> Job:
    """The job whose source is looked at."""
    return Job(
        request.dataset,
        frozenset({Action.EXPIRE}),
        (),
        retention=request.retention,
        exclude=Exclude() if request.receiver else request.exclude,
    )


def check_on(home: Home, request: Check, runs: Iterable[Finished]) -> ActionResult:
    """The same on the given end; what cannot be told is UNKNOWN, and says why. ``runs`` are those on
    record."""
    done = attempt("check", lambda: checked(home, request, runs))
    if isinstance(done, ActionResult):
        problem = done.problems[0]
        return unknown(f"{problem.where}: {problem.what}")
    return verdict(done)


def unknown(why: str) -> ActionResult:
    """The answer of a check that could not look."""
    return ActionResult("check", Outcome.UNKNOWN, why, lines=(f"CYBER-ZFS-BACKUP UNKNOWN - {why}",))


def verdict(done: Sequence[Checked]) -> ActionResult:
    """What was found, as one line and an exit code."""
    findings = tuple(finding for each in done for finding in each.findings)
    outcome, word = _OUTCOMES[worst(findings)]
    line = status_line(done, word)
    return ActionResult("check", outcome, line, lines=(line,), findings=findings)


def checked(home: Home, request: Check, runs: Iterable[Finished]) -> tuple[Checked, ...]:
    """What is late, and what is not expired. Raises what ``read_source`` does, where the tree is there.

    The request's destinations must have something, too, where they have left no record yet.
    """
    limits = Limits(request.warning, request.critical)
    if request.receiver:
        return (_received(home, request, limits),)
    now = home.clock()
    try:
        facts = read_source(home)
    except SourceMissingError as error:
        # A pool that is not imported is what this is here to tell of.
        what, _, remedy = str(error).rpartition("; ")
        return (Checked((about(fails("taken", HERE, what, remedy), request.dataset),)),)
    tree = source_tree(home, facts)
    # What an age has overtaken since the last run is the next run's to expire, and not late.
    rule = home.job.retention.rule(_last_run(tree.without(facts.excluded), now))
    terms = replace(terms_of(home, facts), rule=rule)
    plan = finish(home.source, destroy.candidates(tree, terms, protected(facts, tree)))
    done = [check_taken(tree.without(facts.excluded), now, limits, declared=request.declared)]
    if not request.local:
        errors = {run.destination: run.error for run in runs if run.dataset == facts.root}
        ledgers = list(facts.awaited.values())
        known = {ledger.root.to for ledger in ledgers}
        labels = [each.label for each in request.destinations]
        if request.declared:
            done.append(check_left(facts.root, (each for each in ledgers if each.root.to not in labels)))
            ledgers = [each for each in ledgers if each.root.to in labels]
        ledgers += [Ledger(Record(label)) for label in labels if label not in known]
        done.append(check_reached(facts.root, ledgers, now, request.arrived or limits, errors))
    refusals = (refusal.message for refusal in plan.refusals)
    # By the file it expires before it is pushed: what was a base until then, of this or a tree around it,
    # goes with the next snapshot.
    names = {name for each in plan.datasets for name in each.destroy}
    spare = request.declared and len(names) <= len(facts.ledgers) + len(facts.neighbours)
    done.append(check_expired(facts.root, 0 if spare else plan.count, refusals, declared=request.declared))
    return tuple(done)


def _last_run(tree: Tree, now: datetime) -> datetime:
    """When the newest own snapshot was taken, which is what a run does first; ``now`` where there is none."""
    newest = [dataset.newest_own for dataset in tree.datasets.values()]
    times = [time for each in newest if each is not None and (time := own_time(each.name)) is not None]
    return min(now, max(times, default=now))


def _received(home: Home, request: Check, limits: Limits) -> Checked:
    root = home.job.dataset
    known = home.source.partial_properties(root)
    if known is None:
        remedy = "import its pool, or name what is there with --receiver"
        return Checked((about(fails("received", HERE, f"there is no {root} here", remedy), root),))
    tree = parse.tree(root, known, home.source.all_snapshots(root), complete=True)
    return check_received(tree, request.exclude.patterns, home.clock(), limits)


def runs_on_record() -> list[Finished]:
    """All of them, oldest first."""
    try:
        return list(history())
    except OSError:
        # An ordinary user's check may not read it; what arrived is known without.
        return []

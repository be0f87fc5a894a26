# SPDX-License-Identifier: GPL-3.0-or-later
"""Status: how a tree and its copies stand, as a table. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import repeat

from ..config.job import Action, Job
from ..config.requests import Status
from ..hosts.local import LocalHost
from ..model.history import Finished
from ..plan.standing import COLUMNS, Row, Standing, cells, rows
from ..zfs.errors import ZfsError
from . import words
from .attempt import attempt
from .behind import kept_for
from .check import NIGHTLY, runs_on_record
from .doctor_here import next_run
from .ends import Ends, Home, SourceFacts, read_source
from .push import newest_own
from .result import ActionResult, Outcome, Problem, RunResult, Surface, Table
from .run import beside, finished_run, real_home, real_ways


def status(request: Status, surface: Surface) -> RunResult:
    """Tell how the tree stands; unless ``offline``, ask the destinations too."""
    job = Job(
        dataset=request.dataset,
        actions=frozenset({Action.PUSH}),
        destinations=() if request.offline else request.destinations,
        source=request.source,
        exclude=request.exclude,
    )
    coming = next_run(LocalHost().run)
    with real_home(job, surface) as home, real_ways(home) as ways:
        return finished_run(home, lambda: [status_on(home, ways, coming)])


def status_on(home: Home, ways: Sequence[Ends], coming: datetime | None) -> ActionResult:
    """The same on the given ends. Raises ``UsageError`` where the tree does not exist."""
    done = attempt("status", lambda: tree_rows(home, ways, runs_on_record()))
    if isinstance(done, ActionResult):
        return done
    standings = [Standing(row, NIGHTLY, next_run=coming) for row in done.rows]
    return table_of(standings, done.problems, home.clock())


def table_of(standings: Sequence[Standing], problems: tuple[Problem, ...], now: datetime) -> ActionResult:
    """How they stand, as people read it; ``problems`` are what could not be asked."""
    rows = [each.row for each in standings]
    sizes = ("" if row.kept is None else words.size(row.kept) for row in rows)
    behind = sum(bool(row.behind) or (bool(row.destination) and not row.there) for row in rows)
    return ActionResult(
        "status",
        Outcome.PARTIAL if problems else Outcome.DONE,
        f"{words.count(len(rows), 'row')}, {behind} behind",
        problems=problems,
        figures={"rows": len(rows), "behind": behind},
        table=Table(COLUMNS, tuple(map(cells, standings, repeat(now), sizes))),
    )


@dataclass(frozen=True, slots=True)
class Told:
    """A tree's rows, and what could not be asked."""

    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]


def offline_rows(home: Home, runs: Iterable[Finished]) -> tuple[Row, ...]:
    """A tree's rows by the source's own records and by the ``runs`` on record, oldest first.

    Raises what ``read_source`` does.
    """
    return tree_rows(home, (), runs).rows


def tree_rows(home: Home, ways: Sequence[Ends], runs: Iterable[Finished]) -> Told:
    """The same, and what the destinations at the end of the ways answer."""
    facts = read_source(home)
    found = newest_own(home)
    newest = found.name if found else ""
    asked = beside(ways, lambda ends: attempt("status", lambda: _seen(ends))) if ways else []
    problems = [problem for each in asked if isinstance(each, ActionResult) for problem in each.problems]
    seen = {
        ends.destination.label: each
        for ends, each in zip(ways, asked, strict=True)
        if not isinstance(each, ActionResult)
    }
    told = {
        row.destination: row
        for row in rows(facts.root, newest, facts.awaited, runs)
        # A tree that is pushed somewhere needs no row of its own.
        if row.destination or not seen
    }
    for label, there in seen.items():
        told[label] = replace(told.get(label, Row(facts.root, label, newest, "")), there=there)
    ordered = (told[label] for label in sorted(told))
    return Told(tuple(replace(row, kept=kept_of(home, facts, row)) for row in ordered), tuple(problems))


def _seen(ends: Ends) -> str:
    """The newest own snapshot that the destination has of the tree's root, by its own answer."""
    try:
        listed = ends.receiver.snapshots_of(ends.destination.dataset)
    except ZfsError as error:
        if ends.receiver.partial_properties(ends.destination.dataset) is None:
            return ""
        raise error from None
    return next((each.name for each in reversed(listed) if each.own), "")


def kept_of(home: Home, facts: SourceFacts, row: Row) -> int | None:
    """What is kept here for a row's destination that is behind, in bytes; ``None`` where it is not, or zfs
    cannot tell."""
    ledger = next((each for each in facts.ledgers.values() if each.root.to == row.destination), None)
    return kept_for(home, facts.root, ledger) if ledger is not None and row.behind else None

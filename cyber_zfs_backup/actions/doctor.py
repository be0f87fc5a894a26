# SPDX-License-Identifier: GPL-3.0-or-later
"""Doctor: look at both ends, and say what is wrong and what mends it. Changes nothing on either."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ..config.job import Action, Job
from ..config.requests import Doctor
from ..hosts.local import LocalHost
from ..model.trees import Tree
from ..plan.doctor_copies import examine_copy, examine_source
from ..plan.doctor_here import examine_timers, examine_way
from ..plan.doctor_pools import Side, Usage, examine_both, examine_side
from ..plan.findings import Finding, Severity, worst
from . import words
from .ask import Asked
from .doctor_copy import CopyLook, CopySeen
from .doctor_here import Here, look_here
from .doctor_source import SourceLook
from .ends import Ends, Home, SourceFacts
from .journal import Journal, state_folder
from .result import ActionResult, Outcome, RunResult, Surface
from .run import beside, finished_run, real_home, real_ways

FILE = "pools.jsonl"
"""How much of each pool was used at each call: what tells how fast it grows."""

_OUTCOMES = {
    Severity.GOOD: Outcome.DONE,
    Severity.WARNING: Outcome.WARNINGS,
    Severity.FAILS: Outcome.CRITICAL,
}
_log = logging.getLogger(__name__)


def doctor(request: Doctor, surface: Surface) -> RunResult:
    """Look at the tree, its copies, and the ways between them."""
    here = look_here((request.source, *request.destinations), LocalHost().run)
    job = Job(
        dataset=request.dataset,
        actions=frozenset({Action.PUSH}),
        destinations=here.reachable(request.destinations),
        source=request.source,
        exclude=request.exclude,
    )
    past = Journal(state_folder() / FILE)
    with real_home(job, surface) as home, real_ways(home) as ways:
        return finished_run(home, lambda: [doctor_on(home, ways, here, past)])


def doctor_on(home: Home, ways: Sequence[Ends], here: Here, past: Journal) -> ActionResult:
    """The same on the given ends. Raises ``UsageError`` where the source's dataset does not exist."""
    return summary_of(examine(home, ways, here, past).findings)


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found, and what the source is. ``tree`` has the datasets that take part, with their snapshots;
    where it could not be read it is ``None``, and ``troubles`` says why."""

    findings: tuple[Finding, ...]
    facts: SourceFacts | None
    tree: Tree | None
    troubles: tuple[Finding, ...]


def examine(home: Home, ways: Sequence[Ends], here: Here, past: Journal) -> Examined:
    """Look at the given ends, as ``doctor_on`` does."""
    copies = Asked(lambda: beside(ways, lambda ends: _looked_at(ends, here)))
    asking = SourceLook(home)
    source = asking.look()
    theirs = copies()
    now = home.clock()
    found = [*examine_timers(here.timers, now, root=here.root, silent=here.silent)]
    for way in here.ways.values():
        found += examine_way(way)
    notes = _read_notes(past)
    sides = [_with_past(side, notes) for side in (source.side, *(each.side for each in theirs))]
    for side in sides:
        found += examine_side(side, now)
    if source.tree is not None:
        found += examine_source(source.tree, now)
    for each in theirs:
        if each.copy is not None:
            copy = each.copy
            if source.tree is not None:
                # Only now is it known whom to ask of what.
                copy = replace(copy, unfinished=asking.unfinished(copy.tree, source.tree.tree))
            found += examine_copy(source.tree, copy, now)
        found += [*each.troubles, *examine_both(source.side, each.side)]
    found += asking.troubles
    _note(past, sides, now)
    tree = None if source.tree is None else source.tree.tree
    return Examined(tuple(found), source.facts, tree, tuple(asking.troubles))


def _looked_at(ends: Ends, here: Here) -> CopySeen:
    return CopyLook(ends, here.users.get(ends.destination.ssh, "root")).look()


def summary_of(found: Sequence[Finding]) -> ActionResult:
    """What was found, the worst first; it gives the outcome."""
    counts = Counter(finding.severity for finding in found)
    warnings, failing = counts[Severity.WARNING], counts[Severity.FAILS]
    told = [words.count(warnings, "warning")] if warnings else []
    told += [f"{words.count(failing, 'thing')} that would make a backup fail"] if failing else []
    return ActionResult(
        "doctor",
        _OUTCOMES[worst(found)],
        f"{' and '.join(told) or 'all is well'}; {words.count(len(found), 'thing')} looked at",
        figures={"looked_at": len(found), "warnings": warnings, "failing": failing},
        findings=tuple(sorted(found, key=lambda finding: -finding.severity)),
    )


def _with_past(side: Side, notes: dict[tuple[str, str], list[Usage]]) -> Side:
    if side.pool is None:
        return side
    return replace(side, pool=replace(side.pool, past=tuple(notes.get((side.where, side.pool.name), ()))))


def _read_notes(past: Journal) -> dict[tuple[str, str], list[Usage]]:
    notes: dict[tuple[str, str], list[Usage]] = {}
    try:
        for row in past.rows():
            try:
                use = Usage(datetime.fromtimestamp(int(row["time"]), UTC), int(row["allocated"]))
                notes.setdefault((str(row["where"]), str(row["pool"])), []).append(use)
            except (KeyError, TypeError, ValueError, OverflowError, OSError):
                continue
    except OSError as error:
        _log.debug("%s: %s", past.path, error)
    return notes


def _note(past: Journal, sides: Sequence[Side], now: datetime) -> None:
    """For the next call. Who may not write there (an ordinary user, perhaps) is told of no growth, that is
    all."""
    lines = [
        json.dumps(
            {
                "time": int(now.timestamp()),
                "where": side.where,
                "pool": pool.name,
                "allocated": pool.allocated,
            }
        )
        + "\n"
        for side in sides
        if (pool := side.pool) is not None
    ]
    try:
        past.add(lines)
    except OSError as error:
        _log.debug("%s: %s", past.path, error)

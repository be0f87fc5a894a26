# SPDX-License-Identifier: GPL-3.0-or-later
"""Quarantine: rename a snapshot that is dated in the future out of our grammar, on both sides."""

from __future__ import annotations

from ..config.job import Action, Job
from ..config.requests import Quarantine
from ..model.names import join, relative
from ..plan.ledger import encode, renamed
from ..zfs.properties import BASE_PREFIX
from .ends import Ends, SourceFacts, read_source
from .result import ActionResult, Outcome, Problem, RunResult, Surface
from .run import attempt, finished_run, real_ends

_AWAY = "quarantined-"


def quarantine(request: Quarantine, surface: Surface) -> RunResult:
    """Rename the snapshots on this machine and, where the tree was pushed there, on the receiver."""
    job = Job(
        dataset=request.dataset,
        actions=frozenset({Action.PUSH}),
        destination=request.destination,
        dry_run=request.dry_run,
    )
    with real_ends(job, surface) as ends:
        return finished_run(ends, lambda: [quarantine_on(ends, request)])


def quarantine_on(ends: Ends, request: Quarantine) -> ActionResult:
    """Rename each snapshot to ``quarantined-NAME`` on its dataset and all below it.

    The receiver is renamed first, and only snapshots that have the same GUID on both sides: a run
    that dies in between leaves the source's name, so that it can simply be run again.
    """
    return attempt("quarantine", lambda: _quarantine(ends, request))


def _quarantine(ends: Ends, request: Quarantine) -> ActionResult:
    facts = read_source(ends)
    lines: list[str] = []
    problems: list[Problem] = []
    for snapshot in request.snapshots:
        dataset, _, name = snapshot.partition("@")
        problem = _refusal(ends, snapshot)
        if problem is not None:
            problems.append(problem)
            continue
        lines += _rename(ends, facts, relative(request.dataset, dataset), name)
    outcome = Outcome.DONE if not problems else (Outcome.PARTIAL if lines else Outcome.FAILED)
    verb = "would rename" if request.dry_run else "renamed"
    summary = f"{verb} {len(lines)}: {'; '.join(lines)}" if lines else "nothing was renamed"
    return ActionResult("quarantine", outcome, summary, tuple(lines), tuple(problems))


def _refusal(ends: Ends, snapshot: str) -> Problem | None:
    if ends.source.named_snapshots([snapshot]):
        return None
    return Problem("there is no such snapshot", snapshot, "see: zfs list -t snapshot", "not-there")


def _rename(ends: Ends, facts: SourceFacts, path: str, name: str) -> list[str]:
    done = []
    root = ends.job.destination.dataset
    old, new = f"{join(facts.root, path)}@{name}", f"{join(facts.root, path)}@{_AWAY}{name}"
    there_old, there_new = f"{join(root, path)}@{name}", f"{join(root, path)}@{_AWAY}{name}"
    if facts.tag in facts.ledgers and _same(ends, old, there_old):
        if not ends.job.dry_run:
            ends.receiver.rename_snapshot(there_old, there_new)
        done.append(f"{ends.receiver.label}: {there_old} to {there_new}")
    if not ends.job.dry_run:
        ends.source.rename_snapshot(old, new)
        _rename_in_records(ends, facts, name)
    done.append(f"{old} to {new}")
    return done


def _same(ends: Ends, mine: str, theirs: str) -> bool:
    here = ends.source.named_snapshots([mine])
    there = ends.receiver.named_snapshots([theirs])
    guids = [{s.guid for found in side.values() for s in found} for side in (here, there)]
    return bool(guids[0] & guids[1])


def _rename_in_records(ends: Ends, facts: SourceFacts, name: str) -> None:
    """A base stays a base under its new name: holds go with the snapshot, records are ours to mend."""
    for tag, ledger in facts.ledgers.items():
        records = {"": ledger.root, **ledger.lagging}
        for path, record in records.items():
            if name in record.names:
                value = encode(renamed(record, name, f"{_AWAY}{name}"))
                ends.source.set_property(f"{BASE_PREFIX}{tag}", value, [join(facts.root, path)])

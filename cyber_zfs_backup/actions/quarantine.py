# SPDX-License-Identifier: GPL-3.0-or-later
"""Quarantine: rename a snapshot that is dated in the future out of our grammar, on both sides."""

from __future__ import annotations

from dataclasses import replace

from ..config.job import Action, Job
from ..config.requests import Quarantine
from ..hosts.quoting import as_typed
from ..model.names import join, relative
from ..plan.ledger import encode, renamed
from ..zfs.client import Zfs
from ..zfs.errors import Trouble, ZfsError
from ..zfs.properties import BASE_PREFIX
from .attempt import attempt
from .ends import Ends, PushFacts, read_for_push
from .result import ActionResult, Outcome, Problem, RunResult, Surface
from .run import finished_run, real_home, real_ways

_AWAY = "quarantined-"


def quarantine(request: Quarantine, surface: Surface) -> RunResult:
    """Rename the snapshots on this machine and, where the tree was pushed there, on the receiver."""
    job = Job(
        dataset=request.dataset,
        actions=frozenset({Action.PUSH}),
        destinations=(request.destination,),
        source=request.source,
        dry_run=request.dry_run,
    )
    with real_home(job, surface) as home, real_ways(home) as ways:
        return finished_run(home, lambda: [quarantine_on(ends, request) for ends in ways])


def quarantine_on(ends: Ends, request: Quarantine) -> ActionResult:
    """Rename each snapshot to ``quarantined-NAME`` on its dataset and all below it.

    The receiver is renamed first: a run that dies in between leaves the source's name, so that it can
    simply be run again. Where both sides have the name, the receiver's is renamed only if it is the same
    snapshot; where the source has it no more (its copy was destroyed, or renamed for another
    destination), the receiver's is renamed alone.
    """
    done = attempt("quarantine", lambda: _quarantine(ends, request))
    return replace(done, destination=ends.destination.label)


def _quarantine(ends: Ends, request: Quarantine) -> ActionResult:
    facts = read_for_push(ends)
    lines: list[str] = []
    problems: list[Problem] = []
    for snapshot in request.snapshots:
        dataset, _, name = snapshot.partition("@")
        done, refused = _rename(ends, facts, relative(request.dataset, dataset), name)
        if not done and refused is None:
            refused = _not_there(ends, facts, snapshot)
        problems += [refused] if refused else []
        lines += done
    outcome = Outcome.DONE if not problems else (Outcome.PARTIAL if lines else Outcome.FAILED)
    verb = "would rename" if request.dry_run else "renamed"
    summary = f"{verb} {len(lines)}: {'; '.join(lines)}" if lines else "nothing was renamed"
    return ActionResult("quarantine", outcome, summary, tuple(lines), tuple(problems))


def _not_there(ends: Ends, facts: PushFacts, snapshot: str) -> Problem:
    label = ends.destination.label
    if facts.tag in facts.ledgers:
        what, remedy = f"neither this machine nor {label} has such a snapshot", "see: zfs list -t snapshot"
    else:
        what = f"there is no such snapshot, and {label} is no destination of this tree"
        remedy = "name the destination as the run does, with --ssh-destination and --zfs-receive-dataset"
    return Problem(what, snapshot, remedy, "not-there")


def _rename(ends: Ends, facts: PushFacts, path: str, name: str) -> tuple[list[str], Problem | None]:
    """What was renamed, and what the receiver's gatekeeper has left for its own root to do."""
    done: list[str] = []
    refused: Problem | None = None
    root = ends.destination.dataset
    old, new = f"{join(facts.root, path)}@{name}", f"{join(facts.root, path)}@{_AWAY}{name}"
    there_old, there_new = f"{join(root, path)}@{name}", f"{join(root, path)}@{_AWAY}{name}"
    mine = _guids(ends.source, old)
    theirs = _guids(ends.receiver, there_old) if facts.tag in facts.ledgers else set()
    if theirs and (not mine or mine & theirs):
        try:
            if not ends.job.dry_run:
                ends.receiver.rename_snapshot(there_old, there_new)
            done.append(f"{ends.receiver.label}: {there_old} to {there_new}")
        except ZfsError as error:
            if error.trouble is not Trouble.REFUSED:
                raise
            command = as_typed(["zfs", "rename", "-r", there_old, there_new])
            remedy = f"there, as root: {command}"
            refused = Problem("its gatekeeper renames nothing", ends.receiver.label, remedy, "refused")
    if mine:
        if not ends.job.dry_run:
            ends.source.rename_snapshot(old, new)
            _rename_in_records(ends, facts, name)
        done.append(f"{old} to {new}")
    return done, refused


def _guids(side: Zfs, full: str) -> set[int]:
    return {snapshot.guid for found in side.named_snapshots([full]).values() for snapshot in found}


def _rename_in_records(ends: Ends, facts: PushFacts, name: str) -> None:
    """A base stays a base under its new name: holds go with the snapshot, records are ours to mend."""
    for tag, ledger in facts.ledgers.items():
        records = {"": ledger.root, **ledger.lagging}
        for path, record in records.items():
            if name in record.names:
                value = encode(renamed(record, name, f"{_AWAY}{name}"))
                ends.source.set_property(f"{BASE_PREFIX}{tag}", value, [join(facts.root, path)])

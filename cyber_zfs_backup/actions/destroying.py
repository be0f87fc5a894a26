# SPDX-License-Identifier: GPL-3.0-or-later
"""Destroys snapshots that a plan names, on either side, after asking what uses them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..model.names import relative
from ..model.trees import Snapshot, Tree
from ..plan import destroy
from ..zfs.client import Zfs
from ..zfs.errors import Trouble, ZfsError
from . import report, words
from .ends import Home, tell_plan
from .result import ActionResult, Outcome, Problem


def finish(side: Zfs, found: destroy.Candidates, coming: frozenset[str] = frozenset()) -> destroy.DestroyPlan:
    """Ask what uses the candidates (holds, clones), by name, and finish the plan.

    A candidate that is gone, or that is not the one that was planned (another GUID), is left alone.
    ``coming`` are full names that a dry run's push would have brought: nothing uses those.
    """
    named = {f"{full}@{name}": snapshot.guid for full, name, snapshot in _planned(found)}
    planned = {full: guid for full, guid in named.items() if full not in coming}
    if not planned:
        return destroy.finish(found, {})
    uses = side.uses(list(planned))
    in_use: dict[str, str] = {}
    held = []
    for full, guid in planned.items():
        use = uses.get(full)
        if use is None:
            in_use[full] = "gone since it was listed"
        elif use.guid != guid:
            in_use[full] = "another snapshot since it was listed"
        elif use.clones:
            in_use[full] = f"has clones: {', '.join(use.clones)}"
        elif use.holds:
            held.append(full)
    tags = side.holds(held) if held else {}
    for full in held:
        in_use[full] = f"held by {', '.join(sorted(tags.get(full, {'someone'})))}"
    return destroy.finish(found, in_use)


def _planned(found: destroy.Candidates) -> Iterator[tuple[str, str, Snapshot]]:
    for full, listed in found.names.items():
        names = set(listed)
        dataset = found.tree.datasets[relative(found.tree.root, full)]
        for snapshot in dataset.snapshots:
            if snapshot.name in names:
                yield full, snapshot.name, snapshot


def carry_out(
    action: str, side: Zfs, plan: destroy.DestroyPlan, ends: Home, coming: frozenset[str] = frozenset()
) -> ActionResult:
    """Execute a destroy plan on one side (or, in a dry run, ask what it would free; see ``finish``).

    A refused plan destroys nothing. A command that fails does not stop the others.
    """
    lines = tuple(verdict_lines(plan.tree, plan.datasets))
    tell_plan(ends, action, lines)
    if plan.refusals:
        problems = tuple(
            Problem(refusal.message, side.label, refusal.remedy, _kind(refusal)) for refusal in plan.refusals
        )
        return ActionResult(action, Outcome.FAILED, "nothing was destroyed", lines=lines, problems=problems)
    if not plan.commands:
        return ActionResult(
            action, Outcome.NOTHING, "nothing to destroy", lines=lines, figures={"snapshots": 0}
        )
    if ends.job.dry_run:
        return _estimate(action, side, plan, lines, coming)
    failed: list[Problem] = []
    lost = done = 0
    for command in plan.commands:
        try:
            side.destroy_snapshots(command.dataset, command.names, recursive=command.recursive)
            done += 1
        except ZfsError as error:
            # Gone already is what was wanted.
            if error.trouble is not Trouble.NOT_THERE:
                failed.append(report.failure_problem(command.dataset, error))
                lost += error.trouble is Trouble.LINK_LOST
    outcome = Outcome.DONE if not failed else (Outcome.PARTIAL if done else Outcome.FAILED)
    if failed and lost == len(failed):
        outcome = Outcome.PASSING  # the next run finds it due again
    return ActionResult(
        action,
        outcome,
        f"{words.count(plan.count, 'snapshot')} destroyed on {side.label}"
        if not failed
        else f"{len(failed)} of {len(plan.commands)} destroy commands failed on {side.label}",
        lines=lines,
        problems=tuple(failed),
        figures={"snapshots": plan.count, "commands": len(plan.commands)},
    )


def _estimate(
    action: str, side: Zfs, plan: destroy.DestroyPlan, lines: tuple[str, ...], coming: frozenset[str]
) -> ActionResult:
    freed = 0
    for command in plan.commands:
        there = [name for name in command.names if f"{command.dataset}@{name}" not in coming]
        freed += side.reclaim(command.dataset, there, recursive=command.recursive)
    return ActionResult(
        action,
        Outcome.DONE,
        f"would destroy {words.count(plan.count, 'snapshot')} on {side.label} and free {words.size(freed)}",
        lines=lines,
        figures={"snapshots": plan.count, "commands": len(plan.commands), "bytes_freed": freed},
    )


def verdict_lines(tree: Tree, plans: Iterable[destroy.DatasetPlan]) -> Iterator[str]:
    """What becomes of each snapshot, and why, a line each."""
    for plan in plans:
        full = tree.full(plan.path)
        for verdict in plan.verdicts:
            word = "keep" if verdict.keep else "destroy"
            yield f"{word} {full}@{verdict.snapshot.name}: {verdict.reason}"


def _kind(refusal: destroy.Refusal) -> str:
    return "future" if isinstance(refusal, destroy.FutureSnapshot) else "lots"

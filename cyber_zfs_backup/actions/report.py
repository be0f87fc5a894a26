# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans and outcomes of a push in words: one line each, with the reason."""

from __future__ import annotations

from ..model.names import join
from ..model.trees import Tree
from ..plan.conflicts import Conflict, evidence
from ..plan.push import PushPlan
from ..plan.steps import Step, StepKind
from ..zfs.errors import ZfsError
from .ends import Ends
from .execute import Executed
from .result import Problem
from .words import count, size


def plan_lines(root: str, there: str, plan: PushPlan) -> list[str]:
    """The plan, a line for each step, conflict, orphan and note, each with its reason."""
    lines = []
    lines += [
        f"rename: {join(there, move.old)} to {join(there, move.new)}: {move.reason}" for move in plan.moves
    ]
    if plan.steps:
        lines.append(f"form: {plan.choice.form.value}: {plan.choice.reason}")
    lines += [_step_line(root, step) for step in plan.steps]
    lines += [f"conflict: {conflict.text}" for conflict in plan.conflicts]
    lines += [f"orphan: {orphan.full} is not on the source; it is kept" for orphan in plan.orphans]
    lines += [f"wait: {join(root, path)} follows once this is done" for path in plan.waiting]
    lines += list(plan.notes)
    if plan.nothing_to_do and not plan.conflicts:
        lines.append(f"nothing to send: {there} holds the newest own snapshot of every dataset")
    return lines


def _step_line(root: str, step: Step) -> str:
    name = join(root, step.path)
    carried = ", with properties" if step.properties else ""
    if step.kind is StepKind.ABORT:
        return f"abort: the partial receive of {name}: {step.reason}"
    if step.kind is StepKind.RESUME:
        return f"resume: {name}@{step.target}: {step.reason}"
    if step.kind is StepKind.REPLICATE:
        span = f"from @{step.base} to" if step.base else "in full up to"
        return f"replicate: {name} and all below it {span} @{step.target}{carried}"
    if step.kind is StepKind.CLONE:
        return f"clone: {name}@{step.target}{carried}: {step.reason}"
    if step.kind is StepKind.BRIDGE:
        return f"from bookmark: {name} from #{step.base} to @{step.target}{carried}: {step.reason}"
    if step.kind is StepKind.FULL:
        return f"full: {name}@{step.target}{carried}: {step.reason}"
    return f"level: {name} from @{step.base} to @{step.target}{carried}: {step.reason}"


def push_summary(ends: Ends, plan: PushPlan, executed: Executed, confirmed: int, target: str) -> str:
    """The push in one line; ``confirmed`` is how many datasets are at ``target``."""
    label = ends.destination.label
    if ends.job.dry_run:
        if plan.nothing_to_do and not plan.conflicts:
            return f"nothing new for {label}"
        return f"would take {count(len(plan.steps) + len(plan.moves), 'step')} to bring {label} to @{target}"
    repaired = len(executed.repaired)
    if not executed.streams and confirmed == len(plan.targets) and not plan.conflicts:
        mended = f", {count(repaired, 'dataset')} repaired" if repaired else ""
        return f"nothing new: {label} holds @{target} of all {confirmed} datasets{mended}"
    if not plan.targets:
        return f"nothing was sent to {label}"
    return (
        f"{confirmed} of {len(plan.targets)} datasets of {label} are at @{target}: "
        f"{_moved(executed.bytes_moved, executed.seconds)} in {count(executed.streams, 'stream')} "
        f"on {count(executed.connections, 'connection')} ({plan.choice.form.value})"
        f"{f', {repaired} repaired' if repaired else ''}"
    )


def repairs(plan: PushPlan, source: Tree) -> frozenset[str]:
    """The paths of the datasets that a plan repairs, rather than only brings up to date.

    Those with a partial receive (resumed or aborted), those that are renamed there, and those that lag
    behind: the source's has the root's base, and the receiver's has not, or is missing. A first push has no
    base, so it repairs nothing else.
    """
    base = plan.bases.get("")
    found = {move.path for move in plan.moves}
    for step in plan.steps:
        if step.kind in (StepKind.ABORT, StepKind.RESUME):
            found.add(step.path)
        elif step.kind is not StepKind.REPLICATE and base and plan.bases.get(step.path) != base:
            dataset = source.datasets.get(step.path)
            if dataset is not None and dataset.named(base) is not None:
                found.add(step.path)
    return frozenset(found)


def _moved(moved: int, seconds: float | None) -> str:
    """``1.2 GiB in 61.0 s (20.1 MiB/s)``; without the rate where nothing has moved."""
    if seconds is None:
        return size(moved)
    rate = f" ({size(int(moved / seconds))}/s)" if moved and seconds > 0 else ""
    return f"{size(moved)} in {seconds:.1f} s{rate}"


def conflict_problem(conflict: Conflict) -> Problem:
    """A conflict as a problem of the result."""
    shown = ""
    if conflict.on_source or conflict.on_receiver:
        shown = f" (source: {evidence(conflict.on_source)}; receiver: {evidence(conflict.on_receiver)})"
    return Problem(
        f"{conflict.what}{shown}",
        conflict.source,
        conflict.remedy,
        conflict.kind.name.lower().replace("_", "-"),
    )


def failure_problem(dataset: str, error: ZfsError) -> Problem:
    """A dataset's failure as a problem of the result."""
    kind = error.trouble.name.lower().replace("_", "-")
    return Problem(f"{error.where} says: {error.text}", dataset, error.remedy, kind)

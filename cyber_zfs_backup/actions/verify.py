# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify: read both sides whole and tell what differs. Changes nothing on either."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ..config.job import Action, Job
from ..config.requests import Verify
from ..model.names import join
from ..model.trees import Tree
from ..plan.verify import Difference, Differs, differences
from ..zfs import parse
from ..zfs.properties import grants
from . import words
from .ask import both
from .attempt import attempt
from .ends import Ends, read_for_push
from .result import ActionResult, Outcome, Problem, RunResult, Surface
from .run import beside, finished_run, real_home, real_ways

_NEXT_PUSH = "the next push brings it"
_REMEDIES = {
    Differs.NO_TREE: "the first push needs --force-non-incremental",
    Differs.NO_DATASET: _NEXT_PUSH,
    Differs.MISSING: f"{_NEXT_PUSH}, where it is newer than what both have; older ones never come back",
    Differs.EXTRA: "the mirror of a later push drops what the retention gives up there too",
    Differs.OTHER_GUID: "look at both; rename or destroy the receiver's by hand",
    Differs.PARTIAL: "the next push goes on from it",
    Differs.MODIFIED: "look at zfs diff there; roll the copy back by hand if the changes are worth nothing",
    Differs.ORPHAN: "it is kept; destroy it there by hand if nobody needs it",
}


def verify(request: Verify, surface: Surface) -> RunResult:
    """Compare the tree with each of its copies."""
    job = Job(
        dataset=request.dataset,
        actions=frozenset({Action.PUSH}),
        destinations=request.destinations,
        source=request.source,
        exclude=request.exclude,
    )
    with real_home(job, surface) as home, real_ways(home) as ways:
        return finished_run(home, lambda: beside(ways, verify_on))


def verify_on(ends: Ends) -> ActionResult:
    """Compare the tree with one copy."""
    return replace(attempt("verify", lambda: _verify(ends)), destination=ends.destination.label)


def _verify(ends: Ends) -> ActionResult:
    facts = read_for_push(ends)
    root, label = ends.destination.dataset, ends.destination.label

    def theirs() -> tuple[Tree, dict[str, int], bool] | None:
        about = ends.receiver.verify_properties(root)
        if about is None:
            return None
        tree = parse.tree(root, about, ends.receiver.all_snapshots(root), complete=True)
        written = {path: parse.number_of(about[tree.full(path)], "written") for path in tree.datasets}
        return tree, written, grants(about, root).destroys

    mine, there = both(lambda: ends.source.all_snapshots(facts.root), theirs)
    source = parse.tree(facts.root, facts.about, mine, complete=True).without(facts.excluded)
    if there is None:
        found: tuple[Difference, ...] = (Difference(Differs.NO_TREE, "", f"{label} is not there"),)
    else:
        found = differences(source, there[0], there[1], facts.excluded)
        if not there[2]:
            # An archive is there to have more.
            found = tuple(difference for difference in found if difference.kind is not Differs.EXTRA)
    counts = Counter(difference.kind for difference in found)
    snapshots = sum(len(dataset.snapshots) for dataset in source.datasets.values())
    figures = {"datasets": len(source.datasets), "snapshots": snapshots, "differences": len(found)}
    figures |= {kind.name.lower(): count for kind, count in counts.items()}
    if not found:
        of = f"{words.count(len(source.datasets), 'dataset')} and {words.count(snapshots, 'snapshot')}"
        return ActionResult("verify", Outcome.DONE, f"{label} is equal: {of}", figures=figures)
    person = any(difference.kind.needs_person for difference in found)
    told = ", ".join(f"{count} {kind.value}" for kind, count in counts.items())
    return ActionResult(
        "verify",
        Outcome.CONFLICT if person else Outcome.PARTIAL,
        f"{label} differs: {told}",
        problems=tuple(_problem(ends, facts.root, difference) for difference in found),
        figures=figures,
    )


def _problem(ends: Ends, root: str, difference: Difference) -> Problem:
    only_there = difference.kind is Differs.ORPHAN
    where = join(ends.destination.dataset if only_there else root, difference.path)
    kind = difference.kind.value.replace(" ", "-")
    return Problem(difference.what, where, _REMEDIES[difference.kind], kind)

# SPDX-License-Identifier: GPL-3.0-or-later
"""A check-up of what the next push would meet: its planner is asked, as if tonight's snapshot were there.
Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

from ..model.names import own_name
from ..model.trees import Snapshot, Tree
from .compare import Seen
from .doctor_copies import Copy, Source
from .findings import Finding, fails, good, typed
from .push import PushQuestion, Unsettled, plan_push


def examine_push(source: Source, copy: Copy, now: datetime) -> Iterator[Finding]:
    """What would stop the next push of a dataset: sides that share no snapshot, a copy that was written to,
    and all else that the planner leaves to a person. Both trees are whole."""
    name = _free_name(source.tree, now)
    seen = Seen(tokens=copy.tokens, excluded=source.excluded, changed=frozenset(copy.written))
    plan = plan_push(PushQuestion(_tonight(source.tree, name), copy.tree, name, seen=seen))
    if isinstance(plan, Unsettled):
        return
    for conflict in plan.conflicts:
        what = f"the next push would stop at {conflict.receiver}: {conflict.what}"
        yield fails("push", copy.where, what, typed(copy.where, conflict.remedy))
    if not plan.conflicts:
        yield good("push", copy.where, f"nothing is in the way of the next push to {copy.tree.root}")


def _free_name(tree: Tree, now: datetime) -> str:
    """A name for the next snapshot: that of the present second is there already where a run just took one."""
    taken = {snapshot.name for dataset in tree.datasets.values() for snapshot in dataset.snapshots}
    seconds = (now + timedelta(seconds=number) for number in count())
    return next(name for name in map(own_name, seconds) if name not in taken)


def _tonight(tree: Tree, name: str) -> Tree:
    """The tree with the snapshot that the next run takes."""
    txgs = (each.createtxg for dataset in tree.datasets.values() for each in dataset.snapshots)
    txg = 1 + max(txgs, default=0)
    return replace(
        tree,
        datasets={
            # No snapshot that exists has such a GUID.
            path: replace(dataset, snapshots=(*dataset.snapshots, Snapshot(name, -number, txg)))
            for number, (path, dataset) in enumerate(tree.datasets.items(), 1)
        },
    )

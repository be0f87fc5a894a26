# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots the receiver drops after a push, so that it follows the source's expiry.

A snapshot of the receiver goes only where all three hold: the source's dataset has it no more (by GUID:
a name proves nothing), it is older than the base that both confirmed, and the retention rule applied to
the receiver's own list would destroy it too. So a source that was rolled back, restored or thinned by
hand never wipes the receiver's history. Source: DESIGN.md, One run, step 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..model.trees import Dataset, Tree
from .destroy import Candidates, DatasetPlan, Terms, refuse_future, require_complete
from .retention import Because, Judge, Judged, Reason

_ORPHAN = Reason(Because.ORPHAN, "the source has no such dataset (an orphan)")
_EXCLUDED = Reason(Because.EXCLUDED, "the dataset is excluded")
_NO_BASE = Reason(Because.NO_BASE, "no base was confirmed for this dataset")
_BASE_GONE = Reason(Because.NO_BASE, "the confirmed base is not on both sides")
_ON_SOURCE = Reason(Because.ON_SOURCE, "the source has it")


def candidates(source: Tree, receiver: Tree, bases: Mapping[str, int], terms: Terms) -> Candidates:
    """What the receiver may drop; give the answer to ``destroy.finish`` with what is in use there.

    Both trees are whole and as they are *after* the push and the source's expiry. ``bases`` gives by path
    the GUID of the base that this run confirmed; a dataset without one is left alone, so are orphans and
    excluded ones. ``terms.rule`` is the rule for the receiver. Raises ``ValueError`` where a tree is not
    complete.
    """
    require_complete(source)
    require_complete(receiver)
    judge = Judge(terms.rule)
    plans = []
    for path, dataset in receiver.datasets.items():
        judged = judge.judge(dataset)
        ours = source.datasets.get(path)
        if ours is None:
            plans.append(DatasetPlan(dataset, judged, untouched=_ORPHAN))
        elif path in terms.excluded:
            plans.append(DatasetPlan(dataset, judged, untouched=_EXCLUDED))
        elif path not in bases:
            plans.append(DatasetPlan(dataset, judged, untouched=_NO_BASE))
        else:
            plans.append(_compare(dataset, judged, ours, bases[path]))
    return refuse_future(Candidates(receiver, terms, tuple(plans)), source.root)


def after_push(receiver: Tree, source: Tree, confirmed: Mapping[str, str]) -> Tree:
    """The receiver's tree as it will be once each path of ``confirmed`` has that snapshot; for a dry run.

    Both trees are whole. Datasets that the push would create, or that share nothing with the source's yet,
    stay as they are: of those there is nothing that could be dropped.
    """
    return replace(
        receiver,
        datasets={
            path: _advanced(dataset, source.datasets[path], confirmed[path])
            if path in confirmed and path in source.datasets
            else dataset
            for path, dataset in receiver.datasets.items()
        },
    )


def _advanced(theirs: Dataset, ours: Dataset, target: str) -> Dataset:
    known = {snapshot.guid for snapshot in theirs.snapshots}
    base = next((snapshot for snapshot in reversed(ours.snapshots) if snapshot.guid in known), None)
    wanted = ours.named(target)
    if base is None or wanted is None:
        return theirs
    coming = [s for s in ours.snapshots if base.createtxg < s.createtxg <= wanted.createtxg]
    newest = theirs.snapshots[-1].createtxg
    arrived = tuple(replace(s, createtxg=newest + count) for count, s in enumerate(coming, 1))
    return replace(theirs, snapshots=theirs.snapshots + arrived)


def _compare(dataset: Dataset, judged: Judged, ours: Dataset, base_guid: int) -> DatasetPlan:
    base = next((snapshot for snapshot in reversed(dataset.snapshots) if snapshot.guid == base_guid), None)
    on_source = frozenset([snapshot.guid for snapshot in ours.snapshots])
    if base is None or base_guid not in on_source:
        return DatasetPlan(dataset, judged, untouched=_BASE_GONE)
    not_below = Reason(Because.NOT_BELOW_BASE, f"not older than {base.name}, the base that both sides have")
    unwanted = frozenset(judged.unwanted)
    spared: dict[str, Reason] = {}
    destroy = []
    for snapshot in dataset.snapshots:
        if snapshot.guid in on_source:
            spared[snapshot.name] = _ON_SOURCE
        elif snapshot.createtxg >= base.createtxg:
            spared[snapshot.name] = not_below
        elif snapshot.name in unwanted:
            destroy.append(snapshot.name)
    return DatasetPlan(dataset, judged, tuple(destroy), spared)

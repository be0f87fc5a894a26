# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots of a client's copies an archive gives up, by when this receiver first saw them.

The client's names are believed only as far as ``floors.py`` says, so one that is dated in the future stops
nothing, and forged ones push nothing out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..model.names import own_time
from ..model.trees import Dataset, Tree
from .destroy import Candidates, DatasetPlan, Terms, require_complete
from .floors import Keep, Mark, Row, keepers
from .retention import Because, Judged, Reason, Ruling

_FOREIGN = Ruling(keep=True, reason=Reason(Because.FOREIGN, "not one of ours"))
_NOT_FIRST = Ruling(
    keep=False, reason=Reason(Because.SAME_PERIOD, "not the first of a day, week, month or year that is kept")
)


@dataclass(frozen=True, slots=True)
class Archive:
    """What an archive goes by: the marks of its gatekeeper, and what it keeps, with its floors."""

    marks: Sequence[Mark]
    retention: Keep
    floors: Keep


def candidates(tree: Tree, archive: Archive, terms: Terms) -> Candidates:
    """What may expire; for ``destroy.finish``, with what is in use there. ``terms.rule`` is not asked.

    Raises ``ValueError`` where the tree is not complete.
    """
    require_complete(tree)
    now = terms.now.timestamp()
    plans = []
    for dataset in tree.datasets.values():
        judged = _judged(dataset, archive, now)
        plans.append(DatasetPlan(dataset, judged, judged.unwanted))
    return Candidates(tree, terms, tuple(plans))


def _judged(dataset: Dataset, archive: Archive, now: float) -> Judged:
    rows = [Row(each.name, each.guid, each.createtxg) for each in dataset.snapshots]
    kept = keepers(rows, archive.marks, now, archive.floors)
    kept |= keepers(rows, archive.marks, now, archive.retention, yearly=True)
    rulings = {row.name: _ruling(row, kept.get(row.guid)) for row in rows}
    return Judged(
        rulings=rulings,
        own=tuple(row.name for row in reversed(rows) if own_time(row.name) is not None),
        unwanted=tuple(row.name for row in rows if not rulings[row.name].keep),
        latest=None,
    )


def _ruling(row: Row, why: str | None) -> Ruling:
    if own_time(row.name) is None:
        return _FOREIGN
    return Ruling(keep=True, reason=Reason(Because(why.split()[0]), why)) if why else _NOT_FIRST

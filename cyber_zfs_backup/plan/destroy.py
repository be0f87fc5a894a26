# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshots of a tree are destroyed, by which commands, or why none may be.

In two phases, because holds and clones cost a question each: ``candidates`` says which snapshots could
go as far as names and GUIDs tell; whoever acts asks the host which of those are held or cloned; and
``finish`` answers the plan. ``mirror.py`` makes candidates by other conditions and shares the rest.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from ..model.names import join, own_name, own_time
from ..model.trees import Dataset, Tree
from .retention import Because, Judge, Judged, Reason, Rule, Verdict

LOTS_AT_LEAST = 11
"""So many at once are never lots where fewer: up to 10 may go however few a dataset has."""

LOTS_PART = 4
"""More than one in so many of a dataset's own snapshots are lots."""

_EXCLUDED = Reason(Because.EXCLUDED, "the dataset is excluded")
_FUTURE = Reason(Because.FUTURE, "a snapshot is dated in the future")


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms snapshots may be destroyed.

    ``now`` carries a time zone. ``force_lots``: the administrator said --force-destroy-lots.
    ``excluded`` are paths relative to the root, each dataset by itself (not those below it).
    """

    rule: Rule
    now: datetime
    force_lots: bool = False
    excluded: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.now.tzinfo is None:
            raise ValueError("retention needs to know the present with its time zone")


@dataclass(frozen=True, slots=True)
class FutureSnapshot:
    """A refusal: own snapshots of this name are dated after the present, so no name can be trusted.

    ``datasets`` are the full names of those that have it. ``remedy_dataset`` is the one that the remedy
    names: quarantine takes the source's names, also for a snapshot on the receiver.
    """

    name: str
    datasets: tuple[str, ...]
    now: datetime
    remedy_dataset: str

    @property
    def message(self) -> str:
        """What is wrong, in one line."""
        more = len(self.datasets) - 1
        others = f" (and on {more} more dataset{'s' if more > 1 else ''})" if more else ""
        return (
            f"{self.datasets[0]}@{self.name}{others} is dated in the future: "
            f"it is {own_name(self.now)} now; nothing is destroyed"
        )

    @property
    def remedy(self) -> str:
        """What to do, in one line."""
        full = shlex.quote(f"{self.remedy_dataset}@{self.name}")
        return f"set the clock right; or, where the snapshot is wrong: cyber-zfs-backup quarantine {full}"


@dataclass(frozen=True, slots=True)
class DestroysLots:
    """A refusal: ``planned`` of the ``own`` own snapshots of ``dataset`` (full name) would go at once."""

    dataset: str
    planned: int
    own: int

    @property
    def message(self) -> str:
        """What is wrong, in one line."""
        return (
            f"{self.dataset}: {self.planned} of {self.own} snapshots would be destroyed at once; "
            "nothing is destroyed"
        )

    @property
    def remedy(self) -> str:
        """What to do, in one line."""
        return "look at the plan (--dry-run -v); if it is what you want, add --force-destroy-lots"


Refusal = FutureSnapshot | DestroysLots


@dataclass(frozen=True, slots=True)
class Destroy:
    """One command: destroy ``names`` of ``dataset`` (full name), with ``-r`` where ``recursive``."""

    dataset: str
    names: tuple[str, ...]
    recursive: bool = False


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """What becomes of each snapshot of one dataset.

    ``destroy`` are the names that go, oldest first. ``untouched`` is set where the dataset as a whole
    is left alone. ``spared`` has the names that are kept although the rule may not want them.
    """

    dataset: Dataset
    judged: Judged
    destroy: tuple[str, ...] = ()
    spared: Mapping[str, Reason] = field(default_factory=dict)
    untouched: Reason | None = None

    @property
    def path(self) -> str:
        """The dataset's path relative to the root."""
        return self.dataset.path

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One for each snapshot, newest first. Made anew at each call: a tree can have very many."""
        going = frozenset(self.destroy)
        verdicts = []
        for snapshot in reversed(self.dataset.snapshots):
            ruling = self.judged.rulings[snapshot.name]
            reason = ruling.reason
            if reason.because is not Because.FOREIGN:
                reason = self.untouched or self.spared.get(snapshot.name, reason)
            verdicts.append(Verdict(snapshot, snapshot.name not in going, reason))
        return tuple(verdicts)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Which snapshots go unless they turn out to be held or cloned.

    Where there are ``refusals``, nothing is asked and nothing goes.
    """

    tree: Tree
    terms: Terms
    datasets: tuple[DatasetPlan, ...]
    refusals: tuple[FutureSnapshot, ...] = ()

    @property
    def names(self) -> Mapping[str, tuple[str, ...]]:
        """What to ask about: snapshot names (oldest first) by the dataset's full name; none empty."""
        return {self.tree.full(plan.path): plan.destroy for plan in self.datasets if plan.destroy}

    @property
    def full_names(self) -> tuple[str, ...]:
        """The same as ``DATASET@SNAPSHOT``."""
        return tuple(f"{dataset}@{name}" for dataset, names in self.names.items() for name in names)


@dataclass(frozen=True, slots=True)
class DestroyPlan:
    """What is destroyed and how. Only ``commands`` is ever executed; it is empty where there are refusals.

    ``datasets`` then still says what would have gone.
    """

    tree: Tree
    datasets: tuple[DatasetPlan, ...]
    commands: tuple[Destroy, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def count(self) -> int:
        """How many snapshots the commands destroy."""
        return 0 if self.refusals else sum(len(plan.destroy) for plan in self.datasets)


def candidates(
    tree: Tree, terms: Terms, protected: Mapping[str, Mapping[str, str]] | None = None
) -> Candidates:
    """What may expire on the source.

    ``tree`` is the whole tree, with excluded datasets and orphans: a recursive destroy reaches them too.
    ``protected`` gives by path and snapshot name the reason why it may not go ("base of offsite"): the
    bases and pending targets of all destinations. Raises ``ValueError`` where ``tree`` is not complete.
    """
    require_complete(tree)
    judge = Judge(terms.rule)
    plans = []
    for path, dataset in tree.datasets.items():
        judged = judge.judge(dataset)
        if path in terms.excluded:
            plans.append(DatasetPlan(dataset, judged, untouched=_EXCLUDED))
            continue
        plan = DatasetPlan(dataset, judged, judged.unwanted)
        reasons = (protected or {}).get(path)
        if reasons:
            plan = _spare(plan, {name: Reason(Because.PROTECTED, text) for name, text in reasons.items()})
        plans.append(plan)
    return refuse_future(Candidates(tree, terms, tuple(plans)), tree.root)


def require_complete(tree: Tree) -> None:
    """Raises ``ValueError`` for a tree of which only some snapshots are known."""
    if not tree.complete:
        raise ValueError(f"retention needs every snapshot of {tree.root!r}, and only some were asked for")


def refuse_future(found: Candidates, quarantine_root: str) -> Candidates:
    """The candidates as they are, or none where any own snapshot of any dataset is dated after now.

    ``quarantine_root`` is the root of the source's tree, for the remedy. Excluded datasets count too: a
    snapshot from the future may as well mean that the clock here is wrong.
    """
    now = found.terms.now
    having: dict[str, list[str]] = {}
    for plan in found.datasets:
        if plan.judged.latest is not None and plan.judged.latest > now:
            for name in plan.judged.own:
                time = own_time(name)
                if time is not None and time > now:
                    having.setdefault(name, []).append(plan.path)
    if not having:
        return found
    tree = found.tree
    refusals = tuple(
        FutureSnapshot(name, tuple(tree.full(path) for path in paths), now, join(quarantine_root, paths[0]))
        for name, paths in sorted(having.items())
    )
    untouched = tuple(
        replace(plan, destroy=(), untouched=plan.untouched or _FUTURE) for plan in found.datasets
    )
    return replace(found, datasets=untouched, refusals=refusals)


def finish(found: Candidates, in_use: Mapping[str, str]) -> DestroyPlan:
    """The plan, when it is known what is held or cloned.

    ``in_use`` gives by full name (``DATASET@SNAPSHOT``) the reason why a candidate cannot go ("held by
    keep"); other names in it are ignored. Snapshots in use do not count as lots. One dataset with lots
    refuses everything; all such datasets are named.
    """
    if found.refusals:
        return DestroyPlan(found.tree, found.datasets, refusals=found.refusals)
    tree = found.tree
    reasons: dict[str, dict[str, Reason]] = {}
    for full, text in in_use.items():
        dataset, _, name = full.partition("@")
        reasons.setdefault(dataset, {})[name] = Reason(Because.IN_USE, text)
    plans = tuple(_spare(plan, reasons.get(tree.full(plan.path), {})) for plan in found.datasets)
    lots = tuple(
        DestroysLots(tree.full(plan.path), len(plan.destroy), len(plan.judged.own))
        for plan in plans
        if is_lots(len(plan.destroy), len(plan.judged.own))
    )
    if lots and not found.terms.force_lots:
        return DestroyPlan(tree, plans, refusals=lots)
    return DestroyPlan(tree, plans, shape(tree, {plan.path: plan.destroy for plan in plans}))


def is_lots(planned: int, own: int) -> bool:
    """True where destroying ``planned`` of ``own`` own snapshots at once needs --force-destroy-lots."""
    return planned >= LOTS_AT_LEAST and planned * LOTS_PART > own


def shape(tree: Tree, planned: Mapping[str, tuple[str, ...]]) -> tuple[Destroy, ...]:
    """The fewest commands that destroy exactly the ``planned`` names (by path) of a complete tree.

    ``zfs destroy -r root@a,b`` destroys each name on every dataset that has it, planned or not; so it
    serves only where no dataset has a listed name that is not planned for it. One dataset alone is named
    without -r, which is as cheap and reaches no further.
    """
    lists = {path: names for path, names in planned.items() if names}
    # Most datasets share one list: joining the distinct lists is far cheaper than joining all.
    union = dict.fromkeys(name for names in dict.fromkeys(lists.values()) for name in names)
    if len(lists) > 1 and all(
        len(planned.get(path, ())) == _having(dataset, union) for path, dataset in tree.datasets.items()
    ):
        return (Destroy(tree.root, tuple(sorted(union)), recursive=True),)  # own names sort by time
    return tuple(Destroy(tree.full(path), names) for path, names in lists.items())


def _having(dataset: Dataset, names: Mapping[str, None]) -> int:
    """How many of ``names`` the dataset has; its planned names are among both, so the count decides."""
    return sum([snapshot.name in names for snapshot in dataset.snapshots])


def _spare(plan: DatasetPlan, reasons: Mapping[str, Reason]) -> DatasetPlan:
    """The plan without those names that must be kept, each with its reason."""
    spared = {name: reasons[name] for name in plan.destroy if name in reasons}
    if not spared:
        return plan
    return replace(
        plan,
        destroy=tuple(name for name in plan.destroy if name not in spared),
        spared={**plan.spared, **spared},
    )

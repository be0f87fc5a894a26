# SPDX-License-Identifier: GPL-3.0-or-later
"""What a push has to do, decided from what both sides hold. The planner's table is in ``compare``.

The answer is a value: steps in order, conflicts, and a reason for each. Printing it is the dry run,
executing it is the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..model.trees import Bookmark, Dataset, Tree
from .compare import Comparison, Gap, Orphan, Seen, compare
from .conflicts import Conflict, ConflictKind
from .cost import Choice, Form, SendMode, Shape, choose
from .moves import Move, Moves, plan_moves
from .steps import Step, StepKind, in_a_circle, is_raw, level_steps


@dataclass(frozen=True, slots=True)
class PushPlan:
    """What to do, and what cannot be done.

    ``targets`` names, for each dataset of the source that has an own snapshot, the one that the
    receiver must hold in the end. ``bases`` names the base of each dataset that has one as a snapshot.
    ``conflicted`` are the paths of the conflicts. ``moves`` are done before the steps. ``waiting`` are
    paths that can be planned only once these steps are done.
    """

    choice: Choice
    steps: tuple[Step, ...]
    conflicts: tuple[Conflict, ...]
    conflicted: frozenset[str]
    orphans: tuple[Orphan, ...]
    targets: Mapping[str, str]
    bases: Mapping[str, str]
    notes: tuple[str, ...] = ()
    fits: bool = True
    """False where the roots have nothing in common: this may be the wrong receiver, nothing is sent."""
    moves: tuple[Move, ...] = ()
    waiting: tuple[str, ...] = ()

    @property
    def nothing_to_do(self) -> bool:
        """True where no stream and no repair is needed."""
        return not (self.steps or self.moves)


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The cheap question's answers do not settle it; the whole question must be asked."""

    reason: str


@dataclass(frozen=True, slots=True)
class PushQuestion:
    """All that the planner looks at.

    ``receiver`` is ``None`` where the receiver's root does not exist. ``target`` is the snapshot name
    that the source's root wants there. ``set_aside`` are paths that failed earlier in this run and are not
    tried again. ``seen`` is what else is known of both sides. ``properties_changed`` are paths whose
    properties that travel differ from those of the last confirmed push. ``listed`` is how many snapshots the
    root was seen to have: where the trees are not complete, a measure of the others.
    """

    source: Tree
    receiver: Tree | None
    target: str
    mode: SendMode = SendMode.AUTO
    allow_full: bool = False
    properties_changed: frozenset[str] = frozenset()
    seen: Seen = field(default_factory=Seen)
    set_aside: frozenset[str] = frozenset()
    listed: int = 0


def plan_push(question: PushQuestion) -> PushPlan | Unsettled:
    """Decide what to do.

    Answers ``Unsettled`` where ``source`` or ``receiver`` is not complete and the missing part could
    matter; never where both are complete.
    """
    complete = question.source.complete and (question.receiver is None or question.receiver.complete)
    if question.receiver is None:
        if not question.allow_full:
            return _refused(question)
        if not complete:
            return Unsettled("the receiver has no such dataset yet")
    found = compare(question.source, question.receiver, question.target, question.seen)
    if not complete:
        return Unsettled(found.doubts[0]) if found.doubts else _decide(question, found)
    # Where the roots do not fit nothing is moved: this may be the wrong receiver.
    if question.receiver is None or not found.astray or not _fits(found):
        return _decide(question, found)
    moved = _moved(question, question.receiver, found)
    if not moved.moves and not moved.waiting:
        return _decide(question, found)
    after = replace(question, receiver=moved.receiver, seen=_seen_after(question.seen, moved))
    found = compare(after.source, after.receiver, after.target, after.seen)
    return replace(_decide(after, found), moves=moved.moves)


def _moved(question: PushQuestion, receiver: Tree, found: Comparison) -> Moves:
    arriving = {path: token.guid for path, token in question.seen.tokens.items() if token.usable}
    return plan_moves(question.source, receiver, found.astray, arriving, question.seen.refused)


def _seen_after(seen: Seen, moved: Moves) -> Seen:
    """What is known of the receiver, by the paths that its datasets have after the moves."""
    tokens = {now: seen.tokens[old] for now, old in moved.came_from.items() if old in seen.tokens}
    return replace(seen, tokens=tokens, waiting=moved.waiting)


def _fits(found: Comparison) -> bool:
    """Whether the roots share a snapshot."""
    return "" not in found.conflicted or "" not in found.astray


def _refused(question: PushQuestion) -> PushPlan:
    conflict = Conflict(
        kind=ConflictKind.NO_RECEIVER_TREE,
        source=question.source.root,
        receiver="the receiver's dataset",
        on_source=(),
        on_receiver=(),
        what="the receiver has no such dataset, so this would be a first, full push",
        remedy="if that is what you want, run once with --force-non-incremental",
    )
    choice = Choice(Form.REPLICATE, "nothing is sent")
    return PushPlan(choice, (), (conflict,), frozenset({""}), (), {}, {}, fits=False)


def _decide(question: PushQuestion, found: Comparison) -> PushPlan:
    # Where the roots share no snapshot, this may be the wrong receiver: nothing is sent at all, and what
    # is wrong with the children is no news.
    fits = _fits(found)
    conflicts = found.conflicts if fits else found.conflicts[:1]
    gaps = [gap for gap in found.gaps if fits and gap.path not in question.set_aside]
    obstacle = _replicate_obstacle(question, found, gaps)
    choice = _choice(question, gaps, obstacle)
    waiting: tuple[str, ...] = found.waiting
    if choice.form is Form.REPLICATE:
        steps = _replicate(question, gaps, choice)
    else:
        carrying = frozenset(gap.path for gap in gaps if _carries(question, gap))
        steps, later = level_steps(question.source, question.receiver, gaps, carrying)
        waiting += later
    return PushPlan(
        choice=choice,
        steps=tuple(steps),
        conflicts=conflicts,
        conflicted=found.conflicted,
        orphans=found.orphans,
        targets=found.targets,
        bases=found.bases,
        notes=found.notes,
        fits=fits,
        waiting=waiting,
    )


def _replicate_obstacle(question: PushQuestion, found: Comparison, gaps: Iterable[Gap]) -> str | None:
    """Why one ``send -R`` would fail or not be enough; ``None`` where it would do.

    A child without the base gets a full stream and the receive then fails half way; a child without
    the target stops the send (both measured). So every dataset must fit before the first byte.
    """
    if question.seen.excluded:
        return "datasets are excluded"
    if found.conflicts or question.set_aside:
        return "some datasets cannot be pushed"
    if found.waiting:
        return f"{question.source.full(found.waiting[0])} waits for its parent"
    circle = in_a_circle(question.source)
    if circle is not None:
        return f"{question.source.full(circle)} and its origin would wait for each other"
    listed = {gap.path: gap for gap in gaps}
    root = listed.get("")
    if root is None:
        return "the root is up to date"
    obstacles = (_misfit(question, path, listed.get(path), root) for path in question.source.datasets)
    return next((obstacle for obstacle in obstacles if obstacle is not None), None)


def _misfit(question: PushQuestion, path: str, gap: Gap | None, root: Gap) -> str | None:
    """Why one dataset cannot go with the root in one ``send -R``."""
    name = question.source.full(path)
    if gap is None or gap.target.name != question.target:
        return f"{name} is not at the same point as the root"
    if gap.token is not None:
        return f"{name} has a partial receive"
    if not is_raw(question.source, question.receiver, path):
        return f"{name} is not encrypted, and its copy is"
    if gap.creates != root.creates and _holds_base(question.source.datasets[path], root):
        return f"the receiver lacks {name}"
    if isinstance(gap.base, Bookmark):
        return f"of the base of {name} the source has only a bookmark"
    if not gap.creates and (gap.base is None or root.base is None or gap.base.name != root.base.name):
        return f"{name} has another base than the root"
    return None


def _holds_base(dataset: Dataset, root: Gap) -> bool:
    return root.base is None or dataset.named(root.base.name) is not None


def _choice(question: PushQuestion, gaps: list[Gap], obstacle: str | None) -> Choice:
    if not gaps:
        return Choice(Form.LEVEL, "nothing is to be sent")
    if obstacle is not None:
        asked = " (replicate was asked for)" if question.mode is SendMode.REPLICATE else ""
        return Choice(Form.LEVEL, f"{obstacle}{asked}")
    if question.mode is SendMode.LEVEL:
        return Choice(Form.LEVEL, "asked for by --send-mode")
    if question.mode is SendMode.REPLICATE:
        return Choice(Form.REPLICATE, "asked for by --send-mode")
    if question.receiver is None:
        return Choice(Form.REPLICATE, "a first push carries the whole tree in one stream")
    shape = Shape(
        datasets=len(gaps),
        created=sum(gap.creates for gap in gaps),
        snapshots=_snapshots(question),
        carrying=sum(_carries(question, gap) for gap in gaps),
    )
    return choose(shape)


def _carries(question: PushQuestion, gap: Gap) -> bool:
    """Whether a dataset's streams bring its properties; a package always does."""
    return gap.creates or gap.path in question.properties_changed


def _snapshots(question: PushQuestion) -> int:
    """How many snapshots the source's tree has; by the root's own number where only some were asked for."""
    known = sum(len(dataset.snapshots) for dataset in question.source.datasets.values())
    if question.source.complete:
        return known
    return max(known, question.listed * len(question.source.datasets))


def _replicate(question: PushQuestion, gaps: list[Gap], choice: Choice) -> list[Step]:
    root = next(gap for gap in gaps if not gap.path)
    return [
        Step(
            StepKind.REPLICATE,
            "",
            choice.reason,
            target=question.target,
            base=root.base.name if root.base else None,
            properties=True,
            creates=root.creates,
        )
    ]

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a push has to do, decided from what both sides hold. The planner's table is in ``compare``.

The answer is a value: steps in order, conflicts, and a reason for each. Printing it is the dry run,
executing it is the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from ..model.names import parent
from ..model.trees import Dataset, Tree
from .compare import Comparison, Gap, Orphan, Token, compare
from .conflicts import Conflict, ConflictKind
from .cost import Choice, Form, SendMode, Shape, choose


class StepKind(Enum):
    """What a step does."""

    ABORT = "abort"
    RESUME = "resume"
    REPLICATE = "replicate"
    FULL = "full"
    LEVEL = "level"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do for one dataset (for ``REPLICATE``: for the tree).

    ``base`` and ``target`` are snapshot names; ``properties`` is true where the stream carries them;
    ``creates`` where the receiver's dataset does not exist before. ``raw`` is false only where what is
    not encrypted goes to a copy that is.
    """

    kind: StepKind
    path: str
    reason: str
    target: str = ""
    base: str | None = None
    token: str | None = None
    properties: bool = False
    creates: bool = False
    raw: bool = True


@dataclass(frozen=True, slots=True)
class PushPlan:
    """What to do, and what cannot be done.

    ``targets`` names, for each dataset of the source that has an own snapshot, the one that the
    receiver must hold in the end. ``bases`` names the base of each dataset that has one.
    ``conflicted`` are the paths of the conflicts.
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

    @property
    def nothing_to_send(self) -> bool:
        """True where no stream and no repair is needed."""
        return not self.steps


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The cheap question's answers do not settle it; the whole question must be asked."""

    reason: str


@dataclass(frozen=True, slots=True)
class PushQuestion:
    """All that the planner looks at.

    ``receiver`` is ``None`` where the receiver's root does not exist. ``target`` is the snapshot name
    that the source's root wants there. ``tokens`` tells, for each path whose receiver has a resume
    token, what the source says of it. ``set_aside`` are paths that failed earlier in this run and are
    not tried again. ``changed`` are paths whose copy something has written to. ``properties_changed``
    are paths whose properties that travel differ from those of the last confirmed push. ``listed`` is how
    many snapshots the root was seen to have: where the trees are not complete, a measure of the others.
    """

    source: Tree
    receiver: Tree | None
    target: str
    mode: SendMode = SendMode.AUTO
    allow_full: bool = False
    properties_changed: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    set_aside: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    tokens: Mapping[str, Token] = field(default_factory=dict)
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
    found = compare(
        question.source,
        question.receiver,
        question.target,
        question.excluded,
        question.tokens,
        question.changed,
    )
    if not complete and found.doubts:
        return Unsettled(found.doubts[0])
    return _decide(question, found)


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
    fits = "" not in found.conflicted or "" in found.bases
    conflicts = found.conflicts if fits else found.conflicts[:1]
    gaps = [gap for gap in found.gaps if fits and gap.path not in question.set_aside]
    created = {gap.path for gap in gaps if gap.creates}
    obstacle = _replicate_obstacle(question, found, gaps)
    choice = _choice(question, gaps, obstacle)
    if choice.form is Form.REPLICATE:
        steps = _replicate(question, gaps, choice)
    else:
        steps = _level(question, gaps, created)
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
    )


def _replicate_obstacle(question: PushQuestion, found: Comparison, gaps: Iterable[Gap]) -> str | None:
    """Why one ``send -R`` would fail or not be enough; ``None`` where it would do.

    A child without the base gets a full stream and the receive then fails half way; a child without
    the target stops the send (both measured). So every dataset must fit before the first byte.
    """
    if question.excluded:
        return "datasets are excluded"
    if found.conflicts or question.set_aside:
        return "some datasets cannot be pushed"
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
    if not _raw(question, path):
        return f"{name} is not encrypted, and its copy is"
    if gap.creates != root.creates and _holds_base(question.source.datasets[path], root):
        return f"the receiver lacks {name}"
    if not gap.creates and (gap.base is None or root.base is None or gap.base.name != root.base.name):
        return f"{name} has another base than the root"
    return None


def _raw(question: PushQuestion, path: str) -> bool:
    """Whether a dataset is sent raw: always, but to a copy that is encrypted though its source is not."""
    there = question.receiver.datasets.get(path) if question.receiver else None
    return question.source.datasets[path].encrypted or there is None or not there.encrypted


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


def _level(question: PushQuestion, gaps: list[Gap], created: set[str]) -> list[Step]:
    repairs: list[Step] = []
    fulls: list[Step] = []
    levels: list[Step] = []
    missing_parents: set[str] = set()
    for gap in gaps:
        above = parent(gap.path)
        if (
            gap.creates
            and above is not None
            and not _parent_exists(question, above, created - missing_parents)
        ):
            # The parent's own conflict or failure tells the story; this one follows once it is mended.
            missing_parents.add(gap.path)
            continue
        raw = _raw(question, gap.path)
        repairs += _token_steps(gap, raw=raw)
        base = gap.base
        carries = _carries(question, gap)
        if gap.creates and (gap.token is None or not gap.token.usable):
            oldest = question.source.datasets[gap.path].snapshots[0]
            fulls.append(
                Step(
                    StepKind.FULL,
                    gap.path,
                    f"{gap.reason}: its oldest snapshot in full",
                    target=oldest.name,
                    properties=True,
                    creates=True,
                )
            )
            base = oldest
        if base is not None and base.guid != gap.target.guid:
            levels.append(
                Step(
                    StepKind.LEVEL,
                    gap.path,
                    gap.reason,
                    target=gap.target.name,
                    base=base.name,
                    properties=carries,
                    raw=raw,
                )
            )
    return repairs + fulls + levels


def _parent_exists(question: PushQuestion, above: str, created: set[str]) -> bool:
    return above in created or (question.receiver is not None and above in question.receiver.datasets)


def _token_steps(gap: Gap, *, raw: bool) -> list[Step]:
    if gap.token is None:
        return []
    if gap.token.usable:
        return [
            Step(
                StepKind.RESUME,
                gap.path,
                f"a partial receive of @{gap.token.name} goes on where it ended",
                target=gap.token.name,
                token=gap.token.text,
                raw=raw,
            )
        ]
    return [Step(StepKind.ABORT, gap.path, gap.token.why_not, token=gap.token.text)]

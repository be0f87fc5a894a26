# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a push, and how what each dataset lacks becomes steps of the form level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from ..model.names import parent, relative
from ..model.trees import Bookmark, Snapshot, Tree
from .compare import Gap


class StepKind(Enum):
    """What a step does."""

    ABORT = "abort"
    RESUME = "resume"
    REPLICATE = "replicate"
    FULL = "full"
    CLONE = "clone"
    BRIDGE = "bridge"
    LEVEL = "level"

    @property
    def begins(self) -> bool:
        """Whether the step makes the first of what another step then continues on the same dataset."""
        return self in (StepKind.FULL, StepKind.CLONE, StepKind.BRIDGE)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do for one dataset (for ``REPLICATE``: for the tree).

    ``base`` and ``target`` are snapshot names; but the base of a ``BRIDGE`` is a bookmark of the same
    dataset, and that of a ``CLONE`` the full name of the origin. ``properties`` is true where the stream
    carries them; ``creates`` where the receiver's dataset does not exist before. ``raw`` is false only
    where what is not encrypted goes to a copy that is.
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
class Origin:
    """The snapshot that a clone began with: the path of its dataset, and itself."""

    path: str
    snapshot: Snapshot


def level_steps(
    source: Tree, receiver: Tree | None, gaps: Sequence[Gap], carrying: frozenset[str]
) -> tuple[list[Step], tuple[str, ...]]:
    """The steps that bring each dataset up by itself, and the paths that must wait until they are done.

    First what mends (tokens), then what begins (full streams, clones, what follows a bookmark), parents
    before children, then the rest. ``carrying`` are the paths whose properties travel. A clone waits where
    its origin has yet to arrive; a child whose parent failed gets no step and is not waited for. Where
    nothing is left but clones that wait for each other (one below which its own origin was moved), the first
    of them is sent in full.
    """
    level = _Level(source, receiver, {gap.path: gap for gap in gaps}, carrying)
    for gap in gaps:
        level.add(gap)
    if level.waiting and not level.steps:
        level.add(level.take_first())
    return level.steps, tuple(level.waiting)


def is_raw(source: Tree, receiver: Tree | None, path: str) -> bool:
    """Whether a dataset is sent raw: always, but to a copy that is encrypted though its source is not."""
    there = receiver.datasets.get(path) if receiver else None
    return source.datasets[path].encrypted or there is None or not there.encrypted


def in_a_circle(source: Tree) -> str | None:
    """A dataset that must wait for its origin, which waits for it: ``send -R`` finds no order for them."""
    if not any(dataset.origin for dataset in source.datasets.values()):
        return None
    first = {path: _awaited(source, path) for path in source.datasets}
    while ready := [path for path, others in first.items() if not others & first.keys()]:
        for path in ready:
            del first[path]
    return next(iter(first), None)


def _awaited(source: Tree, path: str) -> set[str]:
    origin, above = origin_of(source, path), parent(path)
    return ({origin.path} if origin else set()) | ({above} if above is not None else set())


def origin_of(source: Tree, path: str) -> Origin | None:
    """Where a dataset began, if that is in the tree too."""
    full, _, name = (source.datasets[path].origin or "").partition("@")
    if full != source.root and not full.startswith(f"{source.root}/"):
        return None
    dataset = source.datasets.get(relative(source.root, full))
    snapshot = dataset.named(name) if dataset else None
    return Origin(dataset.path, snapshot) if dataset and snapshot else None


class _Level:
    """The steps as they are put together."""

    def __init__(
        self, source: Tree, receiver: Tree | None, gaps: Mapping[str, Gap], carrying: frozenset[str]
    ) -> None:
        self._source = source
        self._there = receiver.datasets if receiver else {}
        self._receiver = receiver
        self._gaps = gaps
        self._carrying = carrying
        self._coming: set[str] = set()
        self._whole: str | None = None
        self.repairs: list[Step] = []
        self.begins: list[Step] = []
        self.goes_on: list[Step] = []
        self.waiting: list[str] = []

    @property
    def steps(self) -> list[Step]:
        """All steps in order."""
        return self.repairs + self.begins + self.goes_on

    def take_first(self) -> Gap:
        """The first that waits; from now on it waits for no origin."""
        path = self.waiting.pop(0)
        self._whole = path
        return self._gaps[path]

    def add(self, gap: Gap) -> None:
        """The steps of one dataset."""
        above = parent(gap.path)
        if gap.creates and above is not None and above not in self._there and above not in self._coming:
            # The parent's own conflict or failure tells the story; this one follows once it is mended.
            if above in self.waiting:
                self.waiting.append(gap.path)
            return
        resumes = gap.token is not None and gap.token.usable
        origin = origin_of(self._source, gap.path) if gap.creates and not resumes else None
        if origin is not None and not self._has(origin):
            if origin.path in self._gaps and gap.path != self._whole:
                self.waiting.append(gap.path)
                return
            origin = None
        if gap.creates:
            self._coming.add(gap.path)
        raw = is_raw(self._source, self._receiver, gap.path)
        self._mend(gap, raw=raw)
        base = self._begin(gap, origin, raw=raw) if not resumes else gap.base
        if base is not None and base.guid != gap.target.guid:
            carries = gap.path in self._carrying
            step = Step(StepKind.LEVEL, gap.path, gap.reason, gap.target.name, base.name)
            self.goes_on.append(replace(step, properties=carries, raw=raw))

    def _begin(self, gap: Gap, origin: Origin | None, *, raw: bool) -> Snapshot | None:
        """The step before the last, where one is needed; answers what the last goes on from."""
        ours = self._source.datasets[gap.path].snapshots
        if isinstance(gap.base, Bookmark):
            # Only to one snapshot can be sent from a bookmark (zfs-send.8); the rest goes on from there.
            after = next(s for s in ours if s.createtxg > gap.base.createtxg)
            why = f"{gap.reason}; of its base there is only the bookmark #{gap.base.name}"
            step = Step(StepKind.BRIDGE, gap.path, why, after.name, gap.base.name)
            self.begins.append(replace(step, properties=gap.path in self._carrying, raw=raw))
            return after
        if not gap.creates:
            return gap.base
        first = ours[0]
        if origin is None:
            step = Step(StepKind.FULL, gap.path, f"{gap.reason}: its oldest snapshot in full", first.name)
        else:
            full = f"{self._source.full(origin.path)}@{origin.snapshot.name}"
            step = Step(StepKind.CLONE, gap.path, f"{gap.reason}: a clone of {full}", first.name, full)
        self.begins.append(replace(step, properties=True, creates=True))
        return first

    def _has(self, origin: Origin) -> bool:
        there = self._there.get(origin.path)
        return there is not None and any(s.guid == origin.snapshot.guid for s in there.snapshots)

    def _mend(self, gap: Gap, *, raw: bool) -> None:
        token = gap.token
        if token is None:
            return
        if token.usable:
            why = f"a partial receive of @{token.name} goes on where it ended"
            step = Step(StepKind.RESUME, gap.path, why, token.name, token=token.text, raw=raw)
        else:
            step = Step(StepKind.ABORT, gap.path, token.why_not, token=token.text)
        self.repairs.append(step)

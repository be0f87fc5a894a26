# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore takes from a copy: which datasets, up to which snapshot of each, and in which streams.

A moment means, of each dataset, its newest own snapshot that is not younger; a name means the snapshot of
that name, and on datasets that lack it their newest own one that is not younger than it. A dataset that had
no snapshot yet did not exist then, and is left out with all below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from ..model.names import is_within, join, own_time, relative
from ..model.trees import Dataset, Kind, Snapshot, Tree


@dataclass(frozen=True, slots=True)
class At:
    """When: the words that were written, and the moment that they mean, with a time zone.

    ``moment`` is ``None`` for the newest (no words at all), and where the words can only be a name.
    """

    text: str = ""
    moment: datetime | None = None


@dataclass(frozen=True, slots=True)
class Extent:
    """How much: all below the dataset too or not, and all snapshots before the one asked for or not."""

    recursive: bool = True
    history: bool = True


@dataclass(frozen=True, slots=True)
class Part:
    """One dataset of a restore.

    ``path`` is relative to what is restored, ``origin`` to the copy's root. ``snapshots`` are what comes,
    oldest first; the last is what was asked for.
    """

    path: str
    origin: str
    kind: Kind
    encrypted: bool
    snapshots: tuple[Snapshot, ...]

    @property
    def target(self) -> Snapshot:
        """The snapshot that was asked for."""
        return self.snapshots[-1]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A dataset of the copy (by its path there) that is not restored, and why."""

    origin: str
    why: str


class Form(Enum):
    """The stream of a step."""

    TREE = "tree"
    FULL = "full"
    REST = "rest"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class BackStep:
    """One stream. ``base`` is the snapshot's name that it begins after (of ``REST``), ``token`` what it goes
    on from (of ``RESUME``)."""

    form: Form
    part: Part
    target: str
    base: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """What to restore, parents first, and what is left out."""

    parts: tuple[Part, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def top(self) -> Part:
        """The dataset that was named."""
        return self.parts[0]


@dataclass(frozen=True, slots=True)
class Cannot:
    """Why a restore is refused, and what to do instead."""

    what: str
    remedy: str


def newest_until(dataset: Dataset, moment: datetime | None) -> Snapshot | None:
    """The newest own snapshot that is not younger than the moment; the newest of all where there is none."""
    own = ((own_time(snapshot.name), snapshot) for snapshot in reversed(dataset.snapshots))
    fitting = [
        (time, snapshot) for time, snapshot in own if time is not None and (moment is None or time <= moment)
    ]
    # By the time in the name, as the words were meant; of one name there is only one.
    return max(fitting, key=lambda each: each[0])[1] if fitting else None


def wanted_of(dataset: Dataset, at: At) -> Snapshot | None:
    """The snapshot that ``at`` means of the dataset that was named: an exact name comes first."""
    named = dataset.named(at.text) if at.text else None
    if named is not None:
        return named
    return None if at.text and at.moment is None else newest_until(dataset, at.moment)


def oldest_own(dataset: Dataset) -> Snapshot | None:
    """The oldest own snapshot by name; for whoever asked for something older."""
    return min((s for s in dataset.snapshots if s.own), key=lambda s: s.name, default=None)


def select(copy: Tree, path: str, at: At, extent: Extent) -> Selection | None:
    """The parts of a restore of the copy's dataset at ``path``; ``None`` where it has no such snapshot."""
    top = copy.datasets.get(path)
    found = wanted_of(top, at) if top else None
    if top is None or found is None:
        return None
    parts: list[Part] = []
    left: list[LeftOut] = []
    for origin, dataset in copy.datasets.items():
        if not is_within(path, origin) or (origin != path and not extent.recursive):
            continue
        # Of a foreign name nobody knows the time: a dataset that lacks it gives its newest.
        target = found if origin == path else (dataset.named(found.name) or _around(dataset, found, at))
        if target is None:
            left.append(LeftOut(origin, "it has no snapshot from then"))
        elif any(is_within(each.origin, origin) for each in left):
            left.append(LeftOut(origin, "what it lies in is left out"))
        else:
            short = relative(path, origin) if path else origin
            parts.append(
                Part(short, origin, dataset.kind, dataset.encrypted, _coming(dataset, target, extent))
            )
    return Selection(tuple(parts), tuple(left))


def _around(dataset: Dataset, found: Snapshot, at: At) -> Snapshot | None:
    return newest_until(dataset, own_time(found.name) or at.moment)


def _coming(dataset: Dataset, target: Snapshot, extent: Extent) -> tuple[Snapshot, ...]:
    if not extent.history:
        return (target,)
    return tuple(each for each in dataset.snapshots if each.createtxg <= target.createtxg)


def lagging(selection: Selection) -> list[Part]:
    """The parts whose snapshot has another name than the one that was asked for."""
    return [part for part in selection.parts if part.target.name != selection.top.target.name]


@dataclass(frozen=True, slots=True)
class Found:
    """What stands where the restore is to go: its tree, its mark (empty: none), and by path what the receiver
    says of each resume token there: the GUID of the snapshot, or ``None`` where it cannot go on."""

    tree: Tree
    mark: str
    tokens: Mapping[str, int | None]


def obstacle(selection: Selection, found: Found | None, mark: str) -> Cannot | None:
    """Why the restore may not go there: everything that exists is somebody's, but for its own beginnings."""
    if found is None:
        return None
    root = found.tree.root
    look = f"look at it with `zfs list -rt all {root}`, and restore to a name that is free"
    if found.mark != mark:
        if found.mark:
            return Cannot(
                f"{root} is what another restore has begun ({found.mark})",
                f"finish that one, or {look}",
            )
        return Cannot(f"{root} exists, and a restore never overwrites anything", look)
    parts = {part.path: part for part in selection.parts}
    for path, dataset in found.tree.datasets.items():
        full = join(root, path)
        if path not in parts:
            return Cannot(f"{full} does not belong to the restore that was begun there", look)
        coming = {snapshot.guid for snapshot in parts[path].snapshots}
        alien = next((each for each in dataset.snapshots if each.guid not in coming), None)
        if alien is not None:
            return Cannot(f"{full}@{alien.name} does not belong to the restore that was begun there", look)
        if dataset.resume_token and found.tokens.get(path) not in coming:
            return Cannot(
                f"{full} has a partial receive that the copy can no longer continue",
                f"throw away what has arrived of it with `zfs receive -A {full}`, then run this again",
            )
        if not dataset.snapshots and not dataset.resume_token:
            return Cannot(f"{full} exists without any snapshot, so it is none of this restore's", look)
    return None


def steps(selection: Selection, found: Found | None, copy: Tree) -> tuple[BackStep, ...]:
    """The streams that bring what is not there yet, parents first.

    One package for the whole tree where each dataset has the target: no other form keeps which datasets
    inherit the key of which. Else, and after a cut, dataset by dataset.
    """
    if found is None and _packs(selection, copy):
        return (BackStep(Form.TREE, selection.top, selection.top.target.name),)
    return tuple(step for part in selection.parts for step in _steps_of(part, found))


def _packs(selection: Selection, copy: Tree) -> bool:
    top = selection.top
    within = [dataset for path, dataset in copy.datasets.items() if is_within(top.origin, path)]
    if len(within) < 2 or len(within) != len(selection.parts):
        return False
    whole = all(
        len(part.snapshots) > 1 or part.snapshots == dataset.snapshots[: len(part.snapshots)]
        for part, dataset in zip(selection.parts, within, strict=True)
    )
    return whole and not lagging(selection) and not any(dataset.resume_token for dataset in within)


def _steps_of(part: Part, found: Found | None) -> Iterator[BackStep]:
    there = found.tree.datasets.get(part.path) if found else None
    by_guid = {snapshot.guid: snapshot for snapshot in part.snapshots}
    last: Snapshot | None = None
    if there is not None and there.snapshots:
        last = by_guid[there.snapshots[-1].guid]
    if found is not None and there is not None and there.resume_token:
        last = by_guid[found.tokens[part.path] or 0]
        yield BackStep(Form.RESUME, part, last.name, token=there.resume_token)
    if last is None:
        last = part.snapshots[0]
        yield BackStep(Form.FULL, part, last.name)
    if last.guid != part.target.guid:
        yield BackStep(Form.REST, part, part.target.name, base=last.name)


def missing(selection: Selection, there: Tree | None) -> list[Part]:
    """The parts of which the target, by GUID, is not there."""
    datasets = there.datasets if there else {}
    return [
        part
        for part in selection.parts
        if part.path not in datasets or part.target.guid not in datasets[part.path].by_guid()
    ]


_NOT_SET = frozenset(
    (
        *("canmount", "encryption", "keyformat", "keylocation", "pbkdf2iters", "type", "version"),
        *("volsize", "volblocksize", "casesensitivity", "normalization", "utf8only", "snapshot_limit"),
        *("filesystem_limit", "zoned", "jailed", "mlslabel"),
    )
)
"""What comes with the stream itself, cannot be set on a dataset that exists, or counts what no copy has.
``canmount`` is never on record: a push leaves it out."""

_DANGEROUS_BESIDE = frozenset({"mountpoint", "sharenfs", "sharesmb"})
"""What would take the place of the living one where a restore stands beside its source."""


def settings_of(received: Mapping[str, str], own_prefix: str, *, in_place: bool) -> dict[str, str]:
    """What to set on a restored dataset: what the source had set, as the copy has it on record.

    ``in_place`` is whether mount points and shares come back too.
    """
    return {
        name: value
        for name, value in sorted(received.items())
        if name not in _NOT_SET
        and not name.startswith(own_prefix)
        and (in_place or name not in _DANGEROUS_BESIDE)
    }


@dataclass(frozen=True, slots=True)
class Offer:
    """What one destination (by its number) has of what was asked for; ``None``: nothing."""

    number: int
    snapshot: Snapshot | None


def best(offers: Iterable[Offer]) -> Offer | None:
    """The offer that is nearest to what was asked for: the newest, of equals the first that was named."""
    having = [offer for offer in offers if offer.snapshot is not None]
    return max(having, key=lambda offer: (_moment(offer), -offer.number), default=None)


def _moment(offer: Offer) -> float:
    time = own_time(offer.snapshot.name) if offer.snapshot else None
    return time.timestamp() if time else float("inf")

# SPDX-License-Identifier: GPL-3.0-or-later
"""A check-up of room: whether what a push is to bring fits on the receiver, and how fast a tree grows.
Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..model.names import own_time
from ..model.sizes import size
from ..model.trees import Dataset, Tree
from .doctor_pools import Growth, Side
from .findings import Finding, fails, good, typed

WINDOW = timedelta(days=30)
"""What the growth is measured by."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a tree's datasets take on the disk, in bytes, as ZFS counts it.

    ``written`` is by the snapshots' full names: what each has that the one before it had not. ``since`` (by
    paths) is what was written since the newest one, and ``whole`` all that a dataset and its snapshots take.
    """

    written: Mapping[str, int] = field(default_factory=dict)
    since: Mapping[str, int] = field(default_factory=dict)
    whole: Mapping[str, int] = field(default_factory=dict)


def examine_room(tree: Tree, sizes: Sizes, receiver: Side, there: Tree | None) -> Iterator[Finding]:
    """Whether the next push fits. ``there`` is the copy, ``None`` for none.

    A raw stream has the blocks as they are on the disk, so that it brings about what ZFS counts here. Room is
    what the copy's root could still take (with quotas and ZFS's own reserve), or, where that was not told,
    what is free in the pool.
    """
    if receiver.pool is None:
        return
    coming = unsent(tree, sizes, there)
    room = receiver.pool.free if receiver.room is None else min(receiver.pool.free, receiver.room)
    told = f"the next push brings about {size(coming)}, and there is room for {size(room)}"
    if coming > room:
        look = f"zfs get -t filesystem quota,refquota,available {receiver.root or receiver.pool.name}"
        remedy = f"make room there, add disks, or raise the quota: {typed(receiver.where, look)}"
        yield fails("room", receiver.where, told, remedy)
    else:
        yield good("room", receiver.where, told)


def unsent(tree: Tree, sizes: Sizes, there: Tree | None) -> int:
    """About how many bytes the receiver does not have yet, of all that is here now.

    What a dataset has after the newest snapshot that is there too, under whatever path; all of it where none
    is. What was destroyed since then does not count: it is not sent.
    """
    datasets = () if there is None else there.datasets.values()
    known = frozenset(snapshot.guid for dataset in datasets for snapshot in dataset.snapshots)
    return sum(_unsent(tree.full(path), dataset, sizes, known) for path, dataset in tree.datasets.items())


def _unsent(full: str, dataset: Dataset, sizes: Sizes, known: frozenset[int]) -> int:
    after = 0
    for snapshot in reversed(dataset.snapshots):
        if snapshot.guid in known:
            return after + sizes.since.get(dataset.path, 0)
        after += sizes.written.get(f"{full}@{snapshot.name}", 0)
    return sizes.whole.get(dataset.path, 0)


def growth(tree: Tree, sizes: Sizes, now: datetime) -> Growth | None:
    """How fast the tree grows at most: what is new in the own snapshots of the last ``WINDOW`` after the
    oldest of them, by the days between that and the newest.

    What expires meanwhile of older data is not subtracted, since nothing tells how much that is; and other
    trees of the pool are not seen. ``None`` where the two are less than a day apart: of that nothing could be
    concluded.
    """
    times = [
        moment
        for dataset in tree.datasets.values()
        for snapshot in dataset.snapshots
        if (moment := own_time(snapshot.name)) is not None and now - WINDOW <= moment <= now
    ]
    if not times or max(times) - min(times) < timedelta(days=1):
        return None
    first, last = min(times), max(times)
    brought = sum(
        _brought(tree.full(path), dataset, sizes, (first, last)) for path, dataset in tree.datasets.items()
    )
    days = (last - first) / timedelta(days=1)
    return Growth(brought / days, days)


def _brought(full: str, dataset: Dataset, sizes: Sizes, between: tuple[datetime, datetime]) -> int:
    first, last = between
    total = gathered = 0
    for snapshot in dataset.snapshots:
        # A foreign snapshot has taken its part of what the next own one would have had.
        gathered += sizes.written.get(f"{full}@{snapshot.name}", 0)
        moment = own_time(snapshot.name)
        if moment is None:
            continue
        total += gathered if first < moment <= last else 0
        gathered = 0
    return total

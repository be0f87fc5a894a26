# SPDX-License-Identifier: GPL-3.0-or-later
"""What a copy has that would stop an incremental receive, and what a person can do about it."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.trees import Bookmark, Dataset, Snapshot
from .moves import free_name


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What is in the way, and the remedy; each in one line."""

    what: str
    remedy: str


def in_the_way(
    copy: str, dataset: Dataset, there: Dataset, base: Snapshot | Bookmark, target: Snapshot
) -> Obstacle | None:
    """What the receiver's dataset ``there`` (full name ``copy``) has that would stop the receive.

    Raw receives of encrypted datasets refuse any snapshot above the base; else one there is in nobody's way
    (measured). But a name that is to come must be free, wherever on the receiver the other snapshot of that
    name stands: a tool that destroys and takes ``@vzdump`` anew each night leaves it below the base.
    """
    above = _above(there, base)
    if above and (dataset.encrypted or there.encrypted):
        return Obstacle(
            f"the receiver has @{above[0].name} above the common snapshot @{base.name}",
            "look at it there; if it is worth nothing, destroy that one snapshot on the receiver by "
            f"hand: zfs destroy '{copy}@{above[0].name}'",
        )
    theirs = {snapshot.name: snapshot for snapshot in there.snapshots}
    for mine in dataset.snapshots:
        if base.createtxg < mine.createtxg <= target.createtxg and mine.name in theirs:
            old = theirs[mine.name]
            full = f"{copy}@{old.name}"
            aside = f"{copy}@{free_name(f'{old.name}.old', theirs)}"
            return Obstacle(
                f"the receiver has another snapshot of the name @{mine.name} (guid {old.guid}) than the "
                f"one that is to come (guid {mine.guid})",
                f"keep it there under another name: zfs rename '{full}' '{aside}'; "
                f"or, if it is worth nothing: zfs destroy '{full}'",
            )
    return None


def written_to(copy: str, there: Dataset, base: Snapshot | Bookmark) -> Obstacle:
    """A copy that something has written to since the base: of that no list of snapshots tells."""
    name = next(snapshot.name for snapshot in there.snapshots if snapshot.guid == base.guid)
    above = [f"@{snapshot.name}" for snapshot in _above(there, base)]
    if above:
        back = f"zfs rollback -r '{copy}@{name}', which destroys {', '.join(above)} there"
    else:
        back = f"zfs rollback '{copy}@{name}'"
    return Obstacle(
        f"something has written to the copy since @{name}",
        f"look at it there (zfs diff '{copy}@{name}' '{copy}'); if the changes are worth nothing: {back}",
    )


def _above(there: Dataset, base: Snapshot | Bookmark) -> list[Snapshot]:
    """The receiver's snapshots that are newer than the base there."""
    at = next(snapshot for snapshot in there.snapshots if snapshot.guid == base.guid)
    return [snapshot for snapshot in there.snapshots if snapshot.createtxg > at.createtxg]

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a push cannot decide by itself: typed, with the evidence of both sides and the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ..model.trees import Snapshot


class ConflictKind(Enum):
    """Why a dataset needs a person."""

    NO_RECEIVER_TREE = "no receiver tree"
    NO_COMMON = "no common snapshot"
    RECREATED = "destroyed and created anew"
    RENAMED = "renamed"
    DIVERGED = "diverged"
    OUT_OF_ORDER = "newer than the target"
    PARENT = "parent not pushed"


@dataclass(frozen=True, slots=True)
class Conflict:
    """One dataset that is not pushed.

    ``source`` and ``receiver`` are full dataset names; the evidence is the newest few snapshots that
    each side showed when it was decided.
    """

    kind: ConflictKind
    source: str
    receiver: str
    on_source: tuple[Snapshot, ...]
    on_receiver: tuple[Snapshot, ...]
    what: str
    remedy: str

    @property
    def text(self) -> str:
        """One line: what, where, the evidence, and what to do next."""
        shown = ""
        if self.on_source or self.on_receiver:
            shown = f" (source: {evidence(self.on_source)}; receiver: {evidence(self.on_receiver)})"
        return f"{self.source} -> {self.receiver}: {self.what}{shown}; {self.remedy}"


def newest(snapshots: Sequence[Snapshot], count: int = 3) -> tuple[Snapshot, ...]:
    """The newest few, newest first: enough for a person to see what happened."""
    return tuple(reversed(snapshots[-count:]))


def evidence(snapshots: Sequence[Snapshot]) -> str:
    """The snapshots with their GUIDs, in one line."""
    if not snapshots:
        return "none"
    return ", ".join(f"@{snapshot.name} guid {snapshot.guid}" for snapshot in snapshots)

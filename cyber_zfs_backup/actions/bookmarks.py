# SPDX-License-Identifier: GPL-3.0-or-later
"""Bases kept by bookmarks instead of holds (``--bookmark-base``), and the way back.

A bookmark takes no space and outlives its snapshot; an incremental stream can begin at it (zfs-bookmark.8).
The order is that of the ledger: a base is never without one of the two. The bookmarks are made, then the
record says so, then the holds go, then the bookmarks of former bases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..model.names import join
from ..model.trees import Bookmark
from ..plan.ledger import Ledger, Record, bookmark_prefix
from .ends import Ends, PushFacts


@dataclass(frozen=True, slots=True)
class _Base:
    """A dataset's base: the path, the dataset's full name, and the snapshot's name."""

    path: str
    dataset: str
    name: str

    @property
    def snapshot(self) -> str:
        return f"{self.dataset}@{self.name}"


def keep_by_bookmarks(ends: Ends, facts: PushFacts, ledger: Ledger, paths: Iterable[str]) -> Ledger:
    """Make a bookmark of the base of each of ``paths`` (those that the receiver confirmed).

    Answers the ledger that says so; to be written before ``let_go``. A record whose bookmarks are all there
    is left as it is. Raises ``ZfsError``.
    """
    bases = _bases(facts, ledger, paths)
    if all(ledger.of(base.path).marked for base in bases):
        return ledger
    there = own(ends, facts)
    for base in bases:
        if all(mark.name != _name(facts, base) for mark in there.get(base.dataset, ())):
            ends.source.bookmark(base.snapshot, f"{base.dataset}#{_name(facts, base)}")
    return _marked(ledger, {base.path for base in bases}, marked=True)


def let_go(ends: Ends, facts: PushFacts, ledger: Ledger, paths: Iterable[str]) -> None:
    """Release the holds on the bases that have bookmarks now, and destroy the bookmarks of former bases."""
    bases = _bases(facts, ledger, paths)
    ends.source.release(facts.hold_tag, [base.snapshot for base in bases])
    there = own(ends, facts)
    for base in bases:
        for mark in there.get(base.dataset, ()):
            if mark.name != _name(facts, base):
                ends.source.destroy_bookmark(base.dataset, mark.name)


def keep_by_holds(ends: Ends, facts: PushFacts, ledger: Ledger, paths: Iterable[str]) -> Ledger:
    """The way back: hold each base that is still there as a snapshot; the others keep their bookmarks."""
    bases = [base for base in _bases(facts, ledger, paths) if ledger.of(base.path).marked]
    there = ends.source.named_snapshots([base.snapshot for base in bases])
    held = [base for base in bases if base.dataset in there]
    ends.source.hold(facts.hold_tag, [base.snapshot for base in held])
    if "" in {base.path for base in bases} and len(held) < len(bases):
        # The root's record speaks for all that do not lag: it can only say it of all or of none.
        return ledger
    return _marked(ledger, {base.path for base in held}, marked=False)


def drop(ends: Ends, facts: PushFacts) -> None:
    """Destroy all bookmarks of this destination: the holds keep its bases."""
    for dataset, marks in own(ends, facts).items():
        for mark in marks:
            ends.source.destroy_bookmark(dataset, mark.name)


def _bases(facts: PushFacts, ledger: Ledger, paths: Iterable[str]) -> list[_Base]:
    found = []
    for path in paths:
        name = ledger.of(path).base
        if name is not None:
            found.append(_Base(path, join(facts.root, path), name))
    return found


def _name(facts: PushFacts, base: _Base) -> str:
    return f"{bookmark_prefix(facts.tag)}{base.name}"


def own(ends: Ends, facts: PushFacts) -> Mapping[str, list[Bookmark]]:
    """The tree's bookmarks that are this destination's."""
    prefix = bookmark_prefix(facts.tag)
    found = {
        dataset: [mark for mark in marks if mark.name.startswith(prefix)]
        for dataset, marks in ends.source.bookmarks(facts.root).items()
    }
    return {dataset: marks for dataset, marks in found.items() if marks}


def _marked(ledger: Ledger, paths: set[str], *, marked: bool) -> Ledger:
    def changed(path: str, record: Record) -> Record:
        return replace(record, marked=marked) if path in paths else record

    lagging = {path: changed(path, record) for path, record in ledger.lagging.items()}
    return Ledger(changed("", ledger.root), lagging)

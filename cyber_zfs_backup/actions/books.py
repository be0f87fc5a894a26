# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the ledger and the holds on the source in step with what the receiver was seen to hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..hosts.protocol import Finished
from ..model.names import join
from ..plan.ledger import (
    Going,
    Ledger,
    Release,
    Standing,
    announced,
    bookmark_prefix,
    encode,
    set_apart,
    settled,
    withdrawn,
)
from ..plan.push import PushPlan
from ..plan.steps import StepKind
from ..zfs.errors import ZfsError
from . import bookmarks
from .ask import Answers
from .ends import Ends, PushFacts


def announce(ends: Ends, facts: PushFacts, ledger: Ledger, plan: PushPlan) -> Ledger:
    """Name and hold the plan's targets, and bases that the ledger does not name yet.

    To be called before the first byte. The name is written before the hold, so that a hold is never
    left that nothing names. Answers the ledger as it now stands.
    """
    wanted: dict[str, list[str]] = {}
    for path, name in plan.targets.items():
        wanted.setdefault(name, []).append(path)
    adopted: dict[str, list[str]] = {}
    for path, name in _steps_on_the_way(ledger, plan):
        if path not in wanted.get(name, ()):
            adopted.setdefault(path, []).append(name)
    sent = {step.path for step in plan.steps if step.kind is not StepKind.ABORT}
    if any(step.kind is StepKind.REPLICATE for step in plan.steps):
        sent = set(plan.targets)
    going = {path: Going(plan.bases.get(path), plan.targets[path]) for path in sorted(sent)}
    after = announced(ledger, wanted, adopted, going)
    if after != ledger:
        _write(ends, facts, ledger, after)
    for name, paths in wanted.items():
        # A confirmed base is held already: a push with nothing new changes nothing. But what is sent may have
        # the same name on a dataset of which nothing was confirmed.
        known = {path for path in paths if ledger.of(path).base == name and path not in sent}
        if len(known) < len(paths):
            # What a bookmark keeps needs no hold, and nobody would release it.
            kept = {path for path in known if ledger.of(path).marked}
            _hold(ends, facts, name, [path for path in paths if path not in kept], whole=not kept)
    # Only where it is named: nobody would release it elsewhere.
    alone = [
        full for path, names in adopted.items() for name in names for full in _named(facts, [path], name)
    ]
    ends.source.hold(facts.hold_tag, alone)
    return after


def _steps_on_the_way(ledger: Ledger, plan: PushPlan) -> dict[tuple[str, str], None]:
    """Path and name of what the receiver has, or has before the target: bases that the ledger does not
    name, and the oldest snapshots of datasets that begin anew (all that it has where the next breaks)."""
    bases = [(path, name) for path, name in plan.bases.items() if name not in ledger.names_for(path)]
    steps = [(s.path, s.target) for s in plan.steps if s.kind.begins or s.kind is StepKind.RESUME]
    return dict.fromkeys((*bases, *steps))


@dataclass(frozen=True, slots=True)
class Books:
    """The ledger as it stands, and as it was ``before`` this push announced anything."""

    now: Ledger
    before: Ledger


def settle(
    ends: Ends, facts: PushFacts, books: Books, standings: Mapping[str, Standing], target: str, digest: str
) -> None:
    """Write what a fresh answer of the receiver has shown, and release what is no longer needed.

    A crash between any two of the commands leaves every name that matters both named and held.
    """
    ledger = books.now
    apart = _apart(ends, facts, books.before)
    settlement = settled(set_apart(ledger, books.before, apart), books.before, standings, target, digest)
    _write(ends, facts, ledger, settlement.named)
    for hold in settlement.holds:
        ends.source.hold(facts.hold_tag, _named(facts, hold.paths, hold.name))
    for release in settlement.releases:
        _release(ends, facts, release)
    _write(ends, facts, settlement.named, settlement.final)
    whole = [
        path
        for path, each in standings.items()
        if each.confirmed and not each.marked and settlement.final.of(path).base == each.confirmed
    ]
    _keep_bases(ends, facts, Books(settlement.final, books.before), whole)


def _keep_bases(ends: Ends, facts: PushFacts, books: Books, paths: list[str]) -> None:
    """Let bookmarks keep the bases where that was asked for, and holds where it no longer is."""
    ledger = books.now
    if ends.job.delivery.bookmark_base:
        after = bookmarks.keep_by_bookmarks(ends, facts, ledger, paths)
        _write(ends, facts, ledger, after)
        if after != ledger:
            bookmarks.let_go(ends, facts, after, paths)
    elif ledger.marked or books.before.marked:
        after = bookmarks.keep_by_holds(ends, facts, ledger, paths)
        _write(ends, facts, ledger, after)
        if not after.marked:
            bookmarks.drop(ends, facts)


def withdraw(ends: Ends, facts: PushFacts, books: Books) -> None:
    """Take back what this push announced, where nothing was seen of the copy.

    It may not exist, or its pool may not be imported: what it may hold is as unknown as it was before.
    """
    for release in withdrawn(books.before, books.now, facts.paths):
        _release(ends, facts, release)
    _write(ends, facts, books.now, books.before)


def _apart(ends: Ends, facts: PushFacts, before: Ledger) -> list[str]:
    """The excluded datasets that took part in an earlier push, by the names that the root's record has.

    A snapshot of that name is not enough: a job of its own may have taken it in the same second. What took
    part is held, too.
    """
    unsettled = bool(before.root.pending or before.root.former)
    paths = [path for path in sorted(facts.excluded) if unsettled or path not in before.lagging]
    if not paths or not before.root.names:
        return []
    found = ends.source.named_snapshots(
        [full for name in before.root.names for full in _named(facts, paths, name)]
    )
    there = [f"{dataset}@{each.name}" for dataset, those in found.items() for each in those]
    tags = ends.source.holds(there) if there else {}
    held = {full.partition("@")[0] for full, theirs in tags.items() if facts.hold_tag in theirs}
    # Of a base that a bookmark keeps the snapshot may have expired.
    marks = bookmarks.own(ends, facts) if before.root.marked else {}
    return [path for path in paths if join(facts.root, path) in {*held, *marks}]


def standings(answers: Answers, plan: PushPlan, target: str, tag: str) -> dict[str, Standing]:
    """What the answers of both sides show of each dataset that takes part.

    Where a plan's renames were not done, or a copy waits for its new parent, what the receiver has of a
    dataset may stand under another name, as in a conflict.
    """
    elsewhere = bool(plan.moves or plan.waiting)
    # By GUID: what has begun to arrive may stand under the dataset's former name.
    asked_for = {token.guid for token in answers.tokens.values() if token.usable}
    found = {}
    for path in plan.targets:
        there = answers.receiver.datasets.get(path) if answers.receiver else None
        theirs = {snapshot.guid for snapshot in there.snapshots} if there else set()
        # Whoever took it: a foreign snapshot that the copy ends with is its base too, and may be pruned here.
        mine = answers.source.datasets[path]
        common = [s for s in mine.snapshots if s.guid in theirs]
        newest = next((s for s in common if s.name == target), common[-1] if common else None)
        confirmed, marked = newest.name if newest else None, False
        prefix = bookmark_prefix(tag)
        for mark in mine.bookmarks:
            later = newest is None or mark.createtxg > newest.createtxg
            if mark.guid in theirs and mark.name.startswith(prefix) and later:
                confirmed, marked = mark.name.removeprefix(prefix), True
        arriving = next((s.name for s in reversed(mine.snapshots) if s.guid in asked_for), None)
        found[path] = Standing(
            confirmed=confirmed,
            marked=marked,
            arriving=arriving,
            conflicted=elsewhere or path in plan.conflicted,
        )
    return found


def not_there(ends: Ends, path: str, name: str) -> ZfsError:
    """The error of a dataset whose target is not on the receiver although no command failed."""
    there = join(ends.destination.dataset, path)
    said = f"every command succeeded, and yet {there}@{name} is not there with the source's GUID"
    return ZfsError(ends.receiver.label, Finished(("zfs", "receive"), 0, "", said))


def _hold(ends: Ends, facts: PushFacts, name: str, paths: list[str], *, whole: bool) -> None:
    if whole and not facts.excluded and len(paths) > 1:
        ends.source.hold_tree(facts.hold_tag, facts.root, name)
    else:
        ends.source.hold(facts.hold_tag, _named(facts, paths, name))


def _release(ends: Ends, facts: PushFacts, release: Release) -> None:
    if release.paths is None:
        ends.source.release_tree(facts.hold_tag, facts.root, release.name)
    else:
        ends.source.release(facts.hold_tag, _named(facts, release.paths, release.name))


def _named(facts: PushFacts, paths: Iterable[str], name: str) -> list[str]:
    return [f"{join(facts.root, path)}@{name}" for path in paths]


def _write(ends: Ends, facts: PushFacts, old: Ledger, new: Ledger) -> None:
    """Write the difference: first the records of datasets that lag, then what goes, then the root's.

    So as long as a record of a dataset's own is out of date, the root's tells that something is going on.
    """
    name = facts.property_name
    alike: dict[str, list[str]] = {}
    for path, record in new.lagging.items():
        if old.lagging.get(path) != record:
            alike.setdefault(encode(record), []).append(join(facts.root, path))
    for value, datasets in alike.items():
        ends.source.set_property(name, value, datasets)
    gone = [join(facts.root, path) for path in old.lagging if path not in new.lagging]
    if gone:
        ends.source.inherit(name, gone)
    if new.root != old.root:
        ends.source.set_property(name, encode(new.root), [facts.root])

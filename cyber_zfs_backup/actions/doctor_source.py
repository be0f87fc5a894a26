# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a source: its datasets, what it keeps for whom, and what it says of its copies' tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from ..model.names import relative
from ..model.trees import Tree
from ..plan.doctor_copies import Kept, Source, Stray, unnamed
from ..plan.doctor_pools import Side
from ..plan.findings import fails
from ..zfs import parse, properties
from . import damaged
from .doctor_asking import Looking, keys_of
from .doctor_options import source_options, tree_options, way_options
from .ends import Home, SourceFacts, hold_tag, jobs_within, read_properties, source_facts

Held = Mapping[str, Iterable[tuple[str, str]]]
"""What our holds are on, by the part of their tag that stands for a destination: a dataset's path below the
root and a snapshot's name."""


@dataclass(frozen=True, slots=True)
class SourceSeen:
    """What was seen of the source; ``tree`` is ``None`` where not even its datasets could be listed."""

    side: Side
    tree: Source | None
    facts: SourceFacts | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """The source's properties, and what they tell without those that are damaged."""

    about: parse.Properties
    damaged: tuple[damaged.Damaged, ...]
    facts: SourceFacts

    def strays(self, held: Held) -> frozenset[tuple[str, str, str]]:
        """Tag, path and name of what is held and not on record. Of a job with a damaged record none."""
        unknown = {each.name.removeprefix(properties.BASE_PREFIX) for each in self.damaged}
        return frozenset(
            (job.tag, path, name)
            for job in jobs_within(self.facts)
            if job.tag not in unknown
            for path, name in unnamed(job.ledger, job.begins, held.get(job.tag, ()))
        )


class SourceLook(Looking):
    """Looks at the source."""

    def __init__(self, home: Home) -> None:
        super().__init__(home.source, home.source.label, home)

    def look(self) -> SourceSeen:
        """All that is asked of the source. Raises ``UsageError`` where its dataset does not exist."""
        read = self._read()
        tree = None if read is None else self._tree(read)
        return SourceSeen(self.side(self.home.job.dataset), tree, None if read is None else read.facts)

    def unfinished(self, copy: Tree, mine: Tree) -> dict[str, str | None]:
        """The name (on the source) of what each resume token of a copy asks for; ``None`` where the source
        cannot go on from it. Those are left out of which that could not be asked."""
        found: dict[str, str | None] = {}
        # A list that could not be read has nothing that a token could ask for, and that means nothing.
        tokens = {path: each.resume_token for path, each in copy.datasets.items() if mine.complete}
        for path, token in tokens.items():
            if token:
                matter = f"the partial receive of {copy.full(path)}"
                asked = self.ask(partial(self._wanted, mine, token), matter, fails)
                if asked:
                    found[path] = asked[0]
        return found

    def _wanted(self, mine: Tree, token: str) -> tuple[str | None]:
        """The name of what a token asks for; its own words come from the far side and say nothing.

        In a tuple: that there is no such snapshot is an answer, too.
        """
        contents = self.zfs.token_contents(token)
        if contents is None:
            return (None,)
        named = (dataset.by_guid().get(contents.to_guid) for dataset in mine.datasets.values())
        return (next((snapshot.name for snapshot in named if snapshot is not None), None),)

    def _read(self) -> _Read | None:
        about = self.ask(lambda: read_properties(self.home), "the list of datasets", fails)
        if about is None:
            return None
        job = self.home.job
        found = (*damaged.records(job.dataset, about), *damaged.datasets(about))
        return _Read(about, found, source_facts(job, damaged.without(about, found)))

    def _tree(self, read: _Read) -> Source | None:
        records = (each for each in read.damaged if each.name.startswith(properties.BASE_PREFIX))
        others = (each for each in read.damaged if not each.name.startswith(properties.BASE_PREFIX))
        there = source_options(self.home.job)
        # The command that forgets a record is typed here, wherever the source is.
        self.tell_damaged(replace(each, remedy=f"{each.remedy} {there}".rstrip()) for each in records)
        self.tell_damaged(others)
        facts, about = read.facts, read.facts.about
        tree = self.tree(facts.root, about, lambda: self.zfs.snapshots_and_bookmarks(facts.root))
        if tree is None:
            return None
        return Source(
            self.where,
            tree.without(facts.excluded),
            self._kept(read, tree),
            keys=keys_of(tree, about),
            live=frozenset(
                each["mountpoint"].value
                for each in about.values()
                if "mounted" in each and each["mounted"].value == "yes" and "mountpoint" in each
            ),
            tree_options=tree_options(self.home.job),
            way_options=next((way_options(self.home.job, each) for each in self.home.job.destinations), ""),
        )

    def _kept(self, read: _Read, tree: Tree) -> Kept:
        prefix = properties.BASE_PREFIX
        named = {
            name.removeprefix(prefix)
            for each in read.about.values()
            for name in each
            if name.startswith(prefix)
        }
        ledgers = read.facts.ledgers
        held = self._held(read.facts.root)
        marks = (mark.name.split(".") for each in tree.datasets.values() for mark in each.bookmarks)
        marked = Counter(words[1] for words in marks if words[0] == "cyber-zfs-backup" and len(words) > 2)
        return Kept(
            ledgers,
            frozenset(named) - frozenset(ledgers),
            holds=None if held is None else {tag: len(on) for tag, on in held.items()},
            marks=marked if tree.complete else None,
            strays=() if held is None else self._strays(read, tree, held),
        )

    def _held(self, root: str) -> dict[str, list[tuple[str, str]]] | None:
        """What our holds are on, by tag."""
        counts = self.ask(lambda: self.zfs.held_snapshots(root), "the number of holds of each snapshot")
        if counts is None:
            return None
        named = [name for name, count in counts.items() if count]
        tags = self.ask(lambda: self.zfs.holds(named), "the holds of snapshots") if named else {}
        if tags is None:
            return None
        found: dict[str, list[tuple[str, str]]] = {}
        for full, each in tags.items():
            dataset, _, name = full.partition("@")
            for tag in each:
                if tag.startswith(properties.HOLD_PREFIX):
                    ours = found.setdefault(tag.removeprefix(properties.HOLD_PREFIX), [])
                    ours.append((relative(root, dataset), name))
        return found

    def _strays(self, read: _Read, tree: Tree, held: Held) -> tuple[Stray, ...]:
        strays = read.strays(held)
        # A push may have begun, or ended, since the records were read: those count that no record names
        # before, nor after.
        if strays and (again := self._read()) is not None:
            strays &= again.strays(held)
        names: dict[str, list[str]] = {}
        for tag, path, name in sorted(strays):
            names.setdefault(tag, []).append(f"{tree.full(path)}@{name}")
        labels = {job.tag: job.ledger.root.to for job in jobs_within(read.facts)}
        return tuple(Stray(hold_tag(tag), labels[tag], tuple(on)) for tag, on in names.items())

# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true after every step, and of every single destroy, whatever has happened.

``Laws`` remembers all that the source ever had; a receiver is judged by that, and by nothing that the
product says of itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cyber_zfs_backup.config.job import RetentionPolicy
from cyber_zfs_backup.model.names import join, own_time, relative
from tests.fake.host import FakeHost
from tests.fake.model import Dataset
from tests.fake.stream import decode_token
from tests.property.table import below_any, continues, own_names
from tests.property.two_copies import Seen, TwoCopies, Where, seen
from tests.unit.actions.rig import ROOT, THERE

_ASIDE = re.compile(r"\.(old|moving)\d*$")
"""What marks a copy that was put aside, or is on its way to another name."""


@dataclass(slots=True)
class Laws:
    """The judge of one machine's run. ``policy`` and ``excluded`` are those of the run under way."""

    rig: TwoCopies
    policy: RetentionPolicy = field(default_factory=RetentionPolicy)
    excluded: frozenset[str] = frozenset()
    home: dict[int, int] = field(default_factory=dict)
    """The dataset (by GUID) in which each snapshot (by GUID) was taken."""
    age: dict[int, int] = field(default_factory=dict)
    """The createtxg that each snapshot has on the source."""
    places: dict[int, set[str]] = field(default_factory=dict)
    """All relative paths at which each dataset ever was."""
    known: list[Seen] = field(default_factory=list)
    explained: set[tuple[int, int]] = field(default_factory=set)
    theirs: set[int] = field(default_factory=set)
    """What was taken on a receiver, by somebody there."""
    partials: dict[tuple[str, int], int] = field(default_factory=dict)
    aborted: set[tuple[str, int]] = field(default_factory=set)
    mirrored: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        for host in self.rig.hosts:
            host.witness = self
        self.remember()

    # What has been

    def note(self) -> None:
        """Take note of what the source has now."""
        for dataset in self.rig.source.world.tree(ROOT):
            self.places.setdefault(dataset.guid, set()).add(relative(ROOT, dataset.name))
            for snapshot in dataset.snapshots:
                self.home.setdefault(snapshot.guid, dataset.guid)
                self.age.setdefault(snapshot.guid, snapshot.createtxg)

    def remember(self) -> None:
        """Take note of everything, as the state that the next step begins with."""
        self.note()
        self.known = [seen(host.world) for host in self.rig.hosts]
        self.partials = dict(self._partials())
        self.explained.clear()
        self.aborted.clear()

    def _partials(self) -> Iterator[tuple[tuple[str, int], int]]:
        for receiver in self.rig.receivers:
            for copy in receiver.world.tree(THERE):
                if copy.partial is not None:
                    yield (receiver.label, copy.guid), number(copy.partial.begin, "toguid")

    def _alive(self) -> dict[int, Dataset]:
        return {dataset.guid: dataset for dataset in self.rig.source.world.tree(ROOT)}

    # Each destroy

    def sending(self, command: Sequence[str]) -> None:
        """Nothing is sent before it is held: what arrives must still be here in the next run."""
        world = self.rig.source.world
        if "-t" in command:
            # Names may have been exchanged since.
            guid = decode_token(command[-1])["toguid"]
            asked_for = [
                snapshot for each in world.tree(ROOT) for snapshot in each.snapshots if snapshot.guid == guid
            ]
            assert all(snapshot.holds for snapshot in asked_for), f"{command[-1]}: sent, and not held"
            return
        full = command[-1]
        head, _, name = full.partition("@")
        datasets = world.tree(head) if "-R" in command else [world.datasets.get(head)]
        for dataset in datasets:
            snapshot = dataset.snapshot(name) if dataset is not None else None
            assert snapshot is None or snapshot.holds, f"{full}: sent, and not held"

    def aborting(self, host: FakeHost, copy: str) -> None:
        """A partial receive may only be thrown away where the source cannot go on with it."""
        path = relative(THERE, copy)
        there, here = host.world.dataset(copy), self.rig.source.world.dataset(join(ROOT, path))
        assert not below_any(path, self.excluded), f"{copy}: excluded, and its partial receive thrown away"
        assert here is not None, f"{copy}: an orphan's partial receive was thrown away"
        if there is not None and there.partial is not None:
            could = continues(self.rig.source.world, there, here)
            assert not could, f"{copy}: a partial receive that could go on was thrown away"
            self.aborted.add((host.label, there.guid))

    def destroyed(self, host: FakeHost, command: tuple[str, ...], before: Seen) -> None:
        """Judge one command of the product that may have destroyed something."""
        self.note()
        after = seen(host.world)
        gone = {key: where for key, where in before.items() if key not in after}
        assert not gone or command[1] == "destroy", (command, gone)
        for key, where in gone.items():
            siblings = [was for was in before.values() if was.dataset == where.dataset]
            assert own_time(where.name), f"{where}: a foreign snapshot was destroyed"
            assert self._unwanted(where, siblings), f"{where}: no rule gives it up"
            if host is self.rig.source:
                self._may_expire(where)
            else:
                self._may_be_mirrored(host, key[1], where)
            self.explained.add(key)

    def _unwanted(self, where: Where, siblings: list[Where]) -> bool:
        siblings.sort(key=lambda each: -each.createtxg)
        names = [each.name for each in siblings if own_time(each.name)]
        rule = self.policy.rule(self.rig.now)
        return not dict(zip(names, rule.judge(names), strict=True))[where.name].keep

    def _may_expire(self, where: Where) -> None:
        path = relative(ROOT, where.dataset)
        assert not below_any(path, self.excluded), f"{where}: excluded, and destroyed"
        said = [line for line in self.rig.said.details if f" {where.dataset}@{where.name}: " in line]
        assert any(line.startswith("expire: destroy ") for line in said), f"{where}: destroyed without a word"
        for which in range(len(self.rig.receivers)):
            with self.rig.turned(which):
                ledger = self.rig.ledger()
            if ledger is not None and where.name in ledger.names_for(path):
                # A bookmark keeps it (or the next law tells).
                record = ledger.of(path)
                spared = record.base if record.marked else None
                assert where.name == spared, f"{where}: named in a record"
        self.no_base_is_lost()

    def _may_be_mirrored(self, host: FakeHost, guid: int, where: Where) -> None:
        """The source has it no more, both have something newer, and the rule (see above) gives it up."""
        path = relative(THERE, where.dataset)
        assert not below_any(path, self.excluded), f"{where}: excluded, and mirrored"
        ours = self.rig.source.world.dataset(join(ROOT, path))
        assert ours is not None, f"{where}: mirrored, but an orphan"
        assert ours.by_guid(guid) is None, f"{where}: mirrored, and the source still has it"
        copy = host.world.datasets[where.dataset]
        newer = [s.guid for s in copy.snapshots if s.createtxg > where.createtxg]
        assert any(ours.by_guid(each) for each in newer), f"{where}: mirrored without a newer base"
        self.mirrored.add(guid)

    def nothing_vanished_unexplained(self) -> None:
        """Whatever is gone since the last step went by a command that the witness has judged."""
        for host, was in zip(self.rig.hosts, self.known, strict=True):
            now = seen(host.world)
            gone = {where for key, where in was.items() if key not in now and key not in self.explained}
            assert not gone, f"{host.label}: {gone}: vanished without a command"
        held = {guid for host in self.rig.receivers for _, guid in seen(host.world)} | self.mirrored
        left = dict(self._partials())
        for key, guid in self.partials.items():
            kept = left.get(key) == guid or guid in held or key in self.aborted
            assert kept, f"{key}: the partial receive of {guid} is gone, and was not aborted"

    # What every copy builds on

    def no_base_is_lost(self) -> None:
        """What any copy of a dataset has as its newest, and what its token asks for, is on the source."""
        alive = self._alive()
        for receiver in self.rig.receivers:
            for guid, dataset, why in self._needed(receiver, alive):
                marks = {mark.guid for mark in dataset.bookmarks}
                have = dataset.by_guid(guid) is not None or guid in marks
                assert have, f"{dataset.name}: {why} of {receiver.label} ({guid}) is gone"

    def _needed(self, receiver: FakeHost, alive: dict[int, Dataset]) -> Iterator[tuple[int, Dataset, str]]:
        newest: dict[int, int] = {}
        for copy in receiver.world.tree(THERE):
            guids = [snapshot.guid for snapshot in copy.snapshots]
            for guid in guids:
                home = self.home.get(guid, 0)
                if home in alive:
                    newest[home] = max(guid, newest.get(home, guid), key=self.age.__getitem__)
            if copy.partial is not None:
                for key in ("toguid", "fromguid"):
                    guid = number(copy.partial.begin, key)
                    home = self.home.get(guid, 0)
                    if home in alive:
                        yield guid, alive[home], f"the {key} of the token"
        for home, guid in newest.items():
            yield guid, alive[home], "the base"

    # What a receiver may hold

    def nothing_came_from_nowhere(self) -> None:
        """Each copy is one of a dataset of the source, at a path at which that once was."""
        for receiver in self.rig.receivers:
            for copy in receiver.world.tree(THERE):
                path = relative(THERE, copy.name)
                guids = {snapshot.guid for snapshot in copy.snapshots} - self.theirs
                homes = {self.home.get(guid) for guid in guids}
                assert None not in homes, f"{receiver.label}: {copy.name} has what the source never had"
                assert len(homes) < 2, f"{receiver.label}: {copy.name} is a mixture"
                # What is below a copy that was renamed went with it, so that only its own name counts.
                name = _ASIDE.sub("", path.rpartition("/")[2])
                ever = {place for home in homes or self.places for place in self.places[home or 0]}
                had = {place.rpartition("/")[2] for place in ever}
                assert name in had, f"{receiver.label}: {copy.name} was never called so on the source"


def number(begin: Mapping[str, object], key: str) -> int:
    """A GUID of a partial receive's begin record."""
    found = begin[key]
    assert isinstance(found, int)
    return found


def unwanted_by(policy: RetentionPolicy, now: datetime, dataset: Dataset) -> set[str]:
    """The names that the rule would destroy of a dataset at ``now``."""
    names = own_names(dataset)
    rulings = policy.rule(now).judge(names)
    return {name for name, ruling in zip(names, rulings, strict=True) if not ruling.keep}

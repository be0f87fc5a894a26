# SPDX-License-Identifier: GPL-3.0-or-later
"""Doctor: look at both ends, and say what is wrong and what mends it. Changes nothing on either."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ..config.job import Action, Destination, Job, SourceHost
from ..config.requests import Doctor
from ..hosts.errors import HostError
from ..hosts.local import LocalHost
from ..model.trees import Tree
from ..plan.doctor_copies import Copy, Kept, Key, Source, Still, examine_copy, examine_source
from ..plan.doctor_here import examine_services, examine_timers, examine_way
from ..plan.doctor_pools import Permissions, Side, examine_both, examine_side
from ..plan.doctor_push import examine_push
from ..plan.doctor_room import Sizes, examine_room, growth
from ..plan.findings import Finding, Severity, fails, typed, worst
from ..zfs import parse, properties
from ..zfs.client import Zfs
from ..zfs.delegation import RECEIVING
from ..zfs.errors import Trouble, ZfsError
from . import report
from .ask import Asked, tokens_of
from .doctor_here import Here, look_here
from .doctor_notes import FILE, note, read_notes, with_past
from .ends import DamagedRecordError, Ends, Home, SourceFacts, read_source
from .journal import Journal, state_folder
from .result import ActionResult, Outcome, RunResult, Surface
from .run import beside, finished_run, real_home, real_ways

Answer = TypeVar("Answer")

_OUTCOMES = {
    Severity.GOOD: Outcome.DONE,
    Severity.WARNING: Outcome.WARNINGS,
    Severity.FAILS: Outcome.CRITICAL,
}


def doctor(request: Doctor, surface: Surface) -> RunResult:
    """Look at the tree, its copies, and the ways between them."""
    here = look_here((request.source, *request.destinations), LocalHost().run)
    # Where ssh cannot even read its configuration, there is nobody to ask.
    reachable = tuple(
        each for each in request.destinations if not (each.ssh in here.ways and here.ways[each.ssh].trouble)
    )
    job = Job(
        dataset=request.dataset,
        actions=frozenset({Action.PUSH}),
        destinations=reachable,
        source=request.source,
        exclude=request.exclude,
    )
    past = Journal(state_folder() / FILE)
    with real_home(job, surface) as home, real_ways(home) as ways:
        return finished_run(home, lambda: [doctor_on(home, ways, here, past)])


def doctor_on(home: Home, ways: Sequence[Ends], here: Here, past: Journal) -> ActionResult:
    """The same on the given ends. Raises ``UsageError`` where the source's dataset does not exist."""
    copies = Asked(lambda: beside(ways, lambda ends: _Receiver(ends, here).look()))
    source = _Source(home).look()
    now = home.clock()
    found = [*examine_timers(here.timers, now, root=here.root)]
    found += examine_services(here.timers or (), here.ways.values())
    for way in here.ways.values():
        found += examine_way(way)
    seen = [source, *copies()]
    notes, mine = read_notes(past), source.tree
    grows = None if mine is None else growth(mine.tree, mine.sizes, now)
    for each in seen:
        each.side = with_past(each.side, notes)
        found += [*each.troubles, *examine_side(each.side, now, grows)]
    found += [] if mine is None else examine_source(mine, now)
    for each in seen[1:]:
        found += examine_both(source.side, each.side)
        there = each.copy(home.source, mine.tree) if mine is not None and each.copy is not None else None
        if mine is not None and there is not None:
            found += [*examine_copy(mine, there, now), *examine_push(mine, there, now)]
        if mine is not None and (there is not None or each.missing):
            found += examine_room(mine.tree, mine.sizes, each.side, there.tree if there else None)
    note(past, [each.side for each in seen], now)
    return _result(found)


def _result(found: Sequence[Finding]) -> ActionResult:
    counts = Counter(finding.severity for finding in found)
    warnings, failing = counts[Severity.WARNING], counts[Severity.FAILS]
    told = [report.count(warnings, "warning")] if warnings else []
    told += [f"{report.count(failing, 'thing')} that would make a backup fail"] if failing else []
    return ActionResult(
        "doctor",
        _OUTCOMES[worst(found)],
        f"{' and '.join(told) or 'all is well'}; {report.count(len(found), 'thing')} looked at",
        figures={"looked_at": len(found), "warnings": warnings, "failing": failing},
        findings=tuple(sorted(found, key=lambda finding: -finding.severity)),
    )


@dataclass(slots=True)
class _Seen:
    """What was seen of one end."""

    side: Side
    troubles: list[Finding] = field(default_factory=list)
    tree: Source | None = None
    copy: Callable[[Zfs, Tree], Copy] | None = None
    """The copy, once the source is there to say what its tokens ask for."""
    missing: bool = False
    """Its host has said that there is no copy yet."""


class _Looking:
    """Asks one end what it can; what was not answered becomes a finding, and the rest is asked all the
    same."""

    def __init__(self, zfs: Zfs, where: str, home: Home) -> None:
        self.zfs = zfs
        self.where = where
        self.home = home
        self.troubles: list[Finding] = []
        self.gone = False

    def ask(self, question: Callable[[], Answer]) -> Answer | None:
        """The answer, or ``None``."""
        if self.gone:
            return None
        try:
            return question()
        except HostError as error:
            self.gone = True
            self.troubles.append(fails("unreachable", self.where, error.what, error.remedy))
        except ZfsError as error:
            # What a gatekeeper does not answer is its own business.
            if error.trouble is not Trouble.REFUSED:
                self.troubles.append(fails("zfs", self.where, error.text, error.remedy))
        except (parse.GarbledError, DamagedRecordError) as error:
            what, _, remedy = str(error).rpartition("; ")
            self.troubles.append(fails("record", self.where, what, remedy))
        return None

    def side(self, pool: str) -> Side:
        """What is asked of every host."""
        version = self.ask(self.zfs.version)
        return Side(
            self.where,
            version=version,
            pool=self.ask(lambda: self.zfs.pool(pool)),
            ahead=self.ask(self._ahead),
        )

    def _ahead(self) -> float:
        before = self.home.clock().timestamp()
        there = self.zfs.clock()
        after = self.home.clock().timestamp()
        # It was cut to a whole second, at some moment between the two.
        return there - after if there > after else min(0.0, there + 1 - before)


class _Source(_Looking):
    def __init__(self, home: Home) -> None:
        super().__init__(home.source, home.source.label, home)

    def look(self) -> _Seen:
        root = self.home.job.dataset
        facts = self.ask(lambda: read_source(self.home))
        tree = None if facts is None else self.ask(lambda: self._tree(facts))
        side = self.side(root.partition("/")[0])
        features = self.ask(lambda: self.zfs.features(root.partition("/")[0]))
        room = None if facts is None else _room(facts.about, root)
        return _Seen(replace(side, features=features, root=root, room=room), self.troubles, tree)

    def _tree(self, facts: SourceFacts) -> Source | None:
        root, about = facts.root, facts.about
        checked = self.ask(lambda: self.zfs.checkup(root))
        if checked is None:
            return None
        listed = checked.listing
        tree = parse.tree(root, about, listed.snapshots, complete=True, bookmarks=listed.bookmarks)
        return Source(
            self.where,
            tree.without(facts.excluded),
            self._kept(facts, tree, list(checked.holds)),
            keys=_keys(tree, about),
            live=frozenset(
                each["mountpoint"].value
                for each in about.values()
                if "mounted" in each and each["mounted"].value == "yes" and "mountpoint" in each
            ),
            tree_options=_tree_options(self.home.job),
            excluded=facts.excluded,
            way_options=next((_way_options(self.home.job, each) for each in self.home.job.destinations), ""),
            sizes=Sizes(
                checked.written,
                _written(about, tree),
                {
                    path: parse.number_of(about[tree.full(path)], "usedbydataset")
                    + parse.number_of(about[tree.full(path)], "usedbysnapshots")
                    for path in tree.datasets
                },
            ),
        )

    def _kept(self, facts: SourceFacts, tree: Tree, held: Sequence[str]) -> Kept:
        prefix = properties.BASE_PREFIX
        named = {
            name.removeprefix(prefix) for each in facts.about.values() for name in each if prefix in name
        }
        tags = self.ask(lambda: self.zfs.holds(held)) or {} if held else {}
        ours = (tag for each in tags.values() for tag in each if tag.startswith(properties.HOLD_PREFIX))
        marks = (mark.name.split(".") for each in tree.datasets.values() for mark in each.bookmarks)
        return Kept(
            facts.ledgers,
            frozenset(named) - frozenset(facts.ledgers),
            Counter(tag.removeprefix(properties.HOLD_PREFIX) for tag in ours),
            Counter(words[1] for words in marks if words[0] == "cyber-zfs-backup" and len(words) > 2),
        )


class _Receiver(_Looking):
    def __init__(self, ends: Ends, here: Here) -> None:
        super().__init__(ends.receiver, ends.destination.label, ends)
        self.destination = ends.destination
        self.users = here.users
        self.room: int | None = None

    def look(self) -> _Seen:
        root = self.destination.dataset
        about = self.ask(lambda: self.zfs.verify_properties(root))
        grants = properties.grants(about, root)
        copy = self.ask(lambda: self._copy(about, gatekept=not grants.settings)) if about else None
        missing = about is None and not self.troubles
        if missing:
            self._first(root)
        side = self.side(root.partition("/")[0])
        if grants.settings:
            side = replace(side, features=self.ask(lambda: self.zfs.features(root.partition("/")[0])))
        if about is not None:
            side = replace(side, permissions=self._permissions(self.destination, grants))
        side = replace(side, root=root, room=self.room)
        return _Seen(side, self.troubles, copy=copy, missing=missing)

    def _first(self, root: str) -> None:
        """What the first push needs: the dataset that the copy is to be made in, with room in it."""
        above = root.rpartition("/")[0]
        answer = self.ask(lambda: (self.zfs.available(above),)) if above else None
        if answer == (None,):
            what = f"there is no dataset {above}, which the copy would be below"
            create = f"zfs create -p -o mountpoint=none -o canmount=off {above}"
            remedy = create if "/" in above else f"zpool import {above}"
            self.troubles.append(fails("no-copy", self.where, what, typed(self.where, remedy)))
        elif not self.gone:
            what = f"there is no {root} yet: a first push, in full, is done only where it is told so"
            options = _way_options(self.home.job, self.destination)
            remedy = f"cyber-zfs-backup {options} --force-non-incremental"
            self.troubles.append(fails("no-copy", self.where, what, remedy))
        self.room = answer[0] if answer else None

    def _permissions(self, destination: Destination, grants: properties.Grants) -> Permissions | None:
        user = self.users.get(destination.ssh, "root")
        if user == "root" or destination.use_sudo:
            return None
        given = self.ask(lambda: self.zfs.granted_to(user, destination.dataset))
        if given is None:
            return None
        wanted = ("destroy",) if grants.destroys else ()
        return Permissions(user, destination.dataset, given, RECEIVING, wanted)

    def _copy(self, first: parse.Properties, *, gatekept: bool) -> Callable[[Zfs, Tree], Copy] | None:
        root = self.destination.dataset
        about = self.ask(lambda: (self.zfs.back_properties if gatekept else self.zfs.tree_properties)(root))
        listed = self.ask(lambda: self.zfs.all_snapshots(root))
        if about is None or listed is None:
            return None
        tree = parse.tree(root, about, listed, complete=True)
        self.room = _room(about, root)
        # A dataset that has appeared between the two questions is not looked at.
        tree = tree.without(path for path in tree.datasets if tree.full(path) not in first)
        written = {
            path: size
            for path, size in _written(first, tree).items()
            if size and tree.datasets[path].snapshots
        }

        def complete(source: Zfs, mine: Tree) -> Copy:
            return Copy(
                self.where,
                tree,
                _way_options(self.home.job, self.destination),
                tokens=tokens_of(source, mine, tree),
                written=written,
                still={} if gatekept else {path: _still(about[tree.full(path)]) for path in tree.datasets},
                keys=_keys(tree, about),
            )

        return complete


def _tree_options(job: Job) -> str:
    """How a command of ours is told which tree."""
    words = ["--dataset", job.dataset]
    if job.source.ssh:
        words += ["--source-ssh-destination", job.source.ssh]
        words += ["--source-use-sudo"] if job.source.use_sudo else []
        words += _config(job.source)
    return shlex.join(words)


def _way_options(job: Job, to: Destination) -> str:
    """The same, and which copy of it."""
    words = ["--ssh-destination", to.ssh, "--zfs-receive-dataset", to.dataset]
    words += ["--use-sudo"] if to.use_sudo else []
    # One option for both ends, and told already where the source is on another machine.
    words += [] if job.source.ssh else _config(to)
    return f"{_tree_options(job)} {shlex.join(words)}"


def _config(end: SourceHost | Destination) -> list[str]:
    return [] if end.ssh_config is None else ["--ssh-config", str(end.ssh_config)]


def _value(about: Mapping[str, parse.Property], name: str) -> str:
    return about[name].value if name in about else ""


def _written(about: parse.Properties, tree: Tree) -> dict[str, int]:
    """The bytes that were written to each dataset since its newest snapshot, by its path."""
    return {path: parse.number_of(about[tree.full(path)], "written") for path in tree.datasets}


def _room(about: parse.Properties, root: str) -> int | None:
    """What the root could still take; ``None`` where that was not asked."""
    return parse.number_of(about[root], "available") if "available" in about.get(root, {}) else None


def _still(about: Mapping[str, parse.Property]) -> Still:
    return Still(*(_value(about, name) for name in ("mountpoint", "canmount", "mounted", "readonly")))


def _keys(tree: Tree, about: parse.Properties) -> dict[str, Key]:
    found = {}
    for path in tree.datasets:
        each = about[tree.full(path)]
        root = _value(each, "encryptionroot")
        if root not in ("", "-"):
            found[path] = Key(root, _value(each, "keystatus"))
    return found

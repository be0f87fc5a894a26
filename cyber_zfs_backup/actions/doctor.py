# SPDX-License-Identifier: GPL-3.0-or-later
"""Doctor: look at both ends, and say what is wrong and what mends it. Changes nothing on either."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from ..config.job import Action, Destination, Job, SourceHost
from ..config.requests import Doctor
from ..hosts.errors import HostError
from ..hosts.local import LocalHost
from ..hosts.quoting import as_typed
from ..model.trees import Tree
from ..plan.doctor_copies import Copy, Kept, Key, Source, Still, examine_copy, examine_source
from ..plan.doctor_here import examine_timers, examine_way
from ..plan.doctor_pools import Permissions, Side, Usage, examine_both, examine_side
from ..plan.findings import Finding, Severity, fails, warning, worst
from ..zfs import parse, properties
from ..zfs.client import Zfs
from ..zfs.delegation import RECEIVING
from ..zfs.errors import Trouble, ZfsError
from . import report
from .ask import Asked
from .doctor_here import Here, look_here
from .ends import DamagedRecordError, Ends, Home, SourceFacts, read_source
from .journal import Journal, state_folder
from .result import ActionResult, Outcome, RunResult, Surface
from .run import beside, finished_run, real_home, real_ways

FILE = "pools.jsonl"
"""How much of each pool was used at each call: what tells how fast it grows."""

Answer = TypeVar("Answer")

_OUTCOMES = {
    Severity.GOOD: Outcome.DONE,
    Severity.WARNING: Outcome.WARNINGS,
    Severity.FAILS: Outcome.CRITICAL,
}
_log = logging.getLogger(__name__)


def doctor(request: Doctor, surface: Surface) -> RunResult:
    """Look at the tree, its copies, and the ways between them."""
    here = look_here((request.source, *request.destinations), LocalHost().run)
    job = Job(
        dataset=request.dataset,
        actions=frozenset({Action.PUSH}),
        destinations=here.reachable(request.destinations),
        source=request.source,
        exclude=request.exclude,
    )
    past = Journal(state_folder() / FILE)
    with real_home(job, surface) as home, real_ways(home) as ways:
        return finished_run(home, lambda: [doctor_on(home, ways, here, past)])


def doctor_on(home: Home, ways: Sequence[Ends], here: Here, past: Journal) -> ActionResult:
    """The same on the given ends. Raises ``UsageError`` where the source's dataset does not exist."""
    return _result(examine(home, ways, here, past).findings)


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found, and what the source is. ``tree`` has the datasets that take part, with their snapshots;
    where it could not be read it is ``None``, and ``troubles`` says why."""

    findings: tuple[Finding, ...]
    facts: SourceFacts | None
    tree: Tree | None
    troubles: tuple[Finding, ...]


def examine(home: Home, ways: Sequence[Ends], here: Here, past: Journal) -> Examined:
    """Look at the given ends, as ``doctor_on`` does."""
    copies = Asked(lambda: beside(ways, lambda ends: _Receiver(ends, here).look()))
    source = _Source(home).look()
    now = home.clock()
    found = [*examine_timers(here.timers, now, root=here.root)]
    for way in here.ways.values():
        found += examine_way(way)
    seen = [source, *copies()]
    notes = _read_notes(past)
    for each in seen:
        each.side = _with_past(each.side, notes)
        found += [*each.troubles, *examine_side(each.side, now)]
    if source.tree is not None:
        mine = source.tree
        found += examine_source(mine, now)
        for each in seen[1:]:
            if each.copy is not None:
                found += examine_copy(mine, each.copy(home.source, mine.tree), now)
    for each in seen[1:]:
        found += examine_both(source.side, each.side)
    _note(past, [each.side for each in seen], now)
    tree = None if source.tree is None else source.tree.tree
    return Examined(tuple(found), source.facts, tree, tuple(source.troubles))


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
    facts: SourceFacts | None = None
    tree: Source | None = None
    copy: Callable[[Zfs, Tree], Copy] | None = None
    """The copy, once the source is there to say what its tokens ask for."""


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
        # The answer is rounded down.
        return there + 0.5 - (before + after) / 2


class _Source(_Looking):
    def __init__(self, home: Home) -> None:
        super().__init__(home.source, home.source.label, home)

    def look(self) -> _Seen:
        root = self.home.job.dataset
        facts = self.ask(lambda: read_source(self.home))
        tree = None if facts is None else self._tree(facts)
        side = self.side(root.partition("/")[0])
        features = self.ask(lambda: self.zfs.features(root.partition("/")[0]))
        return _Seen(replace(side, features=features), self.troubles, facts, tree)

    def _tree(self, facts: SourceFacts) -> Source | None:
        root, about = facts.root, facts.about
        listed = self.ask(lambda: self.zfs.snapshots_and_bookmarks(root))
        if listed is None:
            return None
        tree = parse.tree(root, about, listed.snapshots, complete=True, bookmarks=listed.bookmarks)
        return Source(
            self.where,
            tree.without(facts.excluded),
            self._kept(facts, tree),
            keys=_keys(tree, about),
            live=frozenset(
                each["mountpoint"].value
                for each in about.values()
                if "mounted" in each and each["mounted"].value == "yes" and "mountpoint" in each
            ),
            tree_options=_tree_options(self.home.job),
            way_options=next((_way_options(self.home.job, each) for each in self.home.job.destinations), ""),
        )

    def _kept(self, facts: SourceFacts, tree: Tree) -> Kept:
        prefix = properties.BASE_PREFIX
        named = {
            name.removeprefix(prefix) for each in facts.about.values() for name in each if prefix in name
        }
        held = [
            name
            for name, count in (self.ask(lambda: self.zfs.held_snapshots(facts.root)) or {}).items()
            if count
        ]
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
        super().__init__(ends.receiver.plain(), ends.destination.label, ends)
        self.destination = ends.destination
        self.users = here.users

    def look(self) -> _Seen:
        root = self.destination.dataset
        about = self.ask(lambda: self.zfs.partial_properties(root))
        grants = properties.grants(about, root)
        copy = self._copy(root, gatekept=not grants.settings) if about is not None else None
        if about is None and not self.troubles:
            remedy = "the first push needs --force-non-incremental"
            self.troubles.append(warning("no-copy", self.where, f"there is no {root} yet", remedy))
        side = self.side(root.partition("/")[0])
        if grants.settings:
            side = replace(side, features=self.ask(lambda: self.zfs.features(root.partition("/")[0])))
        if about is not None:
            side = replace(side, permissions=self._permissions(self.destination, grants))
        return _Seen(side, self.troubles, copy=copy)

    def _permissions(self, destination: Destination, grants: properties.Grants) -> Permissions | None:
        user = self.users.get(destination.ssh, "root")
        if user == "root" or destination.use_sudo:
            return None
        given = self.ask(lambda: self.zfs.granted_to(user, destination.dataset))
        if given is None:
            return None
        wanted = ("destroy",) if grants.destroys else ()
        return Permissions(user, destination.dataset, given, RECEIVING, wanted)

    def _copy(self, root: str, *, gatekept: bool) -> Callable[[Zfs, Tree], Copy] | None:
        about = self.ask(lambda: (self.zfs.back_properties if gatekept else self.zfs.tree_properties)(root))
        listed = self.ask(lambda: self.zfs.all_snapshots(root))
        if about is None or listed is None:
            return None
        tree = parse.tree(root, about, listed, complete=True)

        def complete(source: Zfs, mine: Tree) -> Copy:
            return Copy(
                self.where,
                tree,
                _way_options(self.home.job, self.destination),
                unfinished={
                    path: _wanted(source, mine, dataset.resume_token)
                    for path, dataset in tree.datasets.items()
                    if dataset.resume_token
                },
                still={} if gatekept else {path: _still(about[tree.full(path)]) for path in tree.datasets},
                keys=_keys(tree, about),
            )

        return complete


def _wanted(source: Zfs, mine: Tree, token: str) -> str | None:
    """The name (on the source) of what a token asks for; its own words come from the far side and say
    nothing."""
    contents = source.token_contents(token)
    if contents is None:
        return None
    named = (dataset.by_guid().get(contents.to_guid) for dataset in mine.datasets.values())
    return next((snapshot.name for snapshot in named if snapshot is not None), None)


def _tree_options(job: Job) -> str:
    """How a command of ours is told which tree."""
    words = ["--dataset", job.dataset]
    if job.source.ssh:
        words += ["--source-ssh-destination", job.source.ssh]
        words += ["--source-use-sudo"] if job.source.use_sudo else []
        words += _config(job.source)
    return as_typed(words)


def _way_options(job: Job, to: Destination) -> str:
    """The same, and which copy of it."""
    words = ["--ssh-destination", to.ssh, "--zfs-receive-dataset", to.dataset]
    words += ["--use-sudo"] if to.use_sudo else []
    # One option for both ends, and told already where the source is on another machine.
    words += [] if job.source.ssh else _config(to)
    return f"{_tree_options(job)} {as_typed(words)}"


def _config(end: SourceHost | Destination) -> list[str]:
    return [] if end.ssh_config is None else ["--ssh-config", str(end.ssh_config)]


def _value(about: Mapping[str, parse.Property], name: str) -> str:
    return about[name].value if name in about else ""


def _still(about: Mapping[str, parse.Property]) -> Still:
    return Still(*(_value(about, name) for name in ("mountpoint", "canmount", "readonly")))


def _keys(tree: Tree, about: parse.Properties) -> dict[str, Key]:
    found = {}
    for path in tree.datasets:
        each = about[tree.full(path)]
        root = _value(each, "encryptionroot")
        if root not in ("", "-"):
            found[path] = Key(root, _value(each, "keystatus"))
    return found


def _with_past(side: Side, notes: dict[tuple[str, str], list[Usage]]) -> Side:
    if side.pool is None:
        return side
    return replace(side, pool=replace(side.pool, past=tuple(notes.get((side.where, side.pool.name), ()))))


def _read_notes(past: Journal) -> dict[tuple[str, str], list[Usage]]:
    notes: dict[tuple[str, str], list[Usage]] = {}
    try:
        for row in past.rows():
            try:
                use = Usage(datetime.fromtimestamp(int(row["time"]), UTC), int(row["allocated"]))
                notes.setdefault((str(row["where"]), str(row["pool"])), []).append(use)
            except (KeyError, TypeError, ValueError, OverflowError, OSError):
                continue
    except OSError as error:
        _log.debug("%s: %s", past.path, error)
    return notes


def _note(past: Journal, sides: Sequence[Side], now: datetime) -> None:
    """For the next call. Who may not write there (an ordinary user, perhaps) is told of no growth, that is
    all."""
    lines = [
        json.dumps(
            {
                "time": int(now.timestamp()),
                "where": side.where,
                "pool": pool.name,
                "allocated": pool.allocated,
            }
        )
        + "\n"
        for side in sides
        if (pool := side.pool) is not None
    ]
    try:
        past.add(lines)
    except OSError as error:
        _log.debug("%s: %s", past.path, error)

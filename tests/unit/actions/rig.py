# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs on the fake zfs: two hosts, a link, a surface that records, and a clock that tests move."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

from cyber_zfs_backup.actions.ends import Ends, Home
from cyber_zfs_backup.actions.result import ActionResult, RunResult
from cyber_zfs_backup.actions.run import run_on
from cyber_zfs_backup.config.job import Action, Delivery, Destination, Force, Job, RetentionPolicy
from cyber_zfs_backup.model.names import own_name, own_time, relative
from cyber_zfs_backup.plan.cost import SendMode
from cyber_zfs_backup.plan.ledger import Ledger, decode, destination_tag
from cyber_zfs_backup.zfs.client import Zfs
from cyber_zfs_backup.zfs.properties import BASE_PREFIX, HOLD_PREFIX, MIRROR_PREFIX
from tests.fake.host import Crash, FakeHost, FakeLink, make_hosts
from tests.fake.model import Snapshot

ROOT = "tank/src"
THERE = "vault/copy"
DAY = 86400
ALL = frozenset(Action)
ONLY_PUSH = frozenset({Action.PUSH})
ONLY_EXPIRE = frozenset({Action.EXPIRE})
NO_NETWORK = frozenset({Action.SNAPSHOT, Action.EXPIRE})
FORCED = Force(non_incremental=True)
HARSH = RetentionPolicy(0, 0, 0)
DELIVERY = tuple(field.name for field in fields(Delivery))

Names = Mapping[str, tuple[str, ...]]
"""Relative path to snapshot names, oldest first."""


@dataclass(slots=True)
class Said:
    """A surface that writes everything down."""

    notes: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    shown: list[tuple[str, int | None]] = field(default_factory=list)
    estimates: bool = False

    def note(self, message: str) -> None:
        self.notes.append(message)

    def detail(self, message: str) -> None:
        self.details.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    @contextmanager
    def progress(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        self.shown.append((label, total))
        yield self.moved.append


class Rig:
    """A source ``tank/src`` with children, and a receiver for ``vault/copy``."""

    def __init__(self, *children: str, capacity: int | None = None) -> None:
        self.source, self.receiver, self.link = make_hosts("tank", "vault", capacity=capacity)
        self.said = Said()
        self.always: dict[str, Any] = {}
        self.pauses: list[float] = []
        self.elsewhere: dict[str, FakeHost] = {}
        self.links: dict[str, FakeLink] = {}
        self.written = 0
        self.size = 300
        self.source.zfs("create", ROOT)
        for child in children:
            self.source.zfs("create", "-p", f"{ROOT}/{child}")
        for path in ("", *children):
            self.write(path)

    def copy(self) -> Rig:
        """Another rig in the same state, without faults."""
        other = Rig()
        other.source = FakeHost(copy.deepcopy(self.source.world))
        other.receiver = FakeHost(copy.deepcopy(self.receiver.world), "offsite")
        other.link = FakeLink(other.source, other.receiver)
        other.written, other.size, other.always = self.written, self.size, self.always
        return other

    # The clock and the data

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.source.world.now, UTC)

    def wait(self, seconds: int = DAY) -> None:
        """Let time pass on both sides."""
        self.source.world.now += seconds
        self.receiver.world.now = self.source.world.now

    def write(self, path: str) -> None:
        """Change a dataset of the source: ``size`` bytes, a record of the stream for each 16 KiB."""
        self.written += 1
        self.source.write(self.full(path), {"file": bytes([self.written % 251]) * self.size})

    def snap(self, *also: str) -> str:
        """A day later, new data everywhere and an own snapshot by hand. Answers its name."""
        self.wait()
        for path in self.paths():
            self.write(path)
        name = own_name(self.now)
        self.source.zfs("snapshot", "-r", f"{ROOT}@{name}")
        return name

    @staticmethod
    def full(path: str, root: str = ROOT) -> str:
        return f"{root}/{path}" if path else root

    # Runs

    def job(self, **changes: Any) -> Job:
        """The plain job, changed as ``always`` says and then as asked.

        What belongs to the delivery may be named beside the rest, and one ``destination`` instead of several.
        """
        asked = {**self.always, **changes}
        delivery = {name: asked.pop(name) for name in DELIVERY if name in asked}
        if "destination" in asked:
            asked["destinations"] = (asked.pop("destination"),)
        job = Job(dataset=ROOT, actions=ALL, destinations=(Destination("offsite", THERE),))
        return replace(job, delivery=Delivery(**{"retries": 0, **delivery}), **asked)

    def home(self, **changes: Any) -> Home:
        """The source's end. Nothing waits: the pauses are written down."""
        return Home(
            job=self.job(**changes),
            source=Zfs(self.source),
            surface=self.said,
            clock=lambda: self.now,
            pause=self.pauses.append,
        )

    def ways(self, home: Home) -> list[Ends]:
        """The ways to the job's destinations; ``elsewhere`` names the hosts of other ssh destinations."""
        return [
            Ends(
                job=home.job,
                source=home.source,
                surface=home.surface,
                clock=home.clock,
                pause=home.pause,
                destination=destination,
                receiver=Zfs(self.elsewhere.get(destination.ssh, self.receiver), sudo=True),
                link=self.links.get(destination.ssh, self.link),
            )
            for destination in home.job.destinations
        ]

    def ends(self, **changes: Any) -> Ends:
        """The one way of a job with one destination."""
        (way,) = self.ways(self.home(**changes))
        return way

    def run(self, **changes: Any) -> RunResult:
        """One run, at the present moment."""
        home = self.home(**changes)
        return run_on(home, self.ways(home))

    def night(self, **changes: Any) -> RunResult:
        """A day passes, every dataset gets new data, and the job runs."""
        self.wait()
        for path in self.paths():
            self.write(path)
        return self.run(**changes)

    def first(self, **changes: Any) -> RunResult:
        """The first night: a full push."""
        result = self.night(force=FORCED, **changes)
        assert result.exit_code == 0, problems(result)
        return result

    def crash(self, at: int | None) -> Crash:
        """Let our process die at that moment of what follows (``None``: only count)."""
        crash = Crash(at)
        for host in (self.source, self.receiver):
            host.faults.hook = crash
        return crash

    def calm(self) -> None:
        """No more faults, and connections of a new process."""
        self.link.stopped = False
        for host in (self.source, self.receiver):
            host.faults.hook = lambda moment, argv: None
            host.faults.unreachable = False

    # What the worlds hold

    def paths(self) -> list[str]:
        return [relative(ROOT, dataset.name) for dataset in self.source.world.tree(ROOT)]

    def snapshots(self, host: FakeHost, root: str) -> dict[str, dict[int, str]]:
        """Relative path to GUID to name, of every snapshot, oldest first."""
        return {
            relative(root, dataset.name): {snapshot.guid: snapshot.name for snapshot in dataset.snapshots}
            for dataset in host.world.tree(root)
        }

    def own(self, host: FakeHost, root: str) -> dict[str, dict[int, str]]:
        """The same of own snapshots alone."""
        return {
            path: {guid: name for guid, name in found.items() if own_time(name)}
            for path, found in self.snapshots(host, root).items()
        }

    @property
    def here(self) -> dict[str, dict[int, str]]:
        """The source's own snapshots."""
        return self.own(self.source, ROOT)

    @property
    def there(self) -> dict[str, dict[int, str]]:
        """The receiver's own snapshots."""
        return self.own(self.receiver, THERE)

    def names(self, path: str = "") -> list[str]:
        """The names of the source's snapshots of one dataset."""
        return list(self.snapshots(self.source, ROOT)[path].values())

    def names_there(self, path: str = "") -> list[str]:
        """The names of the receiver's snapshots of one dataset."""
        return list(self.snapshots(self.receiver, THERE)[path].values())

    @property
    def tag(self) -> str:
        """The destination's tag."""
        return destination_tag(self.source.world.datasets[ROOT].guid, "offsite", THERE)

    def ledger(self) -> Ledger | None:
        """The records on the source, as they stand."""
        records = {}
        for dataset in self.source.world.tree(ROOT):
            setting = dataset.settings.get(f"{BASE_PREFIX}{self.tag}")
            if setting is not None and setting.local is not None:
                records[relative(ROOT, dataset.name)] = decode(setting.local)
        if "" not in records:
            return None
        return Ledger(records.pop(""), records)

    def mirror_due(self) -> bool:
        """Whether the source notes that the receiver may hold what has expired."""
        return f"{MIRROR_PREFIX}{self.tag}" in self.source.world.datasets[ROOT].settings

    def held(self) -> dict[str, set[str]]:
        """Relative path to the names of the snapshots that we hold for the destination."""
        found: dict[str, set[str]] = {}
        for dataset in self.source.world.tree(ROOT):
            for snapshot in dataset.snapshots:
                if f"{HOLD_PREFIX}{self.tag}" in snapshot.holds:
                    found.setdefault(relative(ROOT, dataset.name), set()).add(snapshot.name)
        return found

    def named(self) -> dict[str, set[str]]:
        """Relative path to the existing snapshots' names that the records name for it."""
        ledger = self.ledger()
        if ledger is None:
            return {}
        found = {}
        for path, snapshots in self.snapshots(self.source, ROOT).items():
            names = set(ledger.of(path).names) & set(snapshots.values())
            if names:
                found[path] = names
        return found

    def tokens(self) -> dict[str, str]:
        """Relative path to the resume token of the receiver's partial receives."""
        return {path: token for path, token in self._tokens() if token != "-"}

    def _tokens(self) -> Iterator[tuple[str, str]]:
        for dataset in self.receiver.world.tree(THERE):
            said = self.receiver.zfs("get", "-Hp", "-o", "value", "receive_resume_token", dataset.name)
            yield relative(THERE, dataset.name), said.strip()

    def token_guids(self) -> dict[str, int]:
        """Relative path to the GUID of the snapshot whose receive was interrupted."""
        found = {}
        for dataset in self.receiver.world.tree(THERE):
            if dataset.partial is not None:
                guid = dataset.partial.begin["toguid"]
                assert isinstance(guid, int)
                found[relative(THERE, dataset.name)] = guid
        return found

    def state(self, host: FakeHost) -> object:
        """Everything that a run could change, as one value."""
        return {
            name: (
                [(s.name, s.guid, sorted(s.holds)) for s in dataset.snapshots],
                {key: (value.local, value.received, value.masked) for key, value in dataset.settings.items()},
                sorted(dataset.files),
                dataset.partial is None,
            )
            for name, dataset in host.world.datasets.items()
        }

    def states(self) -> object:
        """Both sides."""
        return self.state(self.source), self.state(self.receiver)


def action(result: RunResult, name: str) -> ActionResult:
    """The result of one action."""
    return next(each for each in result.actions if each.action == name)


def actions(result: RunResult) -> dict[str, str]:
    """The outcomes by action."""
    return {each.action: each.outcome.value for each in result.actions}


def problems(result: RunResult) -> list[str]:
    """Every problem in one line."""
    return [
        f"{each.action}: {problem.kind}: {problem.where}: {problem.what}; {problem.remedy}"
        for each in result.actions
        for problem in each.problems
    ]


def kinds(result: RunResult) -> list[str]:
    """The kinds of every problem, in order."""
    return [problem.kind for each in result.actions for problem in each.problems]


def mutations(calls: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The commands that change something."""
    asking = {"list", "get", "holds"}
    return [call for call in calls if call[1] not in asking and not _only_asks(call)]


def _only_asks(call: tuple[str, ...]) -> bool:
    return call[1] in ("destroy", "send") and any(word in ("-nvp", "-nvt", "-nvP") for word in call)


def snapshot_of(host: FakeHost, full: str) -> Snapshot:
    """A snapshot of a world."""
    found = host.world.find_snapshot(full)
    assert found is not None, full
    return found[1]


LEVEL, REPLICATE, AUTO = SendMode.LEVEL, SendMode.REPLICATE, SendMode.AUTO

# SPDX-License-Identifier: GPL-3.0-or-later
"""One source, two receivers, and everything in one thread, so that a seed always tells the same story."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import pytest

from cyber_zfs_backup.actions import ask, execute, run
from cyber_zfs_backup.actions.lock import PushLock
from cyber_zfs_backup.config.job import Destination
from cyber_zfs_backup.plan.ledger import destination_tag
from tests.fake.front import Streams
from tests.fake.host import FakeHost, FakeLink
from tests.fake.model import World
from tests.unit.actions.rig import ROOT, THERE, Rig, Said

Answer = TypeVar("Answer")
Seen = dict[tuple[int, int], "Where"]
"""By the GUIDs of dataset and snapshot: a receiver may hold a snapshot twice, and datasets are renamed."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where a snapshot stands: the dataset's full name, and its own."""

    dataset: str
    name: str
    createtxg: int


class Witness(Protocol):
    """Whoever watches the product's commands."""

    def sending(self, command: Sequence[str]) -> None:
        """The first byte of a stream is about to move."""

    def aborting(self, host: FakeHost, copy: str) -> None:
        """A partial receive is about to be thrown away."""

    def destroyed(self, host: FakeHost, command: tuple[str, ...], before: Seen) -> None:
        """A command ran that may have destroyed something."""


class WatchedHost(FakeHost):
    """Tells a witness of each command of the product that may destroy something."""

    witness: Witness | None = None

    def attempt(self, command: Sequence[str], streams: Streams | None = None) -> tuple[int, Streams]:
        """Run it."""
        if self.witness is not None and command[1] == "send" and "-nvt" not in command:
            self.witness.sending(command)
        if self.witness is None or command[1] not in ("destroy", "receive", "rollback", "rename"):
            return super().attempt(command, streams)
        if "-A" in command:
            self.witness.aborting(self, command[-1])
        before = seen(self.world)
        answer = super().attempt(command, streams)
        self.witness.destroyed(self, tuple(command), before)
        return answer


def seen(world: World) -> Seen:
    """Every snapshot of a world."""
    return {
        (dataset.guid, snapshot.guid): Where(dataset.name, snapshot.name, snapshot.createtxg)
        for dataset in world.datasets.values()
        for snapshot in dataset.snapshots
    }


class TwoCopies(Rig):
    """A rig that pushes to whichever receiver it was turned to."""

    def __init__(self, *children: str) -> None:
        worlds = [World(seed=number + 1) for number in range(3)]
        for world, pool in zip(worlds, ("tank", "vault", "vault"), strict=True):
            world.add_pool(pool)
        self.source = source = WatchedHost(worlds[0])
        self.receivers = [WatchedHost(worlds[1], "offsite"), WatchedHost(worlds[2], "attic")]
        self.hosts = [source, *self.receivers]
        self.streams = [FakeLink(self.source, receiver) for receiver in self.receivers]
        self.destinations = tuple(Destination(receiver.label, THERE) for receiver in self.receivers)
        self.elsewhere = {receiver.label: receiver for receiver in self.receivers}
        self.links = {link.receiver.label: link for link in self.streams}
        self.pauses = []
        self.said = Said()
        self.written = 0
        self.size = 300
        self.always = {}
        self.turn(0)
        self.source.zfs("create", ROOT)
        for child in children:
            self.source.zfs("create", ROOT + "/" + child)
            self.write(child)

    def turn(self, number: int) -> None:
        """From now on everything is about this destination."""
        self.number = number
        self.receiver, self.link = self.receivers[number], self.streams[number]
        self.always: dict[str, Any] = {"destinations": (self.destinations[number],)}

    @contextmanager
    def turned(self, number: int) -> Iterator[None]:
        """The same for a while."""
        before = self.number
        self.turn(number)
        yield
        self.turn(before)

    @property
    def tag(self) -> str:
        """The tag of the destination that it was turned to."""
        return destination_tag(self.source.world.datasets[ROOT].guid, self.receiver.label, THERE)

    def wait(self, seconds: int = 86400) -> None:
        """Let time pass everywhere."""
        for host in self.hosts:
            host.world.now += seconds

    def calm(self) -> None:
        """No more faults, and connections of a new process."""
        for link in self.streams:
            link.stopped = False
            link.breaks.clear()
            link.cuts.clear()
        for host in self.hosts:
            faults = host.faults
            faults.hook = lambda moment, argv: None
            faults.garble = lambda finished: finished
            faults.unreachable, faults.refuse_after, faults.broken_after = False, None, None
            faults.denied = frozenset()

    def forget_calls(self) -> None:
        """Note commands anew."""
        self.said = Said()
        for host in self.hosts:
            host.calls.clear()
        for link in self.streams:
            link.transfers.clear()


class AskedAtOnce(Generic[Answer]):
    """A question in the background that is asked here and now."""

    def __init__(self, question: Callable[[], Answer]) -> None:
        self._future = _done(question)

    def __call__(self) -> Answer:
        return self._future.result()


class OneAfterAnother:
    """An executor of threads without threads."""

    def __init__(self, workers: int, thread_name_prefix: str = "") -> None:
        pass

    def submit(self, do: Callable[..., Answer], *args: Any) -> Future[Answer]:
        """Do it."""
        return _done(lambda: do(*args))

    def shutdown(self, *, wait: bool, cancel_futures: bool) -> None:
        """Nothing is left."""


def _done(do: Callable[[], Answer]) -> Future[Answer]:
    future: Future[Answer] = Future()
    try:
        future.set_result(do())
    except BaseException as error:
        future.set_exception(error)
    return future


@contextmanager
def _unlocked(source: str, destination: Destination) -> Iterator[PushLock]:
    """The lock, as it is where there is only one run at a time."""
    yield PushLock()


def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the product do in one thread what it does in several, and without files."""
    monkeypatch.setattr(run, "push_lock", _unlocked)
    monkeypatch.setattr(ask, "Asked", AskedAtOnce)
    monkeypatch.setattr(run, "Asked", AskedAtOnce)
    monkeypatch.setattr(execute, "ThreadPoolExecutor", OneAfterAnother)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake behind the Host and Link protocols, with faults that tests order.

``FakeHost`` runs ``zfs`` (also as ``sudo -n zfs``) on a world in this process; ``FakeLink`` moves
streams from one such host to another. Everything that was run is on record.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.protocol import Argv, Finished, Transfer
from tests.fake.changes import write
from tests.fake.cuts import Cut, Victim
from tests.fake.errors import Killed, RefusedError
from tests.fake.front import Streams, run_zfs
from tests.fake.model import World
from tests.fake.store import MemoryStore
from tests.fake.zpool import run_zpool

PIPE_BUFFER = 64 * 1024
"""What a pipe takes after its reader has gone: a send that has less left ends with 0 all the same."""


class Crash:
    """Dies at one moment of a run: ``Crash(None)`` only counts, ``Crash(n)`` raises at moment n.

    Give the same object to every host and link of a run (``host.faults.hook = crash``). A command
    has two moments, before it runs and after it ran (its answer is lost); a transfer three: before,
    in the middle of its bytes, after. ``seen`` lists them as (moment, command).
    """

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.seen: list[tuple[str, tuple[str, ...]]] = []
        self._lock = threading.Lock()

    def __call__(self, moment: str, argv: tuple[str, ...]) -> None:
        with self._lock:
            number = len(self.seen)
            self.seen.append((moment, argv))
            # Once dead, every other thread of the run is dead as well.
            if self.at is not None and number >= self.at:
                raise Killed(f"at moment {number}, {moment} {' '.join(argv)}")


@dataclass(slots=True)
class Faults:
    """What goes wrong on a host.

    ``hook`` is called with ``"before"`` or ``"after"`` and the command, and may raise (``Killed``
    for the death of our process). ``garble`` gets each answer and gives the one that arrives.
    ``denied`` are the commands of zfs (``rename``, ``receive -A``) that the login has no permission for.
    ``unreachable`` makes every command raise ``HostError``, as does a command that
    ``refuse_after`` counts down to (0: the next one). Every command after ``broken_after`` more fails, as
    those of a pool whose disks have gone.
    """

    hook: Callable[[str, tuple[str, ...]], None] = lambda moment, argv: None
    garble: Callable[[Finished], Finished] = lambda finished: finished
    denied: frozenset[str] = frozenset()
    unreachable: bool = False
    refuse_after: int | None = None
    broken_after: int | None = None


def cut_in_listing(fraction: float = 0.5) -> Callable[[Finished], Finished]:
    """A ``garble`` that cuts every listing (``list``, ``get``) in its middle and loses its status."""

    def garble(finished: Finished) -> Finished:
        if not {"list", "get"} & set(finished.argv):
            return finished
        kept = finished.stdout[: int(len(finished.stdout) * fraction)]
        return Finished(finished.argv, None, kept, finished.stderr)

    return garble


def garbage(text: str = "\x00\xffno zfs here\n\tone\ttwo\n") -> Callable[[Finished], Finished]:
    """A ``garble`` that answers every listing with rubbish and status 0."""

    def garble(finished: Finished) -> Finished:
        if not {"list", "get"} & set(finished.argv):
            return finished
        return Finished(finished.argv, 0, text, "")

    return garble


def zfs_part(argv: Sequence[str]) -> tuple[str, ...]:
    """A command without ``sudo`` and its options."""
    rest = list(argv)
    if rest and rest[0].rpartition("/")[2] == "sudo":
        rest = rest[1:]
        while rest and rest[0].startswith("-"):
            rest = rest[1:]
    return tuple(rest)


class FakeHost:
    """A machine with a world. Several hosts may share one world, as pools of one machine do."""

    def __init__(self, world: World, label: str = "this machine") -> None:
        self.label = label
        self.world = world
        self.store = MemoryStore(world)
        self.faults = Faults()
        self.calls: list[tuple[str, ...]] = []
        self.closed = False
        self._lock = threading.Lock()

    def run(self, argv: Argv, *, timeout: float | None = None) -> Finished:
        """Run ``zfs`` or ``zpool``; anything else is a command that is not there (status 127)."""
        command = zfs_part(argv)
        self.reach(command)
        self.faults.hook("before", command)
        status, streams = self.deny(command) or self.attempt(command)
        said = Finished(tuple(argv), status, "".join(streams.out), "".join(streams.err))
        self.faults.hook("after", command)
        return self.faults.garble(said)

    def deny(self, command: tuple[str, ...]) -> tuple[int, Streams] | None:
        """The answer to a command that the login may not use; ``None`` where it may."""
        streams = Streams()
        if command[1:3] == ("receive", "-A") and "receive -A" in self.faults.denied:
            streams.err.append(f"cannot destroy '{command[3]}/%recv': permission denied\n")
        elif set(command[1:2]) & self.faults.denied:
            streams.err.append(f"cannot {command[1]} '{command[2]}': permission denied\n")
        else:
            return None
        return 1, streams

    def reach(self, command: tuple[str, ...]) -> None:
        """Note a command that is about to run; ``HostError`` where the host is out of reach."""
        with self._lock:
            refused = self.faults.unreachable
            if self.faults.refuse_after is not None:
                refused = refused or self.faults.refuse_after <= 0
                self.faults.refuse_after -= 1
            if refused:
                raise HostError(HostErrorKind.UNREACHABLE, self.label, "connection lost", "try again later")
            self.calls.append(command)

    def attempt(self, command: Sequence[str], streams: Streams | None = None) -> tuple[int, Streams]:
        """Run a command without noting it, unless the pool is broken by now."""
        with self._lock:
            if self.faults.broken_after is not None:
                self.faults.broken_after -= 1
                if self.faults.broken_after < 0:
                    streams = streams or Streams()
                    streams.err.append(f"cannot open '{command[-1]}': pool I/O is currently suspended\n")
                    return 1, streams
        return self.execute(command, streams)

    def execute(self, command: Sequence[str], streams: Streams | None = None) -> tuple[int, Streams]:
        """Run a command without faults and without noting it."""
        streams = streams or Streams()
        name = command[0].rpartition("/")[2] if command else ""
        if name == "zfs":
            return run_zfs(self.store, command[1:], streams), streams
        if name == "zpool":
            return run_zpool(self.store, command[1:], streams), streams
        streams.err.append(f"sh: 1: {name}: not found\n")
        return 127, streams

    def zfs(self, *args: str) -> str:
        """Run ``zfs`` by a test's own hand, without faults; ``AssertionError`` unless it ends with 0."""
        status, streams = self.execute(("zfs", *args))
        assert status == 0, (args, status, "".join(streams.err))
        return "".join(streams.out)

    def write(self, dataset: str, files: Mapping[str, bytes | None]) -> None:
        """Write files into a dataset by a test's own hand; ``None`` removes one."""
        with self.store.world() as world:
            write(world, dataset, files)

    def called(self, *words: str) -> list[tuple[str, ...]]:
        """The noted commands that begin with ``zfs`` and these words."""
        return [call for call in self.calls if call[1 : len(words) + 1] == words]

    def close(self) -> None:
        """Note it."""
        self.closed = True


@dataclass(slots=True)
class Moved:
    """One connection that a link made."""

    sends: tuple[tuple[str, ...], ...]
    receives: tuple[tuple[str, ...], ...]
    bytes_moved: int = 0


@dataclass(slots=True)
class _Sender:
    """The sending side: the sends in order, each started when the one before it ended with 0."""

    host: FakeHost
    sends: list[tuple[str, ...]]
    limit: int | None
    on_bytes: Callable[[int], None]
    killed: bool = False
    moved: int = 0
    buffer: bytes = b""
    broken: bool = False
    _finished: list[Finished] = field(default_factory=list)
    _chunks: Iterator[bytes] | None = None
    _streams: Streams = field(default_factory=Streams)
    _failed: bool = False
    _status: int = 0

    def read(self, count: int) -> bytes:
        """What a receive gets: ``count`` bytes, or fewer where there is no more."""
        while len(self.buffer) < count and self._pull():
            pass
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def _pull(self) -> bool:
        if self.broken or self._failed:
            return False
        if self._chunks is None:
            if len(self._finished) == len(self.sends):
                return False
            self._start(self.sends[len(self._finished)])
        assert self._chunks is not None
        chunk = next(self._chunks, None)
        if chunk is None:
            self._end(self._status)
            return not self._failed
        if self.limit is not None and self.moved + len(chunk) > self.limit:
            chunk = chunk[: self.limit - self.moved]
            self.broken = True
        self.moved += len(chunk)
        self.buffer += chunk
        self.on_bytes(len(chunk))
        return not self.broken

    def read_ahead(self) -> None:
        """Take all that there is before anybody asks for it."""
        while self._pull():
            pass

    def _start(self, command: tuple[str, ...]) -> None:
        self.host.reach(command)
        self._streams = Streams()
        chunks: list[bytes] = []
        self._streams.write = chunks.append
        self._status = self.host.attempt(command, self._streams)[0]
        self._chunks = iter(chunks)

    def _end(self, status: int) -> None:
        command = self.sends[len(self._finished)]
        said = "".join(self._streams.err)
        self._finished.append(Finished(command, status, "".join(self._streams.out), said))
        self._failed = status != 0
        self._chunks = None

    def settle(self) -> tuple[Finished, ...]:
        """The sends that were started; the last may have lost its reader, or have been killed."""
        if self._chunks is not None and self.killed:
            self._end(-9)
        elif self._chunks is not None:
            left = sum(len(chunk) for chunk in self._chunks) + len(self.buffer)
            if self.broken or left > PIPE_BUFFER:
                self._end(-13)
            else:
                self._end(self._status)
        return tuple(self._finished)


class FakeLink:
    """A way from one fake host to another. ``transfers`` holds every connection that was made."""

    def __init__(self, source: FakeHost, receiver: FakeHost) -> None:
        self.source = source
        self.receiver = receiver
        self.transfers: list[Moved] = []
        self.breaks: list[int | None] = []
        self.cuts: list[Cut | None] = []
        self.late: list[Callable[[], object]] = []
        self.stopped = False
        self._lock = threading.Lock()

    def arrive(self) -> None:
        """Let everything arrive that was on its way when our process died."""
        while self.late:
            self.late.pop(0)()

    def break_next(self, *after_bytes: int | None) -> None:
        """Let the next connections break after so many bytes each; ``None`` leaves one whole."""
        self.breaks.extend(after_bytes)

    def transfer(
        self,
        sends: Sequence[Argv],
        receives: Sequence[Argv],
        *,
        on_bytes: Callable[[int], None] = lambda count: None,
    ) -> Transfer:
        """One connection; see the protocol."""
        if self.stopped:
            raise HostError(HostErrorKind.STOPPED, self.source.label, "the link was stopped", "start anew")
        moved = Moved(tuple(zfs_part(one) for one in sends), tuple(zfs_part(one) for one in receives))
        whole = ("transfer", *(word for one in moved.sends for word in one))
        self.source.faults.hook("before", whole)
        with self._lock:
            limit = self.breaks.pop(0) if self.breaks else None
            cut = self.cuts.pop(0) if self.cuts else None
            self.transfers.append(moved)
        death: Killed | None = None
        try:
            self.source.faults.hook("middle", whole)
        except Killed as killed:
            death, limit = killed, self._size(moved) // 2
        if cut is not None:
            limit = cut.at % (self._size(moved) + 1)
        sender = _Sender(self.source, list(moved.sends), limit, on_bytes)
        sender.killed = cut is not None and cut.victim is Victim.SENDER
        if cut is not None and cut.kills_us:
            raise self._die(cut, sender, moved, receives)
        received = self._receive(sender, moved, [tuple(one) for one in receives])
        moved.bytes_moved = sender.moved
        started = sender.settle()
        named = tuple(
            Finished(tuple(argv), one.status, one.stdout, one.stderr)
            for argv, one in zip(sends, started, strict=False)
        )
        if death is not None:
            raise death
        self.source.faults.hook("after", whole)
        if cut is None:
            return Transfer(named, received, sender.moved)
        received, trouble = cut.receive(received, self.receiver.label, shell=len(receives) > 1)
        return Transfer(named, received, sender.moved, trouble=trouble)

    def _die(self, cut: Cut, sender: _Sender, moved: Moved, receives: Sequence[Argv]) -> Killed:
        """Our process dies in the middle; from then on nothing of this run does anything."""
        sender.read_ahead()
        sender.broken = True

        def arrive() -> None:
            self._receive(sender, moved, [tuple(one) for one in receives])

        if cut.victim is Victim.OURSELVES_LATE:
            self.late.append(arrive)
        else:
            arrive()
        died = Killed(f"at byte {sender.moved} of {' '.join(moved.sends[0])}")

        def dead(moment: str, argv: tuple[str, ...]) -> None:
            raise died

        self.source.faults.hook = self.receiver.faults.hook = dead
        return died

    def stop(self) -> None:
        """Refuse new transfers; those of the fake are over at once."""
        self.stopped = True

    def _size(self, moved: Moved) -> int:
        """Bytes that the sends would have if nothing happened to them."""
        chunks: list[bytes] = []
        for command in moved.sends:
            status, _ = self.source.execute(command, Streams(write=chunks.append))
            if status != 0:
                break
        return sum(len(chunk) for chunk in chunks)

    def _receive(self, sender: _Sender, moved: Moved, receives: list[tuple[str, ...]]) -> Finished:
        if self.receiver.faults.unreachable:
            text = f"ssh: connect to host {self.receiver.label}: Connection refused\n"
            return Finished(receives[0] if receives else (), 255, "", text)
        argv: tuple[str, ...] = ()
        for number, one in enumerate(receives):
            argv = (*argv, *(("&&",) if number else ()), *one)
        out: list[str] = []
        err: list[str] = []
        status = 0
        for command in moved.receives:
            try:
                self.receiver.reach(command)
            except HostError as error:
                return Finished(
                    argv, 255, "".join(out), f"ssh: connect to host {error.where}: {error.what}\n"
                )
            streams = Streams(sender, out=out, err=err)
            status, _ = self.receiver.attempt(command, streams)
            if status != 0:
                break
        if status == 0:
            sender.read(2**62)
        if sender.broken and not sender.killed:
            return Finished(argv, None, "".join(out), "".join(err))
        return Finished(argv, status, "".join(out), "".join(err))


def make_hosts(*pools: str, capacity: int | None = None) -> tuple[FakeHost, FakeHost, FakeLink]:
    """A source with the first pool, a receiver with the second, each a world of its own, and a link."""
    source_world, receiver_world = World(), World()
    source_world.add_pool(pools[0] if pools else "tank")
    receiver_world.add_pool(pools[1] if len(pools) > 1 else "vault", capacity)
    source, receiver = FakeHost(source_world), FakeHost(receiver_world, "offsite")
    return source, receiver, FakeLink(source, receiver)


def pipe(source: FakeHost, send: Sequence[str], receiver: FakeHost, receive: Sequence[str]) -> Finished:
    """``zfs send ... | zfs receive ...`` by a test's own hand, not noted."""
    chunks: list[bytes] = []
    status, sent = source.execute(("zfs", "send", *send), Streams(write=chunks.append))
    if status != 0:
        raise RefusedError("".join(sent.err))
    streams = Streams(io.BytesIO(b"".join(chunks)))
    got, _ = receiver.execute(("zfs", "receive", *receive), streams)
    return Finished(("zfs", "receive", *receive), got, "".join(streams.out), "".join(streams.err))

# SPDX-License-Identifier: GPL-3.0-or-later
"""One transfer: a receiving process, one sending process after the other, and the bytes between.

``os.splice`` moves the bytes from pipe to pipe inside the kernel. Everything else is waiting, in one
``poll`` for both pipes, for what the processes say, for their ends, and for the wish to stop.
"""

from __future__ import annotations

import fcntl
import math
import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import IO

from .bandwidth import Bandwidth, Pace
from .children import CannotStartError, Child, Words
from .protocol import Finished, Transfer
from .shield import Cancel

_PIPE = 1 << 20
_NARROW = 1 << 14
_KEEP = 1 << 16
"""How much of the head, and of the tail, of what a process says is kept: -v and warnings can be endless."""
_BULK = 1 << 16
_GATHER = 0.001
"""A stream of which so many bytes came at once is left alone for so many seconds, so that more gather in its
pipe: otherwise each write of the sender wakes us, and where processors are few that slows the stream down."""
_REPORT_EVERY = 0.1
_LAST_WORDS = 1.0
"""How long to wait for a pipe's end after its process has ended: a proxy may hold it a little longer."""
_PARTING = 3.0
"""How long one side may take to end by itself, in seconds, once the other side has left it."""
_SETTLE = 30.0
"""How long the receiving side may take to put a broken stream in order, in seconds.

Its input is closed at once. But a receive that saves its resume token, or rolls back, should have
ended before anyone asks that receiver anew; and its own words say best what went wrong.
"""
_NOT_STARTED = "not started: the receiving side has ended\n"
_NOT_DELIVERED = "the receiving side ended before it had taken everything\n"


@dataclass(frozen=True, slots=True)
class Side:
    """What runs on one side: the command as asked for, and the local process that stands for it."""

    said: tuple[str, ...]
    command: tuple[str, ...]
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ends:
    """All that takes part in one transfer."""

    sends: tuple[Side, ...]
    receive: Side


@dataclass(frozen=True, slots=True)
class Limits:
    """How long nothing may move, in seconds, before both sides are ended. None: for ever.

    ``stall`` counts within a stream, from one byte to the next. ``patience``, the longer one, counts
    where silence may be work: before a stream's first byte (a sender that reads metadata) and after
    its last (a receiver that commits).
    """

    stall: float | None = None
    patience: float | None = None


class _How(Enum):
    """How a stream came to its end."""

    WHOLE = auto()
    LEFT = auto()
    STALLED = auto()


class _CancelledError(Exception):
    """Somebody asked the transfer to end."""


class _Process:
    """A side that runs, with what it has said so far."""

    def __init__(self, side: Side, child: Child, pipes: Sequence[IO[bytes]]) -> None:
        self.side = side
        self.child = child
        self.words = [Words(pipe, _KEEP) for pipe in pipes]

    def finished(self) -> Finished:
        """End the process where it still runs, and answer how it ended and what it said last."""
        self.child.end()
        for words in self.words:
            words.rest()
        status = self.child.finish()
        *out, err = [words.text("backslashreplace") for words in self.words]
        return Finished(self.side.said, status, "".join(out), err)


class Pump:
    """Runs one transfer, in one thread; ``cancel`` ends it from outside."""

    def __init__(
        self,
        ends: Ends,
        limits: Limits,
        on_bytes: Callable[[int], None],
        cancel: Cancel,
        bandwidth: Bandwidth | None = None,
    ) -> None:
        self._ends = ends
        self._limits = limits
        self._pace = bandwidth.pace() if bandwidth else None
        self._piece = bandwidth.piece(_PIPE) if bandwidth else _PIPE
        # A pipe holds a second's worth at most: what is in it when its sender fails still has to go through.
        self._width = min(_PIPE, max(_NARROW, bandwidth.rate)) if bandwidth else _PIPE
        self._on_bytes = on_bytes
        self._cancel = cancel
        self._poll = select.poll()
        self._poll.register(cancel.fileno(), select.POLLIN)
        self._listening: dict[int, Words] = {}
        self._moved = 0
        self._reported = 0
        self._reported_at = 0.0
        self._began = 0.0
        self._last_move: float | None = None
        self._sent: list[Finished] = []
        self._sender: _Process | None = None

    def run(self) -> Transfer:
        """Run the transfer to its end."""
        side = self._ends.receive
        try:
            child = Child(side.command, side.env, stdin=subprocess.PIPE)
        except CannotStartError as problem:
            return Transfer((), Finished(side.said, problem.status, "", problem.message + "\n"), 0)
        receiver = _Process(side, child, (child.stdout, child.stderr))
        how = _How.LEFT
        try:
            _widen(child.stdin, self._width)
            self._listen(receiver)
            how = self._feed(child.stdin.fileno())
            self._report()
            child.stdin.close()
            if how is _How.WHOLE and not self._see_out(receiver, self._limits.patience):
                how = _How.STALLED
            elif how is _How.LEFT:
                self._see_out(receiver, _SETTLE)
        except _CancelledError:
            self._report()
        finally:
            # Both pipes first: also a process that we may not signal (sudo) ends for want of them.
            child.stdin.close()
            if self._sender is not None:
                self._sender.child.stdout.close()
                self._sent.append(self._sender.finished())
            received = receiver.finished()
        return Transfer(tuple(self._sent), received, self._moved, how is _How.STALLED)

    def _feed(self, sink: int) -> _How:
        """Run the sends one after the other into ``sink``, as long as each ends well."""
        for side in self._ends.sends:
            if self._sent and self._wait({sink: 0}, 0.0):
                self._sent.append(Finished(side.said, None, "", _NOT_STARTED))
                return _How.LEFT
            try:
                child = Child(side.command, side.env)
            except CannotStartError as problem:
                self._sent.append(Finished(side.said, problem.status, "", problem.message + "\n"))
                return _How.LEFT
            self._sender = _Process(side, child, (child.stderr,))
            self._listen(self._sender)
            _widen(child.stdout, self._width)
            how = self._move(child.stdout.fileno(), sink)
            if how is _How.STALLED:
                return how
            child.stdout.close()
            parting = self._limits.patience if how is _How.WHOLE else _PARTING
            if not self._see_out(self._sender, parting) and how is _How.WHOLE:
                return _How.STALLED
            self._listen_no_more(self._sender)
            finished = self._sender.finished()
            self._sender = None
            if how is _How.LEFT and finished.status == 0:
                finished = replace(finished, status=None, stderr=finished.stderr + _NOT_DELIVERED)
            self._sent.append(finished)
            if not finished.ok:
                return _How.LEFT
        return _How.WHOLE

    def _move(self, source: int, sink: int) -> _How:
        """Move one stream, to its end or as far as it goes."""
        self._began = time.monotonic()
        self._last_move = None
        waits_at = 0.0
        while True:
            if time.monotonic() >= waits_at:
                how = self._ready_to_move(source, sink)
                if how is not None:
                    return how
                waits_at = time.monotonic() + _REPORT_EVERY
            if self._pace is not None:
                self._keep_pace(self._pace, sink)
            try:
                count = os.splice(source, sink, self._piece, flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)
            except BlockingIOError:
                waits_at = 0.0
                continue
            except BrokenPipeError:
                return _How.LEFT
            self._moved += count
            self._last_move = time.monotonic()
            if self._pace is not None:
                self._pace.moved(count)
            if self._last_move - self._reported_at >= _REPORT_EVERY:
                self._report()
            if count < _BULK:
                waits_at = 0.0
            else:
                time.sleep(_GATHER)

    def _keep_pace(self, pace: Pace, sink: int) -> None:
        """Wait until the limit lets more bytes move, or until the receiving side has gone.

        Never a silence: bytes could move now, and the move that follows begins the watch on silence anew.
        """
        while (left := pace.wait()) > 0:
            if self._moved > self._reported:
                left = min(left, max(0.0, self._reported_at + _REPORT_EVERY - time.monotonic()))
            if self._wait({sink: 0}, left):
                return
            if time.monotonic() - self._reported_at >= _REPORT_EVERY:
                self._report()

    def _ready_to_move(self, source: int, sink: int) -> _How | None:
        """Wait until bytes can move; the end of the stream, where that comes first."""
        ready = self._wait_moving({source: select.POLLIN, sink: 0})
        if ready and source not in ready:
            # The receiving side has gone. That is well if the stream is at its end too.
            ready = self._wait({source: select.POLLIN}, _PARTING)
            if not ready:
                return _How.LEFT
        if ready and not ready[source] & select.POLLIN:
            return _How.WHOLE  # closed, and nothing left in it
        if not ready or not self._wait_moving({sink: select.POLLOUT}):
            return _How.STALLED
        return None

    def _wait_moving(self, wanted: Mapping[int, int]) -> Mapping[int, int]:
        """Wait as ``_wait`` does, reporting bytes meanwhile; an empty answer means that it stalled."""
        if self._last_move is None:
            since, limit = self._began, self._limits.patience
        else:
            since, limit = self._last_move, self._limits.stall
        stalls_at = math.inf if limit is None else since + limit
        while True:
            report_at = self._reported_at + _REPORT_EVERY if self._moved > self._reported else math.inf
            until = min(stalls_at, report_at)
            ready = self._wait(wanted, None if until == math.inf else max(0.0, until - time.monotonic()))
            if ready or time.monotonic() >= stalls_at:
                return ready
            self._report()

    def _report(self) -> None:
        news = self._moved - self._reported
        self._reported = self._moved
        self._reported_at = time.monotonic()
        if news:
            self._on_bytes(news)

    def _see_out(self, process: _Process, seconds: float | None) -> bool:
        """Wait for a process to end by itself, and for its last words; False once the seconds are up."""
        if not self._wait({process.child.exit_fd: select.POLLIN}, seconds):
            return False
        limit = time.monotonic() + _LAST_WORDS
        while any(words.open for words in process.words):
            left = limit - time.monotonic()
            if left <= 0:
                break
            self._wait({}, left)
        return True

    def _listen(self, process: _Process) -> None:
        for words in process.words:
            self._listening[words.fd] = words
            self._poll.register(words.fd, select.POLLIN)

    def _listen_no_more(self, process: _Process) -> None:
        for words in process.words:
            if self._listening.pop(words.fd, None) is not None:
                self._poll.unregister(words.fd)

    def _wait(self, wanted: Mapping[int, int], seconds: float | None) -> Mapping[int, int]:
        """Wait until one of ``wanted`` (descriptor: events) is ready; empty once the time is up.

        Takes what the processes say meanwhile. With nothing wanted it answers after any of them
        has spoken. Raises ``_CancelledError``.
        """
        limit = None if seconds is None else time.monotonic() + seconds
        for fd, events in wanted.items():
            self._poll.register(fd, events)
        try:
            while True:
                left = None if limit is None else max(0.0, limit - time.monotonic())
                events_by_fd = dict(self._poll.poll(None if left is None else left * 1000))
                if self._cancel.fileno() in events_by_fd:
                    raise _CancelledError
                for fd in events_by_fd.keys() & self._listening.keys():
                    if not self._listening[fd].take():
                        del self._listening[fd]
                        self._poll.unregister(fd)
                ready = {fd: events for fd, events in events_by_fd.items() if fd in wanted}
                if ready or not wanted or left == 0.0:
                    return ready
        finally:
            for fd in wanted:
                self._poll.unregister(fd)


def _widen(pipe: IO[bytes], width: int) -> None:
    """Make a pipe that many bytes wide; where that is refused the common one works too."""
    try:
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, width)
    except OSError:
        return

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the floors above ask of a host: run a command, and move streams from one host to another.

Two implementations of each exist: real processes (``local``, ``ssh`` and ``stream``) and the
in-process model of ZFS that the tests use. Nothing above this floor can tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .errors import HostError

Argv = Sequence[str]
"""A command as a vector of arguments; never a string for a shell."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended.

    ``status`` is the exit status; negative for a signal (as ``subprocess`` has it), and ``None``
    where the far side never told (a connection that died).
    """

    argv: tuple[str, ...]
    status: int | None
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """True where the command itself says that it succeeded."""
        return self.status == 0


class Host(Protocol):
    """A machine that runs commands."""

    @property
    def label(self) -> str:
        """How messages name this host: ``this machine``, or the ssh destination."""

    def run(self, argv: Argv, *, timeout: float | None = None) -> Finished:
        """Run a command to its end and answer what it said.

        A command that fails is an answer (``status`` is not 0), not an exception. May be called
        from several threads at once. ``timeout`` is in seconds. Raises ``HostError`` where the
        command could not be run, the host could not be reached, or the time is up.
        """

    def close(self) -> None:
        """End the connection, where there is one. May be called twice."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One connection's worth of joined streams, finished or broken.

    ``sends`` holds the sending commands that were started, in order (the last one is the one that
    failed, where one did); ``receive`` is the whole receiving side. ``bytes_moved`` counts what went
    into the receiving side. ``stalled`` is true where it was ended because nothing moved for too
    long. ``trouble`` tells what kept it from one of the hosts, where that is what went wrong.
    """

    sends: tuple[Finished, ...]
    receive: Finished
    bytes_moved: int
    stalled: bool = False
    trouble: HostError | None = None

    @property
    def ok(self) -> bool:
        """True where every command on both sides says that it succeeded."""
        return self.receive.ok and all(send.ok for send in self.sends)


class Link(Protocol):
    """A way for streams from one host to another."""

    def transfer(
        self,
        sends: Sequence[Argv],
        receives: Sequence[Argv],
        *,
        on_bytes: Callable[[int], None] = lambda _count: None,
    ) -> Transfer:
        """Join the streams of ``sends``, in order, and feed them to ``receives``, run as ``a && b``.

        Send n+1 starts only after send n ended with 0; otherwise the connection is closed at once,
        so that no receive ever meets another dataset's stream. ``on_bytes`` is called with the
        number of bytes that have moved since the last call. A failure is an answer; any exception
        (also a signal's) ends the children on both sides first. May be called from several threads.
        """

    def stop(self) -> None:
        """End every transfer that is under way, from another thread, and refuse new ones."""

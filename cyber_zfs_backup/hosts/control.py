# SPDX-License-Identifier: GPL-3.0-or-later
"""What every way of running control commands on a far host has in common."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from .errors import HostError, HostErrorKind
from .protocol import Finished
from .shield import TimeUpError

CONNECT_TIMEOUT = 20.0
"""Seconds for the TCP connection, and again for the server's first words, unless configured."""
HANDSHAKE_TIMEOUT = 60.0
"""Seconds for the key exchange, and again for the login: a small or busy machine needs several."""
ALIVE_INTERVAL = 15
"""Seconds between signs of life, unless configured."""
ALIVE_COUNT = 4
"""So many signs of life may go unanswered before the connection counts as lost."""
_SESSIONS = 8
"""Commands at once on one connection: below the default of sshd's MaxSessions (10)."""
_REFUSALS = 5
"""So many refused sessions in a row, with no other command running, are final."""
_PAUSE = 0.1


class NotForParamikoError(Exception):
    """Something that only OpenSSH's own client can do is asked for; the message says what."""


class Control(Protocol):
    """One open connection for control commands."""

    @property
    def alive(self) -> bool:
        """False once the connection is known to be lost."""

    def run(self, argv: tuple[str, ...], timeout: float | None) -> Finished:
        """Run one command; see ``Host.run``."""

    def close(self) -> None:
        """End the connection. Never hangs."""


class Attempt:
    """One attempt to connect, in a thread of its own, that others may give up.

    A signal's exception in the calling thread must not lose a process that was just born; so the
    attempt's own thread makes them, and says here how they are ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given_up = False
        self._endings: list[Callable[[], None]] = []

    @property
    def given_up(self) -> bool:
        """True once nobody waits for this connection any more."""
        return self._given_up

    def hold(self, ending: Callable[[], None]) -> None:
        """Have ``ending`` called when the attempt is given up (at once, where it was already)."""
        with self._lock:
            self._endings.append(ending)
            late = self._given_up
        if late:
            ending()

    def give_up(self) -> None:
        """End what the attempt holds, which makes it fail. May be called twice."""
        with self._lock:
            endings = [] if self._given_up else list(self._endings)
            self._given_up = True
        for ending in endings:
            ending()


class Sessions:
    """Counts the commands that run on one connection, and learns from the server's refusals."""

    def __init__(self, limit: int = _SESSIONS) -> None:
        self._changed = threading.Condition()
        self._limit = limit
        self._running = 0
        self._refused_alone = 0

    def take(self, timeout: float | None = None) -> None:
        """Wait for a free place. Raises ``TimeUpError``."""
        limit = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while self._running >= self._limit:
                left = None if limit is None else limit - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeUpError
                self._changed.wait(left)
            self._running += 1

    def give_back(self) -> None:
        """Free a place after a command that ran."""
        with self._changed:
            self._refused_alone = 0
            self._running -= 1
            self._changed.notify_all()

    def refused(self) -> bool:
        """Free a place that the server did not grant, and ask for fewer from now on.

        False where trying again is of no use: no other command takes room, time and again. (Once
        proves nothing: the command that took it may have ended just now.)
        """
        with self._changed:
            self._running -= 1
            self._limit = max(1, min(self._limit, self._running))
            self._changed.notify_all()
            if self._running > 0:
                return True
            self._refused_alone += 1
            if self._refused_alone <= _REFUSALS:
                self._changed.wait(_PAUSE)
                return True
            return False


def no_session(label: str) -> HostError:
    """Build the error for a server that grants not even one session."""
    return HostError(
        HostErrorKind.LOGIN_REFUSED,
        label,
        "the login works but the server grants no session for a command",
        "see MaxSessions in its sshd_config and the key's options in authorized_keys",
    )

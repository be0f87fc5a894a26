# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit on how many bytes a second all transfers of a run may move together.

Nobody counts in intervals here. The limit has one clock hand, ``paid until``: each piece that moves
pushes it on by the time which the piece takes at that rate, and whoever moved it waits until the hand's
new place is reached. So the sum is exact whatever the number of transfers, a piece is never split among
them, and a transfer that moves nothing (its disk is slow) leaves everything to the others.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

_PIECES = 40
"""Pieces a second at most, of all transfers together, as long as a piece fits into a pipe: few enough to
cost nothing, and small enough that nobody sees them as bursts."""

_LEAST_PIECE = 1024
_HICCUP = 0.25
"""For how many seconds the limit may stay unused and still be made up for: we wake up late where the
processors are busy, and a disk has its moments. A longer pause is forgotten, so that no burst follows it."""


class Bandwidth:
    """The limit, shared by all transfers: ``rate`` is in bytes per second.

    ``clock`` answers seconds that never go back. May be used from several threads at once.
    """

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        if rate < 1:
            raise ValueError(f"a limit of {rate} bytes per second lets nothing through")
        self.rate = rate
        self.clock = clock
        self._lock = threading.Lock()
        self._paid_until = -math.inf

    def piece(self, most: int) -> int:
        """How many bytes should move at once, not more than ``most``."""
        return min(most, max(_LEAST_PIECE, self.rate // _PIECES))

    def pace(self) -> Pace:
        """What one more transfer is to be measured with."""
        return Pace(self)

    def pay(self, count: int) -> float:
        """Count ``count`` bytes that have moved; answers when, by ``clock``, they are paid for."""
        with self._lock:
            now = self.clock()
            if self._paid_until < now - _HICCUP:
                self._paid_until = now
            self._paid_until += count / self.rate
            return self._paid_until


class Pace:
    """One transfer's part in a limit. Used by one thread at a time."""

    def __init__(self, bandwidth: Bandwidth) -> None:
        self._bandwidth = bandwidth
        # A newcomer waits for what others have moved; else many short transfers would go past the limit.
        self._due = bandwidth.pay(0)

    def wait(self) -> float:
        """How many seconds this transfer must still wait before it moves anything; 0 where it may."""
        return max(0.0, self._due - self._bandwidth.clock())

    def moved(self, count: int) -> None:
        """Count bytes that this transfer has moved."""
        self._due = self._bandwidth.pay(count)

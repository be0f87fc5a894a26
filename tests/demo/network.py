# SPDX-License-Identifier: GPL-3.0-or-later
"""The network between source and receiver: a relay that counts, and breaks when it is told to."""

from __future__ import annotations

import contextlib
import socket
import threading

_CHUNK = 1 << 16


class Relay:
    """Passes TCP connections on to a port of the loopback interface.

    ``connections`` counts them. After ``break_after(n)`` the first one that has carried ``n`` bytes
    towards the receiver is cut off, both ways and without a word; ``broken`` says that it happened.
    """

    def __init__(self, target: int) -> None:
        """Listen on a free port (``port``) and pass everything on to ``target``."""
        self._target = target
        self._limit: int | None = None
        self._lock = threading.Lock()
        self.connections = 0
        self.broken = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def break_after(self, count: int) -> None:
        """Cut the first connection that carries ``count`` bytes to the receiver from now on."""
        with self._lock:
            self._limit, self.broken = count, False

    def close(self) -> None:
        """Accept no more; what stands ends with its two sides."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            self.connections += 1
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._carry, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, False), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket, towards_receiver: bool) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while data := one.recv(_CHUNK):
                other.sendall(data)
                carried += len(data)
                if towards_receiver and self._cut_now(carried):
                    for each in (one, other):
                        each.shutdown(socket.SHUT_RDWR)
                    return
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    def _cut_now(self, carried: int) -> bool:
        with self._lock:
            if self._limit is None or carried < self._limit:
                return False
            self._limit, self.broken = None, True
            return True

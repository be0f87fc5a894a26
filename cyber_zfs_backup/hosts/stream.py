# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams from one host to another, each host's end being a process on this machine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from .bandwidth import Bandwidth
from .errors import HostError, HostErrorKind
from .protocol import Argv, Finished, Transfer
from .pump import Ends, Limits, Pump, Side
from .quoting import checked, shown
from .shield import Cancel, shielded

log = logging.getLogger(__name__)


def _unwatched(_count: int) -> None:
    """Count for nobody."""


class Endpoint(Protocol):
    """A host that bulk data can come from or go to: ``LocalHost`` or ``SshHost``."""

    @property
    def label(self) -> str:
        """How messages name this host."""

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of the local process."""

    def data_command(self, argvs: Sequence[Argv]) -> list[str]:
        """Answer the local command that runs ``argvs`` there, as ``a && b``."""

    def explain(self, finished: Finished) -> HostError | None:
        """Tell what kept a data command from the host; None where it was the command that failed."""


class ProcessLink:
    """Moves streams from ``source`` to ``receiver``; see ``Link``.

    ``stall`` is in seconds: a stream that has begun and not ended, and of which no byte moves for
    that long, is ended on both sides. None: never. It does not count before a stream's first byte
    (a sender that reads metadata) nor after its last (a receiver that commits): there ``patience``
    does, in seconds too, which should be much longer. ``bandwidth`` limits this link's transfers
    together with all others that were given the same one; a wait for it is no silence.
    """

    def __init__(
        self,
        source: Endpoint,
        receiver: Endpoint,
        *,
        stall: float | None = None,
        patience: float | None = None,
        bandwidth: Bandwidth | None = None,
    ) -> None:
        self._source = source
        self._receiver = receiver
        self._limits = Limits(stall, patience)
        self._bandwidth = bandwidth
        self._lock = threading.Lock()
        self._running: set[Cancel] = set()
        self._stopped = False

    def transfer(
        self,
        sends: Sequence[Argv],
        receives: Sequence[Argv],
        *,
        on_bytes: Callable[[int], None] = _unwatched,
    ) -> Transfer:
        """Join the streams of ``sends`` and feed them to ``receives``; see ``Link.transfer``.

        ``on_bytes`` is called from another thread, some times a second; the counts add up to
        ``bytes_moved``. What it raises ends the transfer and is raised here. A send that could not
        be started, or not be delivered in full because the receiving side ended first, has the
        status None or a shell's 127, never 0. Raises ``HostError`` STOPPED after ``stop``, and
        CONFIG where the ssh configuration is wrong.
        """
        if log.isEnabledFor(logging.DEBUG):
            ways = (self._source.label, self._receiver.label)
            log.debug("%s to %s: %s | %s", *ways, shown(sends, "; "), shown(receives))
        ends = Ends(
            sends=tuple(self._side(self._source, (argv,)) for argv in sends),
            receive=self._side(self._receiver, receives),
        )
        with Cancel() as cancel:
            with self._lock:
                if self._stopped:
                    where = self._receiver.label
                    raise HostError(HostErrorKind.STOPPED, where, "the run is being ended", "run this again")
                self._running.add(cancel)
            try:
                pump = Pump(ends, self._limits, on_bytes, cancel, self._bandwidth)
                transfer = shielded(pump.run, cancel)
            finally:
                with self._lock:
                    self._running.discard(cancel)
        return replace(transfer, trouble=self._trouble(transfer))

    def stop(self) -> None:
        """End every transfer that is under way, from another thread, and refuse new ones."""
        with self._lock:
            self._stopped = True
            for cancel in self._running:
                cancel.wish()

    def _trouble(self, transfer: Transfer) -> HostError | None:
        """What kept the transfer from a host; the receiver's comes first, as its end ends the sends."""
        trouble = self._receiver.explain(transfer.receive)
        if trouble is None and transfer.sends:
            trouble = self._source.explain(transfer.sends[-1])
        return trouble

    @staticmethod
    def _side(host: Endpoint, argvs: Sequence[Argv]) -> Side:
        said: list[str] = []
        for argv in argvs:
            said += [*(["&&"] if said else []), *checked(argv)]
        return Side(tuple(said), tuple(host.data_command(argvs)), host.env)

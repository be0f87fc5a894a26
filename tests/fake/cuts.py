# SPDX-License-Identifier: GPL-3.0-or-later
"""Deaths in the middle of a connection, at any byte of its joined streams.

Whoever dies, the receiving zfs sees the end of its input; what differs is what our side is told of it,
and how a run must judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.protocol import Finished

LOST = "client_loop: send disconnect: Broken pipe\r\n"
"""ssh's own words when the connection under it has gone."""


class Victim(Enum):
    """Who dies."""

    SENDER = "sender"
    """``zfs send`` is killed: its status is -9, the receive complains of its input."""
    RECEIVER = "receiver"
    """``zfs receive`` is killed: ssh ends with 255 and no word, a shell between them with 137."""
    LINK = "link"
    """The connection goes: ssh ends with 255 and says so."""
    SILENT_LINK = "silent link"
    """The connection goes, and no status ever comes."""
    OURSELVES = "ourselves"
    """Our own process is killed; what it has passed on arrives."""
    OURSELVES_LATE = "ourselves, late"
    """The same, and the receive ends only after others have run (``FakeLink.arrive``)."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The victim dies at byte ``at`` of a connection, counted round: every number is some byte of it.

    A cut at the last byte lets everything arrive, and only the answer is lost.
    """

    victim: Victim
    at: int

    @property
    def kills_us(self) -> bool:
        """Whether our process dies."""
        return self.victim in (Victim.OURSELVES, Victim.OURSELVES_LATE)

    def receive(self, whole: Finished, where: str, *, shell: bool) -> tuple[Finished, HostError | None]:
        """What is said of the receive that ended as ``whole`` says; ``shell`` where it is one of several."""
        argv, out, err = whole.argv, whole.stdout, whole.stderr
        if self.victim is Victim.RECEIVER:
            return Finished(argv, 137 if shell else 255, out, "Killed\n" if shell else ""), None
        if self.victim is Victim.LINK:
            lost = HostError(HostErrorKind.UNREACHABLE, where, LOST, "run again when the network is well")
            return Finished(argv, 255, "", LOST), lost
        if self.victim is Victim.SILENT_LINK:
            return Finished(argv, None, out, err), None
        return whole, None

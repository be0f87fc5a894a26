# SPDX-License-Identifier: GPL-3.0-or-later
"""What stops an action that has looked at the source; and how long zfs may take for an answer."""

from __future__ import annotations

from ..config.job import UsageError

PATIENCE = 6 * 3600.0
"""Seconds after which a command that moves no data is ended, and a stream that does not begin or whose
receive does not end: a pool that hangs answers never, and half a million snapshots on slow disks are listed,
or destroyed, in less."""


class SourceMissingError(UsageError):
    """The dataset that was named does not exist here."""


class DamagedRecordError(Exception):
    """One of our properties on the source holds something that we did not write: ``what`` it is, on which
    dataset, and what mends it."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(f"{what}; {remedy}")

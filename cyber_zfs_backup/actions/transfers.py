# SPDX-License-Identifier: GPL-3.0-or-later
"""Which side of a broken transfer is to blame, where one stream went over one connection."""

from __future__ import annotations

from dataclasses import replace

from ..hosts.protocol import Transfer
from ..zfs.errors import ZfsError
from .execute import broken_send


def broken_side(transfer: Transfer, sender: str, receiver: str) -> ZfsError:
    """The error of a transfer that is not ``ok``; the labels name the two sides."""
    if transfer.stalled:
        said = f"no byte has moved for a long time, so both sides were ended\n{transfer.receive.stderr}"
        return ZfsError(receiver, replace(transfer.receive, stderr=said))
    if transfer.trouble is not None:
        return ZfsError(transfer.trouble.where, transfer.receive, transfer.trouble)
    broken = broken_send(transfer)
    if broken is not None:
        return ZfsError(sender, transfer.sends[broken])
    return ZfsError(receiver, transfer.receive)

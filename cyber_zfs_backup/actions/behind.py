# SPDX-License-Identifier: GPL-3.0-or-later
"""A destination that was not brought up: since when it is behind, and how much space that keeps here."""

from __future__ import annotations

from dataclasses import replace

from ..hosts.errors import HostError
from ..model.names import own_time
from ..plan.ledger import Ledger
from ..zfs.errors import ZfsError
from ..zfs.parse import GarbledError
from . import words
from .ends import Ends, Home, read_for_push
from .errors import DamagedRecordError, SourceMissingError
from .push import newest_own
from .result import ActionResult, Outcome

_NOT_BEHIND = (Outcome.DONE, Outcome.NOTHING, Outcome.LOCKED)


def tell_behind(ends: Ends, result: ActionResult) -> ActionResult:
    """Say it, and note it in the push's figures: ``behind_since`` and ``kept_bytes``.

    Where the source itself does not answer any more, the push has said why: nothing is added.
    """
    if result.outcome in _NOT_BEHIND or ends.job.dry_run:
        return result
    try:
        facts = read_for_push(ends)
        ledger = facts.ledgers.get(facts.tag)
        if ledger is None:
            return result
        since, newest = _since(ledger), newest_own(ends)
        if since is None or newest is None or since == newest.name:
            # There is nothing newer to have; and of what is not there at all the result itself has said so.
            return result
        kept = kept_for(ends, facts.root, ledger)
    except (ZfsError, HostError, GarbledError, SourceMissingError, DamagedRecordError):
        return result
    space = "an unknown amount" if kept is None else words.size(kept)
    ends.surface.warn(
        f"push: {ends.destination.label} is behind since {since}: what is kept for it takes {space} here; "
        f"if it is gone for good: cyber-zfs-backup forget '{ends.destination.label}' --dataset {facts.root}"
    )
    figures = {**result.figures, "behind_since": since}
    return replace(result, figures=figures if kept is None else {**figures, "kept_bytes": kept})


def _since(ledger: Ledger) -> str | None:
    """The oldest base of any dataset: its name tells the time of what the receiver has."""
    bases = [record.base for record in (ledger.root, *ledger.lagging.values()) if record.base]
    dated = sorted(name for name in bases if own_time(name) is not None)
    return next(iter(dated or bases), None)


def kept_for(ends: Home, root: str, ledger: Ledger) -> int | None:
    """Bytes that only the snapshots kept for this destination hold on to; ``None`` where zfs cannot tell."""
    names = {name for record in (ledger.root, *ledger.lagging.values()) for name in record.names}
    if not names:
        return 0
    try:
        return ends.source.reclaim(root, sorted(names), recursive=True)
    except ZfsError:
        # A clone of one of them, say: zfs gives no estimate then.
        return None

# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshot: one transaction over the whole tree, named after the moment in UTC."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.names import BadNameError, check_snapshot, join, own_name, own_time
from ..zfs.errors import Trouble, ZfsError
from .ask import Asked
from .ends import Home, read_taking_part, source_missing
from .push import Newest, newest_own
from .result import ActionResult, Outcome, Problem


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot action that ended. ``newest`` is what it took (in a dry run: what it would have taken)."""

    result: ActionResult
    newest: Newest | None = None


def snapshot(ends: Home) -> Taken:
    """Take one atomic snapshot of every dataset that takes part.

    Refuses where the clock is behind the newest own snapshot: its name would put it in the wrong
    place of every retention rule. Raises ``ZfsError``, ``UsageError``, ``HostError``.
    """
    root = ends.job.dataset
    part_of = Asked(lambda: read_taking_part(ends))
    moment = ends.clock()
    name = own_name(moment)
    before = _newest(ends)
    newest = before.name if before else None
    newest_time = own_time(newest) if newest else None
    taken = Newest(name, before.listed + 1 if before else 1)
    if newest == name:
        return _failed(
            ends, f"@{name} exists already", "another run took it this very second: run again", "exists"
        )
    if newest_time is not None and newest_time > moment:
        return _failed(
            ends,
            f"the clock says {name}, but the newest snapshot is @{newest}",
            "set the clock (timedatectl); if the snapshot's date is wrong: "
            f"cyber-zfs-backup quarantine '{root}@{newest}'",
            "clock",
        )
    part = part_of()
    recursive = not part.excluded
    names = [f"{join(root, path)}@{name}" for path in ([""] if recursive else part.paths)]
    try:
        for full in names:
            check_snapshot(full)
    except BadNameError as error:
        return _failed(ends, str(error), "give that dataset a shorter name", "name")
    what = f"@{name} of {root}" + (" and all below it" if recursive else f" and {len(names) - 1} below it")
    if ends.job.dry_run:
        return Taken(ActionResult("snapshot", Outcome.DONE, f"would take {what}"), taken)
    try:
        ends.source.snapshot(names, recursive=recursive)
    except ZfsError as error:
        if error.trouble is not Trouble.EXISTS:
            raise
        remedy = "a snapshot of that very second is there: run again"
        return _failed(ends, f"@{name} exists already, nothing was taken ({error.text})", remedy, "exists")
    return Taken(ActionResult("snapshot", Outcome.DONE, what, figures={"name": name}), taken)


def _newest(ends: Home) -> Newest | None:
    try:
        return newest_own(ends)
    except ZfsError as error:
        if error.trouble is Trouble.NOT_THERE:
            raise source_missing(ends) from None
        raise


def _failed(ends: Home, what: str, remedy: str, kind: str) -> Taken:
    problem = Problem(what, ends.job.dataset, remedy, kind)
    return Taken(ActionResult("snapshot", Outcome.FAILED, "no snapshot was taken", problems=(problem,)))

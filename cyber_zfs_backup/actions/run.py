# SPDX-License-Identifier: GPL-3.0-or-later
"""One run: snapshot, push, expire, mirror, in this order. One that fails does not stop the others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

from ..config.job import Action, Job, UsageError
from ..hosts.errors import HostError
from ..hosts.local import LocalHost
from ..hosts.ssh import SshHost
from ..hosts.stream import ProcessLink
from ..zfs.client import Zfs
from ..zfs.errors import Trouble, ZfsError
from ..zfs.parse import GarbledError
from .ask import Asked, ask_receiver
from .ends import DamagedRecordError, Ends
from .expire import Expired, expire
from .lock import LockError, push_lock
from .mirror import Imagined, mirror_receiver
from .push import Newest, Pushed, push
from .result import ActionResult, Outcome, Problem, RunResult, Surface
from .snapshot import Taken, snapshot

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)

STALL = 15 * 60.0
"""Seconds without a byte after which a stream that has begun is ended on both sides."""

PATIENCE = 6 * 3600.0
"""Seconds after which a command that moves no data is ended, and a stream that does not begin or whose
receive does not end: a pool that hangs answers never, and half a million snapshots on slow disks are listed,
or destroyed, in less."""


def run(job: Job, surface: Surface) -> RunResult:
    """Do what the job asks for, on this machine and its destination."""
    with real_ends(job, surface) as ends:
        return run_on(ends)


@contextmanager
def real_ends(job: Job, surface: Surface) -> Iterator[Ends]:
    """The job's ends as real processes and connections; nothing is connected before it is needed."""
    here = LocalHost()
    config = job.destination.ssh_config
    there = SshHost(job.destination.ssh, None if config is None else str(config))
    link = ProcessLink(here, there, stall=STALL, patience=PATIENCE)
    try:
        yield Ends(
            job=job,
            source=Zfs(here, timeout=PATIENCE),
            receiver=Zfs(there, sudo=job.destination.use_sudo, timeout=PATIENCE),
            link=link,
            surface=surface,
            clock=lambda: datetime.now(UTC),
        )
    finally:
        link.stop()
        there.close()


def run_on(ends: Ends) -> RunResult:
    """Do what the job asks for on the given ends.

    Raises ``UsageError`` where the source's dataset does not exist, or a pattern excludes the root.
    """
    return finished_run(ends, _Run(ends).results)


def finished_run(ends: Ends, do: Callable[[], list[ActionResult]]) -> RunResult:
    """Do it, and put what came of it together as the run's result."""
    started, began = ends.clock(), time.monotonic()
    results = do()
    return RunResult(
        dataset=ends.job.dataset,
        destination=ends.job.destination.label if Action.PUSH in ends.job.actions else "",
        started=started,
        seconds=round(time.monotonic() - began, 3),
        dry_run=ends.job.dry_run,
        actions=tuple(results),
    )


class _Run:
    """One run under way. The lock is held for the push and its mirror, not for the rest."""

    def __init__(self, ends: Ends) -> None:
        self.ends = ends
        self.wanted = ends.job.actions

    def results(self) -> list[ActionResult]:
        if Action.PUSH not in self.wanted or self.ends.job.dry_run:
            return self._all(None if Action.PUSH in self.wanted else _not_wanted())
        try:
            with push_lock(self.ends.job.dataset, self.ends.job.destination) as lock:
                return self._all(None if lock else _locked_out(self.ends, lock.holder))
        except LockError as error:
            problem = Problem(str(error), "lock", "then run again", "lock")
            return self._all(_failed("push", Outcome.FAILED, problem))

    def _all(self, instead: ActionResult | None) -> list[ActionResult]:
        """All actions in order; ``instead`` is the push's result where it is not to be tried."""
        results: list[ActionResult] = []
        # Asked while the snapshot is taken: connecting is most of what a push waits for.
        about = None if instead else Asked(lambda: ask_receiver(self.ends))
        taken: Newest | None = None
        if Action.SNAPSHOT in self.wanted:
            snap = attempt("snapshot", lambda: snapshot(self.ends))
            results.append(snap if isinstance(snap, ActionResult) else snap.result)
            taken = snap.newest if isinstance(snap, Taken) else None
        pushed: Pushed | ActionResult | None = instead
        if about is not None:
            pushed = attempt("push", lambda: push(self.ends, taken, about))
        if pushed is not None and Action.PUSH in self.wanted:
            results.append(pushed.result if isinstance(pushed, Pushed) else pushed)
        name = taken.name if taken else None
        expired: Expired | ActionResult | None = None
        if Action.EXPIRE in self.wanted:
            expired = attempt("expire", lambda: expire(self.ends, name))
            results.append(expired.result if isinstance(expired, Expired) else expired)
        gone = expired if isinstance(expired, Expired) else None
        if isinstance(pushed, Pushed) and pushed.mirror_wanted(gone.mirror_due if gone else None):
            confirmed = pushed.confirmed
            imagined = Imagined(name, gone.gone if gone else {}) if self.ends.job.dry_run else None
            results.append(attempt("mirror", lambda: mirror_receiver(self.ends, confirmed, imagined)))
        return results


def attempt(action: str, do: Callable[[], Answer]) -> Answer | ActionResult:
    """Do an action; trouble with a host or with zfs becomes its result, and so does a mistake of ours.

    Otherwise a mistake in one action would stop the others every night, and the pool fill up. What is not
    this action's alone goes up: usage, a module that is not installed, and a broken assertion (after
    which nothing that this program believes is worth a destroy).
    """
    try:
        return do()
    except HostError as error:
        kind = error.kind.name.lower().replace("_", "-")
        problem = Problem(error.what, error.where, error.remedy, kind)
        return _failed(action, Outcome.PASSING if error.passing else Outcome.FAILED, problem)
    except ZfsError as error:
        passing = error.trouble in (Trouble.LINK_LOST, Trouble.BUSY, Trouble.STALLED)
        kind = error.trouble.name.lower().replace("_", "-")
        problem = Problem(error.text, error.where, error.remedy, kind)
        return _failed(action, Outcome.PASSING if passing else Outcome.FAILED, problem)
    except (GarbledError, DamagedRecordError) as error:
        what, _, remedy = str(error).rpartition("; ")
        kind = "garbled" if isinstance(error, GarbledError) else "damaged-record"
        return _failed(action, Outcome.FAILED, Problem(what, action, remedy, kind))
    except (UsageError, ModuleNotFoundError, AssertionError):
        raise
    except Exception as error:  # the last resort, in the words of cli/main.py
        _log.debug("%s: internal error", action, exc_info=True)
        what = f"internal error: {type(error).__name__}: {error}"
        remedy = "please report it, run again with --debug"
        return _failed(action, Outcome.FAILED, Problem(what, action, remedy, "internal"))


def _failed(action: str, outcome: Outcome, problem: Problem) -> ActionResult:
    return ActionResult(action, outcome, problem.what, problems=(problem,))


def _not_wanted() -> ActionResult:
    return ActionResult("push", Outcome.SKIPPED, "not asked for")


def _locked_out(ends: Ends, holder: str | None) -> ActionResult:
    known = f" ({holder})" if holder else ""
    problem = Problem(
        f"another run is pushing to {ends.job.destination.label}{known}",
        ends.job.dataset,
        "nothing to do: that run goes on; see it with `ps` or `systemctl status cyber-zfs-backup`, and end "
        "it where it hangs",
        "locked",
    )
    return _failed("push", Outcome.LOCKED, problem)

# SPDX-License-Identifier: GPL-3.0-or-later
"""One run: snapshot, push, expire, mirror, in this order. One that fails does not stop the others.

The destinations are pushed to beside each other, so that one which is slow or down keeps none of the others
back; expire waits for all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from ..config.job import Action, Destination, Job, SourceHost, UsageError
from ..hosts.bandwidth import Bandwidth
from ..hosts.errors import HostError, HostErrorKind
from ..hosts.local import LocalHost
from ..hosts.ssh import SshHost
from ..hosts.stream import ProcessLink
from ..zfs.client import Zfs
from ..zfs.parse import Properties
from .ask import Asked, ask_receiver
from .attempt import attempt
from .behind import tell_behind
from .ends import Ends, Home
from .errors import PATIENCE
from .expire import Expired, expire
from .lock import push_lock
from .mirror import Imagined, mirror_receiver
from .push import Newest, Pushed
from .result import ActionResult, Outcome, Problem, RunResult, Surface
from .retry import push_with_retries
from .snapshot import Taken, snapshot

Answer = TypeVar("Answer")


def run(job: Job, surface: Surface) -> RunResult:
    """Do what the job asks for, on its source and its destinations."""
    with real_home(job, surface) as home, real_ways(home) as ways:
        return run_on(home, ways)


@contextmanager
def real_home(job: Job, surface: Surface) -> Iterator[Home]:
    """The job's source as real processes or a real connection; nothing is connected before it is needed.

    Raises ``UsageError`` where the ssh configuration is bad, as ``real_ways`` does.
    """
    host = host_of(job.source)
    refuse_bad_configuration(host)
    try:
        yield Home(
            job=job,
            source=Zfs(host, sudo=job.source.use_sudo, timeout=PATIENCE),
            surface=surface,
            clock=lambda: datetime.now(UTC),
            pause=time.sleep,
        )
    finally:
        host.close()


@contextmanager
def real_ways(home: Home) -> Iterator[tuple[Ends, ...]]:
    """The ways from a source to each of the job's destinations."""
    delivery = home.job.delivery
    # One for the whole run: the line that it spares is one.
    bandwidth = None if delivery.bwlimit is None else Bandwidth(delivery.bwlimit)
    with ExitStack() as stack:
        ways = []
        for destination in home.job.destinations:
            there = host_of(destination)
            stack.callback(there.close)
            if Action.PUSH in home.job.actions:
                refuse_bad_configuration(there)
            link = ProcessLink(
                # A connection of its own for the data of each, as every stream has.
                host_of(home.job.source),
                there,
                stall=float(delivery.stall_timeout) or None,
                patience=PATIENCE,
                bandwidth=bandwidth,
            )
            stack.callback(link.stop)
            receiver = Zfs(there, sudo=destination.use_sudo, timeout=PATIENCE)
            ways.append(_way(home, destination, receiver, link))
        yield tuple(ways)


def host_of(where: SourceHost | Destination) -> LocalHost | SshHost:
    """A host, by how it was named: empty is this machine."""
    if not where.ssh:
        return LocalHost()
    return SshHost(where.ssh, None if where.ssh_config is None else str(where.ssh_config))


def refuse_bad_configuration(host: LocalHost | SshHost) -> None:
    """Raise ``UsageError`` where ssh does not understand its configuration: before anything is changed."""
    try:
        if isinstance(host, SshHost):
            _ = host.settings
    except HostError as error:
        # A machine without ssh is told by the push; its snapshot is taken all the same.
        if error.kind is HostErrorKind.CONFIG:
            raise UsageError(str(error)) from None


def _way(home: Home, destination: Destination, receiver: Zfs, link: ProcessLink) -> Ends:
    return Ends(
        job=home.job,
        source=home.source,
        surface=home.surface,
        clock=home.clock,
        pause=home.pause,
        destination=destination,
        receiver=receiver,
        link=link,
    )


def run_on(home: Home, ways: Sequence[Ends]) -> RunResult:
    """Do what the job asks for on the given ends.

    Raises ``UsageError`` where the source's dataset does not exist, or a pattern excludes the root.
    """
    return finished_run(home, _Run(home, ways).results)


def finished_run(home: Home, do: Callable[[], list[ActionResult]]) -> RunResult:
    """Do it, and put what came of it together as the run's result."""
    started, began = home.clock(), time.monotonic()
    results = do()
    pushed = home.job.destinations if Action.PUSH in home.job.actions else ()
    return RunResult(
        dataset=home.job.dataset,
        destinations=tuple(destination.label for destination in pushed),
        started=started,
        seconds=round(time.monotonic() - began, 3),
        dry_run=home.job.dry_run,
        actions=tuple(results),
    )


def beside(ways: Sequence[Ends], do: Callable[[Ends], Answer]) -> list[Answer]:
    """Do it on each way, all at the same time; the answers in the ways' order.

    The first in this thread: one destination needs no other, and a signal finds it at its work.
    """
    others = [Asked(partial(do, ends)) for ends in ways[1:]]
    return [*(do(ends) for ends in ways[:1]), *(other() for other in others)]


class _Run:
    """One run under way. The locks are held for the pushes and their mirrors, not for the rest."""

    def __init__(self, home: Home, ways: Sequence[Ends]) -> None:
        self.home = home
        self.wanted = home.job.actions
        self.ways = ways if Action.PUSH in self.wanted else ()

    def results(self) -> list[ActionResult]:
        """The results of all actions, in order."""
        with ExitStack() as locks:
            refused = {ends.destination: self._refused(locks, ends) for ends in self.ways}
            return self._all({each: result for each, result in refused.items() if result is not None})

    def _refused(self, locks: ExitStack, ends: Ends) -> ActionResult | None:
        """Take a destination's lock, or answer why there is none."""
        if self.home.job.dry_run:
            return None
        source = self.home.job.source.named(self.home.job.dataset)
        lock = attempt("push", lambda: locks.enter_context(push_lock(source, ends.destination)))
        if isinstance(lock, ActionResult):
            return replace(lock, destination=ends.destination.label)
        return None if lock else _locked_out(ends, lock.holder)

    def _all(self, instead: Mapping[Destination, ActionResult]) -> list[ActionResult]:
        """All actions in order; ``instead`` are the results of the pushes that are not to be tried."""
        results: list[ActionResult] = []
        # Asked while the snapshot is taken: connecting is most of what a push waits for.
        free = [ends for ends in self.ways if ends.destination not in instead]
        about = {ends.destination: Asked(partial(ask_receiver, ends)) for ends in free}
        taken: Newest | None = None
        if Action.SNAPSHOT in self.wanted:
            snap = attempt("snapshot", lambda: snapshot(self.home))
            results.append(snap if isinstance(snap, ActionResult) else snap.result)
            taken = snap.newest if isinstance(snap, Taken) else None
        done_pushes = beside(free, lambda ends: self._push(ends, taken, about[ends.destination]))
        pushes = {ends.destination: done for ends, done in zip(free, done_pushes, strict=True)}
        for ends in self.ways:
            done = pushes.get(ends.destination) or instead[ends.destination]
            results.append(done.result if isinstance(done, Pushed) else done)
        expired: Expired | ActionResult | None = None
        name = taken.name if taken else None
        if Action.EXPIRE in self.wanted:
            expired = attempt("expire", lambda: expire(self.home, name))
            results.append(expired.result if isinstance(expired, Expired) else expired)
        for ends in free:
            pushed = pushes[ends.destination]
            if isinstance(pushed, Pushed):
                results += self._mirror(ends, pushed, expired if isinstance(expired, Expired) else None, name)
        return results

    def _push(
        self, ends: Ends, taken: Newest | None, about: Callable[[], Properties | None]
    ) -> Pushed | ActionResult:
        done = push_with_retries(ends, taken, about)
        result = done.result if isinstance(done, Pushed) else done
        result = replace(tell_behind(ends, result), destination=ends.destination.label)
        return replace(done, result=result) if isinstance(done, Pushed) else result

    def _mirror(
        self, ends: Ends, pushed: Pushed, gone: Expired | None, taken: str | None
    ) -> list[ActionResult]:
        if not pushed.mirror_wanted(gone.mirror_due if gone else None):
            return []
        imagined = Imagined(taken, gone.gone if gone else {}) if self.home.job.dry_run else None
        done = attempt("mirror", lambda: mirror_receiver(ends, pushed.confirmed, imagined))
        return [replace(done, destination=ends.destination.label)]


def _locked_out(ends: Ends, holder: str | None) -> ActionResult:
    known = f" ({holder})" if holder else ""
    problem = Problem(
        f"another run is pushing to {ends.destination.label}{known}",
        ends.job.dataset,
        "nothing to do: that run goes on; see it with `ps` or `systemctl status cyber-zfs-backup`, and end "
        "it where it hangs",
        "locked",
    )
    return _failed("push", Outcome.LOCKED, problem, ends.destination)


def _failed(action: str, outcome: Outcome, problem: Problem, destination: Destination) -> ActionResult:
    return ActionResult(action, outcome, problem.what, problems=(problem,), destination=destination.label)

# SPDX-License-Identifier: GPL-3.0-or-later
"""``run``: does what is due now, for all that the configuration file declares.

One pass is enough where nothing takes long. A push may take days; while one is under way, what becomes due is
done beside it, so that one slow line keeps no other dataset from its snapshots, and no other destination from
its pushes. Two runs at a time do no harm: the first does what is due, the second finds nothing that is.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.declared_requests import RunDue
from ..config.job import Action, UsageError
from ..config.tasks import Route, Task, tasks
from ..hosts.local import LocalHost
from ..plan.due import Reached, Way, push_at, snapshot_at
from ..zfs.client import Zfs
from .attempt import attempt
from .elapses import CalendarError, next_elapse, time_zone
from .errors import PATIENCE
from .hooks import put_off
from .lock import run_lock
from .remembered import Calendar, caught_up, keep, recall
from .reread import Read, Reader
from .result import ActionResult, Outcome, Problem, RunResult, Surface

if TYPE_CHECKING:
    from ..config.job import Job
    from .due_jobs import Doer, Open
    from .due_pushes import Pushes
    from .ends import Ends, Home

_EVERY = 60.0
"""Seconds between two looks at what has become due, while pushes are under way."""


_TOLD_AGAIN = 3600.0
"""Seconds after which metrics are written anew, though nothing was due."""


@dataclass(frozen=True, slots=True)
class World:
    """What a run works on: the configuration (read anew at each look), this machine's zfs, and ways out.

    ``read`` is given the digests of texts that are known to be good.
    """

    read: Callable[[Collection[str]], Read]
    source: Zfs
    open: Open
    surface: Surface
    clock: Callable[[], datetime]
    elapse: Callable[[str, datetime], datetime | None] = next_elapse


def run_due(request: RunDue, surface: Surface) -> RunResult:
    """Do what is due. Raises ``UsageError`` where the configuration cannot be used."""
    reader = Reader(request.file, surface)
    host = LocalHost()
    source = Zfs(host, timeout=PATIENCE)
    try:
        # Nothing is opened before something is due.
        world = World(
            reader.read,
            source,
            partial(_open, surface),
            surface,
            lambda: datetime.now(UTC),
        )
        return run_due_on(request, world)
    finally:
        host.close()


def _needed(module: str) -> Any:
    """A module of what does the work. It is imported only where there is some: nearly always there is none,
    and a look each few minutes is not to cost more than it must."""
    return importlib.import_module(f".{module}", __package__)


def _open(surface: Surface, job: Job) -> AbstractContextManager[tuple[Home, Sequence[Ends]]]:
    opened: AbstractContextManager[tuple[Home, Sequence[Ends]]] = _needed("due_jobs").open_real(surface)(job)
    return opened


def run_due_on(request: RunDue, world: World) -> RunResult:
    """The same in a given world."""
    started, began = world.clock(), time.monotonic()
    due = _Due(request, world)
    results = due.results()
    return RunResult(
        dataset="",
        destinations=tuple(dict.fromkeys(each.destination for each in results if each.destination)),
        started=started,
        seconds=round(time.monotonic() - began, 3),
        dry_run=request.dry_run,
        actions=tuple(results),
        outdated=not request.dry_run and _is_old(due.metrics, started),
    )


def _is_old(metrics: Path | None, now: datetime) -> bool:
    """Whether that file tells what was so an hour ago: that somebody has paused something would not be told,
    and where something is due once a week nobody would know that there still are runs.

    One that is not there is no reason: whatever the reason is, it is told when there is something to do.
    """
    try:
        return metrics is not None and now.timestamp() - metrics.stat().st_mtime >= _TOLD_AGAIN
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look found: each tree's newest own snapshot, and what runs on record tell."""

    newest: Mapping[str, str]
    reached: Mapping[Way, Reached]


class _Due:
    """One run under way."""

    def __init__(self, request: RunDue, world: World) -> None:
        self._request = request
        self._world = world
        self._begun: tuple[Doer, Pushes] | None = None
        self._results: list[ActionResult] = []
        self._coming: list[tuple[datetime, str]] = []
        self._told: set[str] = set()
        self._now = request.now
        self._not_taken: set[str] = set()
        self.metrics: Path | None = None

    def _work(self) -> tuple[Doer, Pushes]:
        if self._begun is None:
            world = self._world
            doer = _needed("due_jobs").Doer(world.open, world.surface, world.clock)
            self._begun = doer, _needed("due_pushes").Pushes(doer)
        return self._begun

    @property
    def _doer(self) -> Doer:
        return self._work()[0]

    @property
    def _pushes(self) -> Pushes:
        return self._work()[1]

    def results(self) -> list[ActionResult]:
        """What was done, in the order in which it ended."""
        try:
            while True:
                done = attempt("run", self._look)
                if isinstance(done, ActionResult):
                    self._results.append(done)
                if self._begun is None or not self._pushes.under_way:
                    break
                self._results += self._pushes.ended(_EVERY)
        finally:
            if self._begun is not None:
                self._doer.stops.all()
        return self._results or [self._nothing()]

    def _look(self) -> None:
        """Look what is due, do what is done here, and have the rest begun."""
        self._coming.clear()
        before = recall()
        read = self._world.read(before.good)
        self.metrics = read.declared.monitoring.metrics
        wanted = self._wanted(tasks(read.declared))
        with run_lock() as free:
            if not free:
                self._tell("another run is looking at what is due")
                return
            remembered = caught_up(before)
            calendar = Calendar(remembered.spans, self._world.elapse, time_zone())
            newest = self._world.source.newest_own([task.dataset for task in wanted]) if wanted else {}
            for task in wanted:
                self._task(task, _Seen(newest, remembered.reached), calendar)
            self._now = False
            after = replace(remembered, good=(read.digest,), spans=calendar.spans)
            if after != before and not self._request.dry_run:
                keep(after)

    def _wanted(self, known: tuple[Task, ...]) -> list[Task]:
        names = [task.dataset for task in known]
        for name in self._request.datasets:
            if name not in names:
                near = get_close_matches(name, names, 1)
                meant = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(names) or 'none'}"
                raise UsageError(f"run: {self._request.file} has no [[dataset]] {name!r}{meant}")
        return [t for t in known if not self._request.datasets or t.dataset in self._request.datasets]

    def _task(self, task: Task, seen: _Seen, calendar: Calendar) -> None:
        now = self._world.clock()
        paused = task.settings.paused(now)
        if paused:
            self._tell(f"{task.dataset}: is {paused} in {self._request.file}")
            return
        try:
            snapshot, routes = self._due_of(task, seen, calendar, now)
        except CalendarError as error:
            what, _, remedy = str(error).rpartition("; ")
            self._fail(task, Problem(what, task.dataset, remedy, "schedule"))
            return
        expiry = self._now and Action.EXPIRE in self._request.actions
        if not snapshot and not routes and not expiry:
            return
        if self._request.dry_run:
            self._imagine(task, snapshot, routes)
            return
        held = put_off(task.settings.conditions, task.dataset, self._doer.run)
        if held is not None:
            if held.broken:
                self._fail(task, Problem(held.why, task.dataset, "mend it, or take it out", "condition"))
            else:
                self._tell(f"{task.dataset}: is put off: {held.why}")
            return
        newest = seen.newest.get(task.dataset, "")
        if snapshot:
            taken = self._snapshot(task)
            if not taken:
                # What was taken earlier is pushed all the same, where it has not arrived.
                _, routes = self._due_of(task, seen, calendar, now)
            newest = taken or newest
        elif expiry:
            self._results += self._doer.expire(task)
        for route in routes:
            if newest:
                self._pushes.begin(task, route, newest)

    def _snapshot(self, task: Task) -> str:
        """Take the snapshot, and answer its name; empty where it was not taken."""
        snapped = self._doer.snapshot(task, expires=Action.EXPIRE in self._request.actions)
        self._results += snapped.results
        if not snapped.name:
            self._not_taken.add(task.dataset)
        return snapped.name

    def _due_of(
        self, task: Task, seen: _Seen, calendar: Calendar, now: datetime
    ) -> tuple[bool, tuple[Route, ...]]:
        """Whether its snapshot is due, and where it is to be pushed."""
        actions, settings = self._request.actions, task.settings
        newest = seen.newest.get(task.dataset, "")
        snapshot = False
        if Action.SNAPSHOT in actions:
            at = now if self._now else snapshot_at(settings.schedule, newest, now, calendar.after)
            snapshot = self._is_due(at, now, f"a snapshot of {task.dataset}")
            # What failed is the next run's to try again.
            snapshot = snapshot and task.dataset not in self._not_taken
        routes = []
        for route in task.routes if Action.PUSH in actions else ():
            label = route.destination.label
            if self._begun is not None and self._pushes.has(task, route):
                continue
            # What is taken now is new to every destination.
            name = "?" if snapshot else newest
            reached = seen.reached.get(Way(task.dataset, label))
            at = push_at(settings.push_schedule, name, reached, now, calendar.after)
            if self._now and name:
                at = now
            if self._is_due(at, now, f"a push of {task.dataset} to {label}"):
                routes.append(route)
        return snapshot, tuple(routes)

    def _is_due(self, at: datetime | None, now: datetime, what: str) -> bool:
        if at is not None and at > now:
            self._coming.append((at, what))
        return at is not None and at <= now

    def _imagine(self, task: Task, snapshot: bool, routes: tuple[Route, ...]) -> None:
        lines = [f"would take a snapshot of {task.dataset}"] if snapshot else []
        lines += [f"would push it to {route.destination.label}" for route in routes]
        lines = lines or ["would let go of what is old"]
        self._results.append(
            ActionResult("run", Outcome.DONE, "; ".join(lines), lines=tuple(lines), dataset=task.dataset)
        )

    def _fail(self, task: Task, problem: Problem) -> None:
        if problem.what in self._told:
            return
        self._told.add(problem.what)
        self._results.append(
            ActionResult("run", Outcome.FAILED, problem.what, problems=(problem,), dataset=task.dataset)
        )

    def _tell(self, message: str) -> None:
        """Say it once a run, however often it is seen."""
        if message not in self._told:
            self._told.add(message)
            self._world.surface.note(message)

    def _nothing(self) -> ActionResult:
        coming = min(self._coming, default=None)
        then = "" if coming is None else f"; next, at {coming[0]:%Y-%m-%d %H:%M} UTC: {coming[1]}"
        return ActionResult("run", Outcome.NOTHING, f"nothing is due{then}")

# SPDX-License-Identifier: GPL-3.0-or-later
"""One task of the configuration file: its snapshot and expiry, and its pushes, with the hooks around them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from ..config.declared import Stage
from ..config.job import Action, Job, UsageError
from ..config.tasks import Route, Task
from . import history
from .attempt import attempt
from .ends import Ends, Home
from .hooks import Hooked, Moment, Run, run_here, run_hooks
from .result import ActionResult, Outcome, Problem, RunResult, Surface, exit_code
from .run import real_home, real_ways, run_on

Open = Callable[[Job], AbstractContextManager[tuple[Home, Sequence[Ends]]]]
"""Opens the ends of a job; nothing is connected before it is needed. Raises ``UsageError``."""


def open_real(surface: Surface) -> Open:
    """Opens them as real processes and real connections."""

    @contextmanager
    def opened(job: Job) -> Iterator[tuple[Home, Sequence[Ends]]]:
        with real_home(job, surface) as home, real_ways(home) as ways:
            yield home, ways

    return opened


@dataclass(frozen=True, slots=True)
class Snapped:
    """What a task's snapshot and expiry came to; ``name`` is the snapshot that was taken, if any."""

    results: tuple[ActionResult, ...]
    name: str = ""


class Stops:
    """What is to be ended when the run is: the ways and hosts of all jobs under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[int, tuple[Callable[[], None], ...]] = {}
        self._ended = False

    @contextmanager
    def of(self, home: Home, ways: Sequence[Ends]) -> Iterator[None]:
        """While the context lasts, ``all`` ends this job's processes; after it, they are ended at once."""
        stops = (*(ends.link.stop for ends in ways), *(ends.receiver.host.close for ends in ways))
        key = id(home)
        with self._lock:
            self._under_way[key] = (*stops, home.source.host.close)
            ended = self._ended
        if ended:
            self.all()
        try:
            yield
        finally:
            with self._lock:
                del self._under_way[key]

    def all(self) -> None:
        """End them all."""
        with self._lock:
            self._ended = True
            stops = [stop for each in self._under_way.values() for stop in each]
        for stop in stops:
            attempt("stop", stop)


@dataclass(frozen=True, slots=True)
class Doer:
    """Does the jobs of tasks. ``stops`` ends what is under way, from another thread."""

    open: Open
    surface: Surface
    clock: Callable[[], datetime]
    run: Run = run_here
    stops: Stops = field(default_factory=Stops)

    def snapshot(self, task: Task, *, expires: bool) -> Snapped:
        """Take the task's snapshot, between its hooks, and then (``expires``) let go of what is old."""
        started = self.clock()
        before = self._hooks(task, Moment(Stage.BEFORE_SNAPSHOT, task.dataset))
        job = task.local(Action.SNAPSHOT)
        taken = () if before.aborts else self._job(task, job)
        name = next((str(each.figures["name"]) for each in taken if "name" in each.figures), "")
        full = f"{task.dataset}@{name}" if name else ""
        how = "done" if name else "failed"
        # Also where there is no snapshot: what was made to rest before it has to go on.
        after = self._hooks(task, Moment(Stage.AFTER_SNAPSHOT, task.dataset, full, result=how))
        results = (*before.results, *taken, *after.results)
        # Pushes speak for a tree that is pushed. Its every snapshot on record would leave no room for them.
        if exit_code(results) or not task.routes:
            self._record(job, started, results)
        if name and expires:
            results = (*results, *self.expire(task))
        return Snapped(results, name)

    def expire(self, task: Task) -> tuple[ActionResult, ...]:
        """Let go of what is old."""
        started = self.clock()
        job = task.local(Action.EXPIRE)
        done = self._job(task, job)
        if exit_code(done):
            self._record(job, started, done)
        return done

    def push(self, task: Task, route: Route, newest: str) -> tuple[ActionResult, ...]:
        """Push a task to one destination, between its hooks, and put that on record."""
        job = task.push(route)
        label = route.destination.label
        moment = Moment(Stage.BEFORE_PUSH, task.dataset, f"{task.dataset}@{newest}", label)
        started = self.clock()
        hooked = self._hooks(task, moment)
        if hooked.aborts:
            done = hooked.results
        else:
            self.surface.detail(f"push: {task.dataset} to {label}")
            done = self._job(task, job)
            if any(each.outcome is Outcome.LOCKED for each in done):
                # It is being pushed already, which is what is wanted.
                return tuple(replace(each, outcome=Outcome.SKIPPED, problems=()) for each in done)
            how = "failed" if exit_code(done) else "done"
            after = self._hooks(task, replace(moment, stage=Stage.AFTER_PUSH, result=how))
            done = (*done, *after.results)
        self._record(job, started, done, newest)
        return done

    def _record(self, job: Job, started: datetime, done: tuple[ActionResult, ...], meant: str = "") -> None:
        seconds = round((self.clock() - started).total_seconds(), 3)
        labels = tuple(destination.label for destination in job.destinations)
        result = RunResult(job.dataset, labels, started, seconds, False, done)
        history.record(job, result, job.dataset, meant)

    def _hooks(self, task: Task, moment: Moment) -> Hooked:
        return run_hooks(task.settings.hooks, moment, self.surface, self.run)

    def _job(self, task: Task, job: Job) -> tuple[ActionResult, ...]:
        """Do one job. A mistake in it is that job's failure, and not the whole run's."""
        word = next(iter(job.actions)).value
        try:
            with self.open(job) as (home, ways), self.stops.of(home, ways):
                done = run_on(home, ways).actions
        except UsageError as error:
            # What says its tree itself need not say it twice.
            what, _, remedy = str(error).removeprefix(f"{task.dataset}: ").rpartition("; ")
            problem = Problem(what or remedy, task.dataset, remedy if what else "", "usage")
            done = (ActionResult(word, Outcome.FAILED, problem.what, problems=(problem,)),)
        done = tuple(replace(each, dataset=task.dataset) for each in done)
        for each in done:
            if exit_code([each]):
                self.surface.warn(f"{each.action}: {task.dataset}: {each.summary}")
        return done

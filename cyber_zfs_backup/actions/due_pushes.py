# SPDX-License-Identifier: GPL-3.0-or-later
"""The pushes of one run by the configuration file: beside each other, two at a time to each destination."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from ..config.tasks import Route, Task
from ..model.names import is_within
from .due_jobs import Doer
from .result import ActionResult

_AT_A_TIME = 2
"""To one destination: a first push of days keeps the others there back only where it is not alone."""


@dataclass(frozen=True, slots=True)
class Push:
    """One tree to one destination, up to its newest own snapshot."""

    task: Task
    route: Route
    newest: str

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the only one at a time."""
        return self.task.dataset, self.route.receiver

    def must_wait_for(self, other: Push) -> bool:
        """Whether the other's copy may be what this one's has to lie below."""
        there, mine = other.route.destination, self.route.destination
        return (
            other.route.receiver == self.route.receiver
            and there.dataset != mine.dataset
            and is_within(there.dataset, mine.dataset)
        )


class Pushes:
    """Those that wait, in order, and those that are under way, each in a thread of its own."""

    def __init__(self, doer: Doer) -> None:
        self._doer = doer
        self._waiting: list[Push] = []
        self._busy: list[Push] = []
        self._begun: dict[tuple[str, str], str] = {}
        self._done: SimpleQueue[tuple[Push, tuple[ActionResult, ...] | BaseException]] = SimpleQueue()

    @property
    def under_way(self) -> bool:
        """Whether any has not ended."""
        return bool(self._busy or self._waiting)

    def has(self, task: Task, route: Route) -> bool:
        """Whether this one has been begun and has not ended."""
        return (task.dataset, route.receiver) in {each.key for each in (*self._waiting, *self._busy)}

    def begin(self, task: Task, route: Route, newest: str) -> None:
        """Begin a task's push up to its newest own snapshot, now or when there is room for it; none for what
        one of this run was to bring already, whatever came of it: that is the next run's."""
        push = Push(task, route, newest)
        if self._begun.get(push.key) == push.newest:
            return
        self._begun[push.key] = push.newest
        self._waiting.append(push)
        self._start()

    def ended(self, patience: float) -> list[ActionResult]:
        """What has ended since, after waiting at most so many seconds for the first.

        Raises what a push has raised: a mistake of ours, after which nothing is to go on.
        """
        found: list[ActionResult] = []
        while self._busy:
            try:
                push, came = self._done.get(timeout=0 if found else patience)
            except Empty:
                break
            self._busy.remove(push)
            if isinstance(came, BaseException):
                raise came
            found += came
            self._start()
        return found

    def _start(self) -> None:
        for push in list(self._waiting):
            there = sum(each.route.receiver == push.route.receiver for each in self._busy)
            before = (*self._busy, *self._waiting[: self._waiting.index(push)])
            if there < _AT_A_TIME and not any(push.must_wait_for(each) for each in before):
                self._waiting.remove(push)
                self._busy.append(push)
                # A daemon: a run that is interrupted does not wait for a far side that has gone silent.
                threading.Thread(target=self._work, args=(push,), name="push", daemon=True).start()

    def _work(self, push: Push) -> None:
        try:
            self._done.put((push, self._doer.push(push.task, push.route, push.newest)))
        except BaseException as error:
            # Whatever it is, it is raised again where the answer is wanted.
            self._done.put((push, error))

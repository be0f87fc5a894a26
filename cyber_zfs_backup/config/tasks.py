# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configuration file declares, as work: for each ``[[dataset]]`` its tree and its destinations."""

from __future__ import annotations

from dataclasses import dataclass

from ..gatekeeper.policy import Mode
from ..model.names import is_within
from .best_fit import copy_of, effective
from .declared import Declared, Receiver, Settings
from .job import Action, Delivery, Destination, Exclude, Force, Job, RetentionPolicy


@dataclass(frozen=True, slots=True)
class Route:
    """One destination of a task: what a push there is given, and how it goes about it."""

    receiver: str
    destination: Destination
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Task:
    """One entry as work. ``dataset`` is its tree's root; ``routes`` are in the entry's order."""

    dataset: str
    settings: Settings
    retention: RetentionPolicy
    exclude: Exclude
    routes: tuple[Route, ...]

    def local(self, action: Action) -> Job:
        """The job that does this on the source alone."""
        return self._job(action, (), Delivery())

    def push(self, route: Route) -> Job:
        """The job that pushes to one destination. A first push needs no word: the file has asked for it."""
        return self._job(Action.PUSH, (route.destination,), route.delivery)

    def looking(self, *, online: bool) -> Job:
        """The job whose ends are looked at; without the receivers unless ``online``."""
        destinations = tuple(route.destination for route in self.routes) if online else ()
        return self._job(Action.PUSH, destinations, Delivery())

    def _job(self, action: Action, destinations: tuple[Destination, ...], delivery: Delivery) -> Job:
        return Job(
            dataset=self.dataset,
            actions=frozenset({action}),
            destinations=destinations,
            retention=self.retention,
            force=Force(first_push=True),
            exclude=self.exclude,
            delivery=delivery,
        )


def tasks(declared: Declared) -> tuple[Task, ...]:
    """One for each entry, parents before what lies below them: their copies must be there first."""
    names = sorted(declared.entries, key=lambda name: name.split("/"))
    return tuple(_task(declared, name) for name in names)


def _task(declared: Declared, name: str) -> Task:
    settings = effective(declared, name).settings
    return Task(
        dataset=name,
        settings=settings,
        retention=declared.retentions[settings.retention].policy,
        exclude=Exclude(
            patterns=settings.exclude,
            honour_auto_snapshot=settings.honour_auto_snapshot,
            # Each entry takes its dataset out of what the one above says.
            apart=tuple(each for each in declared.entries if each != name and is_within(name, each)),
            all_below=not settings.recursive,
        ),
        routes=tuple(
            Route(receiver.name, _destination(declared, receiver, copy), receiver.delivery)
            for receiver in (declared.receivers[each] for each in settings.destinations)
            if (copy := copy_of(declared, name, receiver)) is not None
        ),
    )


def _destination(declared: Declared, receiver: Receiver, copy: str) -> Destination:
    own = receiver.mode is Mode.ARCHIVE
    return Destination(
        ssh=receiver.ssh,
        dataset=copy,
        ssh_config=receiver.ssh_config,
        use_sudo=receiver.use_sudo,
        retention=declared.retentions[receiver.retention].policy if own else None,
    )

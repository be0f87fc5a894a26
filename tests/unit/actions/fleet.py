# SPDX-License-Identifier: GPL-3.0-or-later
"""A rig whose trees are declared in a configuration file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cyber_zfs_backup.actions.due_run import World, run_due_on
from cyber_zfs_backup.actions.elapses import CalendarError
from cyber_zfs_backup.actions.ends import Ends, Home
from cyber_zfs_backup.actions.reread import Read
from cyber_zfs_backup.actions.result import RunResult
from cyber_zfs_backup.config.declared_requests import RunDue
from cyber_zfs_backup.config.job import Job
from cyber_zfs_backup.zfs.client import Zfs
from tests.unit.actions.rig import Rig
from tests.unit.config.worlds import declared

ONE = """
[destination.offsite]
dataset = "vault/copy"

[[dataset]]
name = "tank/src"
destinations = ["offsite"]
schedule = "every 1h"
"""


class Fleet(Rig):
    """A rig that goes by a configuration file."""

    def __init__(self, text: str = ONE, *children: str) -> None:
        super().__init__(*children)
        self.text = text
        self.ran: list[tuple[tuple[str, ...], dict[str, str]]] = []
        self.asked: list[str] = []
        self.opened: Callable[[Job], None] = lambda _job: None

    def elapse(self, expression: str, moment: datetime) -> datetime | None:
        """Daily at 02:00, whatever is asked; ``never`` never comes."""
        self.asked.append(expression)
        if expression == "broken":
            raise CalendarError("systemd says no; write another")
        at = moment.replace(hour=2, minute=0, second=0, microsecond=0)
        return None if expression == "never" else at if at > moment else at + timedelta(days=1)

    @contextmanager
    def open(self, job: Job) -> Iterator[tuple[Home, Sequence[Ends]]]:
        self.opened(job)
        home = Home(job, Zfs(self.source), self.said, lambda: self.now, self.pauses.append)
        yield home, self.ways(home)

    @property
    def world(self) -> World:
        return World(
            read=lambda _good: Read(declared(self.text), str(hash(self.text))),
            source=Zfs(self.source),
            open=self.open,
            surface=self.said,
            clock=lambda: self.now,
            elapse=self.elapse,
        )

    def due(self, **changes: Any) -> RunResult:
        """One run, now."""
        return run_due_on(RunDue(Path("config.toml"), **changes), self.world)

    def later(self, seconds: int, **changes: Any) -> RunResult:
        """New data everywhere, and a run so much later."""
        self.wait(seconds)
        for dataset in self.source.world.datasets.values():
            self.written += 1
            self.source.write(dataset.name, {"file": bytes([self.written % 251]) * self.size})
        return self.due(**changes)

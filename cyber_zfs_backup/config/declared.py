# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configuration file declares: frozen, checked values. ``best_fit`` tells what counts where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import Path

from ..gatekeeper.policy import Mode
from ..model.schedules import Schedule
from .job import Delivery, RetentionPolicy

CONFIG = Path("/etc/cyber-zfs-backup/config.toml")
EXAMPLE = Path("/usr/share/doc/cyber-zfs-backup/examples/config.toml")

WARNING, CRITICAL = timedelta(hours=26), timedelta(hours=50)
"""For a nightly backup: one night that took its time, and one that is missing."""

NIGHTLY = Schedule("02:00")

DEFAULT_RETENTION = "default"
"""The name of the retention that is built in."""


class Stage(Enum):
    """When a hook is run."""

    BEFORE_SNAPSHOT = "before-snapshot"
    AFTER_SNAPSHOT = "after-snapshot"
    BEFORE_PUSH = "before-push"
    AFTER_PUSH = "after-push"


class OnFailure(Enum):
    """What follows where a hook fails: what it stands beside fails too, a warning, or nothing."""

    ABORT = "abort"
    WARN = "warn"
    IGNORE = "ignore"


class Tell(Enum):
    """What somebody is told."""

    FAILURE = "failure"
    LATE = "late"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Hook:
    """A command that is run before or after: a vector of arguments, never a line for a shell.

    ``environment`` is what it gets beside the variables of every hook.
    """

    when: Stage
    command: tuple[str, ...]
    timeout: timedelta = timedelta(minutes=5)
    environment: Mapping[str, str] = field(default_factory=dict)
    on_failure: OnFailure = OnFailure.ABORT


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is done: until that day begins on this machine's clock, or (``None``) without an end."""

    until: date | None = None

    def lasts(self, today: date) -> bool:
        """Whether nothing is done on that day of this machine's calendar."""
        return self.until is None or today < self.until


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold when something is due. ``max_load`` is of five minutes; ``command`` must end with 0."""

    on_ac_power: bool = False
    max_load: float | None = None
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What counts for a dataset. Each field is a key of the file (``_`` for ``-``), and has what is built in.

    ``destinations`` and ``retention`` are names. ``push_schedule`` is ``None`` where it is pushed after each
    snapshot, ``warn_after`` and ``critical_after`` where nobody has said it: then the schedules do.
    """

    recursive: bool = True
    exclude: tuple[str, ...] = ()
    honour_auto_snapshot: bool = False
    destinations: tuple[str, ...] = ()
    retention: str = DEFAULT_RETENTION
    schedule: Schedule = NIGHTLY
    push_schedule: Schedule | None = None
    pause: Pause | None = None
    hooks: tuple[Hook, ...] = ()
    conditions: Conditions = Conditions()
    warn_after: timedelta | None = None
    critical_after: timedelta | None = None

    def paused(self, now: datetime) -> str:
        """Since it rests at that moment: until when, in words; empty where it does not."""
        if self.pause is None or not self.pause.lasts(now.astimezone().date()):
            return ""
        return f"paused until {self.pause.until}" if self.pause.until else "paused"


@dataclass(frozen=True, slots=True)
class Layer:
    """The settings that one table has: ``written`` are the fields that it names, each with its line.

    Fields of ``settings`` that are not written have what is built in. ``where`` is how messages name the
    table, ``line`` the one in which it begins.
    """

    where: str
    line: int | None = None
    settings: Settings = Settings()
    written: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One ``[[dataset]]``: the dataset's full name, and what it says itself."""

    name: str
    own: Layer


@dataclass(frozen=True, slots=True)
class Receiver:
    """One ``[destination.NAME]``. ``dataset`` has placeholders, ``retention`` is a name (archives only).

    ``written`` are the keys that the file has, each with its line.
    """

    name: str
    ssh: str
    dataset: str
    mode: Mode = Mode.MIRROR
    retention: str = DEFAULT_RETENTION
    ssh_config: Path | None = None
    use_sudo: bool = False
    delivery: Delivery = field(default_factory=Delivery)
    line: int | None = None
    written: Mapping[str, int | None] = field(default_factory=dict)

    def copy_of(self, base: str, hostname: str) -> str:
        """The dataset there that holds the copy of ``base``, which is pushed with all below it."""
        there = self.dataset.replace("{hostname}", hostname)
        return there.replace("{name}", base.rpartition("/")[2]).replace("{dataset}", base)


PLACEHOLDERS = ("hostname", "dataset", "name")
"""What ``Receiver.dataset`` may have in braces."""


@dataclass(frozen=True, slots=True)
class Notification:
    """Who is told, and of what; told again after ``repeat``, while it lasts.

    ``written`` are the keys that the file has, each with its line.
    """

    login: bool = True
    mail: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    webhook: tuple[str, ...] = ()
    on: tuple[Tell, ...] = (Tell.FAILURE, Tell.LATE)
    repeat: timedelta = timedelta(days=1)
    written: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What monitoring systems read: ``metrics`` is a file to write after each run.

    ``written`` are the keys that the file has, each with its line.
    """

    metrics: Path | None = None
    written: Mapping[str, int | None] = field(default_factory=dict)


BUCKETS = {"hourly": "hours", "daily": "days", "weekly": "weeks", "monthly": "months", "yearly": "years"}
"""The keys of a retention that are counts, each with its field of ``RetentionPolicy``."""


@dataclass(frozen=True, slots=True)
class Retention:
    """One ``[retention.NAME]``; ``line`` is ``None`` for the one that is built in."""

    policy: RetentionPolicy = field(default_factory=RetentionPolicy)
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """A whole configuration file. ``file`` is its name as messages have it, ``hostname`` unqualified.

    ``entries``, ``receivers`` and ``retentions`` are by their names, in the order of the file.
    """

    file: str
    hostname: str
    defaults: Layer
    entries: Mapping[str, Entry]
    receivers: Mapping[str, Receiver]
    retentions: Mapping[str, Retention]
    notification: Notification = Notification()
    monitoring: Monitoring = Monitoring()

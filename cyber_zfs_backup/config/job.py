# SPDX-License-Identifier: GPL-3.0-or-later
"""One run, as it was asked for: frozen, checked, and without any knowledge of how it is done."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from ..model.ages import Age
from ..model.names import BadNameError, check_dataset, overlap
from ..model.places import HERE
from ..plan.cost import SendMode
from ..plan.kinds import KeepLast, KeepWithin, Union
from ..plan.retention import Buckets, Rule
from ..plan.windows import Window, Windows

TEXTFILE = Path("/var/lib/prometheus/node-exporter/cyber-zfs-backup.prom")
"""Where Debian's node_exporter looks for metrics."""


class UsageError(Exception):
    """What was asked for makes no sense; nothing has been run. The message says what to write instead."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The message, line by line; a line may hold anything."""
        return (str(self),)


def checked_ssh(option: str, ssh: str) -> None:
    """Refuse what ssh would take for an option, or split; empty means that no ssh is used."""
    if ssh.startswith("-") or re.search(r"[\s\x00-\x1f\x7f]", ssh):
        raise UsageError(f"{option} {ssh!r} is no host; write HOST or USER@HOST, or '' for this machine")


def checked_metrics(option: str, path: Path) -> None:
    """Refuse a file that node_exporter would not read. ``option`` is how the message begins, or empty."""
    if path.suffix != ".prom" or "\0" in str(path):
        named = f"{option} {str(path)!r}".strip()
        raise UsageError(
            f"{named}: node_exporter reads what ends with .prom alone; write such a name, for example "
            f"{TEXTFILE}"
        )


def _checked(option: str, dataset: str) -> None:
    try:
        check_dataset(dataset)
    except BadNameError as error:
        raise UsageError(f"{option}: {error}") from None


class Action(Enum):
    """What a run may be asked to do. Always done in this order; the mirror belongs to the push."""

    SNAPSHOT = "snapshot"
    PUSH = "push"
    EXPIRE = "expire"


_COUNTS = {
    **dict.fromkeys(("days", "weeks", "months"), "--retention-policy"),
    "hours": "--hourlies",
    "years": "--yearlies",
    "last": "--keep-last",
}


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """What to keep: so many snapshots of each kind (``None``: all), and beside them what the rest asks for.

    ``last`` are the newest, however old (0: none); ``within`` is an age up to which all are kept.
    """

    days: int | None = 31
    weeks: int | None = 12
    months: int | None = 36
    hours: int | None = 0
    years: int | None = None
    last: int = 0
    within: Age | None = None
    windows: tuple[Window, ...] = ()

    def __post_init__(self) -> None:
        for name, option in _COUNTS.items():
            count = getattr(self, name)
            if count is not None and count < 0:
                what = (
                    f"{option}: {name} is {count}" if option == "--retention-policy" else f"{option} {count}"
                )
                raise UsageError(
                    f"{what}; write a whole number of snapshots, 0 or more (0 leaves the kind out)"
                )

    @property
    def keeps_nothing(self) -> bool:
        """Whether no kind asks for any, so that the newest alone would stay."""
        counts = (self.days, self.weeks, self.months, self.hours, self.years)
        return not (any(count != 0 for count in counts) or self.last or self.within or self.windows)

    def rule(self, now: datetime) -> Rule:
        """The planner's rule: whatever any kind keeps is kept. ``now`` carries a time zone."""
        rules: list[Rule] = []
        counts = (self.days, self.weeks, self.months, self.hours, self.years)
        if any(count != 0 for count in counts):
            rules.append(Buckets(*counts))
        if self.last:
            rules.append(KeepLast(self.last))
        if self.within is not None:
            rules.append(KeepWithin(self.within, now))
        if self.windows:
            rules.append(Windows(self.windows, now))
        if len(rules) > 1:
            return Union(tuple(rules))
        return rules[0] if rules else Buckets(*counts)


@dataclass(frozen=True, slots=True)
class SourceHost:
    """Where the source is: on this machine, or (``ssh`` is not empty) reached by ssh, for a pull."""

    ssh: str = ""
    ssh_config: Path | None = None
    use_sudo: bool = False

    def __post_init__(self) -> None:
        checked_ssh("--source-ssh-destination", self.ssh)

    def named(self, dataset: str) -> str:
        """How locks and messages name a tree there."""
        return f"{self.ssh}:{dataset}" if self.ssh else dataset


@dataclass(frozen=True, slots=True)
class Destination:
    """A receiver: the ssh destination (empty: this machine), and the dataset that holds our copy there.

    ``known_as`` is what the source's records call this machine where it is the receiver of a pull: the
    source may be pulled by others too. ``retention`` is what an archive keeps of what has expired on the
    source; ``None`` where that goes by the source's own.
    """

    ssh: str
    dataset: str
    ssh_config: Path | None = None
    use_sudo: bool = False
    known_as: str = ""
    retention: RetentionPolicy | None = None

    def __post_init__(self) -> None:
        checked_ssh("--ssh-destination", self.ssh)
        _checked("--zfs-receive-dataset", self.dataset)
        if "/" not in self.dataset:
            raise UsageError(
                f"--zfs-receive-dataset {self.dataset!r} is a whole pool; "
                f"write POOL/DATASET, for example {self.dataset}/zippy"
            )

    @property
    def host(self) -> str:
        """How records name the host."""
        return self.ssh or self.known_as or HERE

    @property
    def label(self) -> str:
        """How messages and records name this destination."""
        return f"{self.host}:{self.dataset}"


@dataclass(frozen=True, slots=True)
class Force:
    """What the administrator has said yes to, this once.

    ``first_push`` says so of a whole push where none is on record: a copy that was there and is gone is not
    silently sent anew.
    """

    destroy_lots: bool = False
    non_incremental: bool = False
    first_push: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a push goes about its work.

    ``lanes`` data connections at a time to each destination at most. A stream of which no byte moves for
    ``stall_timeout`` seconds is ended (0: never). ``retries`` is how often passing trouble is tried again.
    ``bwlimit`` is in bytes per second, for all streams of the run together. With ``bookmark_base`` a
    bookmark keeps each base, and its snapshot may expire.
    """

    send_mode: SendMode = SendMode.AUTO
    lanes: int = 2
    stall_timeout: int = 15 * 60
    retries: int = 2
    bwlimit: int | None = None
    bookmark_base: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.lanes <= 16:
            raise UsageError(f"--lanes {self.lanes}: write a number from 1 to 16")
        if self.stall_timeout < 0:
            raise UsageError(f"--stall-timeout {self.stall_timeout}: write seconds, or 0 for never")
        if not 0 <= self.retries <= 100:
            raise UsageError(f"--retries {self.retries}: write a number from 0 to 100")


@dataclass(frozen=True, slots=True)
class Exclude:
    """What of a tree takes no part, beside the datasets that opt out by their property: each with all below.

    ``patterns`` are the shell's, ``apart`` are datasets (full names) of which another job takes care.
    ``honour_auto_snapshot``: what zfs-auto-snapshot would leave out opts out, too. ``all_below``: nothing but
    the root takes part.
    """

    patterns: tuple[str, ...] = ()
    honour_auto_snapshot: bool = False
    apart: tuple[str, ...] = ()
    all_below: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One run for one source tree and its destinations. ``metrics`` are written to afterwards."""

    dataset: str
    actions: frozenset[Action]
    destinations: tuple[Destination, ...]
    source: SourceHost = SourceHost()
    retention: RetentionPolicy = RetentionPolicy()
    force: Force = Force()
    exclude: Exclude = Exclude()
    delivery: Delivery = Delivery()
    dry_run: bool = False
    metrics: Path | None = None

    def __post_init__(self) -> None:
        _checked("--dataset", self.dataset)
        if self.metrics is not None:
            checked_metrics("--metrics", self.metrics)
        if not self.actions:
            raise UsageError("--action: name at least one of snapshot, push, expire")
        labels = [destination.label for destination in self.destinations]
        for label in labels:
            if labels.count(label) > 1:
                raise UsageError(f"the destination {label} is given twice")
        for destination in self.destinations:
            if not self.source.ssh and not destination.ssh and overlap(self.dataset, destination.dataset):
                raise UsageError(
                    f"--zfs-receive-dataset {destination.dataset!r} and --dataset {self.dataset!r} lie in "
                    "each other; name a dataset outside of the tree, best on another pool"
                )

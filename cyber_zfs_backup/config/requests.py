# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands beside the plain run are asked to do: frozen, checked values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ..model.names import BadNameError, check_dataset, check_snapshot, own_time, relative
from ..model.places import HERE
from .job import Destination, Exclude, RetentionPolicy, SourceHost, UsageError

if TYPE_CHECKING:
    from ..plan.lateness import Limits

_TAG = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Tag:
    """A destination by its tag alone: what its properties' names and its holds end with."""

    text: str

    @property
    def label(self) -> str:
        """How messages name this destination."""
        return self.text


@dataclass(frozen=True, slots=True)
class Forget:
    """Release the holds and remove the property of a destination that is gone. Touches the source only."""

    dataset: str
    destination: Destination | Tag
    source: SourceHost = field(default_factory=SourceHost)
    dry_run: bool = False

    def __post_init__(self) -> None:
        _check_root(self.dataset)


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Rename own snapshots (dated in the future) out of our grammar, on the source and on the receiver.

    ``snapshots`` are full names, ``DATASET@NAME``; each means the snapshots of that name on the dataset
    and on everything below it. Every dataset is the tree's root ``dataset`` or stands below it.
    """

    dataset: str
    snapshots: tuple[str, ...]
    destination: Destination
    source: SourceHost = field(default_factory=SourceHost)
    dry_run: bool = False

    def __post_init__(self) -> None:
        _check_root(self.dataset)
        if not self.snapshots:
            raise UsageError("quarantine: name at least one snapshot")
        for snapshot in self.snapshots:
            self._check(snapshot)

    def _check(self, snapshot: str) -> None:
        try:
            dataset, _, name = check_snapshot(snapshot).partition("@")
        except BadNameError as error:
            raise UsageError(f"quarantine: {error}") from None
        if own_time(name) is None:
            raise UsageError(
                f"quarantine: {name!r} is not a name that this tool gives to snapshots "
                "(2037-01-01T00:00:00Z is); other snapshots never disturb it"
            )
        try:
            relative(self.dataset, dataset)
        except ValueError:
            raise UsageError(
                f"quarantine: {snapshot!r} is outside the tree {self.dataset!r}; name its tree with --dataset"
            ) from None


@dataclass(frozen=True, slots=True)
class OfTree:
    """What is asked of a tree, of its copies, and where they are."""

    dataset: str
    destinations: tuple[Destination, ...]
    source: SourceHost = field(default_factory=SourceHost)
    exclude: Exclude = field(default_factory=Exclude)
    dry_run: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        _check_root(self.dataset)


@dataclass(frozen=True, slots=True)
class Verify(OfTree):
    """Compare a tree with its copies; read only."""


@dataclass(frozen=True, slots=True)
class Doctor(OfTree):
    """Look at a tree, its copies and the ways between them; read only. Without destinations at the tree
    alone."""


@dataclass(frozen=True, slots=True)
class Status(OfTree):
    """Tell how a tree and its copies stand; read only. ``offline``: by the source's own records alone."""

    offline: bool = False


@dataclass(frozen=True, slots=True)
class Metrics:
    """Tell how a tree and its copies stand, for Prometheus, on stdout or into a file; asks the source."""

    dataset: str
    source: SourceHost = field(default_factory=SourceHost)
    exclude: Exclude = field(default_factory=Exclude)
    output: Path | None = None
    dry_run: bool = False
    destinations: tuple[Destination, ...] = ()

    def __post_init__(self) -> None:
        _check_root(self.dataset)


@dataclass(frozen=True, slots=True)
class Report:
    """Write a page that shows how a tree and its copies stand to ``output``/index.html.

    ``destinations`` are asked by the doctor; by default none, and no network is touched.
    """

    dataset: str
    output: Path
    destinations: tuple[Destination, ...] = ()
    source: SourceHost = field(default_factory=SourceHost)
    exclude: Exclude = field(default_factory=Exclude)
    dry_run: bool = False

    def __post_init__(self) -> None:
        _check_root(self.dataset)


@dataclass(frozen=True, slots=True)
class Check:
    """Say in one line whether backups come as they should; asks this machine alone.

    ``receiver``: ``dataset`` is not a tree that is backed up but what copies arrive at or below. ``local``:
    the tree is pushed nowhere. From the age ``warning`` on something is late, from ``critical`` on very late;
    ``arrived`` are those of what destinations have, where they are others. ``declared``: the configuration
    file says all of that.
    """

    dataset: str
    warning: timedelta
    critical: timedelta
    receiver: bool = False
    local: bool = False
    exclude: Exclude = field(default_factory=Exclude)
    retention: RetentionPolicy = field(default_factory=RetentionPolicy)
    dry_run: bool = False
    destinations: tuple[Destination, ...] = ()
    arrived: Limits | None = None
    declared: bool = False

    def __post_init__(self) -> None:
        _check_root(self.dataset)
        if self.warning > self.critical:
            raise UsageError("--warning is later than --critical (or --max-age); write the shorter age there")


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell whoever wants to know what is wrong, by the configuration file's [notification].

    ``look`` is what is looked at for lateness; ``None``: the datasets of the file, or what the plain timer
    backs up where there is no file. ``guess`` is the tree that is meant by that. ``test``: send a test
    message on every channel instead.
    """

    file: Path
    look: Check | None = None
    guess: str = ""
    test: bool = False
    dry_run: bool = False
    dataset: str = ""
    destinations: tuple[Destination, ...] = ()


@dataclass(frozen=True, slots=True)
class ExpireReceived:
    """Expire what the archives of this machine's clients give up.

    ``policies`` has a file for each client, ``homes`` a folder of the gatekeeper's records.
    """

    policies: Path = Path("/etc/cyber-zfs-backup/clients")
    homes: Path = Path("/var/lib/cyber-zfs-receive")
    force_lots: bool = False
    dry_run: bool = False

    @property
    def dataset(self) -> str:
        """No tree: each client's policy names its own."""
        return ""


def destination_named(label: str, dataset: str) -> Destination | Tag:
    """The destination that a label names: ``HOST:POOL/DATASET`` as messages write it, or ``HOST`` alone.

    ``dataset`` is the receiver's dataset where the label does not tell one. The colon that counts is the
    last one before the first '/', so that ``fe80::1:tank/a`` is the host ``fe80::1``. Sixteen hexadecimal
    digits are a tag, which is all that a damaged record tells of its destination. Raises ``UsageError``.
    """
    if _TAG.fullmatch(label):
        return Tag(label)
    head, slash, tail = label.partition("/")
    host, _, pool = head.rpartition(":")
    if HERE in (head, host):
        return Destination(ssh="", dataset=f"{pool}/{tail}" if slash else dataset)
    if not label or (slash and not host) or (not slash and label.count(":") == 1):
        raise UsageError(f"destination {label!r}: write HOST or HOST:POOL/DATASET")
    try:
        if not slash:
            return Destination(ssh=label, dataset=dataset)
        return Destination(ssh=host, dataset=f"{pool}/{tail}")
    except UsageError as error:
        raise UsageError(f"destination {label!r}: {error}") from None


def _check_root(dataset: str) -> None:
    try:
        check_dataset(dataset)
    except BadNameError as error:
        raise UsageError(f"--dataset: {error}") from None

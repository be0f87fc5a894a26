# SPDX-License-Identifier: GPL-3.0-or-later
"""What `setup` is asked to do, on the receiver and on the sender: frozen, checked values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from ..model.names import BadNameError, check_dataset
from .job import UsageError
from .public_key import PublicKey

CLIENT = re.compile(r"[a-z][a-z0-9-]{0,27}")
"""A client's name: with ``zfs-`` before it, it is a user's, which has 32 characters at most (useradd(8))."""

PACKAGE_CONFIG = Path("/etc/ssh/cyber-zfs-backup.ssh_config")
"""The package's ssh configuration; its key and its known host keys lie beside it."""

MODES = ("archive", "mirror")
_QUOTA = re.compile(r"[1-9][0-9]{0,11}[kMGT]?")
_PATTERN = re.compile(r"[\s*?!#,\"'\\%]|[^ -~]")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9._:-]{0,254}")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


def check_client(name: str) -> str:
    """Answer a client's name unchanged. Raises ``UsageError``."""
    if not CLIENT.fullmatch(name):
        raise UsageError(
            f"--client {name!r}: write a name of small letters, digits and '-', that begins with a letter "
            "and has 28 characters at most"
        )
    return name


def check_container(root: str) -> str:
    """Answer the dataset below which a client's copies lie. Raises ``UsageError``."""
    try:
        check_dataset(root)
    except BadNameError as error:
        raise UsageError(f"--root: {error}") from None
    if "/" not in root:
        raise UsageError(f"--root {root!r} is a whole pool; write POOL/NAME, for example {root}/zippy")
    if " " in root:
        raise UsageError(f"--root {root!r}: a client's root may have no space in its name; take another name")
    return root


@dataclass(frozen=True, slots=True)
class Counts:
    """How many snapshots: so many days, weeks and months that have one."""

    days: int
    weeks: int
    months: int

    @property
    def toml(self) -> str:
        """As a policy file has it."""
        return f"{{ days = {self.days}, weeks = {self.weeks}, months = {self.months} }}"


def check_counts(option: str, counts: Counts | None) -> None:
    """Refuse negative numbers. Raises ``UsageError``."""
    if counts is not None and min(counts.days, counts.weeks, counts.months) < 0:
        raise UsageError(f"{option}: write three whole numbers of snapshots, each 0 or more")


@dataclass(frozen=True, slots=True)
class PolicyWish:
    """What is asked of a client's policy; None: as it is, and for a new client the default.

    ``quota`` is bytes a day, as ``100G``. ``properties``: whether copies may take over harmless properties of
    their source. ``never_destroy``: whether ZFS is to refuse the client every destroy, also of partial state.
    """

    mode: str | None = None
    keep_at_least: Counts | None = None
    retention: Counts | None = None
    quota: str | None = None
    restore: bool | None = None
    properties: bool | None = None
    never_destroy: bool | None = None

    def __post_init__(self) -> None:
        if self.mode is not None and self.mode not in MODES:
            raise UsageError(f"--mode {self.mode!r}: write archive or mirror")
        check_counts("--keep-at-least", self.keep_at_least)
        check_counts("--retention", self.retention)
        if self.quota is not None and not _QUOTA.fullmatch(self.quota):
            raise UsageError(f"--quota {self.quota!r}: write bytes a day, for example 500M or 100G")
        if self.never_destroy and self.mode == "mirror":
            raise UsageError("--never-destroy and --mode mirror contradict each other: a mirror destroys")


@dataclass(frozen=True, slots=True)
class SetupReceiver:
    """Let a client push to this machine below ``root``; or (``undo``) no longer.

    ``root`` and ``key`` are None only for ``undo``. ``dry_run``: print the commands, run none.
    """

    client: str
    root: str | None = None
    key: PublicKey | None = None
    policy: PolicyWish = field(default_factory=PolicyWish)
    undo: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        check_client(self.client)
        if self.root is not None:
            check_container(self.root)
        if self.undo and self.key is not None:
            raise UsageError("--undo takes no KEYFILE: the client is named by --client alone")
        if not self.undo and self.root is None:
            raise UsageError("--root: name the dataset below which the client's copies lie, as offsite/zippy")
        if not self.undo and self.key is None:
            raise UsageError("KEYFILE: name the file with the client's public key, or '-' for standard input")

    @property
    def dataset(self) -> str:
        """How results name what this is about."""
        return self.root or ""

    @property
    def user(self) -> str:
        """The client's system user."""
        return f"zfs-{self.client}"


@dataclass(frozen=True, slots=True)
class SetupSender:
    """Let this machine reach a receiver under the name ``destination``; or (``undo``) no longer.

    None: as the ssh configuration has it, or the default. ``fingerprint`` is what a person has read on the
    receiver, where nobody can be asked here.
    """

    destination: str
    client: str
    root: str
    hostname: str | None = None
    user: str | None = None
    port: int | None = None
    config: Path = PACKAGE_CONFIG
    fingerprint: str | None = None
    undo: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        check_client(self.client)
        check_container(self.root)
        if not self.destination or self.destination.startswith("-") or _PATTERN.search(self.destination):
            raise UsageError(f"DESTINATION {self.destination!r}: write a plain name, as offsite, without '@'")
        if "@" in self.destination:
            raise UsageError(
                f"DESTINATION {self.destination!r}: write the user as --user, and the name alone"
            )
        if self.hostname is not None and not _HOST.fullmatch(self.hostname):
            raise UsageError(f"--hostname {self.hostname!r}: write the receiver's name or address")
        if self.user is not None and not _USER.fullmatch(self.user):
            raise UsageError(f"--user {self.user!r} is no name of a user")
        if self.port is not None and not 1 <= self.port <= 65535:
            raise UsageError(f"--port {self.port}: write a number from 1 to 65535")
        if self.fingerprint is not None and not _FINGERPRINT.fullmatch(self.fingerprint):
            raise UsageError(
                f"--fingerprint {self.fingerprint!r}: write it as `ssh-keygen -lf` prints it on the "
                "receiver, SHA256: and 43 characters"
            )
        if re.search(r"[\s\"'%$~]|[^ -~]", str(self.config)):
            raise UsageError(
                f"--ssh-config {str(self.config)!r}: ssh would not take such a path; name another file"
            )

    @property
    def dataset(self) -> str:
        """How results name what this is about."""
        return self.root

    @property
    def key(self) -> str:
        """Where this machine's key lies, unless the configuration names another."""
        return str(self.config.with_name("cyber-zfs-backup.id_ed25519"))

    @property
    def known_hosts(self) -> str:
        """Where the receiver's host key is kept, unless the configuration names another file."""
        return str(self.config.with_name("cyber-zfs-backup.known_hosts"))

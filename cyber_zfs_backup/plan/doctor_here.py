# SPDX-License-Identifier: GPL-3.0-or-later
"""A check-up of the machine that runs the backup: its timers, and ssh as the service sees it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .findings import HERE, Finding, fails, good, warning

NIGHTLY = timedelta(days=1)
GRACE = timedelta(days=1)
"""A timer that has not fired for its period and so long has missed a turn."""


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer unit and the service that it starts. ``enabled`` and ``result`` are systemd's words; ``every``
    is the longest time between two turns, ``None`` where systemd did not say; ``config`` is the ssh
    configuration that the service names."""

    name: str
    enabled: str
    active: bool
    last: datetime | None
    result: str
    service: str
    every: timedelta | None = None
    config: str = ""

    @property
    def starts(self) -> bool:
        """Whether it starts anything by itself."""
        return self.enabled in ("enabled", "enabled-runtime", "static", "generated") and self.active


@dataclass(frozen=True, slots=True)
class KeyFile:
    """An identity file that ssh would offer: its mode, its owner's number, and whether it needs a
    passphrase."""

    path: str
    mode: int
    owner: int
    encrypted: bool


@dataclass(frozen=True, slots=True)
class Way:
    """How ssh goes to a destination. ``config`` is the file that says so, empty for ssh's own; ``known`` is
    whether a host key is known; ``hidden`` are files that the service's sandbox hides from it."""

    destination: str
    config: str
    keys: tuple[KeyFile, ...]
    known: bool
    known_hosts: str
    hidden: tuple[str, ...] = ()
    blocked: Mapping[str, str] = field(default_factory=dict)
    """Files that the service may not read, each with what stands in its way: itself, or a folder above."""
    trouble: str = ""
    """What ssh says where it cannot even read its configuration."""

    @property
    def ssh(self) -> str:
        """The command that goes the same way, without its last word."""
        return f"ssh -F {self.config}" if self.config else "ssh"


def examine_timers(
    timers: tuple[Timer, ...] | None, now: datetime, *, root: bool = True
) -> Iterator[Finding]:
    """``None``: this machine has no systemd, and something else starts the backup. ``root``: root runs
    this."""
    if timers is None:
        yield good("timer", HERE, "there is no systemd here: what starts the backup was not looked at")
        return
    if not timers:
        remedy = "apt install ./cyber-zfs-backup_*.deb, or start it from cron"
        yield warning("timer", HERE, "there is no timer: nothing starts a backup by itself", remedy)
    for timer in timers:
        yield from _timer(timer, now)
    if timers and not root:
        what = "the service runs as root, and this user's ssh files and permissions may be others"
        yield warning("user", HERE, what, "run it as root: sudo cyber-zfs-backup doctor")


def _timer(timer: Timer, now: datetime) -> Iterator[Finding]:
    if not timer.starts:
        active = "active" if timer.active else "not active"
        what = f"{timer.name} is {timer.enabled or 'not enabled'} and {active}"
        remedy = f"systemctl enable --now {timer.name}"
        yield warning("timer", HERE, f"{what}: no backup starts by itself", remedy)
    elif timer.last is not None and now - timer.last > (timer.every or NIGHTLY) + GRACE:
        days = (now - timer.last) // timedelta(days=1)
        what = f"{timer.name} has not fired for {days} days"
        yield warning("timer", HERE, what, f"systemctl list-timers {timer.name}; systemctl cat {timer.name}")
    else:
        fired = f"fired last at {timer.last:%Y-%m-%d %H:%M} UTC" if timer.last else "has not fired yet"
        yield good("timer", HERE, f"{timer.name} is enabled, and {fired}")
    if timer.result not in ("", "success"):
        what = f"the last run of {timer.service} failed ({timer.result})"
        yield warning("last-run", HERE, what, f"journalctl -u {timer.service} -n 50")


def examine_services(timers: Iterable[Timer], ways: Iterable[Way]) -> Iterator[Finding]:
    """Whether what was looked at is what the nightly service does: it may go by another ssh configuration."""
    theirs = {timer.config: timer.service for timer in timers if timer.starts and timer.config}
    mine = {way.config for way in ways}
    if theirs and mine and not mine & set(theirs):
        config, service = next(iter(theirs.items()))
        what = (
            f"{service} goes by {config}, and this call by {min(mine) or 'the configuration of ssh itself'}"
        )
        yield warning("service", HERE, what, f"cyber-zfs-backup doctor --ssh-config {config}")


def examine_way(way: Way) -> Iterator[Finding]:
    """What the service would meet on its way to the receiver, whoever runs this."""
    if way.trouble:
        yield fails("ssh", HERE, way.trouble, f"mend {way.config or '~/.ssh/config'}")
        return
    yield from _hidden(way)
    if way.known:
        yield good("known-hosts", HERE, f"the host key of {way.destination} is known")
    else:
        what = f"no host key of {way.destination} is in {way.known_hosts}"
        remedy = f"cyber-zfs-backup setup sender shows and adds it; by hand: {way.ssh} {way.destination}"
        yield fails("known-hosts", HERE, what, remedy)
    yield from _keys(way)


def _hidden(way: Way) -> Iterator[Finding]:
    for path in way.hidden:
        what = f"{path} is hidden from cyber-zfs-backup.service (ProtectHome)"
        remedy = "move it to /etc/ssh and name it in the ssh configuration, or set ProtectHome=read-only"
        yield fails("ssh", HERE, what, remedy)
    for path, by in way.blocked.items():
        if path in way.hidden:
            continue
        where = path if by == path else f"{path} (in {by})"
        what = (
            f"{where} cannot be read by cyber-zfs-backup.service: its root has no right to pass over the "
            "permissions of others' files (CapabilityBoundingSet)"
        )
        chown = f"chown root: {path}"
        yield fails(
            "ssh",
            HERE,
            what,
            chown if by == path else f"move it to /etc/ssh, {chown}, and name it from there",
        )


def _keys(way: Way) -> Iterator[Finding]:
    usable = [key for key in way.keys if not key.encrypted]
    for key in way.keys:
        if key.mode & 0o077:
            what = f"{key.path} can be read by others (mode {key.mode:04o}): ssh refuses such a key"
            yield fails("key", HERE, what, f"chmod 600 {key.path}")
        if key.owner != 0 and key.path not in way.blocked:
            what = (
                f"{key.path} belongs to user {key.owner}: whoever that is can push, and read what comes back"
            )
            yield warning("key", HERE, what, f"chown root: {key.path}")
    if not way.keys:
        what = f"there is no key for {way.destination}"
        remedy = (
            "cyber-zfs-backup setup sender makes one; or name it with IdentityFile in the ssh configuration"
        )
        yield fails("key", HERE, what, remedy)
    elif not usable:
        what = f"every key for {way.destination} has a passphrase, and nobody types it at night"
        yield fails("key", HERE, what, f"ssh-keygen -p -f {way.keys[0].path} -N ''")
    elif all(not key.mode & 0o077 for key in usable):
        yield good("key", HERE, f"the key for {way.destination} is {usable[0].path}")

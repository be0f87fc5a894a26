# SPDX-License-Identifier: GPL-3.0-or-later
"""A check-up of the machine that runs the backup: its timers, and ssh as the service sees it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from shlex import quote

from ..model.places import HERE
from .findings import Finding, fails, good, warning

LATE = timedelta(days=2)
"""A nightly timer that has not fired for so long has missed a night."""


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer unit and the service that it starts. ``enabled`` and ``result`` are systemd's words."""

    name: str
    enabled: str
    active: bool
    last: datetime | None
    result: str
    service: str

    @property
    def on(self) -> bool:
        """Whether it starts anything."""
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
class Hidden:
    """A file that the service's sandbox keeps from it: by which setting, and ``at`` which folder or file its
    way ends, where that is not plain."""

    path: str
    setting: str
    at: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """How ssh goes to a destination. ``config`` is the file that says so, empty for ssh's own; ``known_in``
    are the files that have a host key, ``known_hosts`` names where one would be; ``hidden`` are those of all
    these files that the service does not see."""

    destination: str
    config: str
    keys: tuple[KeyFile, ...]
    known_in: tuple[str, ...]
    known_hosts: str
    hidden: tuple[Hidden, ...] = ()
    trouble: str = ""
    """What ssh says where it cannot even read its configuration."""

    @property
    def ssh(self) -> str:
        """The command that goes the same way, without its last word."""
        return f"ssh -F {self.config}" if self.config else "ssh"


def examine_timers(
    timers: tuple[Timer, ...] | None, now: datetime, *, root: bool = True, silent: str = ""
) -> Iterator[Finding]:
    """``None``: this machine has no systemd, and something else starts the backup; or it has, and ``silent``
    is why it did not answer. ``root``: root runs this."""
    if silent:
        what = f"systemd does not tell of its timers, nor of the service: {silent}"
        yield warning("timer", HERE, what, "systemctl status; then run this again")
        return
    if timers is None:
        yield good("timer", HERE, "there is no systemd here: what starts the backup was not looked at")
        return
    if not timers:
        remedy = "apt install ./cyber-zfs-backup_*.deb, or start it from cron"
        yield warning("timer", HERE, "there is no timer: nothing starts a backup by itself", remedy)
    # Of the package's own, one for a command line and one for the configuration file, either is enough.
    needless = {"cyber-zfs-backup.timer", "cyber-zfs-backup-run.timer"}
    if not any(timer.on for timer in timers):
        needless.remove("cyber-zfs-backup.timer")
    for timer in timers:
        if timer.on or timer.name not in needless:
            yield from _timer(timer, now)
    if timers and not root:
        what = "the service runs as root, and this user's ssh files and permissions may be others"
        yield warning("user", HERE, what, "run it as root: sudo cyber-zfs-backup doctor")


def _timer(timer: Timer, now: datetime) -> Iterator[Finding]:
    if not timer.on:
        active = "active" if timer.active else "not active"
        what = f"{timer.name} is {timer.enabled or 'not enabled'} and {active}"
        remedy = f"systemctl enable --now {timer.name}"
        yield warning("timer", HERE, f"{what}: no backup starts by itself", remedy)
    elif timer.last is not None and now - timer.last > LATE:
        days = (now - timer.last) // timedelta(days=1)
        what = f"{timer.name} has not fired for {days} days"
        yield warning("timer", HERE, what, f"systemctl list-timers {timer.name}; systemctl cat {timer.name}")
    else:
        fired = f"fired last at {timer.last:%Y-%m-%d %H:%M} UTC" if timer.last else "has not fired yet"
        yield good("timer", HERE, f"{timer.name} is enabled, and {fired}")
    if timer.result not in ("", "success"):
        what = f"the last run of {timer.service} failed ({timer.result})"
        yield warning("last-run", HERE, what, f"journalctl -u {timer.service} -n 50")


def examine_way(way: Way) -> Iterator[Finding]:
    """What the service would meet on its way to the receiver, whoever runs this."""
    if way.trouble:
        yield fails("ssh", HERE, way.trouble, f"mend {way.config or '~/.ssh/config'}")
        return
    hidden = {each.path for each in way.hidden}
    known = [path for path in way.known_in if path not in hidden]
    for each in way.hidden:
        # It is enough that one file has the host key.
        if each.path not in way.known_in or not known:
            yield _hidden(each)
    if known:
        yield good("known-hosts", HERE, f"the host key of {way.destination} is known")
    elif not way.known_in:
        what = f"no host key of {way.destination} is in {way.known_hosts}"
        remedy = f"cyber-zfs-backup setup sender shows and adds it; by hand: {way.ssh} {way.destination}"
        yield fails("known-hosts", HERE, what, remedy)
    yield from _keys(way)


def _hidden(file: Hidden) -> Finding:
    what = f"{file.path} is hidden from cyber-zfs-backup.service ({file.setting})"
    remedy = "move it to /etc/ssh and name it in the ssh configuration"
    if file.setting == "ProtectHome":
        remedy = f"{remedy}, or set ProtectHome=read-only"
    elif file.at:
        what = f"{file.path} is hidden from cyber-zfs-backup.service: {file.at} is another user's alone"
        remedy = f"{remedy}, as root's own; in its sandbox root has no right to what is another's"
    return fails("ssh", HERE, what, remedy)


def _keys(way: Way) -> Iterator[Finding]:
    hidden = {each.path for each in way.hidden}
    plain = [key for key in way.keys if not key.encrypted]
    usable = [key for key in plain if key.path not in hidden]
    for key in way.keys:
        if key.mode & 0o077:
            what = f"{key.path} can be read by others (mode {key.mode:04o}): ssh refuses such a key"
            yield fails("key", HERE, what, f"chmod 600 {quote(key.path)}")
        if key.owner != 0:
            what = (
                f"{key.path} belongs to user {key.owner}: whoever that is can push, and read what comes back"
            )
            yield warning("key", HERE, what, f"chown root: {quote(key.path)}")
    if not way.keys:
        what = f"there is no key for {way.destination}"
        remedy = (
            "cyber-zfs-backup setup sender makes one; or name it with IdentityFile in the ssh configuration"
        )
        yield fails("key", HERE, what, remedy)
    elif not plain:
        what = f"every key for {way.destination} has a passphrase, and nobody types it at night"
        yield fails("key", HERE, what, f"ssh-keygen -p -f {quote(way.keys[0].path)} -N ''")
    elif usable and all(not key.mode & 0o077 for key in usable):
        yield good("key", HERE, f"the key for {way.destination} is {usable[0].path}")

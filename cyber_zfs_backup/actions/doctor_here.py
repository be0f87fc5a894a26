# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the machine that runs the backup: its timers, and ssh's files as the service would see them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from ..config.job import Destination, SourceHost
from ..hosts.errors import HostError
from ..hosts.identities import look_at
from ..hosts.known_hosts import read
from ..hosts.protocol import Finished
from ..hosts.ssh import SshHost
from ..hosts.ssh_config import SshSettings
from ..plan.doctor_here import KeyFile, Timer, Way

SERVICE = "cyber-zfs-backup.service"
_TIMERS = ("cyber-zfs-backup.timer", "cyber-zfs-backup@*.timer")
_HOMES = ("/home/", "/root/", "/run/user/")

Run = Callable[[Sequence[str]], Finished]
"""Runs a command on this machine."""


@dataclass(frozen=True, slots=True)
class Here:
    """What was seen. ``ways`` and ``users`` (who logs in there) are by the ssh destination."""

    timers: tuple[Timer, ...] | None
    ways: Mapping[str, Way]
    users: Mapping[str, str]
    root: bool = True


def look_here(ends: Iterable[SourceHost | Destination], run: Run) -> Here:
    """Look at what the ways to these ends need. Runs ``systemctl`` and ``ssh -G``; connects nowhere."""
    ways: dict[str, Way] = {}
    users: dict[str, str] = {}
    sandbox = _sandbox(run)
    for end in ends:
        if not end.ssh or end.ssh in ways:
            continue
        config = "" if end.ssh_config is None else str(end.ssh_config)
        try:
            settings = SshHost(end.ssh, config or None).settings
        except HostError as error:
            ways[end.ssh] = Way(end.ssh, config, (), known=False, known_hosts="", trouble=error.what)
            continue
        users[end.ssh] = settings.user
        ways[end.ssh] = _way(settings, config, sandbox)
    return Here(_timers(run), ways, users, root=os.geteuid() == 0)


@dataclass(frozen=True, slots=True)
class _Sandbox:
    """What the service may not do that root may: see homes, and pass over permissions."""

    no_homes: bool
    by_permissions: bool


def _sandbox(run: Run) -> _Sandbox:
    blocks = _show(run, ("ProtectHome", "CapabilityBoundingSet"), (SERVICE,)) or [{}]
    may = blocks[0].get("CapabilityBoundingSet")
    # capabilities(7): either lets root read what is another user's.
    passes = may is None or {"cap_dac_override", "cap_dac_read_search"} & set(may.lower().split())
    return _Sandbox(blocks[0].get("ProtectHome") in ("yes", "tmpfs"), not passes)


def _way(settings: SshSettings, config: str, sandbox: _Sandbox) -> Way:
    files = (*settings.user_known_hosts, *settings.global_known_hosts)
    bare = None if settings.host_key_alias else settings.hostname
    known = read(files, settings.host_key_name, bare)
    keys = tuple(key for path in settings.identity_files if (key := _key(path)) is not None)
    matter = (config, *(key.path for key in keys), *settings.user_known_hosts[:1])
    return Way(
        settings.destination,
        config,
        keys,
        known=bool(known.lines or known.elsewhere),
        known_hosts=" or ".join(settings.user_known_hosts[:1]) or "any known_hosts",
        hidden=tuple(path for path in matter if sandbox.no_homes and path.startswith(_HOMES)),
        blocked=blocked(matter) if sandbox.by_permissions else {},
    )


def blocked(paths: Iterable[str], look: Callable[[Path], os.stat_result] = Path.stat) -> dict[str, str]:
    """Which of these files root may not read where it is bound by owner and mode as others are, each with
    what is in its way: the file itself, or a folder above it."""
    found = {}
    for path in filter(None, paths):
        steps = [*((folder, 0o1) for folder in reversed(Path(path).parents)), (Path(path), 0o4)]
        by = next((str(each) for each, right in steps if not _open_to_root(look, each, right)), None)
        if by is not None:
            found[path] = by
    return found


def _open_to_root(look: Callable[[Path], os.stat_result], path: Path, right: int) -> bool:
    try:
        status = look(path)
    except OSError:
        # What is not there is told of elsewhere.
        return True
    shift = 6 if status.st_uid == 0 else 3 if status.st_gid == 0 else 0
    return bool(status.st_mode >> shift & right)


def _key(path: str) -> KeyFile | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    identity = look_at(path)
    return KeyFile(path, stat.S_IMODE(status.st_mode), status.st_uid, bool(identity and identity.encrypted))


def _timers(run: Run) -> tuple[Timer, ...] | None:
    wanted = ("Id", "LoadState", "UnitFileState", "ActiveState", "LastTriggerUSec", "Unit", "TimersCalendar")
    blocks = _show(run, wanted, _TIMERS)
    if blocks is None:
        return None
    loaded = [block for block in blocks if block.get("LoadState") == "loaded"]
    services = [block.get("Unit", "") for block in loaded]
    listed = _show(run, ("Id", "Result", "ExecStart"), services) if services else []
    started = {each.get("Id", ""): each for each in listed or ()}
    calendars = {block.get("TimersCalendar", "") for block in loaded}
    periods = {calendar: _period(run, calendar) for calendar in calendars}
    return tuple(
        Timer(
            name=block.get("Id", ""),
            enabled=block.get("UnitFileState", ""),
            active=block.get("ActiveState") == "active",
            last=_moment(block.get("LastTriggerUSec", "")),
            result=started.get(service, {}).get("Result", ""),
            service=service,
            every=periods[block.get("TimersCalendar", "")],
            config=_config_of(started.get(service, {}).get("ExecStart", "")),
        )
        for block, service in zip(loaded, services, strict=True)
    )


def _period(run: Run, calendar: str) -> timedelta | None:
    """The longest time between two turns, of ``{ OnCalendar=... ; next_elapse=... }``.

    Of a timer with several of these systemd prints a line each, and the last one counts here: that takes a
    timer for later than it is, and so is late to call it late.
    """
    found = re.search(r"OnCalendar=(.*?) ;", calendar)
    if not found:
        return None
    try:
        argv = ["env", "TZ=UTC", "LC_ALL=C", "systemd-analyze", "calendar", "--iterations=10", "--", found[1]]
        finished = run(argv)
    except HostError:
        return None
    # "Next elapse: Mon 2026-11-30 02:00:00 UTC", and then "Iter. #2: ..." or "Iteration #2: ..."
    turns = re.findall(
        r"^ *(?:Next elapse|Iter[a-z.]* #\d+): \w+ ([\d-]+ [\d:]+) UTC$", finished.stdout, re.MULTILINE
    )
    times = [datetime.strptime(turn, "%Y-%m-%d %H:%M:%S") for turn in turns]  # noqa: DTZ007  # all are UTC
    return max((after - before for before, after in pairwise(times)), default=None)


def _config_of(start: str) -> str:
    """The ssh configuration in ``{ path=... ; argv[]=... ; ... }``; empty where none is named."""
    words = start.partition("argv[]=")[2].partition(" ; ")[0]
    found = re.search(r"(?:^| )--ssh-config[= ](\S+)", words)
    return found[1] if found else ""


def next_run(run: Run) -> datetime | None:
    """When the plain timer fires next; ``None`` where nobody can tell."""
    blocks = _show(run, ("NextElapseUSecRealtime",), _TIMERS[:1])
    return _moment(blocks[0].get("NextElapseUSecRealtime", "")) if blocks else None


def _show(run: Run, properties: Sequence[str], units: Sequence[str]) -> list[dict[str, str]] | None:
    """Properties of units, a mapping a unit; ``None`` where systemd does not run here."""
    try:
        argv = ["systemctl", "show", "--timestamp=unix", "-p", ",".join(properties), "--", *units]
        finished = run(argv)
    except HostError:
        return None
    if not finished.ok:
        return None
    blocks = [block for block in finished.stdout.split("\n\n") if block.strip()]
    return [dict(line.partition("=")[::2] for line in block.strip().splitlines()) for block in blocks]


def _moment(text: str) -> datetime | None:
    found = re.fullmatch(r"@(\d{1,12})", text)
    return datetime.fromtimestamp(int(found[1]), UTC) if found and int(found[1]) else None

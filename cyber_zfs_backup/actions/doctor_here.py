# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the machine that runs the backup: its timers, and ssh's files as the service would see them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..config.job import Destination, SourceHost
from ..hosts.errors import HostError
from ..hosts.identities import look_at
from ..hosts.known_hosts import read
from ..hosts.protocol import Finished
from ..hosts.ssh import SshHost
from ..hosts.ssh_config import SshSettings
from ..plan.doctor_here import KeyFile, Timer, Way
from ..zfs.errors import one_line
from .doctor_sandbox import SETTINGS, Sandbox, read_sandbox

SERVICE = "cyber-zfs-backup.service"
RUN_TIMER = "cyber-zfs-backup-run.timer"
_TIMERS = ("cyber-zfs-backup.timer", RUN_TIMER, "cyber-zfs-backup@*.timer")
SYSTEMD_PATIENCE = 60.0
"""Seconds that systemctl may take for an answer."""
_BOOTED = Path("/run/systemd/system")
"""There where systemd runs (sd_booted(3))."""

Run = Callable[[Sequence[str]], Finished]
"""Runs a command on this machine."""


@dataclass(frozen=True, slots=True)
class Here:
    """What was seen. ``ways`` and ``users`` (who logs in there) are by the ssh destination; ``silent`` is why
    systemd did not answer, where it runs."""

    timers: tuple[Timer, ...] | None
    ways: Mapping[str, Way]
    users: Mapping[str, str]
    root: bool = True
    silent: str = ""

    def reachable(self, destinations: Iterable[Destination]) -> tuple[Destination, ...]:
        """Those that can be asked: not where ssh cannot even read its configuration."""
        return tuple(
            each for each in destinations if not (each.ssh in self.ways and self.ways[each.ssh].trouble)
        )


class SilentError(Exception):
    """systemctl did not answer."""


def look_here(ends: Iterable[SourceHost | Destination], run: Run) -> Here:
    """Look at what the ways to these ends need. Runs ``systemctl`` and ``ssh -G``; connects nowhere."""
    ways: dict[str, Way] = {}
    users: dict[str, str] = {}
    sandbox, timers, silent = read_sandbox({}), None, ""
    try:
        sandbox = read_sandbox(next(iter(show_units(run, SETTINGS, (SERVICE,))), {}))
        timers = _timers(run)
    except SilentError as error:
        silent = str(error) if _BOOTED.is_dir() else ""
    for end in ends:
        if not end.ssh or end.ssh in ways:
            continue
        config = "" if end.ssh_config is None else str(end.ssh_config)
        try:
            settings = SshHost(end.ssh, config or None).settings
        except HostError as error:
            ways[end.ssh] = Way(end.ssh, config, (), (), known_hosts="", trouble=error.what)
            continue
        users[end.ssh] = settings.user
        ways[end.ssh] = _way(settings, config, sandbox)
    return Here(timers, ways, users, root=os.geteuid() == 0, silent=silent)


def _way(settings: SshSettings, config: str, sandbox: Sandbox) -> Way:
    files = (*settings.user_known_hosts, *settings.global_known_hosts)
    bare = None if settings.host_key_alias else settings.hostname
    known = read(files, settings.host_key_name, bare)
    keys = tuple(key for path in settings.identity_files if (key := _key(path)) is not None)
    known_in = tuple(dict.fromkeys(line.file for line in (*known.lines, *known.elsewhere)))
    matter = (*([config] if config else []), *(key.path for key in keys), *known_in)
    return Way(
        settings.destination,
        config,
        keys,
        known_in,
        known_hosts=" or ".join(settings.user_known_hosts[:1]) or "any known_hosts",
        hidden=tuple(found for path in matter if (found := sandbox.hides(path)) is not None),
    )


def _key(path: str) -> KeyFile | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    identity = look_at(path)
    return KeyFile(path, stat.S_IMODE(status.st_mode), status.st_uid, bool(identity and identity.encrypted))


def _timers(run: Run) -> tuple[Timer, ...]:
    wanted = ("Id", "LoadState", "UnitFileState", "ActiveState", "LastTriggerUSec", "Unit")
    loaded = [block for block in show_units(run, wanted, _TIMERS) if block.get("LoadState") == "loaded"]
    services = [block.get("Unit", "") for block in loaded]
    ends = show_units(run, ("Id", "Result"), services) if services else []
    results = {end.get("Id", ""): end.get("Result", "") for end in ends}
    return tuple(
        Timer(
            name=block.get("Id", ""),
            enabled=block.get("UnitFileState", ""),
            active=block.get("ActiveState") == "active",
            last=unit_moment(block.get("LastTriggerUSec", "")),
            result=results.get(service, ""),
            service=service,
        )
        for block, service in zip(loaded, services, strict=True)
    )


def next_run(run: Run) -> datetime | None:
    """When the plain timer fires next; ``None`` where nobody can tell."""
    try:
        blocks = show_units(run, ("NextElapseUSecRealtime",), _TIMERS[:1])
    except SilentError:
        return None
    return unit_moment(blocks[0].get("NextElapseUSecRealtime", "")) if blocks else None


def run_timer_is_off(run: Run) -> bool:
    """Whether nothing is done by the configuration file by itself, as far as systemd knows."""
    try:
        blocks = show_units(run, ("ActiveState",), (RUN_TIMER,))
    except SilentError:
        return False
    return any(block.get("ActiveState") in ("inactive", "failed") for block in blocks)


def show_units(run: Run, properties: Sequence[str], units: Sequence[str]) -> list[dict[str, str]]:
    """Properties of units, a mapping a unit. Raises ``SilentError``."""
    try:
        argv = ["systemctl", "show", "--timestamp=unix", "-p", ",".join(properties), "--", *units]
        finished = run(argv)
    except HostError as error:
        raise SilentError(error.what) from None
    if not finished.ok:
        raise SilentError(one_line(finished))
    blocks = [block for block in finished.stdout.split("\n\n") if block.strip()]
    return [dict(line.partition("=")[::2] for line in block.strip().splitlines()) for block in blocks]


def unit_moment(text: str) -> datetime | None:
    """A time as ``show_units`` has it; ``None`` for never."""
    found = re.fullmatch(r"@(\d{1,12})", text)
    return datetime.fromtimestamp(int(found[1]), UTC) if found and int(found[1]) else None

# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about a host's ZFS itself and its pools: vectors, and what the answers say. They change
nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..plan.doctor_pools import Device, Pool, Version
from .parse import GarbledError


def version() -> list[str]:
    """The versions of the commands and of the kernel's module."""
    return ["zfs", "version"]


def list_pool(pool: str) -> list[str]:
    """Size and health of one pool."""
    return ["zpool", "list", "-Hp", "-o", "name,size,allocated,free,health", pool]


def status(pool: str) -> list[str]:
    """What is wrong with one pool."""
    return ["zpool", "status", pool]


def all_of_pool(pool: str) -> list[str]:
    """Every property and feature of one pool."""
    return ["zpool", "get", "-Hp", "-o", "property,value", "all", pool]


def clock() -> list[str]:
    """The time there, in seconds since 1970."""
    return ["date", "-u", "+%s"]


def parse_version(text: str) -> Version:
    """The answer of ``zfs version``. Raises ``GarbledError``."""
    module = re.search(r"^zfs-kmod-(\S+)$", text, re.MULTILINE)
    commands = re.search(r"^zfs-(?!kmod-)(\S+)$", text, re.MULTILINE)
    if not module or not commands:
        raise GarbledError(f"not an answer of zfs version: {text[:80]!r}")
    return Version(commands[1], module[1])


def parse_pool(text: str) -> Pool:
    """The answer of ``zpool list -Hp -o name,size,allocated,free,health POOL``. Raises ``GarbledError``."""
    fields = text.rstrip("\n").split("\t")
    if len(fields) != 5 or not all(re.fullmatch(r"\d{1,20}", number) for number in fields[1:4]):
        raise GarbledError(f"not a pool's line: {text[:80]!r}")
    size, allocated, free = map(int, fields[1:4])
    return Pool(fields[0], size, allocated, free, fields[4])


def with_status(pool: Pool, text: str) -> Pool:
    """The pool with what ``zpool status POOL`` adds."""
    ill, resilvering = parse_ill(text), parse_resilvering(text)
    return replace(pool, errors=parse_errors(text), ill=ill, resilvering=resilvering)


def parse_errors(text: str) -> str:
    """The last word of ``zpool status POOL``; empty where it has none."""
    found = re.search(r"^errors: (.+)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def parse_resilvering(text: str) -> bool:
    """Whether ``zpool status POOL`` says that a disk is being filled just now."""
    return re.search(r"^ *scan: resilver in progress", text, re.MULTILINE) is not None


_STATES = "ONLINE|DEGRADED|FAULTED|OFFLINE|REMOVED|UNAVAIL"
_DEVICE = re.compile(rf"\t( *)(\S.*?) +({_STATES})\b(?: +(\S+) +(\S+) +(\S+))?.*")


def parse_ill(text: str) -> tuple[Device, ...]:
    """The devices in the answer of ``zpool status POOL`` that are not ONLINE or have made errors.

    Of a mirror, say, that is DEGRADED by its disk, the disk alone is told: what has something ill below it
    is not ill itself. Spares that wait are no trouble.
    """
    found = filter(None, map(_DEVICE.fullmatch, text.splitlines()))
    rows = [
        (len(row[1]), Device(row[2], row[3], sum(map(_at_least, (row[4], row[5], row[6]))))) for row in found
    ]
    ill = [device.state != "ONLINE" or device.errors > 0 for _, device in rows]
    return tuple(
        device
        for at, (depth, device) in enumerate(rows)
        if ill[at] and not any(ill[at + 1 : _end(rows, at, depth)])
    )


def _end(rows: Sequence[tuple[int, Device]], at: int, depth: int) -> int:
    """Where the rows end that are below the one at ``at``."""
    return next((n for n in range(at + 1, len(rows)) if rows[n][0] <= depth), len(rows))


def _at_least(count: str | None) -> int:
    """A number of errors; zfs writes ``1.2K`` for a large one."""
    found = re.match(r"\d+", count or "")
    return int(found[0]) if found else 0


def parse_features(text: str) -> Mapping[str, str]:
    """Feature to ``disabled``, ``enabled`` or ``active``, of what ``zpool get all`` says."""
    rows = (line.split("\t") for line in text.splitlines())
    prefix = "feature@"
    return {
        row[0].removeprefix(prefix): row[1] for row in rows if len(row) == 2 and row[0].startswith(prefix)
    }


def parse_clock(text: str) -> float:
    """The answer of ``date -u +%s``. Raises ``GarbledError``."""
    if not re.fullmatch(r"\d{1,12}\n?", text):
        raise GarbledError(f"not a number of seconds: {text[:40]!r}")
    return float(text)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about a host's ZFS itself and its pools: vectors, and what the answers say. They change
nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..plan.doctor_pools import Pool, Version
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
    found = re.fullmatch(r"([^\t\n]+)\t(\d{1,20})\t(\d{1,20})\t(\d{1,20})\t([^\t\n]+)\n", text)
    if not found:
        raise GarbledError(f"not a pool's line: {text[:80]!r}")
    return Pool(found[1], int(found[2]), int(found[3]), int(found[4]), found[5])


def parse_errors(text: str) -> str:
    """The last word of ``zpool status POOL``; empty where it has none."""
    found = re.search(r"^errors: (.+)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


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

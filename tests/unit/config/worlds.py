# SPDX-License-Identifier: GPL-3.0-or-later
"""A world for configuration files in tests: a machine called zippy, with a few files and a small calendar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cyber_zfs_backup.config.declared import Declared
from cyber_zfs_backup.config.reading import World, declared_in

THERE = frozenset(
    map(
        Path,
        (
            *("/bin/true", "/bin/sh", "/usr/bin/sync", "/usr/bin/logger"),
            "/etc/ssh/cyber-zfs-backup.ssh_config",
        ),
    )
)


def calendars(asked: Sequence[str]) -> Mapping[str, str]:
    """As systemd-analyze does it for what tests ask."""
    assert len(set(asked)) == len(asked)
    bad = [each for each in asked if each in ("bogus", "Moonday 02:00")]
    old = [each for each in asked if each.startswith("2020-")]
    return {
        **dict.fromkeys(bad, "is no calendar expression (systemd.time(7))"),
        **dict.fromkeys(old, "never comes any more"),
    }


ZIPPY = World("zippy", calendars, THERE.__contains__)


def declared(text: str) -> Declared:
    """What a text declares on zippy."""
    return declared_in(text, "config.toml", ZIPPY)

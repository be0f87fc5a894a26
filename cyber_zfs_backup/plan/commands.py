# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that messages offer, whole: to be pasted whatever runs the backup, and whichever tree it is
of. Pure."""

from __future__ import annotations

from shlex import quote

from ..model.places import HERE

JOURNAL = "journalctl -eu 'cyber-zfs-backup*'"
"""What all services of ours have said."""

STARTS = f"systemctl list-unit-files 'cyber-zfs-backup*.timer'; {JOURNAL}"
"""Which timers are enabled: the nightly one, or that of the configuration file; and what came of it."""


def of_tree(command: str, root: str) -> str:
    """A command of ours, for one tree."""
    return f"cyber-zfs-backup {command} --dataset {quote(root)}"


def of_copy(command: str, root: str, to: str) -> str:
    """The same for one destination, by its label (``HOST:DATASET``); for the tree alone where it has none."""
    head, slash, tail = to.partition("/")
    host, colon, pool = head.rpartition(":")
    if not colon or not slash:
        return of_tree(command, root)
    ssh = "" if host == HERE else host
    there = f"--ssh-destination {quote(ssh)} --zfs-receive-dataset {quote(f'{pool}/{tail}')}"
    return f"{of_tree(command, root)} {there}"

# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found on a receiver before a client is set up there, and where all of it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..zfs.parse import Property

POLICIES = "/etc/cyber-zfs-backup/clients"
"""One file a client, NAME.toml; root's."""
HOMES = "/var/lib/cyber-zfs-receive"
"""One folder a client: root's, so that the client cannot change what lets it in."""
GATEKEEPER = "/usr/bin/cyber-zfs-receive"
"""The forced command."""
TIMER = "cyber-zfs-backup-receiver.timer"
"""Expires what archives keep too long."""
ROOT_KEYS = "/root/.ssh/authorized_keys"


def policy_path(client: str) -> str:
    """Where a client's policy stands."""
    return f"{POLICIES}/{client}.toml"


def home(client: str) -> str:
    """A client's home."""
    return f"{HOMES}/{client}"


def keys_path(client: str) -> str:
    """The file that lets a client in."""
    return f"{home(client)}/.ssh/authorized_keys"


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the system."""

    home: str
    shell: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is there: whose, and its mode."""

    owner: str
    mode: int


@dataclass(frozen=True, slots=True)
class RootFacts:
    """What is known of a client's root. ``kind`` is ``filesystem`` or ``volume``; None: it is not there.

    ``allowed`` is what is delegated to the client's user on it, ``mounted`` what is mounted at or below it.
    """

    parent_there: bool = True
    pool_there: bool = True
    kind: str | None = None
    settings: Mapping[str, Property] = field(default_factory=dict)
    allowed: frozenset[str] = frozenset()
    mounted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverFacts:
    """All that is known. ``root`` is None where no root is known (an undo of what was never made).

    ``others``: the root of every other client, None where its policy cannot be read. ``strange``: what lies
    in the client's home and is not ours. ``root_keys`` is the text of root's own authorized_keys. ``timer``
    is what ``systemctl is-enabled`` says; empty where there is no systemd.
    """

    root: RootFacts | None
    account: Account | None = None
    folders: Mapping[str, Folder] = field(default_factory=dict)
    policy: str | None = None
    authorized: str | None = None
    others: Mapping[str, str | None] = field(default_factory=dict)
    strange: tuple[str, ...] = ()
    root_keys: str = ""
    gatekeeper_there: bool = True
    timer: str = ""

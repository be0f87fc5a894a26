# SPDX-License-Identifier: GPL-3.0-or-later
"""The test ground in a guest: pools on files, and hosts that are namespaces with an sshd each.

The work is done by ``inside/lab.sh``; each method here is one call of it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from .channel import Result, Running
from .guest import Guest

FOLDER = "/run/lab"
SSH_CONFIG = f"{FOLDER}/client/ssh_config"
KNOWN_HOSTS = f"{FOLDER}/client/known_hosts"
CLIENT_KEY = f"{FOLDER}/client/id_ed25519"
SCRIPT = f"{FOLDER}/lab.sh"
NAME = re.compile(r"[a-z][a-z0-9-]{0,11}")


class Place(StrEnum):
    """Where a pool's file lies."""

    MEMORY = "tmpfs"
    """The quicker one; gone after a reset."""
    DISK = "disk"
    """Outlives a reset of the guest, as far as it was written."""


@dataclass(frozen=True, slots=True)
class Pools:
    """Makes fresh pools; ``Lab.tidy`` destroys whatever pools there are."""

    guest: Guest

    def make(
        self,
        name: str = "tank",
        size: str = "512M",
        *,
        place: Place = Place.MEMORY,
        options: Sequence[str] = (),
    ) -> str:
        """Make a pool of ``size`` on one sparse file and answer its name.

        ``options`` are further arguments of zpool create (``-O compression=lz4``). The pool is not
        in zpool.cache: it does not come back by itself after a reset, ``reimport`` brings it.
        """
        _call(self.guest, "pool", name, size, place.value, *options).check()
        return name

    def reimport(self, name: str) -> None:
        """Import a pool on disk again, after a reset of the guest."""
        self.guest.run(["zpool", "import", "-f", "-o", "cachefile=none", "-d", "/var/lib/lab", name]).check()

    def destroy(self, *names: str) -> None:
        """Destroy pools whatever holds them: mounts, holds and processes do not prevent it."""
        _call(self.guest, "drop_pools", *names).check()

    def tree(self, root: str, children: Sequence[str] = (), *, options: Sequence[str] = ()) -> None:
        """Make a dataset and children below it (relative names), all in one call."""
        words = " ".join(f"'{word}'" for word in options)
        lines = [f"zfs create {words} '{root}'", *(f"zfs create '{root}/{child}'" for child in children)]
        self.guest.script("\n".join(lines), timeout=600)


@dataclass(frozen=True, slots=True)
class Host:
    """A "host": a network namespace of the guest with an sshd of its own; ZFS is shared by all.

    Reached from the guest's first namespace as ``name`` through ``SSH_CONFIG``.
    """

    guest: Guest
    name: str
    index: int
    port: int = 22
    touched: set[str] = field(default_factory=set)
    """Names of hosts that a test has changed and ``Lab.tidy`` must put right."""

    @property
    def address(self) -> str:
        """Its address inside the guest."""
        return f"10.77.{self.index}.2"

    @property
    def folder(self) -> str:
        """Its files in the guest: sshd_config, host_key, authorized/USER, sshd.log, client.conf."""
        return f"{FOLDER}/hosts/{self.name}"

    @property
    def host_key(self) -> str:
        """Its public host key, as ``ssh-ed25519 AAAA...``."""
        return " ".join(self.guest.get(f"{self.folder}/host_key.pub").decode().split()[:2])

    @property
    def log(self) -> str:
        """What its sshd has logged in this test."""
        return self.guest.get(f"{self.folder}/sshd.log").decode(errors="replace")

    def ssh(self, *command: str, timeout: float = 60.0) -> Result:
        """Run a command there the way a user would, by ssh with the lab's configuration."""
        return self.guest.run(["ssh", "-F", SSH_CONFIG, self.name, *command], timeout=timeout)

    def run(self, argv: Sequence[str], *, timeout: float = 120.0) -> Result:
        """Run a command in its namespace as root, without ssh."""
        return self.guest.run(["nsenter", f"--net=/run/netns/{self.name}", *argv], timeout=timeout)

    def authorize(self, user: str, *, options: str = "", key: str = "") -> None:
        """Let a key log in as ``user`` (made where missing), instead of what was allowed for it.

        ``options`` go before the key (``command="...",restrict``); ``key`` is a public key, by
        default the lab client's own.
        """
        self.touched.add(self.name)
        if user != "root":
            _call(self.guest, "user", user).check()
        public = key or self.guest.get(f"{CLIENT_KEY}.pub").decode()
        self.guest.put(f"{options} {public}".lstrip().encode(), f"{self.folder}/authorized/{user}")

    def revoke(self, user: str) -> None:
        """Let nobody log in as ``user`` any more."""
        self.touched.add(self.name)
        self.guest.run(["rm", "-f", f"{self.folder}/authorized/{user}"]).check()

    def client(self, **settings: str) -> None:
        """Write the client's entry for this host anew: ``User="backup"``, ``Ciphers="..."`` and so on.

        HostName and Port stay as they are unless given; ``User`` is root unless given.
        """
        self.touched.add(self.name)
        entry = {"HostName": self.address, "Port": str(self.port), "User": "root", **settings}
        lines = [f"Host {self.name}", *(f"    {word} {value}" for word, value in entry.items())]
        self.guest.put("\n".join([*lines, ""]).encode(), f"{self.folder}/client.conf")

    def server(self, *lines: str) -> None:
        """Start its sshd anew with these lines before its own configuration (the first value counts)."""
        self.touched.add(self.name)
        own = self.guest.get(f"{self.folder}/sshd_config").decode()
        self.guest.put("\n".join([*lines, own]).encode(), f"{self.folder}/sshd_config")
        self.stop()
        self.begin()

    def stop(self) -> None:
        """Kill its sshd and every session there; connections are refused from then on."""
        self.touched.add(self.name)
        _call(self.guest, "sshd_down", self.name).check()

    def begin(self) -> None:
        """Start its sshd where it does not run."""
        _call(self.guest, "sshd_up", self.name).check()

    @contextlib.contextmanager
    def unplugged(self) -> Iterator[None]:
        """Within the block its cable is out: packets vanish, nothing is refused."""
        self.touched.add(self.name)
        self.guest.run(["ip", "link", "set", f"v-{self.name}", "down"]).check()
        try:
            yield
        finally:
            self.guest.run(["ip", "link", "set", f"v-{self.name}", "up"]).check()

    @contextlib.contextmanager
    def netem(self, delay_ms: float = 0.0, *, loss_percent: float = 0.0, rate: str = "") -> Iterator[None]:
        """Within the block each direction has this delay (a round trip has twice that), loss and rate.

        ``rate`` is as tc has it (``10mbit``).
        """
        self.touched.add(self.name)
        words = ["delay", f"{delay_ms:g}ms", "limit", "100000"]
        words += ["loss", f"{loss_percent:g}%"] if loss_percent else []
        words += ["rate", rate] if rate else []
        _call(self.guest, "netem", self.name, *words).check()
        try:
            yield
        finally:
            _call(self.guest, "netem_off", self.name).check()


class Lab:
    """Pools and hosts of one guest. Two hosts, ``alpha`` and ``beta``, are always there."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.pools = Pools(guest)
        self._touched: set[str] = set()
        self.alpha = Host(guest, "alpha", 1, touched=self._touched)
        self.beta = Host(guest, "beta", 2, touched=self._touched)
        self._next = 3

    def host(self, name: str, *, port: int = 22) -> Host:
        """Make a further host, for this test alone."""
        if not NAME.fullmatch(name):
            raise ValueError(f"not a name for a host (interfaces are named after it): {name!r}")
        made = Host(self.guest, name, self._next, port)
        self._next += 1
        _call(self.guest, "host", name, str(made.index), str(port)).check()
        return made

    def tidy(self) -> None:
        """Back to the beginning: no pools, no users of tests, only the two first hosts, as they were."""
        _call(self.guest, "tidy", *sorted(self._touched), timeout=300).check()
        self._touched.clear()
        self._next = 3


@dataclass(frozen=True, slots=True)
class Product:
    """The checkout's package, installed in the guest."""

    guest: Guest
    folder: str
    package: str

    def argv(self, *arguments: str) -> list[str]:
        """The command line of the program with the lab's ssh configuration; a command word comes first."""
        words = 0 if not arguments or arguments[0].startswith("-") else 1
        program = ["python3", "-m", self.package, *arguments[:words]]
        return [*program, "--ssh-config", SSH_CONFIG, *arguments[words:]]

    def run(self, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 600.0) -> Result:
        """Run the program as root to its end."""
        return self.guest.run(self.argv(*arguments), env=self._environment(env), timeout=timeout)

    def start(self, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 600.0) -> Running:
        """Start the program as root, to be signalled or waited for; its input is at its end."""
        running = self.guest.start(self.argv(*arguments), env=self._environment(env), timeout=timeout)
        running.feed(b"", end=True)
        return running

    def _environment(self, env: Mapping[str, str] | None) -> dict[str, str]:
        return {"PYTHONPATH": self.folder, **(env or {})}


def snapshots(guest: Guest, root: str) -> dict[str, str]:
    """Relative name of every snapshot below a root to its GUID, read by the test itself."""
    listed = guest.script(f"zfs list -Hp -o name,guid -t snapshot -r '{root}'", timeout=600).text
    rows = (line.split("\t") for line in listed.splitlines())
    return {name.removeprefix(root): guid for name, guid in rows}


def saying_yes(guest: Guest) -> dict[str, str]:
    """The environment in which somebody answers yes to whatever ssh asks."""
    guest.put(b"#!/bin/sh\necho yes\n", "/opt/yes", mode=0o755)
    return {"SSH_ASKPASS": "/opt/yes", "SSH_ASKPASS_REQUIRE": "force"}


def _call(guest: Guest, *words: str, timeout: float = 120.0) -> Result:
    return guest.run(["sh", SCRIPT, *words], timeout=timeout)

# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver behind its gatekeeper, made by hand: what `setup receiver` makes, without it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from .channel import Result
from .ground import Ran
from .guest import Guest
from .lab import SSH_CONFIG, Host, Lab, Product, snapshots

SCRIPT = "/usr/local/bin/cyber-zfs-receive"
CONTAINER = (
    *("mountpoint=none", "canmount=off", "readonly=on", "setuid=off", "exec=off", "devices=off"),
    *("volmode=none", "sharenfs=off", "sharesmb=off"),
)
MASTER = ("-o", "ControlMaster=auto", "-o", "ControlPath=/run/lab/client/%C", "-o", "ControlPersist=60")
"""An attacker saves the time for the login, too."""


@dataclass(frozen=True, slots=True)
class Client:
    """A machine that pushes from the pool ``tank`` to ``vault/NAME`` on a host, as the user NAME."""

    lab: Lab
    host: Host
    product: Product
    name: str

    @property
    def guest(self) -> Guest:
        """Where all this is."""
        return self.lab.guest

    @property
    def root(self) -> str:
        """The dataset at or below which it may write."""
        return f"vault/{self.name}"

    @property
    def copy(self) -> str:
        """Its copy of ``tank/src``."""
        return f"{self.root}/src"

    @property
    def state(self) -> str:
        """The gatekeeper's record."""
        return f"/home/{self.name}/state"

    def let_in(self, *options: str, permissions: str = "receive,create,mount") -> None:
        """Make the user, its root and its key's line; ``options`` are the forced command's."""
        self.guest.put(
            f"#!/usr/bin/python3 -I\nimport sys\nsys.path.insert(0, '{self.product.folder}')\n"
            f"from {self.product.package}.gatekeeper.main import main\nsys.exit(main())\n".encode(),
            SCRIPT,
            mode=0o755,
        )
        command = " ".join((SCRIPT, self.root, *options))
        self.host.authorize(self.name, options=f'restrict,command="{command}"')
        settings = " ".join(f"-o {setting}" for setting in CONTAINER)
        self.guest.script(
            f"""
            [ -e /run/lab/since ] || date +@%s > /run/lab/since
            install -d -m 700 -o {self.name} {self.state}
            zfs list -H {self.root} > /dev/null 2>&1 || zfs create {settings} {self.root}
            zfs unallow -u {self.name} {self.root} 2> /dev/null || true
            zfs allow -u {self.name} {permissions} {self.root}
            """
        )
        self.host.client(User=self.name)

    def run(self, *more: str, copy: str = "") -> Ran:
        """Run the product."""
        done = self.product.run(
            *("--dataset", "tank/src", "--ssh-destination", self.host.name),
            *("--zfs-receive-dataset", copy or self.copy, "--json", "-v", "--retries", "0", *more),
        )
        return Ran(done.status, json.loads(done.text), done.errors)

    def tries(self, line: str, *options: str) -> Result:
        """Have the host's sshd run a line, just as it is."""
        return self.guest.run(["ssh", "-F", SSH_CONFIG, *MASTER, *options, self.host.name, line], timeout=120)

    def feeds(self, send: str, line: str) -> Result:
        """Pipe what a shell command of this machine makes into a line there."""
        ssh = " ".join(("ssh -F", SSH_CONFIG, *MASTER, self.host.name))
        return self.guest.run(["sh", "-c", f"{send} | {ssh} '{line}'"], timeout=300)

    def journal(self) -> str:
        """What the gatekeeper has told the journal since somebody was first let in."""
        return self.guest.script(
            'journalctl -t cyber-zfs-receive -o cat --no-pager --since="$(cat /run/lab/since)"'
        ).text

    def snapshots(self) -> dict[str, str]:
        """Relative name of every snapshot of the copy to its GUID."""
        return snapshots(self.guest, self.copy)


def everything(guest: Guest, pools: Sequence[str] = ("vault",)) -> str:
    """All datasets, snapshots, bookmarks and settings of pools, what is mounted and what is shared."""
    names = " ".join(pools)
    return guest.script(
        f"""
        zfs list -Hp -t all -o name,guid,createtxg,userrefs -r {names}
        zfs get -Hp -r -s local,received -o name,property,value all {names} | grep -v resume_token || true
        grep -E '^({"|".join(pools)})[/ ]' /proc/mounts || true
        """,
        timeout=300,
    ).text

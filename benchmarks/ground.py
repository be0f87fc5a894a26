# SPDX-License-Identifier: GPL-3.0-or-later
"""The ground that pushes are measured on: pools in the guest, trees with snapshots, copies of pools."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cyber_zfs_backup.model.names import own_name
from tests.guest.guest import Guest
from tests.guest.lab import FOLDER, SCRIPT
from tests.guest.lab import SSH_CONFIG as LAB_SSH_CONFIG

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = "cyber_zfs_backup"
INSTALLED = "/opt/cyber-zfs-backup"
INSIDE = "/run/benchmarks"
SSH_CONFIG = "/run/benchmarks.ssh_config"
HOST = "alpha"
SSHD_PID = f"{FOLDER}/hosts/{HOST}/sshd.pid"
POOL_SIZE = "512M"
TREE = "tree"
LONG = 7200.0
"""Seconds that one step may take on a slow, emulated and busy machine."""


@dataclass(frozen=True, slots=True)
class Run:
    """One measured command. ``programs`` and ``processes`` are counted by side (source, receiver)."""

    seconds: float
    programs: dict[str, dict[str, int]]
    processes: dict[str, int]
    cpu: dict[str, dict[str, float]]
    connections: int
    stderr: str

    def zfs(self, side: str) -> int:
        """How often zfs was called on that side."""
        return self.programs[side].get("zfs", 0)

    @property
    def cpu_seconds(self) -> dict[str, float]:
        """Seconds of CPU by side."""
        return {side: sum(programs.values()) for side, programs in self.cpu.items()}


class FailedRunError(Exception):
    """A command that was to be measured did not succeed; what it said is in the message."""


class Ground:
    """Pools and measured commands in one guest. Every pool of its own has a name that begins with bm."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest

    def install(self) -> None:
        """Bring the product and the scripts into the guest, compiled."""
        self.guest.put_tree(CHECKOUT / PACKAGE, f"{INSTALLED}/{PACKAGE}")
        self.guest.put_tree(CHECKOUT / "benchmarks" / "inside", INSIDE)
        # The lab asks for one key exchange that is quick in an emulated guest. It has two names, and
        # old versions of paramiko know only the second.
        both = "KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org\n"
        self.guest.put(f"{both}Include {LAB_SSH_CONFIG}\n".encode(), SSH_CONFIG)
        self.guest.run(["python3", "-m", "compileall", "-q", INSTALLED, INSIDE], timeout=LONG).check()

    def clean(self) -> None:
        """Destroy the pools that an earlier run has left, and no others."""
        listed = self.guest.run(["zpool", "list", "-H", "-o", "name"]).check().text.split()
        self.drop(*(name for name in listed if name.startswith("bm")))
        self._lab("netem_off", HOST)

    def pool(self, name: str) -> None:
        """Make an empty pool in the guest's memory."""
        self._lab("pool", name, POOL_SIZE, "tmpfs")

    def drop(self, *names: str) -> None:
        """Destroy pools."""
        if names:
            self._lab("drop_pools", *names)

    def copy(self, pool: str, new: str) -> None:
        """Make ``new`` a copy of a pool: the same datasets and snapshots with the same GUIDs.

        As a push would make it, but in seconds. Only the pool's own GUID is a new one.
        """
        folder = f"{FOLDER}/pools"
        self.guest.script(
            f"""
            zpool export {pool}
            cp --sparse=always {folder}/{pool} {folder}/{new}
            zpool import -N -o cachefile=none -d {folder}/{new} {pool} {new}
            zpool reguid {new}
            zpool import -o cachefile=none -d {folder}/{pool} {pool}
            """,
            timeout=LONG,
        )

    def tree(self, pool: str, datasets: int, snapshots: int) -> None:
        """Make a tree of so many datasets (the root among them), a file in each, with daily snapshots."""
        names = own_names(snapshots)
        self.guest.script(
            f"""
            zfs create -o compression=lz4 {pool}/{TREE}
            for number in $(seq 1 {datasets - 1}); do zfs create {pool}/{TREE}/d$number; done
            for where in /{pool}/{TREE} /{pool}/{TREE}/d*; do
                head -c 65536 /dev/urandom > $where/file
            done
            for name in {" ".join(names)}; do zfs snapshot -r {pool}/{TREE}@$name; done
            """,
            timeout=LONG,
        )

    def change(self, pool: str) -> str:
        """Change a little in every dataset, take the next snapshot, and answer its name."""
        root = f"/{pool}/{TREE}"
        self.guest.script(
            f"for where in {root} {root}/d*/; do head -c 4096 /dev/urandom > $where/small; done",
            timeout=LONG,
        )
        return self.snapshot(pool)

    def snapshot(self, pool: str) -> str:
        """Take a snapshot of the tree, named after the guest's present."""
        taken = (
            f"sleep 1; name=$(date -u +%Y-%m-%dT%H:%M:%SZ); zfs snapshot -r {pool}/{TREE}@$name; echo $name"
        )
        return self.guest.script(taken, timeout=LONG).text

    def quieten(self, datasets: str) -> None:
        """As a received tree is: nothing mounts, nothing changes."""
        self.guest.script(f"zfs set mountpoint=none readonly=on {datasets}", timeout=LONG)

    def measured(self, argv: Sequence[str]) -> Run:
        """Run a command in the guest with the product at hand; FailedRunError where it fails."""
        self.guest.script("zpool sync", timeout=LONG)
        command = ["python3", f"{INSIDE}/measure.py", SSHD_PID, *argv]
        result = self.guest.run(command, env={"PYTHONPATH": INSTALLED}, timeout=LONG).check()
        answer = json.loads(result.stdout)
        if answer["status"] != 0:
            said = f"{answer['stdout']}{answer['stderr']}"
            raise FailedRunError(f"{' '.join(argv)}: exit status {answer['status']}\n{said}")
        fields = ("seconds", "programs", "processes", "cpu", "connections", "stderr")
        return Run(**{name: answer[name] for name in fields})

    def delay(self, milliseconds: float) -> None:
        """Give the way to the receiver this round trip; 0 takes it away."""
        if milliseconds:
            self._lab("netem", HOST, "delay", f"{milliseconds / 2:g}ms", "limit", "100000")
        else:
            self._lab("netem_off", HOST)

    def _lab(self, *words: str) -> None:
        self.guest.run(["sh", SCRIPT, *words], timeout=LONG).check()


def own_names(count: int) -> Iterator[str]:
    """So many names, a day apart, the newest of yesterday."""
    now = datetime.now(UTC)
    return (own_name(now - timedelta(days=age)) for age in range(count, 0, -1))


def ours(source: str, receiver: str, *more: str) -> list[str]:
    """The product's push of a pool's tree."""
    return [*_product(source), "--action", "push", *_destination(receiver), *more]


def our_expire(source: str) -> list[str]:
    """The product's expire with one a day for ever: what goes is what has a newer one of its day."""
    return [*_product(source), "--action", "expire", "--retention-policy", "9999", "0", "0"]


def traced(argv: Sequence[str]) -> list[str]:
    """The same, with every command of its hosts timed and told at the end."""
    return ["python3", f"{INSIDE}/trace.py", *argv[3:]]


def script(name: str, source: str, receiver: str, target: str, *more: str) -> list[str]:
    """One of the ways by hand."""
    trees = (f"{source}/{TREE}", f"{receiver}/{TREE}")
    return ["sh", f"{INSIDE}/{name}.sh", SSH_CONFIG, HOST, *trees, target, *more]


def expire_script(source: str, names: Sequence[str]) -> list[str]:
    """The reference's way to expire."""
    return ["sh", f"{INSIDE}/expire.sh", f"{source}/{TREE}", *names]


def _product(source: str) -> list[str]:
    return ["python3", "-m", PACKAGE, "--dataset", f"{source}/{TREE}"]


def _destination(receiver: str) -> list[str]:
    where = ["--ssh-destination", HOST, "--zfs-receive-dataset", f"{receiver}/{TREE}"]
    return ["--ssh-config", SSH_CONFIG, *where]

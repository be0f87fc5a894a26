# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree that a campaign's faults hit, what is written to it between them, and what must be true of it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ..ground import RECEIVER, SOURCE, Ground, Ran
from ..lab import Lab, Place, Product

MEBI = 1 << 20
DATA = {"a": 4, "a/deep": 1, "secret": 2, "disk": 1}
"""MiB of new data that each push has to carry, by dataset."""
TOTAL = sum(DATA.values()) * MEBI
RETENTION = ["--retention-policy", "1", "0", "0"]
"""So that each run has a snapshot to destroy on both sides."""
NOW = "$(date -u +%Y-%m-%dT%H:%M:%SZ)"

MAKE = f"""
    zfs create {SOURCE}; zfs create {SOURCE}/a; zfs create {SOURCE}/a/deep
    head -c 32 /dev/urandom > /root/faults-key
    zfs create -o encryption=on -o keyformat=raw -o keylocation=file:///root/faults-key {SOURCE}/secret
    zfs create -s -V 16M {SOURCE}/disk
    zfs snapshot {SOURCE}/a@by-hand
"""

LOOK = rf"""
    for side in {SOURCE} {RECEIVER}; do
        zfs list -Hp -o name,guid -t snapshot -r $side | sed "s,^$side,$side\t,"
        echo ==
    done
    zfs get -Hp -r -t filesystem,volume -o name,value receive_resume_token {RECEIVER}; echo ==
    zfs list -Hp -o name -t snapshot -r {SOURCE} | tr '\n' '\0' | xargs -0 -r zfs holds -H; echo ==
    zfs get -Hp -r -s local -t filesystem,volume -o name,property,value all {SOURCE} |
        grep cyber-zfs-backup: || :
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """Both sides, as the test itself sees them. Snapshots by relative name; holds as (snapshot, tag)."""

    source: dict[str, str]
    receiver: dict[str, str]
    tokens: list[str]
    holds: list[tuple[str, str]]
    records: list[tuple[str, str, str]]
    """Our properties on the source: dataset, name, value."""

    @classmethod
    def of(cls, said: str) -> Seen:
        """What ``LOOK`` printed."""
        here, there, tokens, holds, records = (
            [line.split("\t") for line in part.splitlines()] for part in f"{said}\n".split("==\n")
        )
        return cls(
            source={name: guid for _, name, guid in here},
            receiver={name: guid for _, name, guid in there},
            tokens=[name for name, token in tokens if token != "-"],
            holds=[(row[0], row[1]) for row in holds],
            records=[(name, prop, value) for name, prop, value in records],
        )

    def wrongs(self, target: str) -> list[str]:
        """What is not as it must be after a run that brought ``target`` to every dataset."""
        datasets = ["", *(f"/{path}" for path in DATA)]
        said = []
        if self.source != self.receiver:
            odd = sorted(self.source.items() ^ self.receiver.items())
            said.append(f"the trees differ: {odd}")
        if missing := {f"{path}@{target}" for path in datasets} - set(self.source):
            said.append(f"the pushed snapshot is gone: {sorted(missing)}")
        if self.tokens:
            said.append(f"a partial receive is left: {self.tokens}")
        wanted = {f"{SOURCE}{path}@{target}" for path in datasets}
        if {name for name, _ in self.holds} != wanted or len(self.holds) != len(wanted):
            said.append(f"held is not exactly the base @{target}: {self.holds}")
        bases = [record for record in self.records if "cyber-zfs-backup:base." in record[1]]
        values = [json.loads(value) for _, _, value in bases]
        if [name for name, _, _ in bases] != [SOURCE] or values[0]["base"] != target:
            said.append(f"the record does not name @{target} on the root alone: {bases}")
        elif values[0].keys() & {"pending", "former"}:
            said.append(f"the record has something left over: {bases}")
        if len(bases) != len(self.records):
            said.append(f"a property is left over: {self.records}")
        return said


class Battlefield:
    """One pair of pools, on disk so that they outlive a reset, and the runs on them."""

    def __init__(self, lab: Lab, product: Product) -> None:
        self.lab = lab
        lab.tidy()
        self.ground = Ground(lab, product, place=Place.DISK)
        self.ground.sh(MAKE)

    def write(self, *, between: bool) -> None:
        """New data that cannot be compressed; ``between`` takes a snapshot in the middle of it."""
        lines = [f"head -c {size}M /dev/urandom > {_file(path)}" for path, size in DATA.items()]
        if between:
            lines.insert(2, f"zfs snapshot -r {SOURCE}@{NOW}; sleep 1")
        self.ground.sh("\n".join([*lines, "zpool sync tank"]))

    def arguments(self, mode: str, *, first: bool, full_run: bool = True) -> list[str]:
        """The command line of a nightly run, or of a push alone."""
        actions = ["snapshot", "push", "expire"] if full_run else ["push"]
        force = ["--force-non-incremental"] if first else []
        return ["--send-mode", mode, *RETENTION, *force, "--action", *actions]

    def run(self, mode: str, *, first: bool = False, full_run: bool = True) -> Ran:
        """One whole run, undisturbed."""
        return self.ground.run(*self.arguments(mode, first=first, full_run=full_run))

    def look(self) -> Seen:
        """Both sides."""
        return Seen.of(self.ground.sh(LOOK))

    def leave_room(self, amount: int) -> None:
        """Leave the receiver's pool no more than so many bytes."""
        self.ground.sh(
            "zfs create -o mountpoint=none vault/filler; "
            "room=$(zfs get -Hp -o value available vault); "
            f"zfs set reservation=$((room - {amount})) vault/filler"
        )

    def free_room(self) -> None:
        """Take that back."""
        self.ground.sh("zfs destroy vault/filler")

    def back_after_reset(self) -> None:
        """Bring the pools back, as a boot would."""
        for pool in ("tank", "vault"):
            self.lab.pools.reimport(pool)
        self.ground.sh("zfs load-key -a; zfs mount -a; udevadm settle")

    def busy(self) -> bool:
        """Whether a receive of a connection that is dead still lives."""
        return self.ground.guest.run(["pgrep", "-f", "^zfs receive"]).ok


def _file(path: str) -> str:
    return f"/dev/zvol/{SOURCE}/disk" if path == "disk" else f"/{SOURCE}/{path}/bulk"

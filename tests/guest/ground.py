# SPDX-License-Identifier: GPL-3.0-or-later
"""A source tree, a receiver's pool behind sshd, and the product between them; all of it real."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .channel import Result, Running
from .guest import Guest
from .lab import Host, Lab, Place, Product, snapshots

SOURCE = "tank/src"
RECEIVER = "vault/copy"


@dataclass(frozen=True, slots=True)
class Ran:
    """A run of the product: its exit status, its JSON document, and what it said on stderr."""

    status: int
    document: dict[str, Any]
    errors: str

    def action(self, name: str) -> dict[str, Any]:
        """The result of one action."""
        found: dict[str, Any] = next(a for a in self.document["actions"] if a["action"] == name)
        return found

    def problems(self) -> list[str]:
        """Every problem's kind."""
        return [problem["kind"] for action in self.document["actions"] for problem in action["problems"]]


class Ground:
    """One test's ground: ``tank/src`` here, ``vault/copy`` on the host ``alpha``."""

    def __init__(
        self, lab: Lab, product: Product, *, receiver_size: str = "512M", place: Place = Place.MEMORY
    ) -> None:
        self.guest: Guest = lab.guest
        self.host: Host = lab.alpha
        self.product = product
        lab.pools.make("tank", place=place)
        lab.pools.make("vault", receiver_size, place=place)

    def sh(self, script: str) -> str:
        """Run lines of shell in the guest; the first that fails fails the test."""
        return self.guest.script(script, timeout=600).text

    def arguments(self, *more: str) -> list[str]:
        """The product's command line for this ground; what breaks is not tried again by itself."""
        return [
            "--dataset", SOURCE, "--ssh-destination", self.host.name, "--zfs-receive-dataset", RECEIVER,
            "--json", "-v", "--retries", "0", *more,
        ]  # fmt: skip

    def call(self, *arguments: str) -> Ran:
        """Run the product with exactly these arguments (and --json)."""
        return self.ran(self.product.run(*arguments, "--json", "-v"))

    def run(self, *more: str) -> Ran:
        """Run the product to its end."""
        return self.ran(self.product.run(*self.arguments(*more)))

    def push_first(self) -> None:
        """The first night: a snapshot and a full push. Afterwards a second has passed."""
        ran = self.run("--action", "snapshot", "push", "--force-non-incremental")
        assert ran.status == 0, ran.errors
        self.sh("sleep 1")

    def start(self, *more: str) -> Running:
        """Start the product, to be disturbed."""
        return self.product.start(*self.arguments(*more))

    def ran(self, result: Result) -> Ran:
        """What a finished run said."""
        return Ran(result.status, json.loads(result.text), result.errors)

    def dated(self, names: Iterable[str]) -> None:
        """Take recursive snapshots of the source under the given names."""
        self.sh("\n".join(f"zfs snapshot -r '{SOURCE}@{name}'" for name in names))

    def snapshots(self, root: str) -> dict[str, str]:
        """Relative name of every snapshot below a root to its GUID."""
        return snapshots(self.guest, root)

    def newest(self, path: str = "") -> str:
        """The name of the newest snapshot of a dataset of the source (``/a`` for a child)."""
        names = self.sh(f"zfs list -H -o name -s createtxg -t snapshot {SOURCE}{path}").splitlines()
        return names[-1].partition("@")[2]

    def snapshot_now(self) -> str:
        """Take an own snapshot of the whole source by hand; answers its name."""
        return self.sh(f"now=$(date -u +%Y-%m-%dT%H:%M:%SZ); zfs snapshot -r {SOURCE}@$now; echo $now")

    def cut(self, path: str, name: str, base: str = "", *, size: int = 3_000_000) -> None:
        """Send a snapshot of a child by hand, from ``base`` or in full, and cut it after ``size`` bytes."""
        send = f"zfs send -w {f'-I @{base} ' if base else ''}{SOURCE}{path}@{name}"
        self.sh(f"{send} | head -c {size} | zfs receive -s -u {RECEIVER}{path} || true")

    def both(self) -> tuple[dict[str, str], dict[str, str]]:
        """The snapshots of both sides."""
        return self.snapshots(SOURCE), self.snapshots(RECEIVER)

    def value(self, dataset: str, prop: str) -> str:
        """A property's value."""
        return self.sh(f"zfs get -Hp -o value {prop} '{dataset}'")

    def holds(self) -> dict[str, str]:
        """Every hold on the source: full snapshot name to tag."""
        listed = self.sh(
            f"zfs list -Hp -o name -t snapshot -r '{SOURCE}' | tr '\\n' '\\0' | xargs -0 -r zfs holds -H"
        )
        rows = (line.split("\t") for line in listed.splitlines())
        return {name: tag for name, tag, _when in rows}

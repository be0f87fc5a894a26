# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's script. It runs the product as a person would, and checks by itself what came of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime

from .calendar import KEEP, past
from .ground import Ground, Ran
from .holdings import HEAD, Holdings, rows
from .screen import heading, output, say, table, typed


class StoryError(Exception):
    """Something was not as it should be; the message says what."""


class Story:
    """One performance on one ground. ``checks`` counts what was verified."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._here = ground.source
        self._there = ground.receiver
        self._began = time.monotonic()
        self.checks = 0

    def play(self) -> None:
        """Play it all; StoryError where something is not as it should be."""
        for scene in (
            self._past,
            self._refused,
            self._first,
            self._expire,
            self._incremental,
            self._broken,
            self._next_night,
            self._nothing,
        ):
            scene()

    # The scenes

    def _past(self) -> None:
        names = past(datetime.now(UTC))
        heading(f"Two scratch pools, a small tree, and {len(names)} snapshots of past months")
        typed(f"zfs list -r -o name {self._here.pool} {self._there.pool}")
        for side in (self._here, self._there):
            output(side.run("zfs", "list", "-H", "-r", "-o", "name", side.pool).splitlines())
        say(
            "  The past is made by hand, with `zfs snapshot -r` and dated names: the tool's own clock is",
            "  real and knows no other moment than now. Files change between the snapshots.",
        )
        for number, name in enumerate(names):
            self._ground.write(("", "/home", "/srv")[number % 3], f"file{number % 5}", os.urandom(60_000))
            self._here.run("zfs", "snapshot", "-r", f"{self._here.root}@{name}")
        self._show()

    def _refused(self) -> None:
        heading("The first push sends everything, so it wants a yes")
        say("  From here on, `backup` stands for:")
        typed(
            f"alias backup='python3 -m cyber_zfs_backup --dataset {self._here.root} \\\n"
            f"      --zfs-receive-dataset {self._there.root} --retention-policy {' '.join(KEEP)} \\\n"
            f"      --ssh-config {self._ground.ssh_config}'"
        )
        ran = self._backup("--action", "push")
        self._expect(ran.status == 65, f"exit status 65, not {ran.status}")
        self._expect("--force-non-incremental" in ran.text, "a message that names --force-non-incremental")
        self._expect(not self._there.exists(self._there.root), "nothing at the receiver")

    def _first(self) -> None:
        heading("The first push, in full, over SSH")
        ran = self._backup("--action", "push", "--force-non-incremental")
        self._expect(ran.status == 0, f"exit status 0, not {ran.status}")
        self._expect_equal()

    def _expire(self) -> None:
        heading(f"Expire: keep {KEEP[0]} days, {KEEP[1]} weeks, {KEEP[2]} months, and one a year for ever")
        before = self._here.holdings()
        ran = self._backup("--action", "expire")
        after, there = self._show()
        self._expect(ran.status == 0, f"exit status 0, not {ran.status}")
        self._expect(0 < after.count < before.count, "fewer snapshots at the source, but not none")
        self._expect(before.holds_all_of(after), "no snapshot at the source that was not there before")
        self._expect(max(before.names()) in after.names(), "the newest snapshot still at the source")
        self._expect(there.same_as(Holdings(there.root, before.datasets)), "the receiver untouched")

    def _incremental(self) -> None:
        heading("Files change; the next night's run: snapshot, push, expire, mirror")
        for path in ("", "/home"):
            self._ground.write(path, "new", os.urandom(200_000))
        ran = self._backup("-v", only=self._telling)
        self._expect(ran.status == 0, f"exit status 0, not {ran.status}")
        self._expect("level:" in ran.text, "an incremental push, dataset by dataset")
        self._expect_equal()

    def _broken(self) -> None:
        big = self._ground.unit
        heading(f"A file of {big >> 20} MiB comes; the connection is cut half way through its push")
        self._ground.write("/home", "big", os.urandom(big))
        before = self._there.holdings()
        self._wait_for_a_new_second()
        self._ground.network.break_after(big // 2)
        say("  By itself the tool would try again twice; here it may not, to show what is left behind.")
        ran = self._backup("--action", "snapshot", "push", "--retries", "0")
        self._expect(self._ground.network.broken, "a cut connection")
        self._expect(ran.status == 75, f"exit status 75 (worth trying again), not {ran.status}")
        here, there = self._show()
        self._expect(not there.same_as(here), "a receiver that lags")
        self._expect(there.holds_all_of(before), "nothing lost at the receiver")
        token = "receive_resume_token"
        typed(f"ssh -F {self._ground.ssh_config} offsite zfs get -H -o value {token} {self._there.root}/home")
        said = self._there.run("zfs", "get", "-H", "-o", "value", token, f"{self._there.root}/home").strip()
        output([f"{said[:60]}...  ({len(said)} characters: where the stream can go on)"])
        self._expect(len(said) > 20, "a resume token at the receiver")

    def _next_night(self) -> None:
        heading("The next run goes on where that one ended")
        self._wait_for_a_new_second()
        ran = self._backup("-v", only=self._telling)
        self._expect(ran.status == 0, f"exit status 0, not {ran.status}")
        self._expect("resume:" in ran.text, "a resumed stream")
        self._expect_equal()

    def _nothing(self) -> None:
        heading("Once more, with nothing new to push")
        before = self._ground.network.connections
        ran = self._backup("--action", "push")
        made = self._ground.network.connections - before
        say(f"  SSH connections in this run: {made}")
        self._expect(ran.status == 0, f"exit status 0, not {ran.status}")
        self._expect(made == 1, "one SSH connection, for the question alone")
        here, there = self._here.holdings(), self._there.holdings()
        self._expect(there.same_as(Holdings(there.root, here.datasets)), "both sides equal")

    # What the scenes are made of

    def _backup(self, *arguments: str, only: Callable[[str], bool] = lambda line: True) -> Ran:
        typed(" ".join(("backup", *arguments)))
        ran = self._ground.product(
            [
                *("--dataset", self._here.root, "--zfs-receive-dataset", self._there.root),
                *("--retention-policy", *KEEP, "--ssh-config", str(self._ground.ssh_config), *arguments),
            ],
            lambda line: output([line]) if only(line) else None,
        )
        left_out = sum(not only(line) for line in ran.lines)
        if left_out:
            output([f"(and {left_out} lines on the other datasets, and on what is kept and why)"])
        say(f"  exit status {ran.status}, after {ran.seconds:.0f} s")
        return ran

    def _show(self) -> tuple[Holdings, Holdings]:
        here, there = self._here.holdings(), self._there.holdings()
        table([HEAD, *rows(here, there)])
        return here, there

    def _expect_equal(self) -> None:
        here, there = self._show()
        equal = there.same_as(Holdings(there.root, here.datasets))
        self._expect(equal, "both sides hold the same snapshots, by GUID")
        say(f"  Both sides hold the same {here.count} snapshots: compared by GUID.")

    def _expect(self, held: bool, what: str) -> None:
        self.checks += 1
        if not held:
            raise StoryError(f"expected {what}")

    def _telling(self, line: str) -> bool:
        """Of what -v says about expiry, only what is destroyed at the source's root; all else as it is."""
        if ": expire: " not in line and ": mirror: " not in line:
            return True
        return f": destroy {self._here.root}@" in line

    @staticmethod
    def _wait_for_a_new_second() -> None:
        """Snapshots are named after the second; two in the same one would collide."""
        time.sleep(1.1 - time.time() % 1)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong on real OpenZFS: a clear error, nothing lost, and the next run goes on."""

from __future__ import annotations

import signal
import time

import pytest

from .ground import RECEIVER, SOURCE, Ground
from .lab import Lab, Product


@pytest.fixture
def ground(lab: Lab, product: Product) -> Ground:
    made = Ground(lab, product)
    made.sh(f"zfs create {SOURCE}; zfs create {SOURCE}/a; zfs create {SOURCE}/b; zfs create {SOURCE}/c")
    return made


def bulk(ground: Ground, mebibytes: int = 24) -> None:
    """New data that takes a while to send, in one child."""
    ground.sh(f"head -c {mebibytes}M /dev/urandom > /{SOURCE}/b/bulk; zpool sync tank")


def wait_for_partial(ground: Ground) -> None:
    """Until the receiver is in the middle of the bulk."""
    limit = time.monotonic() + 240
    while time.monotonic() < limit:
        if ground.guest.run(["pgrep", "-f", "^zfs receive .*vault/copy"]).ok:
            time.sleep(4)
            return
        time.sleep(0.5)
    raise AssertionError("the push never began to send")


@pytest.mark.nightly
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_children_and_the_next_run_goes_on(
    ground: Ground, number: signal.Signals, status: int
) -> None:
    ground.push_first()
    bulk(ground)
    with ground.host.netem(rate="16mbit"):
        running = ground.start("--action", "snapshot", "push")
        wait_for_partial(ground)
        running.signal(number)
        ended = running.wait(120)
    assert ended.status == status
    assert not ground.guest.run(["pgrep", "-f", "^(zfs send|ssh .*alpha)"]).ok
    # The far side notices the broken connection and keeps what has arrived.
    ground.sh("for i in $(seq 60); do pgrep -f '^zfs receive' || break; sleep 1; done")
    # Whatever expires now, the next push must find its base: so expire at its harshest.
    expired = ground.run("--action", "expire", "--retention-policy", "0", "0", "0", "--force-destroy-lots")
    assert expired.status == 0, expired.errors
    again = ground.run("--action", "push")
    assert again.status == 0, again.errors
    here, there = ground.both()
    assert set(here.items()) <= set(there.items())
    assert {name.partition("@")[2] for name in ground.holds()} == {again.action("push")["figures"]["target"]}


def test_a_first_push_that_broke_off_is_finished_by_the_next(ground: Ground) -> None:
    bulk(ground)
    with ground.host.netem(rate="16mbit"):
        running = ground.start("--action", "snapshot", "push", "--force-non-incremental")
        wait_for_partial(ground)
        ground.host.stop()
        ended = ground.ran(running.wait(300))
    assert ended.status == 75, ended.errors
    ground.host.begin()
    ground.sh("for i in $(seq 60); do pgrep -f '^zfs receive' || break; sleep 1; done")
    again = ground.run("--action", "push", "--force-non-incremental")
    assert again.status == 0, again.errors
    here, there = ground.both()
    assert here == there


@pytest.mark.nightly
def test_a_receiver_without_space(lab: Lab, product: Product) -> None:
    """The push fails and says so; what was there stays, the base stays held."""
    ground = Ground(lab, product, receiver_size="100M")
    ground.sh(f"zfs create {SOURCE}; zfs create {SOURCE}/a; zfs create {SOURCE}/b")
    ground.push_first()
    before = ground.snapshots(RECEIVER)
    bulk(ground, 120)
    ran = ground.run("--action", "snapshot", "push")
    assert ran.status in (1, 3), ran.errors
    assert "no-space" in ran.problems()
    assert before.items() <= ground.snapshots(RECEIVER).items()
    held = {name.partition("@")[2] for name in ground.holds()}
    assert {name.partition("@")[2] for name in before} <= held
    # With more space it goes on from what has arrived.
    ground.sh("truncate -s 400M /run/more; zpool add -f vault /run/more")
    again = ground.run("--action", "push")
    assert again.status == 0, again.errors
    assert ground.snapshots(RECEIVER).items() >= before.items()
    moved = again.action("push")["figures"]["bytes"]
    assert moved < 100 << 20
    ground.sh("zpool destroy -f vault; rm /run/more")


def test_the_receiver_was_changed(ground: Ground) -> None:
    """The one dataset that somebody wrote to is named; the others are pushed; exit 3."""
    ground.push_first()
    ground.sh(
        f"""
        zfs set readonly=off {RECEIVER}/b; zfs set mountpoint=/mnt/b {RECEIVER}/b
        echo oops > /mnt/b/file; zfs inherit mountpoint {RECEIVER}/b; zpool sync vault
        echo x > /{SOURCE}/b/y
        """
    )
    ran = ground.run("--action", "snapshot", "push")
    assert ran.status == 3, ran.errors
    assert ran.problems() == ["diverged"]
    assert f"{SOURCE}/b" in ran.errors
    target = ran.action("push")["figures"]["target"]
    there = ground.snapshots(RECEIVER)
    assert {f"@{target}", f"/a@{target}", f"/c@{target}"} <= set(there)
    assert f"/b@{target}" not in there
    # One failing child pins only itself.
    held = ground.holds()
    base = next(name for name in there if name.startswith("/b@")).partition("@")[2]
    assert [name for name in held if name.endswith(f"@{base}")] == [f"{SOURCE}/b@{base}"]


def test_no_common_snapshot_sends_nothing(ground: Ground) -> None:
    ground.sh(f"zfs create -p {RECEIVER}; zfs snapshot {RECEIVER}@2026-01-01T00:00:00Z")
    ran = ground.run("--action", "snapshot", "push", "--force-non-incremental")
    assert ran.status == 65, ran.errors
    assert ran.problems() == ["no-common"]
    assert list(ground.snapshots(RECEIVER)) == ["@2026-01-01T00:00:00Z"]


def test_two_runs_at_once(ground: Ground) -> None:
    """The second takes its snapshot and expires, leaves the push to the first, and exits 4."""
    ground.push_first()
    bulk(ground)
    with ground.host.netem(rate="16mbit"):
        running = ground.start("--action", "snapshot", "push")
        wait_for_partial(ground)
        second = ground.run()
        assert second.status == 4, second.errors
        assert [a["outcome"] for a in second.document["actions"]][:2] == ["done", "locked"]
    first = ground.ran(running.wait(300))
    assert first.status == 0, first.errors
    third = ground.run("--action", "push")
    assert third.status == 0
    here, there = ground.both()
    assert set(here.items()) <= set(there.items())


def test_sudo_that_asks_for_a_password(ground: Ground) -> None:
    ground.host.authorize("backup-user")
    result = ground.product.run(
        "--dataset", SOURCE, "--ssh-destination", "backup-user@alpha", "--zfs-receive-dataset", RECEIVER,
        "--action", "push", "snapshot", "--use-sudo",
    )  # fmt: skip
    assert result.status == 1
    assert "a password is required" in result.errors
    assert "NOPASSWD" in result.errors


def test_a_login_without_permission_is_told_so(ground: Ground) -> None:
    ground.host.authorize("backup-user")
    result = ground.product.run(
        "--dataset", SOURCE, "--ssh-destination", "backup-user@alpha", "--zfs-receive-dataset", RECEIVER,
        "--action", "push", "snapshot", "--force-non-incremental",
    )  # fmt: skip
    assert result.status == 1
    assert "permission denied" in result.errors
    assert "--use-sudo" in result.errors

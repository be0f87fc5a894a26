# SPDX-License-Identifier: GPL-3.0-or-later
"""The nightly job on real OpenZFS over real sshd: snapshot, push, expire, mirror."""

from __future__ import annotations

import json

import pytest

from .ground import RECEIVER, SOURCE, Ground
from .lab import Lab, Place, Product

HELD_STILL = ["readonly=on", "setuid=off", "exec=off", "devices=off", "mountpoint=none"]


@pytest.fixture
def ground(lab: Lab, product: Product) -> Ground:
    return Ground(lab, product)


def test_the_life_of_a_tree(ground: Ground) -> None:
    """First push, ordinary push, nothing new, then a tree whose shape and properties have changed."""
    ground.sh(
        f"""
        zfs create -o mountpoint=/srv/src -o compression=lz4 -o quota=300M {SOURCE}
        zfs create -o atime=off '{SOURCE}/my data.v1_x:y'
        zfs create {SOURCE}/gone
        zfs create -s -V 8M {SOURCE}/disk
        zfs create {SOURCE}/deep
        zfs create -o org.example:note='two words' {SOURCE}/deep/deeper
        echo one > '/srv/src/my data.v1_x:y/file'
        """
    )
    ground.dated(["2026-01-05T00:00:00Z", "by-hand"])

    refused = ground.run("--action", "snapshot", "push")
    assert refused.status == 65
    assert refused.problems() == ["no-receiver-tree"]
    assert "--force-non-incremental" in refused.errors
    assert "vault/copy" not in ground.sh("zfs list -Hr -o name vault")

    first = ground.run("--action", "push", "--force-non-incremental")
    assert first.status == 0, first.errors
    here, there = ground.both()
    assert here == there
    assert len(here) == 6 * 3
    for setting in HELD_STILL:
        name, _, value = setting.partition("=")
        assert ground.value(f"{RECEIVER}/deep/deeper", name) == value
    assert ground.value(RECEIVER, "quota") == "0"
    assert ground.value(f"{RECEIVER}/my data.v1_x:y", "atime") == "off"
    assert ground.value(f"{RECEIVER}/deep/deeper", "org.example:note") == "two words"
    # Our own properties stand on the source and never travel.
    assert "cyber-zfs-backup:" in ground.sh(f"zfs get -H -s local all {SOURCE}")
    assert "cyber-zfs-backup:" not in ground.sh(f"zfs get -rH all {RECEIVER}")
    # What is held is exactly the base.
    assert {name.partition("@")[2] for name in ground.holds()} == {first.action("push")["figures"]["target"]}

    ground.sh("echo two > '/srv/src/my data.v1_x:y/file'")
    ordinary = ground.run("--action", "snapshot", "push")
    assert ordinary.status == 0, ordinary.errors
    assert ordinary.action("push")["figures"]["form"] == "level"
    assert ordinary.action("push")["figures"]["data_connections"] == 2
    here, there = ground.both()
    assert here == there

    nothing = ground.run("--action", "push")
    assert nothing.status == 0
    assert nothing.action("push")["outcome"] == "nothing"
    assert nothing.action("push")["figures"]["data_connections"] == 0

    ground.sh(
        f"""
        zfs create {SOURCE}/new
        zfs set compression=gzip {SOURCE}/deep
        zfs list -H -o name -t snapshot {SOURCE}/gone | while read -r s; do
            zfs holds -H $s | while read -r n tag rest; do zfs release $tag $n; done
        done
        zfs destroy -r {SOURCE}/gone
        """
    )
    changed = ground.run("--action", "snapshot", "push")
    assert changed.status == 0, changed.errors
    assert ground.value(f"{RECEIVER}/deep", "compression") == "gzip"
    assert ground.value(f"{RECEIVER}/new", "mountpoint") == "none"
    assert changed.action("push")["figures"]["orphans"] == 1
    here, there = ground.both()
    orphan = {name for name in there if name.startswith("/gone@")}
    assert len(orphan) == 4
    assert {name: guid for name, guid in there.items() if name not in orphan} == here


@pytest.mark.nightly
def test_retention_is_the_same_on_both_sides(ground: Ground) -> None:
    """Months of snapshots expire on the source, and exactly those on the receiver; foreign ones stay."""
    ground.sh(f"zfs create {SOURCE}; zfs create {SOURCE}/a; zfs create {SOURCE}/b")
    days = [f"2026-0{month}-{day:02}T03:00:00Z" for month in (1, 2, 3) for day in range(1, 29, 3)]
    ground.dated(days)
    ground.sh(f"zfs snapshot {SOURCE}/a@foreign")
    assert ground.run("--action", "push", "--force-non-incremental").status == 0

    refused = ground.run("--retention-policy", "3", "2", "1", "--action", "expire")
    assert refused.status == 1
    assert refused.problems() == ["lots"] * len(refused.problems())
    policy = ["--retention-policy", "3", "2", "1", "--force-destroy-lots"]
    before = ground.both()
    holds = ground.holds()
    dry = ground.run(*policy, "--dry-run")
    assert dry.status == 0, dry.errors
    assert dry.action("expire")["figures"]["bytes_freed"] >= 0
    assert any("daily 3 of 3" in line for line in dry.action("expire")["lines"])
    assert (ground.both(), ground.holds()) == (before, holds)

    ran = ground.run(*policy)
    assert ran.status == 0, ran.errors
    here, there = ground.both()
    assert here == there
    assert "/a@foreign" in here
    # The newest, three dailies, two weeklies, one monthly, and no year before this one.
    assert len([name for name in here if name.startswith("@")]) == 7
    assert ran.action("expire")["figures"]["commands"] == 1
    assert ran.action("mirror")["figures"]["commands"] == 1


@pytest.mark.nightly
@pytest.mark.parametrize("mode", ["replicate", "level"])
def test_both_forms_carry_new_children_and_properties(ground: Ground, mode: str) -> None:
    ground.sh(f"zfs create {SOURCE}; zfs create {SOURCE}/a; zfs create {SOURCE}/b")
    assert (
        ground.run("--action", "snapshot", "push", "--force-non-incremental", "--send-mode", mode).status == 0
    )
    ground.sh(f"zfs create {SOURCE}/b/new; zfs set atime=off {SOURCE}/a; sleep 1")
    ran = ground.run("--action", "snapshot", "push", "--send-mode", mode)
    assert ran.status == 0, ran.errors
    assert ran.action("push")["figures"]["form"] == mode
    here, there = ground.both()
    assert here == there
    assert ground.value(f"{RECEIVER}/a", "atime") == "off"
    assert ground.value(f"{RECEIVER}/b/new", "readonly") == "on"
    assert "cyber-zfs-backup:" not in ground.sh(f"zfs get -rH all {RECEIVER}")


@pytest.mark.nightly
@pytest.mark.parametrize("mode", ["replicate", "level"])
def test_limits_on_space_never_stand_on_a_copy(ground: Ground, mode: str) -> None:
    """Not even where the streams of several nights bring them (``-x`` alone lets them in)."""
    ground.sh(f"zfs create -o quota=300M {SOURCE}; zfs create -V 8M {SOURCE}/disk")
    arguments = ["--action", "snapshot", "push", "--send-mode", mode]
    for night in range(4):
        ran = ground.run(*arguments, *([] if night else ["--force-non-incremental"]))
        assert ran.status == 0, ran.errors
        assert ground.value(RECEIVER, "quota") == "0"
        assert ground.value(f"{RECEIVER}/disk", "refreservation") == "0"
        ground.sh(f"zfs set x:night={night} {SOURCE}; sleep 1")


@pytest.mark.nightly
def test_a_tree_that_is_one_volume(ground: Ground) -> None:
    ground.sh(f"zfs create -V 8M {SOURCE}")
    for night in range(3):
        mode = "level" if night else "replicate"
        ran = ground.run("--action", "snapshot", "push", "--force-non-incremental", "--send-mode", mode)
        assert ran.status == 0, ran.errors
        ground.sh(f"zfs set x:night={night} {SOURCE}; sleep 1")
    here, there = ground.both()
    assert here == there
    assert ground.value(RECEIVER, "x:night") == "1"
    assert ground.value(RECEIVER, "refreservation") == "0"
    assert ground.value(RECEIVER, "volmode") == "none"


def test_nothing_of_the_copy_ever_mounts_or_appears(ground: Ground, lab: Lab) -> None:
    """Neither at once, nor by `zfs mount -a`, nor after the pool is imported again as at a boot."""
    lab.pools.destroy("vault")
    lab.pools.make("vault", place=Place.DISK)
    ground.sh(
        f"""
        zfs create -o mountpoint=/srv/live {SOURCE}
        zfs create -o mountpoint=/srv/live/etc {SOURCE}/etc
        zfs create -V 8M {SOURCE}/disk
        """
    )
    assert ground.run("--action", "snapshot", "push", "--force-non-incremental").status == 0
    ground.sh(f"zfs create -o mountpoint=/srv/live/new {SOURCE}/new; sleep 1")
    assert ground.run("--action", "snapshot", "push").status == 0
    ground.sh("zpool export vault")
    lab.pools.reimport("vault")
    ground.sh("zfs mount -a")
    mounted = [line for line in ground.sh("zfs mount").splitlines() if line.startswith(RECEIVER)]
    assert mounted == []
    assert not ground.guest.run(["test", "-e", f"/dev/zvol/{RECEIVER}/disk"]).ok


def test_encrypted_datasets_stay_encrypted(ground: Ground) -> None:
    """Raw all the way: the key is never loaded on the receiver, nor needed on the source."""
    ground.sh(
        f"""
        zfs create {SOURCE}
        echo 'correct horse' > /root/key
        zfs create -o encryption=on -o keyformat=passphrase -o keylocation=file:///root/key {SOURCE}/secret
        echo treasure > /{SOURCE}/secret/file
        """
    )
    assert ground.run("--action", "snapshot", "push", "--force-non-incremental").status == 0
    ground.sh(
        f"echo more > /{SOURCE}/secret/other; sleep 1; "
        f"zfs unmount {SOURCE}/secret; zfs unload-key {SOURCE}/secret"
    )
    ran = ground.run("--action", "snapshot", "push")
    assert ran.status == 0, ran.errors
    here, there = ground.both()
    assert here == there
    assert ground.value(f"{RECEIVER}/secret", "encryption") != "off"
    assert ground.value(f"{RECEIVER}/secret", "keystatus") == "unavailable"


def test_excluded_datasets_are_in_no_snapshot_and_on_no_receiver(ground: Ground) -> None:
    ground.sh(
        f"zfs create {SOURCE}; zfs create {SOURCE}/a; zfs create {SOURCE}/tmp; zfs create {SOURCE}/tmp/x\n"
        f"zfs create -o cyber-zfs-backup:exclude=on {SOURCE}/out; zfs create {SOURCE}/out/below\n"
        f"zfs create -o com.sun:auto-snapshot=false {SOURCE}/sun"
    )
    ran = ground.run(
        *("--exclude", "tmp", "--honour-auto-snapshot"),
        *("--action", "snapshot", "push", "--force-non-incremental"),
    )
    assert ran.status == 0, ran.errors
    here, there = ground.both()
    assert here == there
    assert sorted(name.partition("@")[0] for name in here) == ["", "/a"]
    # One transaction: both snapshots have the same createtxg.
    assert len(set(ground.sh(f"zfs list -Hp -o createtxg -t snapshot -r {SOURCE}").split())) == 1


def test_forget_and_quarantine(ground: Ground) -> None:
    ground.sh(f"zfs create {SOURCE}; zfs create {SOURCE}/a")
    ground.dated(["2037-01-01T00:00:00Z"])
    assert ground.run("--action", "push", "--force-non-incremental").status == 0
    stuck = ground.run("--action", "snapshot", "expire")
    assert stuck.status == 1
    assert set(stuck.problems()) == {"clock", "future"}
    assert f"cyber-zfs-backup quarantine '{SOURCE}@2037-01-01T00:00:00Z'" in stuck.errors

    where = ["--dataset", SOURCE, "--ssh-destination", "alpha", "--zfs-receive-dataset", RECEIVER]
    moved = ground.guest.run(
        ["python3", "-m", "cyber_zfs_backup", "quarantine", f"{SOURCE}@2037-01-01T00:00:00Z", *where,
         "--ssh-config", "/run/lab/client/ssh_config"],
        env={"PYTHONPATH": ground.product.folder}, timeout=300,
    )  # fmt: skip
    assert moved.ok, moved.errors
    here, there = ground.both()
    assert here == there
    assert set(here) == {"@quarantined-2037-01-01T00:00:00Z", "/a@quarantined-2037-01-01T00:00:00Z"}
    ran = ground.run()
    assert ran.status == 0, ran.errors

    forgotten = ground.guest.run(
        ["python3", "-m", "cyber_zfs_backup", "forget", f"alpha:{RECEIVER}", "--dataset", SOURCE, "--json"],
        env={"PYTHONPATH": ground.product.folder}, timeout=300,
    )  # fmt: skip
    assert forgotten.ok, forgotten.errors
    assert json.loads(forgotten.text)["exit_code"] == 0
    assert ground.holds() == {}
    assert "cyber-zfs-backup:" not in ground.sh(f"zfs get -rH all {SOURCE}")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Names follow the source on real OpenZFS: renames of every kind, old copies put aside, clones.

Volumes and encrypted datasets are among them, and partial receives that go on under another name.
"""

from __future__ import annotations

import pytest

from .ground import RECEIVER, SOURCE, Ground, Ran
from .lab import Lab, Product


@pytest.fixture
def ground(lab: Lab, product: Product) -> Ground:
    made = Ground(lab, product)
    made.sh(
        f"""
        head -c 32 /dev/urandom > /run/names-key
        zfs create {SOURCE}; for i in a a/n b c; do zfs create {SOURCE}/$i; done
        zfs create -o encryption=on -o keyformat=raw -o keylocation=file:///run/names-key {SOURCE}/secret
        zfs create {SOURCE}/secret/inner; zfs create -V 8M {SOURCE}/disk
        for i in a a/n b c secret secret/inner; do head -c 300K /dev/urandom > /{SOURCE}/$i/file; done
        """
    )
    made.push_first()
    return made


def night(ground: Ground, *more: str) -> Ran:
    return ground.run("--action", "snapshot", "push", *more)


def rename(*pairs: str) -> str:
    return "\n".join(
        f"zfs rename {SOURCE}/{old} {SOURCE}/{new}" for old, new in (pair.split(">") for pair in pairs)
    )


def aside(ground: Ground) -> set[str]:
    """The receiver's datasets that the source does not have."""

    def listed(root: str) -> set[str]:
        names = ground.sh(f"zfs list -H -o name -r -t filesystem,volume {root}").splitlines()
        return {name.removeprefix(root) for name in names}

    return listed(RECEIVER) - listed(SOURCE)


@pytest.mark.parametrize("mode", [pytest.param("level", marks=pytest.mark.nightly), "replicate"])
def test_renames_of_every_kind_are_followed(ground: Ground, mode: str) -> None:
    """In one night: a parent with its child, two that exchanged their names, a volume, an encrypted tree, one
    that went below a new one. Nothing that has arrived is sent again, and then it is an ordinary night."""
    before = ground.snapshots(RECEIVER)
    ground.sh(
        rename("a>z", "b>x", "c>b", "x>c", "disk>drive", "secret>vaulted")
        + f"\nzfs create {SOURCE}/new; zfs create {SOURCE}/m\n"
        + rename("z/n>new/n")
    )
    ran = night(ground, "--send-mode", mode)
    assert ran.status == 0, ran.errors
    here, there = ground.both()
    assert here == there
    assert not aside(ground)
    assert set(before.values()) <= set(there.values())
    figures = ran.action("push")["figures"]
    assert figures["bytes"] < 1_000_000, figures
    assert figures["renamed"] >= 6
    ground.sh("sleep 1")
    ran = night(ground, "--send-mode", mode)
    assert ran.status == 0, ran.errors
    assert "asking both sides for all" not in ran.errors


def test_a_dataset_that_was_destroyed_and_made_anew_has_its_old_copy_put_aside(ground: Ground) -> None:
    old = ground.snapshots(f"{RECEIVER}/b")
    ground.sh(
        f"zfs list -H -o name -t snapshot {SOURCE}/b | xargs zfs holds -H | awk '{{ print $2, $1 }}' | "
        f"xargs -r -n2 zfs release; zfs destroy -r {SOURCE}/b; zfs create {SOURCE}/b"
    )
    ran = night(ground)
    assert ran.status == 0, ran.errors
    assert aside(ground) == {"/b.old"}
    assert ground.snapshots(f"{RECEIVER}/b.old") == old
    assert ground.snapshots(f"{RECEIVER}/b") == ground.snapshots(f"{SOURCE}/b")
    ground.sh("sleep 1")
    ran = night(ground)
    assert ran.status == 0, ran.errors
    assert ran.action("push")["figures"]["orphans"] == 1


@pytest.mark.nightly
def test_partial_receives_go_on_under_their_datasets_new_names(ground: Ground) -> None:
    """Several at once: a volume, an encrypted one, and one that nothing whole has arrived of."""
    base = ground.newest()
    ground.sh(
        f"""
        head -c 6M /dev/urandom > /{SOURCE}/secret/inner/bulk
        dd if=/dev/urandom of=/dev/zvol/{SOURCE}/disk bs=1M count=6 2>&1; zpool sync tank
        zfs create {SOURCE}/fresh; head -c 6M /dev/urandom > /{SOURCE}/fresh/bulk
        """
    )
    name = ground.snapshot_now()
    for path in ("/secret/inner", "/disk"):
        ground.cut(path, name, base)
    ground.cut("/fresh", name)
    ground.sh("sleep 1")
    ground.sh(rename("a>z", "secret>vaulted", "disk>drive", "fresh>ripe"))
    ran = night(ground)
    assert ran.status == 0, ran.errors
    assert ran.errors.count("push: resume: ") == 3, ran.errors
    here, there = ground.both()
    assert here == there
    assert not aside(ground)
    assert ran.action("push")["figures"]["bytes"] < 16_000_000


@pytest.mark.nightly
@pytest.mark.parametrize("mode", ["level", "replicate"])
def test_clones_stay_clones_of_their_origins(ground: Ground, mode: str) -> None:
    """Of a filesystem, a volume and an encrypted one; of a snapshot that comes with the same push too."""
    base = ground.newest()
    ground.sh(
        f"""
        for i in a disk secret; do zfs clone {SOURCE}/$i@{base} {SOURCE}/of-$i; done
        head -c 3M /dev/urandom > /{SOURCE}/b/bulk; zfs snapshot {SOURCE}/b@fresh
        zfs clone {SOURCE}/b@fresh {SOURCE}/of-b; echo new > /{SOURCE}/of-b/file
        """
    )
    ran = night(ground, "--send-mode", mode)
    assert ran.status == 0, ran.errors
    here, there = ground.both()
    assert here == there
    for path, name in (("a", base), ("disk", base), ("secret", base), ("b", "fresh")):
        assert ground.value(f"{RECEIVER}/of-{path}", "origin") == f"{RECEIVER}/{path}@{name}"
    # What a clone shares with its origin is not sent again.
    assert ran.action("push")["figures"]["bytes"] < 4_500_000
    ground.sh("sleep 1")
    assert night(ground).status == 0


@pytest.mark.nightly
def test_a_receiver_that_may_not_rename_is_a_conflict_with_the_command(ground: Ground) -> None:
    """As an ordinary user with the permissions to receive alone; whatever else there is goes on."""
    ground.host.authorize("keeper")
    properties = "readonly,mountpoint,canmount,setuid,exec,devices,sharenfs,sharesmb,volmode"
    ground.sh(f"zfs allow -u keeper receive,create,mount,userprop,{properties} {RECEIVER}")
    ground.host.client(User="keeper")
    ground.sh(rename("a>z"))
    ran = night(ground, "--send-mode", "level")
    assert (ran.status, set(ran.problems())) == (3, {"renamed"}), ran.errors
    assert f"zfs rename '{RECEIVER}/a' '{RECEIVER}/z'" in ran.errors
    assert "permission denied" in ran.errors
    assert f"/b@{ground.newest('/b')}" in ground.snapshots(RECEIVER)
    ground.sh(f"zfs allow -u keeper rename,mount {RECEIVER}; sleep 1")
    ran = night(ground, "--send-mode", "level")
    assert ran.status == 0, ran.errors
    here, there = ground.both()
    assert here == there

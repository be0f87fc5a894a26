# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the planner's table on real OpenZFS: what fits is pushed, the rest is named with its remedy."""

from __future__ import annotations

import re

import pytest

from .ground import RECEIVER, SOURCE, Ground, Ran
from .lab import Lab, Product


@pytest.fixture
def ground(lab: Lab, product: Product) -> Ground:
    made = Ground(lab, product)
    made.sh(f"zfs create {SOURCE}; for i in a a/n b; do zfs create {SOURCE}/$i; done")
    made.push_first()
    return made


def night(ground: Ground, *more: str) -> Ran:
    return ground.run("--action", "snapshot", "push", *more)


def newest(ground: Ground, root: str, path: str = "") -> str:
    return (
        ground.sh(f"zfs list -H -o name -s createtxg -t snapshot {root}{path}")
        .splitlines()[-1]
        .partition("@")[2]
    )


def test_a_dataset_that_lags_and_one_that_is_missing(ground: Ground) -> None:
    """Both are brought up to the others, and then it is an ordinary night again."""
    assert night(ground).status == 0
    ground.sh(
        f"zfs destroy {RECEIVER}/b@{newest(ground, RECEIVER, '/b')}; zfs destroy -r {RECEIVER}/a/n; sleep 1"
    )
    ran = night(ground)
    assert ran.status == 0, ran.errors
    there = ground.snapshots(RECEIVER)
    assert there.items() <= ground.snapshots(SOURCE).items()
    assert {newest(ground, RECEIVER, path) for path in ("", "/a", "/a/n", "/b")} == {newest(ground, SOURCE)}
    ground.sh("sleep 1")
    ran = night(ground)
    assert ran.status == 0, ran.errors
    assert "asking both sides for all" not in ran.errors


def test_a_partial_receive_of_what_is_gone_by_now(ground: Ground) -> None:
    """It is thrown away, and the next snapshot sent in its place."""
    base = newest(ground, SOURCE)
    ground.sh(
        f"""
        head -c 8M /dev/urandom > /{SOURCE}/b/bulk; zfs snapshot {SOURCE}/b@gone
        zfs send -w -I @{base} {SOURCE}/b@gone | head -c 4000000 | zfs receive -s -u {RECEIVER}/b || true
        zfs destroy {SOURCE}/b@gone
        """
    )
    assert ground.value(f"{RECEIVER}/b", "receive_resume_token") != "-"
    ran = night(ground)
    assert ran.status == 0, ran.errors
    assert ground.value(f"{RECEIVER}/b", "receive_resume_token") == "-"
    here, there = ground.both()
    assert here == there


@pytest.mark.nightly
def test_the_receivers_own_snapshots(ground: Ground) -> None:
    """One by hand is left alone; one of the name that is to come is in the way, and no GUID is guessed."""
    ground.sh(f"zfs snapshot {RECEIVER}/b@by-hand")
    ran = night(ground)
    assert ran.status == 0, ran.errors
    name = ground.sh("sleep 1; date -u +%Y-%m-%dT%H:%M:%SZ")
    ground.sh(f"zfs snapshot -r {SOURCE}@{name}; zfs snapshot {RECEIVER}/a@{name}")
    ran = ground.run("--action", "push")
    assert (ran.status, ran.problems()) == (3, ["diverged"]), ran.errors
    assert f"{SOURCE}/a" in ran.errors
    assert newest(ground, RECEIVER, "/b") == name
    assert "by-hand" in ground.sh(f"zfs list -H -o name -t snapshot {RECEIVER}/b")


@pytest.mark.nightly
def test_a_foreign_snapshot_that_is_taken_anew_under_its_old_name(ground: Ground) -> None:
    """As Proxmox does with ``vzdump`` each night: its dataset alone waits; the message has the command."""
    ground.sh(f"zfs snapshot {SOURCE}/a/n@vzdump")
    assert night(ground).status == 0
    ground.sh(f"zfs destroy {SOURCE}/a/n@vzdump; zfs snapshot {SOURCE}/a/n@vzdump; sleep 1")
    ran = night(ground, "--send-mode", "level")
    assert (ran.status, ran.problems()) == (3, ["diverged"]), ran.errors
    assert newest(ground, RECEIVER, "/b") == newest(ground, SOURCE, "/b")
    command = re.search(rf"zfs rename '{RECEIVER}/a/n@vzdump' '{RECEIVER}/a/n@vzdump.old'", ran.errors)
    assert command is not None, ran.errors
    ground.sh(f"{command.group()}; sleep 1")
    ran = night(ground)
    assert ran.status == 0, ran.errors
    here, there = ground.snapshots(f"{SOURCE}/a/n"), ground.snapshots(f"{RECEIVER}/a/n")
    assert here.items() <= there.items()
    assert set(there) - set(here) == {"@vzdump.old"}


@pytest.mark.nightly
def test_a_copy_that_is_encrypted_there_and_not_here(ground: Ground) -> None:
    """Another tool made it; ours go on from it, while its key is loaded."""
    ground.sh(
        f"""
        zfs destroy -r {RECEIVER}/b; head -c 32 /dev/urandom > /run/rows-key
        zfs send {SOURCE}/b@{newest(ground, SOURCE, "/b")} | zfs receive -u -o encryption=on \
            -o keyformat=raw -o keylocation=file:///run/rows-key {RECEIVER}/b
        for i in $(seq 20); do echo $i > /{SOURCE}/b/small$i; done
        """
    )
    for mode in ("level", "replicate"):
        ran = night(ground, "--send-mode", mode)
        assert ran.status == 0, ran.errors
        here, there = ground.both()
        assert here == there
        ground.sh("sleep 1")
    assert ground.value(f"{RECEIVER}/b", "encryptionroot") == f"{RECEIVER}/b"
    ground.sh(f"zfs unload-key {RECEIVER}/b")
    ran = night(ground, "--send-mode", "level")
    assert (ran.status, ran.problems()) == (3, ["no-key"]), ran.errors
    assert newest(ground, RECEIVER, "/a/n") == newest(ground, SOURCE)
    ground.sh(f"zfs load-key {RECEIVER}/b; sleep 1")
    ran = night(ground)
    assert ran.status == 0, ran.errors


@pytest.mark.nightly
@pytest.mark.parametrize("mode", ["level", "replicate"])
def test_encrypted_below_clear_and_clear_below_encrypted(ground: Ground, mode: str) -> None:
    """New children of both kinds, and later snapshots of them; no key is ever loaded on the receiver."""
    key = "-o encryption=on -o keyformat=raw -o keylocation=file:///run/rows-key"
    ground.sh(
        f"""
        head -c 32 /dev/urandom > /run/rows-key
        zfs create {key} {SOURCE}/a/secret; zfs create {SOURCE}/a/secret/inner
        zfs create -o encryption=off {SOURCE}/a/secret/clear; zfs create {key} -V 8M {SOURCE}/b/disk
        cd /{SOURCE}/a/secret; for i in . inner clear; do head -c 200K /dev/urandom > $i/file; done
        """
    )
    for _ in range(2):
        ran = night(ground, "--send-mode", mode)
        assert ran.status == 0, ran.errors
        here, there = ground.both()
        assert here == there
        ground.sh(
            f"echo more > /{SOURCE}/a/secret/inner/file; echo more > /{SOURCE}/a/secret/clear/file; sleep 1"
        )
    for path, kind in (
        ("a/secret", "aes-256-gcm"),
        ("a/secret/inner", "aes-256-gcm"),
        ("b/disk", "aes-256-gcm"),
    ):
        assert ground.value(f"{RECEIVER}/{path}", "encryption") == kind
        assert ground.value(f"{RECEIVER}/{path}", "keystatus") == "unavailable"
    assert ground.value(f"{RECEIVER}/a/secret/clear", "encryption") == "off"


def test_an_excluded_child_stays_as_it_is_and_comes_back(ground: Ground) -> None:
    """The rest is one transaction; what was left out goes on from its own base."""
    old = ground.snapshots(f"{RECEIVER}/a")
    for mode in ("replicate", "level"):
        ran = night(ground, "--exclude", "a", "--send-mode", mode)
        assert ran.status == 0, ran.errors
        assert ground.snapshots(f"{RECEIVER}/a") == old
        assert newest(ground, RECEIVER, "/b") == newest(ground, SOURCE, "/b") == newest(ground, SOURCE)
        ground.sh("sleep 1")
    ran = ground.run("--exclude", "a", "--action", "expire", "--retention-policy", "0", "0", "0")
    assert ran.status == 0, ran.errors
    ran = night(ground)
    assert ran.status == 0, ran.errors
    here, there = ground.both()
    assert here.items() <= there.items()

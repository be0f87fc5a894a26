# SPDX-License-Identifier: GPL-3.0-or-later
"""Argument vectors, word for word: what is never there is as important as what is."""

from __future__ import annotations

from itertools import pairwise

import pytest

from cyber_zfs_backup.zfs import commands

SENDS = [
    commands.send_replicate("tank@b", None),
    commands.send_replicate("tank@b", "a"),
    commands.send_full("tank@a", properties=True),
    commands.send_full("tank@a", properties=False),
    commands.send_level("tank@b", "a", properties=True),
    commands.send_level("tank@b", "a", properties=False),
    commands.send_resume("1-abc"),
]
RECEIVES = [
    commands.receive_root("vault/x", ["cyber-zfs-backup:base.1"]),
    commands.receive_below("vault/x/y", ["cyber-zfs-backup:base.1"]),
    commands.receive_plain("vault/x"),
]


@pytest.mark.parametrize("argv", SENDS, ids=" ".join)
def test_every_send_is_raw(argv: list[str]) -> None:
    assert argv[:3] == ["zfs", "send", "-w"]


def test_but_what_is_not_encrypted_goes_without_embedded_blocks_to_a_copy_that_is() -> None:
    assert commands.send_level("tank@b", "a", properties=False, raw=False) == [
        *("zfs", "send", "-L", "-c", "-I", "@a", "tank@b")
    ]
    assert commands.send_resume("1-abc", raw=False) == ["zfs", "send", "-L", "-c", "-t", "1-abc"]


@pytest.mark.parametrize("argv", RECEIVES, ids=lambda argv: argv[-1])
def test_every_receive_can_be_resumed_mounts_nothing_and_forces_nothing(argv: list[str]) -> None:
    assert argv[:4] == ["zfs", "receive", "-s", "-u"]
    assert "-F" not in argv
    assert not any(word.startswith("-") and "F" in word for word in argv)


def test_the_forms_of_send() -> None:
    assert [argv[3:] for argv in SENDS] == [
        ["-R", "tank@b"],
        ["-R", "-I", "@a", "tank@b"],
        ["-p", "tank@a"],
        ["tank@a"],
        ["-p", "-I", "@a", "tank@b"],
        ["-I", "@a", "tank@b"],
        ["-t", "1-abc"],
    ]


def options(argv: list[str], flag: str) -> list[str]:
    return [word for before, word in pairwise(argv) if before == flag]


def test_the_copys_root_is_set_to_stay_still() -> None:
    argv = RECEIVES[0]
    assert options(argv, "-o") == [
        "readonly=on",
        "setuid=off",
        "exec=off",
        "devices=off",
        "volmode=none",
        "mountpoint=none",
    ]
    assert set(options(argv, "-x")) >= {"canmount", "sharenfs", "sharesmb", "quota", "refreservation"}
    assert options(argv, "-x")[-1] == "cyber-zfs-backup:base.1"
    assert argv[-1] == "vault/x"


def test_what_is_below_inherits_it() -> None:
    argv = RECEIVES[1]
    assert options(argv, "-o") == []
    assert set(options(argv, "-x")) >= {"readonly", "setuid", "exec", "devices", "volmode", "mountpoint"}
    assert options(argv, "-x")[-1] == "cyber-zfs-backup:base.1"


def test_no_property_is_both_set_and_left_out() -> None:
    """zfs refuses a receive with -o and -x of one property."""
    assert not {each.partition("=")[0] for each in options(RECEIVES[0], "-o")} & set(
        options(RECEIVES[0], "-x")
    )


def test_destroys_name_snapshots_and_never_a_dataset_alone() -> None:
    assert commands.destroy_snapshots("tank", ["a", "b"], recursive=True) == [
        "zfs",
        "destroy",
        "-r",
        "tank@a,b",
    ]
    assert commands.destroy_snapshots("tank", ["a"], recursive=False) == ["zfs", "destroy", "tank@a"]
    assert commands.destroy_estimate("tank", ["a"], recursive=True) == [
        "zfs",
        "destroy",
        "-nvp",
        "-r",
        "tank@a",
    ]


def test_only_the_quick_columns_are_listed() -> None:
    for argv in (
        commands.list_snapshots("tank"),
        commands.list_named(["tank@a"]),
        commands.list_of_one("tank"),
    ):
        assert argv[4] == "name,guid,createtxg"


def test_changes() -> None:
    assert commands.snapshot(["tank@a"], recursive=True) == ["zfs", "snapshot", "-r", "tank@a"]
    assert commands.snapshot(["tank@a", "tank/b@a"], recursive=False) == [
        "zfs",
        "snapshot",
        "tank@a",
        "tank/b@a",
    ]
    assert commands.hold("tag", ["tank@a"], recursive=True) == ["zfs", "hold", "-r", "tag", "tank@a"]
    assert commands.release("tag", ["tank@a"], recursive=False) == ["zfs", "release", "tag", "tank@a"]
    assert commands.set_property("a:b", "c", ["tank"]) == ["zfs", "set", "a:b=c", "tank"]
    assert commands.inherit("a:b", ["tank"]) == ["zfs", "inherit", "a:b", "tank"]
    assert commands.rename_snapshot("tank@a", "tank@b") == ["zfs", "rename", "-r", "tank@a", "tank@b"]
    assert commands.receive_abort("tank") == ["zfs", "receive", "-A", "tank"]


def test_batches_keep_every_name_in_order_and_each_command_below_the_limit() -> None:
    names = [f"tank/{'d' * (number % 200)}@{number}" for number in range(3000)]
    batches = list(commands.batches(200, names))
    assert [name for batch in batches for name in batch] == names
    assert len(batches) > 3
    for batch in batches:
        assert 200 + sum(len(name.encode()) + 3 for name in batch) <= 96 * 1024
        # What one ssh argument may have: 128 KiB.
        assert len(" ".join(f"'{name}'" for name in batch)) < 128 * 1024


def test_a_name_longer_than_the_limit_still_travels_alone() -> None:
    assert list(commands.batches(0, ["a" * 50, "b"], limit=10)) == [["a" * 50], ["b"]]


def test_no_names_no_command() -> None:
    assert list(commands.batches(0, [])) == []

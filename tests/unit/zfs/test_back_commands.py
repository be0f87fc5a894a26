# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of restores and drills, word by word; those on the receiver are a gatekeeper's grammar."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.zfs import commands

SNAP = "vault/copy@2026-11-22T02:00:00Z"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (
            commands.get_back("vault/copy"),
            "zfs get -Hp -r -t filesystem,volume -o name,property,value,source "
            "guid,type,encryption,receive_resume_token,encryptionroot,keyformat,keylocation vault/copy",
        ),
        (
            commands.get_received("vault/copy"),
            "zfs get -Hp -r -t filesystem,volume -o name,property,received,source all vault/copy",
        ),
        (commands.send_back_tree(SNAP), f"zfs send -w -R {SNAP}"),
        (commands.send_back_full(SNAP), f"zfs send -w {SNAP}"),
        (commands.send_back_rest(SNAP, "old"), f"zfs send -w -I @old {SNAP}"),
        (commands.send_back_resume("1-a-b"), "zfs send -w -t 1-a-b"),
        (commands.send_back_estimate(commands.send_back_tree(SNAP)), f"zfs send -nvP -w -R {SNAP}"),
        (commands.send_back_estimate(commands.send_back_full(SNAP)), f"zfs send -nvP -w {SNAP}"),
        (
            commands.send_back_estimate(commands.send_back_rest(SNAP, "old")),
            f"zfs send -nvP -w -I @old {SNAP}",
        ),
        (commands.send_back_estimate(commands.send_back_resume("1-a")), "zfs send -nvP -w -t 1-a"),
    ],
)
def test_on_the_receiver(argv: list[str], words: str) -> None:
    assert argv == words.split(" ")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (
            commands.receive_back("tank/b", "m", tree=False, volume=False, mine=["cyber-zfs-backup:x"]),
            "zfs receive -s -u -o cyber-zfs-backup:restore=m -o readonly=on -o mountpoint=none tank/b",
        ),
        (
            commands.receive_back("tank/b", "m", tree=False, volume=True, mine=[]),
            "zfs receive -s -u -o cyber-zfs-backup:restore=m -o readonly=on tank/b",
        ),
        (
            commands.receive_back(
                "tank/b",
                "m",
                tree=True,
                volume=False,
                mine=["cyber-zfs-backup:restore", "cyber-zfs-backup:x"],
            ),
            "zfs receive -s -u -o cyber-zfs-backup:restore=m -o readonly=on -o mountpoint=none -x setuid "
            "-x exec -x devices -x volmode -x canmount -x sharenfs -x sharesmb -x quota -x refquota "
            "-x reservation -x refreservation -x cyber-zfs-backup:x tank/b",
        ),
        (
            commands.receive_scratch("tank/b", "m", volume=False),
            "zfs receive -u -o cyber-zfs-backup:drill=m -o readonly=on -o mountpoint=none tank/b",
        ),
        (
            commands.receive_scratch("tank/b", "m", volume=True),
            "zfs receive -u -o cyber-zfs-backup:drill=m -o readonly=on tank/b",
        ),
        (
            commands.clone_scratch("tank/v@s", "tank/b", "m"),
            "zfs clone -o cyber-zfs-backup:drill=m -o readonly=on tank/v@s tank/b",
        ),
        (commands.destroy_scratch("tank/b"), "zfs destroy tank/b"),
        (commands.mount_snapshot("tank/b@s", "/f"), "mount -t zfs -o ro,nosuid,nodev,noexec tank/b@s /f"),
        (commands.load_key_from("tank/b", "file:///k"), "zfs load-key -L file:///k tank/b"),
    ],
)
def test_here(argv: list[str], words: str) -> None:
    assert argv == words.split(" ")

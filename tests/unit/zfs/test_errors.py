# SPDX-License-Identifier: GPL-3.0-or-later
"""One row for each text that zfs, sudo or ssh say, word for word."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.hosts.protocol import Finished
from cyber_zfs_backup.zfs.errors import Trouble, ZfsError, one_line, said

ROWS = [
    # Seen on OpenZFS 2.1.11 and 2.3.9
    (1, "cannot open 'tank/x': dataset does not exist", Trouble.NOT_THERE),
    (1, "cannot open 'tank@gone': dataset does not exist", Trouble.NOT_THERE),
    (1, "could not find any snapshots to destroy; check snapshot names.", Trouble.NOT_THERE),
    (1, "cannot create snapshot 'tank@a': dataset already exists", Trouble.EXISTS),
    (
        1,
        "cannot receive new filesystem stream: destination 'vault/x' exists\nmust specify -F to overwrite it",
        Trouble.EXISTS,
    ),
    (1, "cannot destroy snapshot tank@a: dataset is busy", Trouble.BUSY),
    (1, "cannot hold snapshot 'tank@a': tag already exists on this dataset", Trouble.TAG_EXISTS),
    (1, "cannot release hold from snapshot 'tank@a': no such tag on this dataset", Trouble.NO_TAG),
    (
        1,
        "cannot receive incremental stream: destination vault/x has been modified\n"
        "since most recent snapshot",
        Trouble.MODIFIED,
    ),
    (
        1,
        "cannot receive incremental stream: most recent snapshot of vault/x does not\n"
        "match incremental source",
        Trouble.NO_MATCH,
    ),
    (1, "cannot receive new filesystem stream: out of space", Trouble.NO_SPACE),
    (1, "cannot receive incremental stream: destination vault/x space quota exceeded.", Trouble.NO_SPACE),
    (1, "cannot receive: failed to read from stream", Trouble.CUT_OFF),
    (
        1,
        "cannot receive resume stream: checksum mismatch or incomplete stream.\n"
        "Partially received snapshot is saved.\n"
        "A resuming stream can be generated on the sending system by running:\n"
        "    zfs send -t 1-abc",
        Trouble.CUT_OFF,
    ),
    (
        1,
        "no byte has moved for a long time, so both sides were ended\n"
        "cannot receive: failed to read from stream",
        Trouble.STALLED,
    ),
    (0, "every command succeeded, and yet vault/x@y is not there", Trouble.NOT_ARRIVED),
    (1, "cannot receive compression property on vault/x: permission denied", Trouble.NOT_PERMITTED),
    (1, "cannot create 'vault/x/y': parent does not exist", Trouble.NO_PARENT),
    # The way to zfs
    (1, "sudo: a password is required", Trouble.SUDO_PASSWORD),
    (1, "backup is not in the sudoers file.", Trouble.SUDO_PASSWORD),
    (127, "bash: line 1: zfs: command not found", Trouble.NO_ZFS),
    (127, "sh: 1: zfs: not found", Trouble.NO_ZFS),
    (
        1,
        "The ZFS modules are not loaded.\nTry running '/sbin/modprobe zfs' as root to load them.",
        Trouble.NO_MODULE,
    ),
    (255, "ssh: connect to host offsite port 22: Connection refused", Trouble.LINK_LOST),
    (255, "client_loop: send disconnect: Broken pipe", Trouble.LINK_LOST),
    (255, "Connection to offsite closed by remote host.", Trouble.LINK_LOST),
    (255, "", Trouble.LINK_LOST),
    (None, "", Trouble.LINK_LOST),
    (1, "the moon is in the way", Trouble.UNKNOWN),
    (1, "", Trouble.UNKNOWN),
]


@pytest.mark.parametrize(("status", "text", "trouble"), ROWS, ids=[row[1][:50] or "silent" for row in ROWS])
def test_what_it_means(status: int | None, text: str, trouble: Trouble) -> None:
    error = ZfsError("offsite", Finished(("zfs", "receive", "vault/x"), status, "", text))
    assert error.trouble is trouble
    assert error.remedy
    assert "\n" not in str(error)
    assert str(error).startswith("offsite: ")
    if text:
        assert text.splitlines()[0] in error.text


def test_noise_means_nothing() -> None:
    noise = (
        "Warning: vault/v: property 'mountpoint' does not apply to datasets of this type\n"
        "Warning: Permanently added 'offsite' (ED25519) to the list of known hosts.\n"
    )
    assert said(noise) == []
    assert said(f"{noise}cannot open 'x': dataset does not exist\n") == [
        "cannot open 'x': dataset does not exist"
    ]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (2, "zfs receive vault/x: exit status 2 without a word"),
        (-9, "zfs receive vault/x: signal 9 without a word"),
        (None, "the connection ended before 'zfs' did"),
    ],
)
def test_a_failure_without_a_word_is_told_too(status: int | None, text: str) -> None:
    assert one_line(Finished(("zfs", "receive", "vault/x"), status, "", "\n")) == text

# SPDX-License-Identifier: GPL-3.0-or-later
"""One row for each text that zfs, sudo or ssh say, word for word."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.protocol import Finished
from cyber_zfs_backup.zfs.errors import Nature, Trouble, ZfsError, left_out, one_line, said

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
    (
        1,
        "cannot destroy snapshot tank@a: it's being held. Run 'zfs holds -r tank@a' to see holders.",
        Trouble.BUSY,
    ),
    (1, "cannot receive incremental stream: dataset is busy", Trouble.BUSY),
    (1, "cannot destroy 'vault/x/%recv': dataset is busy", Trouble.BUSY),
    (
        1,
        "cannot receive incremental stream: destination vault/x contains partially-complete state from "
        '"zfs receive -s".',
        Trouble.BUSY,
    ),
    (2, "too many arguments\nusage:\n\tdestroy [-fnpRrv] <filesystem|volume>", Trouble.USAGE),
    (2, "bad property list: invalid property 'snapshots_changed'\nusage:", Trouble.USAGE),
    (1, "Error: multiple snapshots cannot be sent from a bookmark.", Trouble.USAGE),
    (1, "Error: Unsupported flag with filesystem or bookmark.", Trouble.USAGE),
    (1, "bookmark 'tank/x#b' does not exist.", Trouble.NOT_THERE),
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
    (
        1,
        "cannot receive resume stream: Resuming recv on existing destination 'vault/x'\n"
        "must specify -F to overwrite it",
        Trouble.NO_MATCH,
    ),
    (255, "cannot set property for 'tank/x': permission denied", Trouble.NOT_PERMITTED),
    (255, "cannot set property for 'tank/x': invalid property 'nope'", Trouble.UNKNOWN),
    (1, "cannot receive new filesystem stream: out of space", Trouble.NO_SPACE),
    (1, "cannot receive incremental stream: destination vault/x space quota exceeded.", Trouble.OVER_QUOTA),
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
    (1, "cannot receive incremental stream: inherited key must be loaded", Trouble.NO_KEY),
    (1, "warning: cannot send 'tank/x@a': dataset key must be loaded", Trouble.NO_KEY),
    (
        1,
        "cannot receive new filesystem stream: pool must be upgraded to receive this stream.",
        Trouble.TOO_OLD,
    ),
    (
        1,
        "cannot receive incremental stream: kernel modules must be upgraded to receive this stream.",
        Trouble.TOO_OLD,
    ),
    (
        1,
        "cannot receive new filesystem stream: incompatible embedded data stream feature with encrypted "
        "receive.",
        Trouble.TOO_OLD,
    ),
    # Damaged data: 255 of a resumed stream, 0 of several snapshots
    (255, "warning: cannot send 'tank/x@a': Input/output error", Trouble.DAMAGED),
    (0, "warning: cannot send 'tank/x@a': Input/output error", Trouble.DAMAGED),
    (255, "warning: cannot send 'tank/x@a': Whatever", Trouble.UNKNOWN),
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
    # Words of ssh that no row knows; zfs too ends with 255, but speaks otherwise
    (255, "ssh_dispatch_run_fatal: Connection to 192.0.2.1 port 22: incorrect signature", Trouble.LINK_LOST),
    (255, "Corrupted MAC on input.", Trouble.LINK_LOST),
    (255, "cannot resume send: 'tank/x@a' used in the initial send no longer exists", Trouble.UNKNOWN),
    (255, "property 'x:y' specified multiple times", Trouble.UNKNOWN),
    (255, "recursive is not supported with bookmark", Trouble.UNKNOWN),
    (None, "", Trouble.LINK_LOST),
    # Our own gatekeeper there
    (77, "cyber-zfs-receive: refused: no command of this form is allowed: zfs rename", Trouble.REFUSED),
    (
        77,
        "cyber-zfs-receive: refused: this client may not read: its policy has no restore = true",
        Trouble.REFUSED,
    ),
    (77, "cyber-zfs-receive: refused: busy: 4 receives of this client run already", Trouble.BUSY),
    (
        1,
        "cyber-zfs-receive: daily quota exceeded: 65536 bytes\ncannot receive: failed to read from stream",
        Trouble.OVER_QUOTA,
    ),
    (1, "the moon is in the way", Trouble.UNKNOWN),
    (1, "", Trouble.UNKNOWN),
    (137, "", Trouble.CUT_OFF),
    (-9, "", Trouble.CUT_OFF),
    (137, "the moon is in the way", Trouble.UNKNOWN),
]


def test_every_kind_of_trouble_says_whom_it_needs() -> None:
    """What is not known needs a person, and is never tried for ever."""
    passing = {trouble for trouble in Trouble if trouble.nature is Nature.PASSING}
    ours = {trouble for trouble in Trouble if trouble.nature is Nature.OURS}
    assert passing == {Trouble.LINK_LOST, Trouble.CUT_OFF, Trouble.BUSY, Trouble.STALLED}
    assert ours == {Trouble.USAGE, Trouble.NO_MATCH, Trouble.TAG_EXISTS, Trouble.NO_TAG}
    assert Trouble.UNKNOWN.nature is Nature.PERSON
    seen = {trouble for _, _, trouble in ROWS}
    assert seen >= set(Trouble) - {Trouble.SSH_REFUSED}


@pytest.mark.parametrize(("status", "text", "trouble"), ROWS, ids=[row[1][:50] or "silent" for row in ROWS])
def test_what_it_means(status: int | None, text: str, trouble: Trouble) -> None:
    error = ZfsError("offsite", Finished(("zfs", "receive", "vault/x"), status, "", text))
    assert error.trouble is trouble
    assert error.remedy
    assert "\n" not in str(error)
    assert str(error).startswith("offsite: ")
    if text:
        assert text.splitlines()[0] in error.text


@pytest.mark.parametrize(
    ("kind", "trouble"),
    [
        (HostErrorKind.UNREACHABLE, Trouble.LINK_LOST),
        (HostErrorKind.LOGIN_REFUSED, Trouble.SSH_REFUSED),
        (HostErrorKind.HOST_KEY_UNKNOWN, Trouble.SSH_REFUSED),
        (HostErrorKind.HOST_KEY_CHANGED, Trouble.SSH_REFUSED),
        (HostErrorKind.CONFIG, Trouble.SSH_REFUSED),
    ],
)
def test_what_keeps_a_command_from_its_host_is_told_in_the_hosts_words(
    kind: HostErrorKind, trouble: Trouble
) -> None:
    """And not looked up among those of zfs, which knows a ``Permission denied`` too."""
    said = Finished(("zfs", "receive", "vault/x"), 255, "", "me@offsite: Permission denied (publickey).")
    error = ZfsError("offsite", said, HostError(kind, "offsite", "what it was", "what to do"))
    assert (error.trouble, error.text, error.remedy) == (trouble, "what it was", "what to do")
    assert str(error) == "offsite: what it was; what to do"


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("inherited key must be loaded", "zfs load-key"),
        ("pool must be upgraded to receive this stream.", "zpool upgrade"),
        ("kernel modules must be upgraded to receive this stream.", "zfs version"),
        (
            "incompatible embedded data stream feature with encrypted receive.",
            "below a parent that is not encrypted",
        ),
    ],
)
def test_what_the_receiver_cannot_take_has_a_remedy_of_its_own(text: str, remedy: str) -> None:
    said = Finished(("zfs", "receive", "vault/x"), 1, "", f"cannot receive new filesystem stream: {text}")
    assert remedy in ZfsError("offsite", said).remedy


def test_properties_that_were_left_out_are_no_reason() -> None:
    """A user who may set few properties is told so of each, whatever else goes wrong."""
    lines = (
        "cannot receive mountpoint property on vault/x: permission denied\n"
        "cannot receive user:x property on vault/x: permission denied\n"
        "cannot set property for 'vault/x/enc': permission denied\n"
    )
    cut = Finished(
        ("zfs", "receive", "vault/x"), 1, "", f"{lines}cannot receive: failed to read from stream\n"
    )
    assert len(left_out(cut)) == 3
    error = ZfsError("offsite", cut)
    assert (error.trouble, error.text) == (Trouble.CUT_OFF, "cannot receive: failed to read from stream")
    refused = Finished(("zfs", "set", "a:b=c", "vault/x"), 1, "", lines.splitlines()[-1])
    assert ZfsError("offsite", refused).trouble is Trouble.NOT_PERMITTED


def test_what_is_looked_for_after_a_broken_package_is_no_reason() -> None:
    """OpenZFS 2.3.9 (tests/contract); where the line stands first it is one, as where there is no parent."""
    look = "cannot open 'vault/x': dataset does not exist"
    cut = "cannot receive new filesystem stream: incomplete stream"
    left = "cannot receive compression property on vault/x: permission denied"
    receive = ("zfs", "receive", "-u", "vault/x")
    error = ZfsError("nas", Finished(receive, 1, "", f"{left}\n{cut}\n{look}\n"))
    assert (error.trouble, error.text) == (Trouble.CUT_OFF, cut)
    odd = ZfsError("nas", Finished(receive, 1, "", f"what is this\n{look}\n"))
    assert (odd.trouble, odd.text) == (Trouble.UNKNOWN, "what is this")
    gone = ZfsError("nas", Finished(receive, 1, "", f"{left}\n{look}\nunable to say more\n"))
    assert (gone.trouble, gone.text) == (Trouble.NOT_THERE, f"{look} / unable to say more")
    lists = ZfsError("nas", Finished(("zfs", "list"), 1, "", f"what is this\n{look}\n"))
    assert lists.trouble is Trouble.NOT_THERE


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

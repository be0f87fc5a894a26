# SPDX-License-Identifier: GPL-3.0-or-later
"""What the zfs command said when it failed, as typed values with a remedy.

One table, one test a row. The texts are those of OpenZFS 2.1 to 2.3 in the C locale, each seen on
the real thing (tests/contract) unless the row says otherwise.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from enum import Enum

from ..hosts.errors import HostError
from ..hosts.protocol import Finished


class Trouble(Enum):
    """What kind of failure a message tells of."""

    NOT_THERE = "not there"
    EXISTS = "exists already"
    BUSY = "busy"
    NO_SPACE = "out of space"
    OVER_QUOTA = "over its quota"
    MODIFIED = "changed on the receiver"
    NO_MATCH = "does not fit"
    CUT_OFF = "stream cut off"
    NOT_PERMITTED = "not permitted"
    NO_ZFS = "no zfs"
    NO_MODULE = "ZFS module not loaded"
    SUDO_PASSWORD = "sudo asks for a password"
    TAG_EXISTS = "held already"
    NO_TAG = "not held"
    NO_PARENT = "no parent dataset"
    NO_KEY = "key not loaded"
    TOO_OLD = "stream not understood"
    LINK_LOST = "connection lost"
    SSH_REFUSED = "ssh refused"
    STALLED = "stalled"
    NOT_ARRIVED = "not arrived"
    USAGE = "usage"
    DAMAGED = "damaged data"
    REFUSED = "refused by the gatekeeper"
    UNKNOWN = "unknown"

    @property
    def nature(self) -> Nature:
        """Whom it needs."""
        if self in _PASSING:
            return Nature.PASSING
        return Nature.OURS if self in _OURS else Nature.PERSON


class Nature(Enum):
    """Whom a failure needs."""

    PASSING = "passing"
    """Nobody: it may be gone by itself when the same is tried again."""
    PERSON = "needs a person"
    """Somebody who changes something first; so does whatever is not known."""
    OURS = "our fault"
    """The authors of this program: a command that zfs does not understand, or need not have been given."""


_PASSING = frozenset({Trouble.LINK_LOST, Trouble.CUT_OFF, Trouble.BUSY, Trouble.STALLED})
_OURS = frozenset({Trouble.USAGE, Trouble.NO_MATCH, Trouble.TAG_EXISTS, Trouble.NO_TAG})


@dataclass(frozen=True, slots=True)
class _Row:
    pattern: re.Pattern[str]
    trouble: Trouble
    remedy: str


def _row(pattern: str, trouble: Trouble, remedy: str) -> _Row:
    return _Row(re.compile(pattern, re.IGNORECASE), trouble, remedy)


_TABLE = (
    # The receiver's gatekeeper (gatekeeper/main.py), not zfs.
    _row(
        r"^cyber-zfs-receive: refused: busy",
        Trouble.BUSY,
        "earlier receives of this machine still run there, until their sshd sees that nobody is left; its "
        "policy file there says how many may run (receives)",
    ),
    _row(
        r"^cyber-zfs-receive: daily quota exceeded",
        Trouble.OVER_QUOTA,
        "what has arrived is kept, and tomorrow's run goes on from it; its policy file there says how much a "
        "day may bring (quota)",
    ),
    _row(
        r"^cyber-zfs-receive: refused: this client may not read",
        Trouble.REFUSED,
        "let it read there, as root, as long as it is needed: give setup receiver with its client, root and "
        "key once more, and --allow-restore; afterwards with --no-allow-restore",
    ),
    _row(
        r"^cyber-zfs-receive: refused",
        Trouble.REFUSED,
        "its gatekeeper allows nothing else; what it was asked for stands in its journal there: "
        "journalctl -t cyber-zfs-receive",
    ),
    # Our own words (see actions/execute.py); what the ended processes say on top means nothing.
    _row(
        r"no byte has moved for a long time",
        Trouble.STALLED,
        "look whether the network or a pool hangs, then run again: what has arrived is kept",
    ),
    _row(
        r"^every command succeeded, and yet",
        Trouble.NOT_ARRIVED,
        "look whether something on that host destroys or rolls back what arrives, then run again",
    ),
    _row(
        r"^usage:|^invalid (option|flags|type|snapshot name|dataset name|bookmark name)|^too many arguments|"
        r"^missing .* argument|^bad property list|^unrecognized command|^incompatible flags|"
        r"^Error: (Unsupported flag|multiple snapshots cannot be sent)",
        Trouble.USAGE,
        "this program has given zfs a command that it does not understand: please report it, with the output "
        "of the same run with -vv and of zfs version on that host",
    ),
    _row(
        r"cannot send .*: Input/output error",
        Trouble.DAMAGED,
        "its data are damaged: zpool status -v names the files; restore them, and destroy the snapshots "
        "that hold what is damaged",
    ),
    _row(
        r"sudo: (a password is required|a terminal is required|.*no tty present)|is not in the sudoers file|"
        r"is not allowed to execute",
        Trouble.SUDO_PASSWORD,
        "allow the login to run zfs without a password (NOPASSWD in sudoers), or log in as root",
    ),
    _row(
        r"zfs modules? (are|is) not loaded|/dev/zfs: (No such file|Permission denied)|modprobe zfs",
        Trouble.NO_MODULE,
        "load it there with: modprobe zfs",
    ),
    _row(
        r"(zfs: (command )?not found)|(zfs: No such file or directory)|(zfs': No such file)",
        Trouble.NO_ZFS,
        "install ZFS there (Debian: apt install zfsutils-linux), or name another host",
    ),
    _row(
        # Of one dataset, or a part of the copy: others may have room.
        r"quota exceeded|disk quota",
        Trouble.OVER_QUOTA,
        "raise or remove the quota there (zfs get -r quota); what has arrived is kept and the next run goes "
        "on from it",
    ),
    _row(
        r"out of space|no space left",
        Trouble.NO_SPACE,
        "free or add space there; what has arrived is kept and the next run goes on from it",
    ),
    _row(
        r"has been modified\b.*since most recent snapshot|destination .* has been modified",
        Trouble.MODIFIED,
        "something wrote to the copy; look at `zfs diff` there, and roll that dataset back by hand "
        "if the changes are worth nothing",
    ),
    _row(
        r"tag already exists on this dataset",
        Trouble.TAG_EXISTS,
        "nothing: it is held",
    ),
    _row(r"no such tag on this dataset", Trouble.NO_TAG, "nothing: it is not held"),
    _row(
        r"destination '?.*'? (already )?exists|dataset already exists|destination snapshot .* exists|"
        r"must destroy .* snapshots|destination has snapshots",
        Trouble.EXISTS,
        "look at what is there with: zfs list -rt all",
    ),
    _row(
        r"(inherited|dataset) key must be loaded",
        Trouble.NO_KEY,
        "load it there: zfs load-key KEEPER (zfs get encryptionroot names it), or keep the copy below a "
        "parent that is not encrypted",
    ),
    _row(
        # Not seen: what libzfs makes of ENOTSUP.
        r"pool must be upgraded to receive this stream",
        Trouble.TOO_OLD,
        "the pool there lacks a feature that the data use: see zpool upgrade there (what is older cannot "
        "import the pool after that), or push to another pool",
    ),
    _row(
        r"incompatible embedded data stream feature with encrypted receive",
        Trouble.TOO_OLD,
        "an encrypted copy takes no stream with embedded blocks: keep the copy below a parent that is not "
        "encrypted",
    ),
    _row(
        # With -s libzfs says so of every stream that the kernel calls invalid.
        r"kernel modules must be upgraded to receive this stream",
        Trouble.TOO_OLD,
        "compare zfs version on both sides and bring the older up; if they are alike, the stream does not "
        "fit what is there: look for a partial receive (zfs receive -A throws it away) and at zfs get "
        "encryption",
    ),
    _row(
        # Since 2.3 so of a full stream that is there already; of an increment as above.
        r"Resuming recv on existing destination|"
        r"does not match incremental source|most recent snapshot of .* does not|"
        r"incremental source .* (does not exist|is not earlier)|not an earlier snapshot",
        Trouble.NO_MATCH,
        "run again: both sides are then compared anew",
    ),
    _row(
        r"parent does not exist|does not exist\)?: parent|cannot create .*: parent|"
        r"cannot receive new filesystem stream: unable to restore|no such pool",
        Trouble.NO_PARENT,
        "create the dataset above it first: zfs create -o mountpoint=none -o canmount=off PARENT",
    ),
    _row(
        r"permission denied|must be (superuser|root)",
        Trouble.NOT_PERMITTED,
        "see zfs-allow(8), or --use-sudo",
    ),
    _row(
        # While a receive runs, its dataset shows a resume token that can be neither continued nor aborted.
        r"cannot (receive|resume) .*(dataset is busy|contains partially-complete state)|"
        r"%recv'?: dataset is busy",
        Trouble.BUSY,
        "a receive of an earlier connection still runs there, until its sshd sees that nobody is left (see "
        "ClientAliveInterval in sshd_config): look there with pgrep -af 'zfs receive', then run again",
    ),
    _row(
        r"dataset is busy|it's being held|pool or dataset is busy|resource busy|"
        r"snapshot has dependent clones|has dependent",
        Trouble.BUSY,
        "see what holds it with: zfs holds, or zfs get clones",
    ),
    _row(
        r"failed to read from stream|incomplete stream|invalid stream|checksum mismatch|unexpected end|"
        r"partially[- ]received state is saved",
        Trouble.CUT_OFF,
        "run again: what has arrived is kept",
    ),
    _row(
        r"^(ssh: |kex_exchange|Connection (closed|reset|to|timed)|client_loop|Timeout, server|"
        r"packet_write_wait|Broken pipe|Write failed)",
        Trouble.LINK_LOST,
        "run again when the network is well",
    ),
    _row(
        r"does not exist|could not find any snapshots to destroy|no such (file|pool)|snapshot .* not found",
        Trouble.NOT_THERE,
        "look at what is there with: zfs list -rt all",
    ),
)

_NOISE = re.compile(
    r"property '[^']*' does not apply to datasets of this type|"
    r"^Warning: Permanently added|post-quantum|store now, decrypt later|server may need to be upgraded"
)
"""Lines that mean nothing is wrong: ``-x`` of a filesystem's property on a volume, ssh's chatter."""


_BY_ZFS = re.compile(r"((warning: )?cannot|internal error|invalid|missing|bad|property|recursive|usage)\b")
"""How lines of zfs itself begin: it too may end with 255, the status that ssh has of its own."""


_DEADLY = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE})
"""Signals that end a command; a shell, and sshd's, answers 128 more as its status."""


class ZfsError(Exception):
    """A zfs command failed. ``where`` is the host's label, ``text`` what it said in one line.

    ``host`` tells what kept the command from that host, where it was that: then nothing of what was
    said is by zfs.
    """

    def __init__(self, where: str, finished: Finished, host: HostError | None = None) -> None:
        self.where = where
        self.finished = finished
        if host is None:
            self.text = one_line(finished)
            self.trouble, self.remedy = classify(finished)
        else:
            self.text, self.remedy = host.what, host.remedy
            self.trouble = Trouble.LINK_LOST if host.passing else Trouble.SSH_REFUSED
        super().__init__(f"{where}: {self.text}; {self.remedy}")


def said(text: str) -> list[str]:
    """The lines of a command's stderr that mean something."""
    return [line.strip() for line in text.splitlines() if line.strip() and not _NOISE.search(line)]


def one_line(finished: Finished) -> str:
    """What a failed command said, in one line; never empty."""
    lines = _reasons(finished)
    if lines:
        return " / ".join(lines[:4])
    if finished.status is None:
        return f"the connection ended before {finished.argv[0]!r} did"
    how = f"signal {-finished.status}" if finished.status < 0 else f"exit status {finished.status}"
    return f"{' '.join(finished.argv[:3])}: {how} without a word"


_LEFT_OUT = re.compile(
    r"^cannot (receive|inherit) \S+ property on .*: permission denied$|"
    r"^cannot set property for '.*': permission denied$"
)
"""What a receive says of each property that its user may not set (zfs-allow(8)); it is no failure (measured
on OpenZFS 2.1.11 and 2.3.9: exit 0)."""


def left_out(receive: Finished) -> list[str]:
    """The lines in which a receive tells that it has left a property of the stream out."""
    return [line for line in said(receive.stderr) if _LEFT_OUT.search(line)]


_LOOKED_AFTER = re.compile(r"^cannot open '.*': dataset does not exist$")
"""Where a raw package has failed, OpenZFS 2.3 looks for its top, and says so if it is not there."""


def _reasons(finished: Finished) -> list[str]:
    """The lines that may tell why a command failed."""
    lines = said(finished.stderr)
    if "receive" not in finished.argv:
        return lines
    reasons = [line for line in lines if not _LEFT_OUT.search(line)] or lines
    return reasons[:1] + [line for line in reasons[1:] if not _LOOKED_AFTER.search(line)]


_ABORT_IS_ROOTS = (
    "the source cannot go on with that partial receive, and this login may not throw it away (it lacks the "
    "permission destroy, see setup receiver --never-destroy); as root there, which touches nothing whole:"
)


def classify(finished: Finished) -> tuple[Trouble, str]:
    """The kind of a failure and its remedy; an unknown message is shown whole and needs a person."""
    lines = _reasons(finished)
    for row in _TABLE:
        if any(row.pattern.search(line) for line in lines):
            if row.trouble is Trouble.NOT_PERMITTED and finished.argv[-2:-1] == ("-A",):
                return row.trouble, f"{_ABORT_IS_ROOTS} zfs receive -A {finished.argv[-1]}"
            return row.trouble, row.remedy
    ssh_failed = finished.status == 255 and not any(_BY_ZFS.match(line) for line in lines)
    if finished.status is None or ssh_failed:
        return Trouble.LINK_LOST, "run again when the network is well"
    if finished.status < 0 or (not lines and finished.status - 128 in _DEADLY):
        return (
            Trouble.CUT_OFF,
            "something has killed it (see the kernel's log: perhaps memory ran out); run again",
        )
    return Trouble.UNKNOWN, "this message is not known: look at that host, then run again"

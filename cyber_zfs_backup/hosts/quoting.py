# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where an argument vector becomes words for a shell.

sshd gives the command to the login shell of the far side as one string, whatever the client does
(RFC 4254, 6.5). Nothing else in this project may build such a string.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from .protocol import Argv


class UnspeakableArgumentError(ValueError):
    """An argument that cannot be handed to a command safely; the floors above refuse it by name first."""


def checked(argv: Argv) -> tuple[str, ...]:
    """Answer ``argv`` as a tuple where every word may be passed on, here or through a shell.

    Raises ``UnspeakableArgumentError`` for an empty vector or command, and for control characters (NUL,
    line breaks and the like): no ZFS name, property of ours or option needs one, some shells
    mangle them, and log lines could be forged with them.
    """
    words = tuple(argv)
    if not words or not words[0]:
        raise UnspeakableArgumentError("an empty command")
    for word in words:
        if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in word):
            raise UnspeakableArgumentError(f"a control character in the argument {word!r}")
    return words


def command_line(argv: Argv) -> str:
    """Quote one command for a POSIX shell."""
    return " ".join(shlex.quote(word) for word in checked(argv))


def joined(argvs: Sequence[Argv]) -> str:
    """Quote several commands that run one after the other as long as each succeeds (``a && b``)."""
    if not argvs:
        raise UnspeakableArgumentError("no command at all")
    return " && ".join(command_line(argv) for argv in argvs)


def as_typed(argv: Argv) -> str:
    """One command as a message offers it to a person, who runs it or not: nothing is refused."""
    return " ".join(shlex.quote(word) for word in argv)


_MOST_SHOWN = 1000
"""Characters of commands that a log line shows; one command may name thousands of snapshots."""


def shown(argvs: Sequence[Argv], between: str = " && ") -> str:
    """Commands as a log shows them: quoted, and cut where they are long."""
    text = between.join(map(as_typed, argvs))
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}... ({len(text)} characters)"

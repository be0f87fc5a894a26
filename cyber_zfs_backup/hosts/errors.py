# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong between us and a host, as one typed error."""

from __future__ import annotations

from enum import Enum


class HostErrorKind(Enum):
    """The classes of trouble that the floors above tell apart."""

    UNREACHABLE = "unreachable"
    """Connection refused, no route, no such name, no answer, or a connection that was lost."""
    TIMEOUT = "timeout"
    """A command did not end in the time that the caller gave it."""
    HOST_KEY_UNKNOWN = "host key unknown"
    HOST_KEY_CHANGED = "host key changed"
    LOGIN_REFUSED = "login refused"
    NO_SUCH_COMMAND = "no such command"
    """For the floors above, where a status of 127 means that the host lacks what it needs."""
    CONFIG = "configuration"
    """The ssh configuration or the destination itself is wrong."""
    MISSING_MODULE = "missing module"
    """A Python module that is needed only for connections is not installed."""
    STOPPED = "stopped"
    """The caller asked for an end (``stop`` or ``close``) and then for more work."""


_PASSING = frozenset({HostErrorKind.UNREACHABLE, HostErrorKind.TIMEOUT})


class HostError(Exception):
    """A host that could not be asked.

    ``where`` is the host's label, ``what`` says in one line what happened, ``remedy`` in one line
    what to do next. Line breaks in them (words of a far side, say) become spaces.
    """

    def __init__(self, kind: HostErrorKind, where: str, what: str, remedy: str) -> None:
        self.kind = kind
        self.where = _one_line(where)
        self.what = _one_line(what)
        self.remedy = _one_line(remedy)
        super().__init__(kind, where, what, remedy)

    @property
    def passing(self) -> bool:
        """True where the same command may well succeed later without anyone's doing (exit 75)."""
        return self.kind in _PASSING

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.remedy}"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())

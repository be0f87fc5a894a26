# SPDX-License-Identifier: GPL-3.0-or-later
"""What `setup` asks of the machine that it sets up, and does to it: one small door, which tests replace."""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ..config.receiver_facts import Account, Folder
from ..hosts.local import LocalHost
from ..hosts.protocol import Host
from . import atomic


class Machine(Protocol):
    """This machine. Paths are absolute; what cannot be read or written is an ``OSError``."""

    @property
    def host(self) -> Host:
        """What runs commands here."""

    @property
    def is_root(self) -> bool:
        """Whether it may do all that it is told to."""

    def account(self, name: str) -> Account | None:
        """A user of the system; None where there is none of that name."""

    def folder(self, path: str) -> Folder | None:
        """A folder's owner and mode; None where there is nothing. Raises where it is no folder."""

    def below(self, path: str) -> tuple[str, ...]:
        """The names in a folder, sorted; none where it is not there."""

    def read(self, path: str) -> str | None:
        """A file's text; None where it is not there. ``write`` gives back even what is no UTF-8."""

    def mode(self, path: str) -> int | None:
        """A file's mode; None where it is not there."""

    def write(self, path: str, text: str, mode: int) -> None:
        """Put a file there whole: whoever reads it sees the old one or the new one."""

    def ask(self, question: str) -> str | None:
        """Ask a person at the terminal; None where there is none."""

    def hostname(self) -> str:
        """This machine's name, unqualified."""


class ThisMachine:
    """The real one."""

    def __init__(self) -> None:
        self.host: Host = LocalHost()

    @property
    def is_root(self) -> bool:
        """Whether this process is root's."""
        return os.geteuid() == 0

    def account(self, name: str) -> Account | None:
        """Ask the system's user database."""
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            return None
        return Account(found.pw_dir, found.pw_shell)

    def folder(self, path: str) -> Folder | None:
        """Look at it without following a link: one that a client could have made is no folder."""
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return None
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(20, "is no folder; move it away", path)
        try:
            owner = pwd.getpwuid(status.st_uid).pw_name
        except KeyError:
            owner = str(status.st_uid)
        return Folder(owner, stat.S_IMODE(status.st_mode))

    def below(self, path: str) -> tuple[str, ...]:
        """What lies there."""
        try:
            return tuple(sorted(os.listdir(path)))
        except FileNotFoundError:
            return ()

    def read(self, path: str) -> str | None:
        """The whole file."""
        try:
            return Path(path).read_bytes().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            return None

    def mode(self, path: str) -> int | None:
        """Its permissions alone."""
        try:
            return stat.S_IMODE(os.stat(path).st_mode)
        except FileNotFoundError:
            return None

    def write(self, path: str, text: str, mode: int) -> None:
        """Written beside it and renamed; on the disk before it counts. A link stays one, an owner too."""
        data = text.encode("utf-8", "surrogateescape")
        atomic.write(os.path.realpath(path), data, mode, keep_owner=self.is_root)

    def ask(self, question: str) -> str | None:
        """On stderr, for stdout may be a file; answered on stdin."""
        if not (sys.stdin and sys.stderr and sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        sys.stderr.write(question)
        sys.stderr.flush()
        return sys.stdin.readline().strip()

    def hostname(self) -> str:
        """As the default names of datasets have it."""
        return os.uname().nodename.partition(".")[0]


@contextlib.contextmanager
def this_machine() -> Iterator[Machine]:
    """The real machine; commands that still run are ended at the end."""
    machine = ThisMachine()
    try:
        yield machine
    finally:
        machine.host.close()

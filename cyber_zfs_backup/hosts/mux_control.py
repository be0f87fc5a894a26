# SPDX-License-Identifier: GPL-3.0-or-later
"""Control commands over one multiplexed connection of OpenSSH's own client.

For what paramiko cannot do. The master's socket lies in a private directory and goes with it.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from ..model.places import HERE
from .children import CannotStartError, Child, Words
from .control import CONNECT_TIMEOUT, HANDSHAKE_TIMEOUT, Attempt, Sessions, no_session
from .errors import HostError, HostErrorKind
from .local import Runner, timed_out
from .protocol import Finished
from .quoting import command_line
from .shield import TimeUpError
from .ssh_config import SshSettings
from .ssh_errors import error_in
from .ssh_options import unattended
from .wire import unreachable

_LOOK_EVERY = 0.05
_KEEP = 1 << 16
_MOMENT = 1.0
_LONGEST = 107 - len("/cyber-zfs-backup-12345678/ssh.1234567890123456")
"""A socket's path has at most 107 bytes, and ssh adds a random word while it makes the socket."""
_REFUSED = "Session open refused by peer"


class MultiplexedControl:
    """An open master connection, and short ssh processes that run commands through it."""

    def __init__(self, settings: SshSettings, env: Mapping[str, str], attempt: Attempt) -> None:
        """Connect. Raises ``HostError``."""
        self._settings = settings
        self._runner = Runner(settings.destination, env)
        self._sessions = Sessions()
        self._folder = tempfile.TemporaryDirectory(prefix="cyber-zfs-backup-", dir=_place())
        self._socket = str(Path(self._folder.name) / "ssh")
        command = settings.ssh(
            *("-M", "-N", "-o", f"ControlPath={self._socket}", "-o", "ControlPersist=no"),
            *unattended(settings),
            *("--", settings.destination),
        )
        try:
            self._master = Child(command, env)
        except CannotStartError as problem:
            self._folder.cleanup()
            remedy = "install it: apt install openssh-client"
            raise HostError(HostErrorKind.NO_SUCH_COMMAND, HERE, problem.message, remedy) from None
        self._words = Words(self._master.stderr, _KEEP)
        self._closed = threading.Lock()
        try:
            attempt.hold(self._master.end)
            self._wait_for_login()
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """False once the connection is known to be lost."""
        return not self._master.ended_within(0)

    def run(self, argv: tuple[str, ...], timeout: float | None) -> Finished:
        """Run one command; see ``Host.run``."""
        limit = None if timeout is None else time.monotonic() + timeout
        # A client that finds no master would connect by itself: give it no way to.
        options = (
            "-o",
            f"ControlPath={self._socket}",
            "-o",
            "ControlMaster=no",
            "-o",
            "ProxyCommand=exit 255",
        )
        command = self._settings.ssh(*options, *unattended(self._settings), "--", self._settings.destination)
        while True:
            left = None if limit is None else max(0.0, limit - time.monotonic())
            try:
                self._sessions.take(left)
            except TimeUpError:
                raise timed_out(self._settings.destination, argv, timeout or 0.0) from None
            try:
                said = self._runner.run([*command, command_line(argv)], left)
            except BaseException:
                self._sessions.give_back()
                raise
            if said.status == 255 and _REFUSED in said.stderr:
                if not self._sessions.refused():
                    raise no_session(self._settings.destination)
                continue
            self._sessions.give_back()
            # The client may hear of the connection's death a moment before its master has ended.
            if said.status == 255 and self._master.ended_within(_MOMENT):
                return Finished(argv, None, said.stdout, said.stderr + "\nthe connection was lost\n")
            return Finished(argv, said.status, said.stdout, said.stderr)

    def close(self) -> None:
        """End the master. May be called twice."""
        with self._closed:
            self._runner.end_all()
            self._master.end()
            self._master.finish()
            self._folder.cleanup()

    def _wait_for_login(self) -> None:
        """The master makes its socket once it has logged in."""
        patience = (self._settings.connect_timeout or CONNECT_TIMEOUT) + 2 * HANDSHAKE_TIMEOUT
        limit = time.monotonic() + patience
        while not Path(self._socket).is_socket():
            ended = self._master.ended_within(_LOOK_EVERY)
            self._words.rest()
            if ended:
                said = self._words.text("backslashreplace").strip() or "ssh ended without a word"
                raise error_in(said, self._settings) or unreachable(self._settings, said)
            if time.monotonic() > limit:
                raise unreachable(self._settings, f"no login within {patience:g} s")


def _place() -> str:
    """Answer a directory for the socket; the user's TMPDIR unless its name is too long for one."""
    place = tempfile.gettempdir()
    return place if len(place.encode()) <= _LONGEST else "/tmp"  # noqa: S108 (mkdtemp makes a private one there)

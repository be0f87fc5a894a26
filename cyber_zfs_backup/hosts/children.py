# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that starts processes, and that ends them."""

from __future__ import annotations

import logging
import os
import pwd
import select
import signal
import subprocess
import threading
from collections.abc import Mapping
from typing import IO

from .protocol import Argv
from .quoting import checked

log = logging.getLogger(__name__)

_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_ADMIN_PATH = ("/usr/sbin", "/sbin")
# What ssh needs to find its agent, a Kerberos ticket, and a socket that its configuration names
# with ${XDG_RUNTIME_DIR}; everything else of our own environment stays with us.
_PASSED_ON = ("HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "KRB5CCNAME", "XDG_RUNTIME_DIR")
_GRACE = 2.0
_LAST_WAIT = 10.0


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Build the small environment that every child gets: messages in C, zfs on the PATH.

    ``extra`` is added last and wins.
    """
    places = [place for place in os.environ.get("PATH", _SYSTEM_PATH).split(":") if place]
    places += [place for place in _ADMIN_PATH if place not in places]
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment.setdefault("HOME", pwd.getpwuid(os.getuid()).pw_dir)
    return {**environment, "PATH": ":".join(places), "LC_ALL": "C", **(extra or {})}


class CannotStartError(Exception):
    """A command that this machine cannot start, with the status that a shell would answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Child:
    """A running process in a session of its own, so that a terminal's ^C reaches only us.

    Its standard error is always a pipe to us. Whoever makes one calls ``finish`` once it has ended
    (after ``end`` where need be), from a thread that no signal's exception can reach (see ``shield``).
    """

    def __init__(
        self,
        argv: Argv,
        env: Mapping[str, str],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
    ) -> None:
        """Start ``argv``. Raises ``CannotStartError``."""
        self.argv = checked(argv)
        try:
            self._process = subprocess.Popen(
                self.argv,
                bufsize=0,
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                env=dict(env),
                start_new_session=True,
            )
        except FileNotFoundError:
            raise CannotStartError(127, f"{self.argv[0]}: command not found") from None
        except OSError as error:
            raise CannotStartError(126, f"{self.argv[0]}: {error.strerror}") from None
        self._status: int | None = None
        self._ending = threading.Lock()
        self._exit_fd = os.pidfd_open(self._process.pid)

    @property
    def exit_fd(self) -> int:
        """A descriptor that polls as readable once the process has ended."""
        return self._exit_fd

    @property
    def stdin(self) -> IO[bytes]:
        """Our end of its standard input, where that is a pipe."""
        return _there(self._process.stdin)

    @property
    def stdout(self) -> IO[bytes]:
        """Our end of its standard output, where that is a pipe."""
        return _there(self._process.stdout)

    @property
    def stderr(self) -> IO[bytes]:
        """Our end of its standard error."""
        return _there(self._process.stderr)

    def ended_within(self, seconds: float) -> bool:
        """Wait for the process to end, but no longer than that."""
        if self._status is not None:
            return True
        poll = select.poll()
        poll.register(self._exit_fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def end(self, grace: float = _GRACE) -> None:
        """End the process and its group: TERM, then KILL after ``grace`` seconds. ``finish`` comes next.

        Where even KILL does not end it (it waits for a disk, or sudo runs it as root while we are
        not) this gives up after ten seconds.
        """
        with self._ending:
            if self._status is not None:
                return
            self._signal(signal.SIGTERM)
            self.ended_within(grace)
            # Also for a group whose leader is gone: a shell may leave its children behind. Until
            # we have waited for the leader its number cannot belong to anyone else.
            self._signal(signal.SIGKILL)
            self.ended_within(_LAST_WAIT)

    def finish(self) -> int | None:
        """Close the pipes and answer the status (see ``Finished``) of a process that has ended.

        None where it has not: it is left to itself then, without its pipes.
        """
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        with self._ending:
            if self._status is None and self.ended_within(0):
                self._status = self._process.wait()
                os.close(self._exit_fd)
            elif self._status is None:
                log.warning("process %d (%s) does not end", self._process.pid, self.argv[0])
            return self._status

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            log.debug("process group %d is not ours to signal", self._process.pid)


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("this child was started without that pipe")
    return pipe


class Words:
    """What a process says on one pipe, taken as it comes.

    With ``keep`` only that many bytes from the head and that many from the tail stay in memory.
    """

    def __init__(self, pipe: IO[bytes], keep: int | None = None) -> None:
        os.set_blocking(pipe.fileno(), False)
        self.fd = pipe.fileno()
        self.open = True
        self._keep = keep
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0

    def take(self) -> bool:
        """Take what is there now; False once the other side has closed the pipe."""
        try:
            data = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return True
        if not data:
            self.open = False
            return False
        if self._keep is None:
            self._head += data
            return True
        room = max(0, self._keep - len(self._head))
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > self._keep:
            surplus = len(self._tail) - self._keep
            self._left_out += surplus
            del self._tail[:surplus]
        return True

    def rest(self) -> None:
        """Take what is still there, without waiting for more."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        while self.open and poll.poll(0):
            self.take()

    def text(self, errors: str = "surrogateescape") -> str:
        """Answer what was said, as UTF-8."""
        gap = f"\n[{self._left_out} bytes left out]\n".encode() if self._left_out else b""
        return (bytes(self._head) + gap + bytes(self._tail)).decode("utf-8", errors)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands on this machine."""

from __future__ import annotations

import logging
import os
import select
import subprocess
import threading
from collections.abc import Mapping, Sequence

from ..model.places import HERE
from .children import CannotStartError, Child, Words, child_environment
from .errors import HostError, HostErrorKind
from .protocol import Argv, Finished
from .quoting import checked, joined, shown
from .shield import Cancel, TimeUpError, shielded

log = logging.getLogger(__name__)


class Runner:
    """Runs local processes to their end, from several threads at once, and can end them all."""

    def __init__(self, label: str, env: Mapping[str, str]) -> None:
        self._label = label
        self._env = dict(env)
        self._lock = threading.Lock()
        self._running: set[Cancel] = set()

    def run(self, argv: Argv, timeout: float | None = None, stdin: int = subprocess.DEVNULL) -> Finished:
        """Run ``argv`` and answer what it said; raises ``HostError`` TIMEOUT once it was ended.

        ``stdin`` is a descriptor that it reads from, or one of subprocess's words. A command that cannot be
        started answers as a shell would: status 127 (not found) or 126.
        """
        command = checked(argv)
        with Cancel() as cancel:
            with self._lock:
                self._running.add(cancel)
            try:
                return shielded(lambda: _run(command, self._env, cancel, stdin), cancel, timeout)
            except TimeUpError:
                raise timed_out(self._label, command, timeout or 0.0) from None
            finally:
                with self._lock:
                    self._running.discard(cancel)

    def end_all(self) -> None:
        """End every process that runs; its caller is told the status that this gives it."""
        with self._lock:
            for cancel in self._running:
                cancel.wish()


def timed_out(label: str, argv: Argv, seconds: float) -> HostError:
    """Build the error for a command that was ended because its time was up."""
    return HostError(
        HostErrorKind.TIMEOUT,
        label,
        f"{' '.join(argv[:2])} had not ended after {seconds:g} s and was ended",
        "look whether that machine is overloaded or its pool is stuck, then run this again",
    )


def _run(argv: tuple[str, ...], env: Mapping[str, str], cancel: Cancel, stdin: int) -> Finished:
    try:
        child = Child(argv, env, stdin=stdin)
    except CannotStartError as problem:
        return Finished(argv, problem.status, "", problem.message + "\n")
    out, err = Words(child.stdout), Words(child.stderr)
    try:
        if not _listened(child, (out, err), cancel):
            child.end()
            out.rest()
            err.rest()
    finally:
        child.end(0)
        status = child.finish()
    return Finished(argv, status, out.text(), err.text("backslashreplace"))


def _listened(child: Child, pipes: Sequence[Words], cancel: Cancel) -> bool:
    """Take all that the child says, then wait for its end; False where the caller wished it to end."""
    poll = select.poll()
    poll.register(cancel.fileno(), select.POLLIN)
    by_fd = {words.fd: words for words in pipes}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    while by_fd:
        for fd, _ in poll.poll():
            if fd == cancel.fileno():
                return False
            if not by_fd[fd].take():
                poll.unregister(fd)
                del by_fd[fd]
    poll.register(child.exit_fd, select.POLLIN)
    return all(fd != cancel.fileno() for fd, _ in poll.poll())


class LocalHost:
    """This machine. ``extra_env`` is added to the small environment of every child."""

    def __init__(self, extra_env: Mapping[str, str] | None = None) -> None:
        self.env = child_environment(extra_env)
        self._runner = Runner(self.label, self.env)

    @property
    def label(self) -> str:
        """How messages name this host."""
        return HERE

    def run(self, argv: Argv, *, timeout: float | None = None) -> Finished:
        """Run a command to its end; see ``Host.run``."""
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s: %s", self.label, shown([argv]))
        return self._runner.run(argv, timeout)

    def feed(self, argv: Argv, data: bytes, *, timeout: float | None = None) -> Finished:
        """The same with ``data`` on its standard input, of which it may read as little as it likes."""
        # A file in memory and no pipe: whoever does not read it keeps nobody waiting.
        file = os.memfd_create("stdin", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(file), "wb") as writer:
                writer.write(data)
            os.lseek(file, 0, os.SEEK_SET)
            return self._runner.run(argv, timeout, file)
        finally:
            os.close(file)

    def close(self) -> None:
        """End what still runs (for another thread that gives up); later commands run as before."""
        self._runner.end_all()

    def data_command(self, argvs: Sequence[Argv]) -> list[str]:
        """Answer the local command that runs ``argvs`` one after the other on one standard input."""
        if len(argvs) == 1:
            return list(checked(argvs[0]))
        return ["/bin/sh", "-c", joined(argvs)]

    def explain(self, finished: Finished) -> HostError | None:  # noqa: ARG002 (the status of others tells)
        """Tell what kept a data command from this machine: nothing ever does."""
        return None

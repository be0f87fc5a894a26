# SPDX-License-Identifier: GPL-3.0-or-later
"""Control commands over one paramiko connection.

Imported only when a connection is made: paramiko takes long to load (3.3 s on an emulated machine).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence

import paramiko

from .control import (
    CONNECT_TIMEOUT,
    HANDSHAKE_TIMEOUT,
    Attempt,
    NotForParamikoError,
    Sessions,
    no_session,
)
from .errors import HostError
from .known_hosts import KnownKeys, Verdict
from .local import timed_out
from .paramiko_login import Login
from .protocol import Finished
from .quoting import command_line
from .ssh_config import SshSettings
from .ssh_errors import error_in, host_key_error
from .wire import open_wire, unreachable

_LOG = f"{__name__}.transport"
_WINDOW = 8 << 20
"""Bytes in flight for one command, so that a long listing does not crawl over a slow link."""
_CLOSE = 2.0
_CHUNK = 1 << 16


class ParamikoControl:
    """An open, verified and authenticated connection."""

    def __init__(
        self, settings: SshSettings, known: KnownKeys, env: Mapping[str, str], attempt: Attempt
    ) -> None:
        """Connect. Raises ``HostError``, or ``NotForParamikoError`` where only ssh can."""
        # paramiko logs a traceback for every connection that fails; the error says it in a line.
        if not logging.getLogger().isEnabledFor(logging.DEBUG):
            logging.getLogger(_LOG).setLevel(logging.CRITICAL + 1)
        self._settings = settings
        self._sessions = Sessions()
        self._wire = open_wire(settings, env)
        try:
            attempt.hold(self._wire.cut)
            self._transport = paramiko.Transport(self._wire.socket)
            self._transport.set_log_channel(_LOG)
            self._negotiate(known)
            self._verify(known)
            Login(self._transport, settings).run()
        except BaseException:
            self.close()
            raise
        self._transport.set_keepalive(settings.alive_interval)

    @property
    def alive(self) -> bool:
        """False once the connection is known to be lost."""
        return self._transport.is_active()

    def run(self, argv: tuple[str, ...], timeout: float | None) -> Finished:
        """Run one command on a channel of its own; see ``Host.run``."""
        job = _Job(self._transport, self._sessions, argv, self._settings)
        thread = threading.Thread(target=job.body, name="ssh command", daemon=True)
        try:
            thread.start()
            if not job.done.wait(timeout):
                raise timed_out(self._settings.destination, argv, timeout or 0.0)
        except BaseException:
            job.give_up()
            raise
        return job.answer()

    def close(self) -> None:
        """End the connection; paramiko's own close may hang, so that one is not waited for long."""
        transport = getattr(self, "_transport", None)
        if transport is not None:
            closer = threading.Thread(target=transport.close, name="ssh close", daemon=True)
            closer.start()
            closer.join(_CLOSE)
        self._wire.close()

    def _negotiate(self, known: KnownKeys) -> None:
        """Exchange keys, with what both the user's configuration and paramiko allow."""
        settings, options = self._settings, self._transport.get_security_options()
        options.ciphers = _common("cipher", settings.names("ciphers"), options.ciphers)
        options.digests = _common("MAC", settings.names("macs"), options.digests)
        options.kex = _common("key exchange", settings.names("kexalgorithms"), options.kex)
        wanted = settings.names("hostkeyalgorithms")
        preferred = [name for name in wanted if _key_type(name) in known.algorithms]
        options.key_types = _common("host key", (*preferred, *wanted), options.key_types)
        timeout = settings.connect_timeout or CONNECT_TIMEOUT
        self._transport.banner_timeout = timeout
        self._transport.handshake_timeout = HANDSHAKE_TIMEOUT
        self._transport.auth_timeout = HANDSHAKE_TIMEOUT
        done = threading.Event()
        try:
            self._transport.start_client(done)
            in_time = done.wait(timeout + HANDSHAKE_TIMEOUT)
            problem = self._transport.get_exception()
            if problem is not None:
                raise problem
        except paramiko.ssh_exception.IncompatiblePeer as error:
            raise NotForParamikoError(f"server and paramiko have nothing in common: {error}") from None
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._no_connection(str(error) or "the connection was closed") from None
        if not in_time or not self._transport.is_active():
            raise self._no_connection("the connection was closed in the key exchange")

    def _no_connection(self, what: str) -> HostError:
        said = self._wire.complaint()
        if said:
            return error_in(said, self._settings) or unreachable(self._settings, said)
        where = f"{self._settings.hostname} port {self._settings.port}"
        return unreachable(self._settings, f"{where} does not talk ssh: {what}")

    def _verify(self, known: KnownKeys) -> None:
        blob = self._transport.get_remote_server_key().asbytes()
        verdict, line = known.judge(blob)
        if verdict is not Verdict.KNOWN:
            raise host_key_error(self._settings, blob, verdict, line)


class _Job:
    """One command on its channel, run in a thread so that every wait in paramiko can be left."""

    def __init__(
        self, transport: paramiko.Transport, sessions: Sessions, argv: tuple[str, ...], settings: SshSettings
    ) -> None:
        self.done = threading.Event()
        self._transport = transport
        self._sessions = sessions
        self._argv = argv
        self._line = command_line(argv)
        self._settings = settings
        self._given_up = False
        self._channel: paramiko.Channel | None = None
        self._answer: Finished | None = None
        self._failure: BaseException | None = None

    def answer(self) -> Finished:
        """Answer what came of it, or raise."""
        if self._failure is not None:
            raise self._failure
        assert self._answer is not None  # noqa: S101 (body sets one or the other)
        return self._answer

    def give_up(self) -> None:
        """Leave the command to itself: close its channel, waiting for nothing."""
        self._given_up = True
        if self._channel is not None:
            threading.Thread(target=self._channel.close, name="ssh channel close", daemon=True).start()

    def body(self) -> None:
        """Run the command to its end."""
        try:
            self._answer = self._run()
        except (paramiko.SSHException, EOFError, OSError) as error:
            what = f"the connection was lost before a command could start: {error}"
            self._failure = unreachable(self._settings, what)
        except BaseException as error:  # belongs to the caller, who raises it
            self._failure = error
        finally:
            self.done.set()

    def _run(self) -> Finished:
        channel = self._open()
        try:
            self._channel = channel
            if self._given_up:
                return Finished(self._argv, None, "", "")
            channel.exec_command(self._line)
            channel.shutdown_write()
            return self._listen(channel)
        finally:
            channel.close()
            self._sessions.give_back()

    def _open(self) -> paramiko.Channel:
        while True:
            self._sessions.take()
            try:
                return self._transport.open_session(window_size=_WINDOW, timeout=HANDSHAKE_TIMEOUT)
            except paramiko.SSHException as error:
                # A refusal should be a ChannelException. But paramiko keeps the last exception in
                # one place for all threads: of two refusals at once one has lost its own.
                if not self._transport.is_active() or "imeout" in str(error):
                    self._sessions.give_back()
                    raise
                if not self._sessions.refused():
                    raise no_session(self._settings.destination) from None
            except BaseException:
                self._sessions.give_back()
                raise

    def _listen(self, channel: paramiko.Channel) -> Finished:
        """Take both outputs at the same time, to their ends, and only then the status."""
        err: list[bytes] = []

        def take_stderr() -> None:
            while data := channel.recv_stderr(_CHUNK):
                err.append(data)

        listener = threading.Thread(target=take_stderr, name="ssh command's stderr", daemon=True)
        listener.start()
        out: list[bytes] = []
        while data := channel.recv(_CHUNK):
            out.append(data)
        listener.join()
        channel.status_event.wait()
        said = b"".join(err).decode("utf-8", "backslashreplace")
        status = None if channel.exit_status == -1 else channel.exit_status
        if status is None:
            lost = not self._transport.is_active()
            said += "\nthe connection was lost\n" if lost else "\nthe command was ended by a signal\n"
        return Finished(self._argv, status, b"".join(out).decode("utf-8", "surrogateescape"), said)


def _common(what: str, wanted: Sequence[str], ours: Sequence[str]) -> list[str]:
    common = list(dict.fromkeys(name for name in wanted if name in ours))
    if not common:
        raise NotForParamikoError(f"paramiko has no {what} that the ssh configuration allows")
    return common


def _key_type(algorithm: str) -> str:
    """Answer the key type that a host key algorithm signs with (RFC 8332: two for ssh-rsa)."""
    return "ssh-rsa" if algorithm in {"rsa-sha2-512", "rsa-sha2-256"} else algorithm

# SPDX-License-Identifier: GPL-3.0-or-later
"""The bytes' way to a far sshd: a TCP connection, or the user's proxy."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

from .children import CannotStartError, Child, Words
from .control import ALIVE_COUNT, ALIVE_INTERVAL, CONNECT_TIMEOUT
from .errors import HostError, HostErrorKind
from .ssh_config import SshSettings

PACKAGED = Path("/etc/ssh/cyber-zfs-backup.ssh_config")
"""The ssh configuration of the Debian package, whose host names only those know who are told to read it."""

_SEE_TO_IT = "see that the host is up and that its sshd listens there, then run this again"
_KEEP = 1 << 16
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


class Wire:
    """An open socket towards sshd, and the proxy process behind it where there is one."""

    def __init__(self, sock: socket.socket, proxy: Child | None = None) -> None:
        self.socket = sock
        self._proxy = proxy
        self._words: Words | None = None
        self._listener: threading.Thread | None = None
        if proxy is not None:
            self._words = Words(proxy.stderr, _KEEP)
            os.set_blocking(proxy.stderr.fileno(), True)
            self._listener = threading.Thread(target=self._listen, name="ssh proxy's words", daemon=True)
            self._listener.start()

    def complaint(self) -> str:
        """Answer what the proxy said, where it has ended (a moment's patience included)."""
        if self._proxy is None or self._words is None or self._listener is None:
            return ""
        self._proxy.ended_within(1.0)
        self._listener.join(1.0)
        return self._words.text("backslashreplace").strip()

    def cut(self) -> None:
        """Make every wait on this way end, from any thread."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        if self._proxy is not None:
            self._proxy.end()

    def close(self) -> None:
        """Close the socket and end the proxy. May be called twice."""
        self.socket.close()
        if self._proxy is not None and self._listener is not None:
            self._proxy.end()
            self._listener.join(1.0)
            self._proxy.finish()

    def _listen(self) -> None:
        while self._words is not None and self._words.take():
            pass


def open_wire(settings: SshSettings, env: Mapping[str, str]) -> Wire:
    """Open the way to the host's sshd. Raises ``HostError`` UNREACHABLE."""
    if settings.proxy_command is not None:
        # The user's own line; ssh_config(5) has it run by a shell, with exec before it.
        return _through(["/bin/sh", "-c", f"exec {settings.proxy_command}"], settings, env)
    if settings.proxy_jump is not None:
        return _through(_jump(settings), settings, env)
    return Wire(_connected(settings))


def _through(command: list[str], settings: SshSettings, env: Mapping[str, str]) -> Wire:
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            return Wire(ours, Child(command, env, stdin=theirs.fileno(), stdout=theirs.fileno()))
        except CannotStartError as problem:
            ours.close()
            raise unreachable(settings, problem.message) from None


def _jump(settings: SshSettings) -> list[str]:
    *before, last = (settings.proxy_jump or "").split(",")
    options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR"]
    options += ["-o", "ClearAllForwardings=no", "-o", "ControlPath=none"]
    options += ["-o", f"ServerAliveInterval={ALIVE_INTERVAL}", "-o", f"ServerAliveCountMax={ALIVE_COUNT}"]
    if before:
        options += ["-J", ",".join(before)]
    host = f"[{settings.hostname}]" if ":" in settings.hostname else settings.hostname
    options += ["-W", f"{host}:{settings.port}"]
    # The form of a URI takes user, host and port in one word, as ProxyJump does.
    return settings.ssh(*options, "--", last if last.startswith("ssh://") else f"ssh://{last}")


def _connected(settings: SshSettings) -> socket.socket:
    timeout = settings.connect_timeout or CONNECT_TIMEOUT
    family = _FAMILIES.get(settings.one("addressfamily"), socket.AF_UNSPEC)
    try:
        places = socket.getaddrinfo(settings.hostname, settings.port, family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _unknown_name(settings, reason) from None
    problem = "it has no address"
    for kind, sort, protocol, _, address in places:
        sock = socket.socket(kind, sort, protocol)
        try:
            sock.settimeout(timeout)
            bind = settings.one("bindaddress", "none")
            if bind != "none":
                sock.bind((bind, 0))
            sock.connect(address)
        except OSError as error:
            sock.close()
            late = isinstance(error, TimeoutError)
            problem = f"no answer within {timeout:g} s" if late else (error.strerror or str(error))
            continue
        _watch(sock, settings)
        return sock
    raise unreachable(settings, f"{settings.hostname} port {settings.port}: {problem}")


def _watch(sock: socket.socket, settings: SshSettings) -> None:
    """Have the kernel give up on a far side that acknowledges nothing; paramiko alone would not."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, settings.lost_after * 1000)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _unknown_name(settings: SshSettings, reason: str) -> HostError:
    what = f"the name {settings.hostname} cannot be resolved: {reason}"
    remedy = f"see that the name is right ({settings.config_label} counts) and that it resolves here"
    if settings.config_file is None and PACKAGED.exists():
        remedy += f"; {PACKAGED} counts only with --ssh-config={PACKAGED}"
    return unreachable(settings, what, remedy)


def unreachable(settings: SshSettings, what: str, remedy: str = _SEE_TO_IT) -> HostError:
    """Build the error for a host that does not answer."""
    return HostError(HostErrorKind.UNREACHABLE, settings.destination, what, remedy)

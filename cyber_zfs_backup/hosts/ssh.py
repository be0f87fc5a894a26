# SPDX-License-Identifier: GPL-3.0-or-later
"""A far host: control over one connection, bulk data through ``ssh`` processes.

Both read the user's own ssh configuration, and both verify the host's key strictly: an unknown key
is refused also where the configuration says ``StrictHostKeyChecking no`` or ``accept-new``.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Mapping, Sequence

from ..model.places import HERE
from .children import child_environment
from .control import Attempt, Control, NotForParamikoError
from .errors import HostError, HostErrorKind
from .known_hosts import KnownKeys, read
from .mux_control import MultiplexedControl
from .protocol import Argv, Finished
from .quoting import checked, joined, shown
from .ssh_config import SshSettings, check_destination, resolve
from .ssh_errors import error_in
from .ssh_options import unattended

log = logging.getLogger(__name__)

_CLEANING = 5.0
_ONLY_SSH = ("knownhostscommand", "revokedhostkeys", "pkcs11provider", "bindinterface")


class SshHost:
    """A host that is reached by ssh.

    ``destination`` is what one would type after ``ssh``; ``config_file`` what one would give to
    ``-F`` (None: ssh's own defaults); ``extra_env`` is added to the small environment of every ssh
    process. Nothing is asked or connected before it is needed. Raises ``HostError`` CONFIG for a
    destination that ssh would take for an option.
    """

    def __init__(
        self, destination: str, config_file: str | None = None, *, extra_env: Mapping[str, str] | None = None
    ) -> None:
        check_destination(destination)
        self._destination = destination
        self._config_file = config_file
        self.env = child_environment(extra_env)
        self._settings_lock = threading.Lock()
        self._settings: SshSettings | None = None
        self._connect_lock = threading.Lock()
        self._control: Control | None = None
        self._keep_lock = threading.Lock()
        self._attempt: Attempt | None = None
        self._attempts = 0
        self._failure: HostError | None = None
        self._only_ssh: str | None = None
        self._closed = False

    @property
    def label(self) -> str:
        """How messages name this host: the destination as it was given."""
        return self._destination

    @property
    def settings(self) -> SshSettings:
        """What the ssh configuration says, asked once. Raises ``HostError``."""
        with self._settings_lock:
            if self._settings is None:
                self._settings = resolve(self._destination, self._config_file, self.env)
            return self._settings

    def connect(self) -> None:
        """Connect now rather than with the first command, from a thread of the caller's perhaps."""
        self._connected()

    def run(self, argv: Argv, *, timeout: float | None = None) -> Finished:
        """Run a command to its end; see ``Host.run``.

        ``timeout`` counts from when the connection stands. Status None: the connection was lost
        under the command, or a signal ended it; stderr's last line says which. A connection that
        was lost is made anew for the next command.
        """
        words = checked(argv)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s: %s", self.label, shown([argv]))
        return self._connected().run(words, timeout)

    def close(self) -> None:
        """End the connection; commands that still run lose it. May be called twice. Never hangs."""
        self._closed = True
        if self._attempt is not None:
            self._give_up(self._attempt)
        control = self._control
        if control is not None:
            control.close()

    def data_command(self, argvs: Sequence[Argv]) -> list[str]:
        """Answer the local command that runs ``argvs`` there as ``a && b``, on a connection of its own."""
        options = ["-o", "ControlMaster=no", "-o", "ControlPath=none", *unattended(self.settings)]
        return [*self.settings.ssh(*options), "--", self._destination, joined(argvs)]

    def explain(self, finished: Finished) -> HostError | None:
        """Tell what kept a data command's ssh (its status 255) from the host, by its own words."""
        if finished.status != 255:
            return None
        return error_in(finished.stderr, self.settings)

    def _connected(self) -> Control:
        seen = self._attempts
        with self._connect_lock:
            if self._closed:
                raise HostError(HostErrorKind.STOPPED, self.label, "the run is being ended", "run this again")
            if self._control is not None:
                if self._control.alive:
                    return self._control
                self._control.close()
                self._control = None
            # Whoever waited while another thread failed shares that failure.
            if self._failure is not None and self._attempts != seen:
                raise self._failure
            try:
                self._failure = None
                return self._attempted()
            except HostError as error:
                self._failure = error
                raise
            finally:
                self._attempts += 1

    def _attempted(self) -> Control:
        """Connect in a thread of its own, which owns the connection until it is kept (see ``Attempt``)."""
        attempt = self._attempt = Attempt()
        done = threading.Event()
        failure: list[BaseException] = []

        def body() -> None:
            try:
                control = self._open(attempt)
                with self._keep_lock:
                    if not attempt.given_up:
                        self._control = control
                        return
                control.close()
            except BaseException as error:  # belongs to the caller, who raises it below
                failure.append(error)
            finally:
                done.set()

        try:
            threading.Thread(target=body, name="ssh connect", daemon=True).start()
            done.wait()
        except BaseException:
            self._give_up(attempt)
            done.wait(_CLEANING)
            raise
        if self._control is None or attempt.given_up:
            stopped = HostError(HostErrorKind.STOPPED, self.label, "the run is being ended", "run this again")
            raise stopped if attempt.given_up or not failure else failure[0]
        return self._control

    def _give_up(self, attempt: Attempt) -> None:
        # Either the thread has kept the connection by now, or it sees that nobody wants it.
        with self._keep_lock:
            if self._control is not None:
                return
        attempt.give_up()

    def _open(self, attempt: Attempt) -> Control:
        settings = self.settings
        files = (*settings.user_known_hosts, *settings.global_known_hosts)
        bare = None if settings.host_key_alias else settings.hostname
        known = read(files, settings.host_key_name, bare)
        if self._only_ssh is None:
            self._only_ssh = _needs_ssh(settings, known)
            if self._only_ssh is None:
                try:
                    return _paramiko(settings, known, self.env, attempt)
                except NotForParamikoError as reason:
                    self._only_ssh = str(reason)
            log.warning("%s: control goes through ssh instead of paramiko: %s", self.label, self._only_ssh)
        return MultiplexedControl(settings, self.env, attempt)


def _needs_ssh(settings: SshSettings, known: KnownKeys) -> str | None:
    """Tell from the settings alone why only ssh itself can reach this host; None where paramiko can."""
    authority = known.authority
    if authority is not None:
        return f"{authority.file} line {authority.line} trusts a certificate authority for this host"
    for keyword in _ONLY_SSH:
        if settings.one(keyword, "none").lower() != "none":
            return f"the ssh configuration has {keyword}"
    if settings.flag("proxyusefdpass"):
        return "the ssh configuration has proxyusefdpass"
    if settings.one("pubkeyauthentication", "yes") in {"no", "false"}:
        return "the ssh configuration forbids login by key"
    if settings.unexpanded:
        return f"the ssh configuration uses {settings.unexpanded[0]}"
    return None


def _paramiko(settings: SshSettings, known: KnownKeys, env: Mapping[str, str], attempt: Attempt) -> Control:
    try:
        with warnings.catch_warnings():
            # Old paramiko on newer cryptography warns about ciphers that are never used here.
            warnings.simplefilter("ignore")
            from cyber_zfs_backup.hosts.paramiko_control import (  # noqa: PLC0415 (slow: only when needed)
                ParamikoControl,
            )
    except ModuleNotFoundError as error:
        what = f"the Python module {error.name} is not installed"
        remedy = "install it: apt install python3-paramiko"
        raise HostError(HostErrorKind.MISSING_MODULE, HERE, what, remedy) from None
    return ParamikoControl(settings, known, env, attempt)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in over paramiko with the keys that ssh would use, in ssh's order.

Agent keys first (those that are named as identities before the others), then the key files;
a key's certificate before the bare key. Never a password.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import paramiko
from paramiko.agent import ALGORITHM_FLAG_MAP, AgentSSH

from .control import NotForParamikoError
from .identities import Certificate, Identity, certificates, look_at
from .known_hosts import algorithm_of, fingerprint
from .ssh_config import SshSettings
from .ssh_errors import login_refused
from .wire import unreachable

_AGENT_TIMEOUT = 30.0
_PLAIN = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
_CLASSES: Mapping[str, type[paramiko.PKey]] = {
    "ssh-ed25519": paramiko.Ed25519Key,
    "ssh-rsa": paramiko.RSAKey,
    "ecdsa": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp256": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp384": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp521": paramiko.ECDSAKey,
}


# paramiko 2.12 asks the agent for a SHA-1 signature with an RSA certificate, which no server takes
# any more; newer ones have these lines themselves. The numbers: draft-ietf-sshm-ssh-agent, 4.5.1.
ALGORITHM_FLAG_MAP.setdefault("rsa-sha2-256-cert-v01@openssh.com", 2)
ALGORITHM_FLAG_MAP.setdefault("rsa-sha2-512-cert-v01@openssh.com", 4)


class _Agent(AgentSSH):
    """An agent at a socket of our choice; paramiko's own only knows that of its environment."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(_AGENT_TIMEOUT)
        self.socket.connect(path)
        # Not in the type stubs; the same in paramiko 2.12 to 5.1.
        self._connect(self.socket)  # type: ignore[attr-defined]  # see above


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One thing to log in with."""

    name: str
    key: paramiko.PKey


class Login:
    """One login on a transport whose host key has been verified."""

    def __init__(self, transport: paramiko.Transport, settings: SshSettings) -> None:
        self._transport = transport
        self._settings = settings
        looked_at = (look_at(path) for path in settings.identity_files)
        self._identities = tuple(identity for identity in looked_at if identity is not None)
        self._certificates = certificates(settings.certificate_files, self._identities)
        self._tried: list[str] = []
        self._only_ssh: list[str] = []
        self._refused = False

    def run(self) -> None:
        """Log in. Raises ``HostError`` (LOGIN_REFUSED, UNREACHABLE), or ``NotForParamikoError``."""
        with contextlib.ExitStack() as stack:
            for candidate in self._candidates(stack):
                self._tried.append(candidate.name)
                if self._accepted(candidate.key):
                    return
                if not self._transport.is_active():
                    if not self._refused:
                        # It has refused nothing yet: that was no answer, but the way there that broke.
                        raise unreachable(
                            self._settings, "the connection was lost in the middle of the login"
                        )
                    raise login_refused(
                        self._settings,
                        self._tried,
                        "the server ended the connection (too many keys? then name one with IdentitiesOnly)",
                    )
                self._refused = True
        allowed = self._methods()
        if allowed is None:
            return
        for method, keyword in (
            ("gssapi-with-mic", "gssapiauthentication"),
            ("hostbased", "hostbasedauthentication"),
        ):
            if method in allowed and self._settings.flag(keyword):
                self._only_ssh.append(method)
        if self._only_ssh:
            raise NotForParamikoError(f"the login needs {', '.join(self._only_ssh)}")
        raise login_refused(self._settings, self._tried)

    def _accepted(self, key: paramiko.PKey) -> bool:
        try:
            further = self._transport.auth_publickey(self._settings.user, key)
        except (paramiko.SSHException, EOFError, OSError) as error:
            if "timeout" in str(error).lower():
                what = f"no answer to the login within {self._transport.auth_timeout:g} s"
                raise unreachable(self._settings, what) from None
            return False
        if further:
            raise NotForParamikoError(f"the server asks for more than a key: {', '.join(further)}")
        return True

    def _methods(self) -> tuple[str, ...] | None:
        """Ask which ways of login the server offers; None where it lets us in without any."""
        try:
            self._transport.auth_none(self._settings.user)
        except paramiko.BadAuthenticationType as error:
            return tuple(error.allowed_types)
        except (paramiko.SSHException, EOFError, OSError):
            return ()
        return None

    def _candidates(self, stack: contextlib.ExitStack) -> Iterator[_Candidate]:
        held = self._agent_keys(stack)
        named = [identity.blob for identity in self._identities]
        in_order = sorted(held, key=lambda blob: named.index(blob) if blob in named else len(named))
        for blob in in_order:
            if blob in named or not self._settings.flag("identitiesonly"):
                yield from self._with_certificates(f"{_describe(blob)} of the agent", held[blob], blob)
        for identity in self._identities:
            if identity.blob not in held:
                yield from self._from_file(identity)

    def _agent_keys(self, stack: contextlib.ExitStack) -> dict[bytes, paramiko.PKey]:
        """Answer the agent's keys by their public bytes; an agent that is not there has none."""
        path = self._settings.identity_agent
        if path is None:
            return {}
        try:
            agent = _Agent(path)
        except (OSError, paramiko.SSHException):
            return {}
        stack.callback(agent.socket.close)
        held: dict[bytes, paramiko.PKey] = {}
        for key in agent.get_keys():
            if key.get_name() in _PLAIN:
                held[key.blob] = key
            else:
                self._only_ssh.append(f"{key.get_name()} (of the agent)")
        return held

    def _from_file(self, identity: Identity) -> Iterator[_Candidate]:
        cls = _CLASSES.get(identity.algorithm)
        if cls is None:
            if not identity.path.endswith(".pub"):
                self._only_ssh.append(
                    f"{identity.path} ({identity.algorithm or 'a form that paramiko cannot read'})"
                )
            return
        if identity.encrypted:
            self._tried.append(f"not {identity.path}, which needs a passphrase: load it with ssh-add")
            return
        try:
            key = cls.from_private_key_file(identity.path)
        except (paramiko.SSHException, OSError, ValueError) as error:
            self._only_ssh.append(f"{identity.path} ({error})")
            return
        yield from self._with_certificates(
            f"{identity.path} ({_describe(key.asbytes())})", key, key.asbytes()
        )

    def _with_certificates(self, name: str, key: paramiko.PKey, blob: bytes) -> Iterator[_Candidate]:
        for certificate in self._certificates:
            if certificate.certifies(blob):
                yield _Candidate(f"{name} with {certificate.path}", _certified(key, certificate))
        key.public_blob = None
        yield _Candidate(name, key)


def _certified(key: paramiko.PKey, certificate: Certificate) -> paramiko.PKey:
    key.load_certificate(certificate.path)
    return key


def _describe(blob: bytes) -> str:
    return f"{algorithm_of(blob)} {fingerprint(blob)}"

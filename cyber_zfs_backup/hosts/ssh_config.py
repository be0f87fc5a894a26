# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user's ssh configuration says about one destination, as ``ssh -G`` resolves it.

Include, Match, canonical names and defaults are OpenSSH's business. ``ssh -G`` leaves ``~`` and
``%``-tokens in some answers unexpanded (seen with 9.2: IdentityFile, CertificateFile, ProxyCommand).
"""

from __future__ import annotations

import os
import pwd
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..model.places import HERE
from .control import ALIVE_COUNT, ALIVE_INTERVAL
from .errors import HostError, HostErrorKind
from .local import Runner
from .quoting import command_line

_PATIENCE = 60.0
"""For ``ssh -G``, in seconds: it may run ``Match exec`` commands and ask the DNS."""
_DEBIANS_INTERVAL = 300
"""Debian's ssh sets ServerAliveInterval to this where BatchMode is on and nothing else is said
(ssh_config(5) there): a dead link would be noticed after a quarter of an hour. Counts as not configured."""


@dataclass(frozen=True, slots=True)
class SshSettings:
    """One destination's settings. Times are in seconds; None: not configured.

    ``raw`` holds every answer of ``ssh -G`` by its lower-case keyword, for the rarer questions.
    ``unexpanded`` names what holds a token that only ssh itself can expand (``%C``).
    """

    destination: str
    config_file: str | None
    hostname: str
    port: int
    user: str
    host_key_alias: str | None
    identity_files: tuple[str, ...]
    certificate_files: tuple[str, ...]
    user_known_hosts: tuple[str, ...]
    global_known_hosts: tuple[str, ...]
    proxy_command: str | None
    proxy_jump: str | None
    connect_timeout: float | None
    server_alive_interval: int | None
    server_alive_count: int | None
    """Signs of life that may go unanswered; None where the interval is not configured either."""
    identity_agent: str | None
    raw: Mapping[str, tuple[str, ...]]
    unexpanded: tuple[str, ...]

    @property
    def alive_interval(self) -> int:
        """Seconds between signs of life: the user's, else ours."""
        return self.server_alive_interval or ALIVE_INTERVAL

    @property
    def lost_after(self) -> int:
        """Seconds without an answer to them after which the connection counts as lost."""
        return self.alive_interval * (self.server_alive_count or ALIVE_COUNT)

    def flag(self, keyword: str) -> bool:
        """True where a yes/no keyword is on."""
        return self.one(keyword) in {"yes", "true"}

    def one(self, keyword: str, default: str = "") -> str:
        """Answer the first value of a keyword."""
        return self.raw.get(keyword, (default,))[0]

    def names(self, keyword: str) -> tuple[str, ...]:
        """Answer a comma-separated list (Ciphers and their kind)."""
        return tuple(name for name in self.one(keyword).split(",") if name)

    def ssh(self, *options: str) -> list[str]:
        """Begin an ssh command that reads the same configuration file."""
        return ["ssh", *(("-F", self.config_file) if self.config_file else ()), *options]

    @property
    def host_key_name(self) -> str:
        """The name under which ssh looks for this host in known_hosts files (sshd(8))."""
        if self.host_key_alias:
            return self.host_key_alias
        return self.hostname if self.port == 22 else f"[{self.hostname}]:{self.port}"

    @property
    def config_label(self) -> str:
        """How messages name the configuration."""
        return self.config_file or "~/.ssh/config"


def check_destination(destination: str) -> None:
    """Refuse what ssh would take for an option, or what could not be named in a message."""
    if not destination or destination.startswith("-"):
        problem = "an ssh destination may not be empty or begin with '-'"
    elif any(not c.isprintable() or c.isspace() for c in destination):
        problem = "an ssh destination may not hold spaces or control characters"
    else:
        return
    raise HostError(
        HostErrorKind.CONFIG, repr(destination), problem, "name a host, or a Host of the ssh configuration"
    )


def resolve(destination: str, config_file: str | None, env: Mapping[str, str]) -> SshSettings:
    """Ask ssh what ``destination`` means. Raises ``HostError`` (CONFIG, NO_SUCH_COMMAND)."""
    check_destination(destination)
    command = ["ssh", "-G", *(("-F", config_file) if config_file else ()), "--", destination]
    answer = Runner(destination, env).run(command, _PATIENCE)
    if answer.status == 127:
        remedy = "install it: apt install openssh-client"
        raise HostError(HostErrorKind.NO_SUCH_COMMAND, HERE, "there is no ssh", remedy)
    if not answer.ok:
        what = f"ssh refuses its configuration: {answer.stderr.strip()}"
        file = config_file or "~/.ssh/config"
        remedy = f"correct {file}; this shows the same: {command_line(command)}"
        raise HostError(HostErrorKind.CONFIG, destination, what, remedy)
    return parse(answer.stdout, destination, config_file, env)


def parse(answer: str, destination: str, config_file: str | None, env: Mapping[str, str]) -> SshSettings:
    """Make settings of what ``ssh -G`` printed: a keyword and its value on each line."""
    raw: dict[str, tuple[str, ...]] = {}
    for line in answer.splitlines():
        keyword, _, value = line.partition(" ")
        raw[keyword.lower()] = (*raw.get(keyword.lower(), ()), value)
    first = {keyword: values[0] for keyword, values in raw.items()}
    expand = _Expansion(destination, first, env)
    alias = _set(first.get("hostkeyalias"))
    proxy = _set(first.get("proxycommand"))
    interval = _number(first.get("serveraliveinterval"))
    if interval == _DEBIANS_INTERVAL:
        interval = None
    timeout = first.get("connecttimeout", "none")
    return SshSettings(
        destination=destination,
        config_file=config_file,
        hostname=first.get("hostname", destination),
        port=int(first.get("port", "22")),
        user=first.get("user", ""),
        host_key_alias=alias,
        identity_files=expand.paths(raw.get("identityfile", ())),
        certificate_files=expand.paths(raw.get("certificatefile", ())),
        user_known_hosts=expand.paths(_files(first.get("userknownhostsfile", ""))),
        global_known_hosts=expand.paths(_files(first.get("globalknownhostsfile", ""))),
        proxy_command=expand.tokens(proxy) if proxy else None,
        proxy_jump=_set(first.get("proxyjump")),
        connect_timeout=float(timeout) if timeout.isdigit() else None,
        server_alive_interval=interval,
        server_alive_count=_number(first.get("serveralivecountmax")) if interval else None,
        identity_agent=_agent(first.get("identityagent"), expand, env),
        raw=raw,
        unexpanded=tuple(expand.failed),
    )


class _Expansion:
    """ssh's tokens (ssh_config(5), TOKENS), for what ``ssh -G`` leaves unexpanded."""

    def __init__(self, destination: str, first: Mapping[str, str], env: Mapping[str, str]) -> None:
        me = pwd.getpwuid(os.getuid())
        hostname = first.get("hostname", destination)
        given = re.sub(r"^ssh://", "", destination).rpartition("@")[2]
        here = socket.gethostname()
        self._env = env
        self.home = me.pw_dir
        self._tokens: Mapping[str, str] = {
            "%": "%",
            "d": me.pw_dir,
            "h": hostname,
            "i": str(me.pw_uid),
            "j": first.get("proxyjump", ""),
            "k": first.get("hostkeyalias", hostname),
            "L": here.partition(".")[0],
            "l": here,
            "n": given,
            "p": first.get("port", "22"),
            "r": first.get("user", me.pw_name),
            "u": me.pw_name,
        }
        self.failed: list[str] = []

    def tokens(self, text: str) -> str:
        """Replace ``%x``; what is not known (``%C``) stays, and is noted."""

        def value(match: re.Match[str]) -> str:
            known = self._tokens.get(match[1])
            if known is None:
                self.failed.append(match[0])
                return match[0]
            return known

        return re.sub(r"%(.)", value, text)

    def paths(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """Expand paths, and leave out ``none``."""
        return tuple(self.path(value) for value in values if value.lower() != "none")

    def path(self, value: str) -> str:
        """Expand ``~`` (the password database's, as ssh has it), ``${VARIABLE}`` and tokens."""
        if value == "~" or value.startswith("~/"):
            value = self.home + value[1:]
        elif value.startswith("~"):
            value = os.path.expanduser(value)  # ~user; pathlib would raise where there is none
        look_up: Callable[[re.Match[str]], str] = lambda match: self._env.get(match[1], match[0])  # noqa: E731
        return self.tokens(re.sub(r"\$\{(\w+)\}", look_up, value))


def _set(value: str | None) -> str | None:
    return None if value is None or value.lower() == "none" else value


def _number(value: str | None) -> int | None:
    """Answer a count or a time that is set; 0 stands for none."""
    return int(value) if value is not None and value.isdigit() and int(value) > 0 else None


def _files(value: str) -> tuple[str, ...]:
    return tuple(value.split())


def _agent(value: str | None, expand: _Expansion, env: Mapping[str, str]) -> str | None:
    """Answer the path of the agent's socket, or None for no agent."""
    if value is None or value == "SSH_AUTH_SOCK":
        return env.get("SSH_AUTH_SOCK")
    if value.lower() == "none":
        return None
    if value.startswith("$") and not value.startswith("${"):
        return env.get(value[1:])
    return expand.path(value)

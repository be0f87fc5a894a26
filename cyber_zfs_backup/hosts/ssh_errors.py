# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps us from a host that is reached by ssh, each with the command that helps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .errors import HostError, HostErrorKind
from .known_hosts import KnownKey, Verdict, algorithm_of, fingerprint
from .quoting import command_line
from .ssh_config import SshSettings


def command_that_adds_key(settings: SshSettings) -> str:
    """Answer the command that shows the host's key, asks, and adds it to the right file.

    Only what would keep ssh from asking is overridden, so that the line stays short.
    """
    options = []
    if settings.flag("batchmode"):
        options += ["-o", "BatchMode=no"]
    if settings.one("stricthostkeychecking", "ask") != "ask":
        options += ["-o", "StrictHostKeyChecking=ask"]
    if settings.flag("nohostauthenticationforlocalhost"):
        options += ["-o", "NoHostAuthenticationForLocalhost=no"]
    if settings.one("remotecommand", "none") != "none":
        options += ["-o", "RemoteCommand=none"]
    if settings.one("controlpath", "none") != "none":
        options += ["-o", "ControlPath=none"]
    return command_line([*settings.ssh(*options), settings.destination, "true"])


def host_key_error(settings: SshSettings, blob: bytes, verdict: Verdict, known: KnownKey | None) -> HostError:
    """Build the error for a host key that is not known, not the known one, or revoked."""
    shown = f"{algorithm_of(blob)} {fingerprint(blob)}"
    if verdict is Verdict.REVOKED and known is not None:
        what = f"the host shows a key that {known.file} line {known.line} revokes ({shown})"
        remedy = "do not use it; ask whoever runs that host"
        return HostError(HostErrorKind.HOST_KEY_CHANGED, settings.destination, what, remedy)
    if known is not None:
        old = f"{known.algorithm} {fingerprint(known.blob)}"
        what = (
            f"the host key has changed: it shows {shown}, but {known.file} line {known.line} has {old}; "
            "somebody may be in between"
        )
        forget = command_line(["ssh-keygen", "-R", settings.host_key_name, "-f", known.file])
        remedy = (
            f"only if that host really has a new key: {forget} && {command_that_adds_key(settings)} "
            f"(answer yes only if it shows {fingerprint(blob)})"
        )
        return HostError(HostErrorKind.HOST_KEY_CHANGED, settings.destination, what, remedy)
    files = settings.user_known_hosts
    writable = next((file for file in files if file != "/dev/null"), None)
    what = f"the host key is not known yet: it shows {shown}"
    if writable is None or writable != files[0]:
        remedy = f"name a file that can keep it as UserKnownHostsFile in {settings.config_label}"
        return HostError(HostErrorKind.HOST_KEY_UNKNOWN, settings.destination, what, remedy)
    folder = str(Path(writable).parent)
    make = "" if Path(folder).is_dir() else command_line(["mkdir", "-p", folder]) + " && "
    remedy = (
        f"compare that fingerprint with the host's own, then add the key to {writable} "
        f"(answer yes) with: {make}{command_that_adds_key(settings)}"
    )
    return HostError(HostErrorKind.HOST_KEY_UNKNOWN, settings.destination, what, remedy)


def login_refused(settings: SshSettings, tried: Sequence[str], note: str = "") -> HostError:
    """Build the error for a login that the server refused; ``tried`` describes the keys."""
    what = f"login as {settings.user} on {settings.hostname} port {settings.port} was refused"
    what += f" (tried {', '.join(tried)})" if tried else " (there was no key to try)"
    what += f": {note}" if note else ""
    public = next((f"{f}.pub" for f in settings.identity_files if Path(f"{f}.pub").is_file()), None)
    extra = ["-F", settings.config_file] if settings.config_file else []
    if public is None:
        ours = settings.identity_files[0] if settings.identity_files else "~/.ssh/id_ed25519"
        keygen = command_line(["ssh-keygen", "-t", "ed25519", "-f", ours])
        remedy = f"make a key with {keygen}, or load yours with ssh-add, and allow it there"
    else:
        copy = command_line(["ssh-copy-id", *extra, "-i", public, settings.destination])
        remedy = f"allow the key there: {copy}"
    return HostError(HostErrorKind.LOGIN_REFUSED, settings.destination, what, remedy)


_SAID: tuple[tuple[HostErrorKind, str], ...] = (
    (
        HostErrorKind.HOST_KEY_CHANGED,
        r"HOST IDENTIFICATION HAS CHANGED|host key for .* has changed|REVOKED HOST KEY",
    ),
    (HostErrorKind.HOST_KEY_UNKNOWN, r"Host key verification failed|No \S+ host key is known for"),
    (HostErrorKind.LOGIN_REFUSED, r"Permission denied \(|Too many authentication failures"),
    (
        HostErrorKind.CONFIG,
        r"Bad configuration option|terminating, \d+ bad|Can't open user config file|Bad owner or",
    ),
    (HostErrorKind.CONFIG, r"no matching (cipher|MAC|key exchange|host key)"),
    (
        HostErrorKind.UNREACHABLE,
        r"Could not resolve hostname|Connection (refused|reset|closed|timed out)|[Tt]imed out"
        r"|No route to host"
        r"|Network is unreachable|Broken pipe|not responding|lost connection|closed by remote host"
        r"|kex_exchange_identification|stdio forwarding failed|Connection to .* (closed|port)",
    ),
)
_REMEDIES = {
    HostErrorKind.LOGIN_REFUSED: "see that this works without a password: {ssh}",
    HostErrorKind.HOST_KEY_UNKNOWN: "compare its fingerprint and answer yes here: {ssh}",
    HostErrorKind.HOST_KEY_CHANGED: "ask whoever runs that host; ssh says which line is old: {ssh}",
    HostErrorKind.CONFIG: "correct {config}; this shows the same: {ssh}",
    HostErrorKind.UNREACHABLE: "see that the host is up and its sshd answers: {ssh}",
}


def error_in(said: str, settings: SshSettings) -> HostError | None:
    """Tell from ssh's own words (its status 255) what kept it from the host; None where they say nothing."""
    for kind, pattern in _SAID:
        line = next((line for line in reversed(said.splitlines()) if re.search(pattern, line)), None)
        if line is not None:
            command = command_that_adds_key(settings)
            remedy = _REMEDIES[kind].format(ssh=command, config=settings.config_label)
            return HostError(kind, settings.destination, line.strip(), remedy)
    return None

# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that every ssh process of ours gets on top of the user's configuration."""

from __future__ import annotations

from .control import ALIVE_COUNT, ALIVE_INTERVAL, CONNECT_TIMEOUT
from .ssh_config import SshSettings

_ALWAYS = (
    "BatchMode=yes",
    # Whatever the user allows in a terminal: here an unknown key is an error with its remedy.
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    # Nothing that a user may have set up for a terminal belongs on a connection that carries data.
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "LogLevel=ERROR",
)


def unattended(settings: SshSettings) -> list[str]:
    """Answer the options for a connection that nobody watches; times only where the user set none."""
    options = list(_ALWAYS)
    if settings.server_alive_interval is None:
        options += [f"ServerAliveInterval={ALIVE_INTERVAL}", f"ServerAliveCountMax={ALIVE_COUNT}"]
    if settings.connect_timeout is None:
        options.append(f"ConnectTimeout={CONNECT_TIMEOUT:g}")
    return ["-T", *(word for option in options for word in ("-o", option))]

# SPDX-License-Identifier: GPL-3.0-or-later
"""A client's policy file as text: made new, or changed in the lines that somebody asked for."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

from ..gatekeeper.policy import PolicyError, understood
from .job import UsageError
from .setup import Counts, PolicyWish

FLOORS = Counts(7, 4, 12)
"""What no destroy goes below, unless somebody says otherwise."""
RETENTION = Counts(31, 12, 36)
"""What an archive keeps, unless somebody says otherwise: as the sender does."""


def parsed(text: str, path: str) -> Mapping[str, object]:
    """The values of a policy file. Raises ``UsageError`` where it is no TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"{path} cannot be read ({error}); mend it, or move it away, then run again"
        ) from None


def root_in(text: str, path: str) -> str:
    """The root that a policy file names. Raises ``UsageError`` where it names none."""
    root = parsed(text, path).get("root")
    if not isinstance(root, str) or not root:
        raise UsageError(f'{path} names no root; write root = "POOL/NAME" into it, or move it away')
    return root


def _checked(text: str, path: str) -> str:
    """The text, which the gatekeeper will understand. Raises ``UsageError`` where it would not."""
    try:
        understood(parsed(text, path))
    except PolicyError as error:
        raise UsageError(f"{path}: {error}") from None
    return text


def new_policy(client: str, root: str, wish: PolicyWish) -> str:
    """The policy file of a new client."""
    lines = [
        f"# What the client {client} may do here; see cyber-zfs-backup-setup-receiver(8).",
        f'root = "{root}"',
        f'mode = "{wish.mode or "archive"}"',
        "# No destroy leaves fewer days, weeks and months that have a snapshot.",
        f"keep-at-least = {(wish.keep_at_least or FLOORS).toml}",
        "# What an archive keeps; cyber-zfs-backup-receiver.timer expires the rest.",
        f"retention = {(wish.retention or RETENTION).toml}",
    ]
    rest = _wished(wish)
    lines += [f"{key} = {rest[key]}" for key in ("quota", "restore") if key in rest]
    return _checked("".join(f"{line}\n" for line in lines), "the policy")


def changed_policy(old: str, wish: PolicyWish, path: str) -> str:
    """The same file with what is asked for; each other line stays as somebody wrote it.

    Raises ``UsageError`` where a value stands in a form that is not simply one line.
    """
    before = parsed(old, path)
    text = old
    for key, value in _wished(wish).items():
        wanted = tomllib.loads(f"x = {value}")["x"]
        if before.get(key) == wanted or (key == "restore" and wanted is False and key not in before):
            continue
        text = _set(text, key, value)
        if parsed(text, path) != {**before, key: wanted}:
            raise UsageError(f"{path}: {key} cannot be changed by itself; write {key} = {value} by hand")
        before = parsed(text, path)
    return _checked(text, path)


def _wished(wish: PolicyWish) -> Mapping[str, str]:
    """What is asked for, as TOML."""
    wished = {}
    if wish.mode is not None:
        wished["mode"] = f'"{wish.mode}"'
    if wish.keep_at_least is not None:
        wished["keep-at-least"] = wish.keep_at_least.toml
    if wish.retention is not None:
        wished["retention"] = wish.retention.toml
    if wish.quota is not None:
        wished["quota"] = f'"{wish.quota}"'
    if wish.restore is not None:
        wished["restore"] = "true" if wish.restore else "false"
    return wished


def _set(text: str, key: str, value: str) -> str:
    line = re.compile(rf"^{re.escape(key)}[ \t]*=.*$", re.MULTILINE)
    if line.search(text):
        return line.sub(lambda _: f"{key} = {value}", text, count=1)
    return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{key} = {value}\n"

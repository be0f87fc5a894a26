# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration file: read, and checked. Changes nothing."""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..config.declared import CONFIG, EXAMPLE, Declared, Notification
from ..config.job import UsageError
from ..config.reading import World, declared_in, notification_in
from ..hosts.errors import HostError
from ..hosts.local import LocalHost
from ..hosts.protocol import Host
from ..hosts.quoting import as_typed
from .result import Surface

MOST_BYTES = 1024 * 1024
"""A configuration of thousands of datasets has a tenth of it."""


def read_declared(file: Path, surface: Surface) -> Declared:
    """What the configuration file declares on this machine. Raises ``UsageError`` with all that is wrong."""
    return declared_by(text_of(file), file, surface)


def declared_by(text: str, file: Path, surface: Surface, *, known_good: bool = False) -> Declared:
    """The same of a text that was read already; ``known_good``: nothing was wrong in it on this machine, so
    its shape and its calendar expressions are not looked at again."""
    host = LocalHost()
    try:
        ask = (lambda _asked: {}) if known_good else (lambda asked: calendars(host, asked, surface))
        return declared_in(text, str(file), World(hostname(), ask, os.path.exists, known_good))
    finally:
        host.close()


def notification_of(file: Path) -> Notification:
    """Who is told where the file cannot be used: as it says, or else what is built in."""
    try:
        text = text_of(file)
    except UsageError:
        return Notification()
    world = World(hostname(), lambda _asked: {}, os.path.exists)
    return notification_in(text, str(file), world) or Notification()


def hostname() -> str:
    """This machine's name, unqualified."""
    return os.uname().nodename.partition(".")[0]


def text_of(file: Path) -> str:
    """What a configuration file holds. Raises ``UsageError`` for what root should not believe."""
    try:
        # What is no file might never end.
        with open(file, "rb", opener=_at_once) as opened:
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"{file} is no regular file; name one with --config")
            _check_owner(file, status)
            data = opened.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(_how_to_begin(file)) from None
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; name a file that can be read with --config") from None
    except ValueError as error:
        raise UsageError(f"--config {str(file)!r}: {error}") from None
    if len(data) > MOST_BYTES:
        raise UsageError(f"{file} is longer than {MOST_BYTES} bytes; name the file that is meant")
    # TOML knows no byte order mark, yet some editors put one there without showing it, and it harms nobody.
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{file}:{line}: this is no text in UTF-8; write it anew in an editor") from None


def _at_once(file: str, flags: int) -> int:
    """To open a FIFO would wait for somebody who writes into it."""
    return os.open(file, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _check_owner(file: Path, status: os.stat_result) -> None:
    """Refuse what others could have written: it names commands, which root would run."""
    if os.geteuid() != 0:
        return
    mends = []
    if status.st_uid != 0:
        mends.append(as_typed(["chown", "root", str(file)]))
    if stat.S_IMODE(status.st_mode) & 0o022:
        mends.append(as_typed(["chmod", "go-w", str(file)]))
    if mends:
        raise UsageError(
            f"{file} can be written by others than root, and names commands that root runs; read it, then: "
            f"{' && '.join(mends)}"
        )


def _how_to_begin(file: Path) -> str:
    lead = "the command line needs none; to begin with one" if file == CONFIG else "to begin"
    return f"there is no {file}; {lead}: {as_typed(['install', '-D', '-m', '644', str(EXAMPLE), str(file)])}"


def calendars(host: Host, asked: Sequence[str], surface: Surface) -> Mapping[str, str]:
    """The calendar expressions that systemd does not understand, or whose time never comes: each with why.

    One command for all of them. Where there is no systemd-analyze, none is checked, and that is said.
    """
    try:
        done = host.run(["systemd-analyze", "calendar", "--", *asked], timeout=30)
    except HostError as error:
        surface.warn(f"calendar expressions are not checked: {error.what}")
        return {}
    if done.status == 127:
        surface.note("systemd-analyze is not installed here; calendar expressions are not checked")
        return {}
    why = "is no calendar expression (systemd.time(7))"
    bad = {each: why for each in asked if f"'{each}':" in done.stderr}
    if not done.ok and not bad:
        surface.warn(f"calendar expressions are not checked: systemd-analyze says {done.stderr.strip()!r}")
        return {}
    # A block for each that it understands, in the same order.
    blocks = re.split(r"^.*Normalized form:", done.stdout, flags=re.MULTILINE)[1:]
    good = [each for each in asked if each not in bad]
    for each, block in zip(good, blocks, strict=False):
        if re.search(r"Next elapse: never", block):
            bad[each] = "never comes any more"
    return bad

# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways on which somebody is told: mail, a command, a webhook, and the notice at the next login."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import default as policy
from email.utils import format_datetime, formataddr
from hashlib import sha256
from pathlib import Path

from ..config.declared import Notification
from ..config.webhooks import without_secret
from ..hosts.errors import HostError
from ..hosts.local import LocalHost
from ..hosts.protocol import Finished
from ..hosts.quoting import UnspeakableArgumentError
from ..plan.telling import Message
from ..plan.telling_text import body, document, notice, notice_id, subject
from ..plan.told import Told
from . import atomic
from .machine import ThisMachine
from .webhook import WebhookError, post

LOGIN = "login"
NOTICE = Path("/run/cyber-zfs-backup/notice")
"""Read by /etc/profile.d/cyber-zfs-backup.sh: a line with the notice's id, then what is shown."""

SENDMAIL = "/usr/sbin/sendmail"
PATIENCE = 60.0
"""Seconds that a command may take to take a message."""


class UndeliveredError(Exception):
    """A message was not taken. ``what`` happened, and the ``remedy``."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Channel:
    """One way. ``name`` is the one on record, ``label`` the one that people read; neither has a secret in it.
    ``send`` raises ``UndeliveredError``."""

    name: str
    label: str
    send: Callable[[Message], None]


@dataclass(frozen=True, slots=True)
class Means:
    """What the channels work with: this machine's name, and where things lie."""

    host: str
    sendmail: str = SENDMAIL
    notice: Path = NOTICE
    patience: float = PATIENCE


def channels(notification: Notification, means: Means) -> tuple[Channel, ...]:
    """The ways on which somebody wants to be told, but for ``LOGIN``, which needs the record."""
    found = [_mail(address, means) for address in notification.mail]
    found += [_command(notification.command, means)] if notification.command else []
    found += [_webhook(url, means) for url in notification.webhook]
    return tuple(found)


def _mail(address: str, means: Means) -> Channel:
    def send(message: Message) -> None:
        # -i: a line of a dot is no end; --: an address is never an option.
        argv = [means.sendmail, "-i", "--", address]
        remedy = (
            "see that mail goes out of this machine (apt install postfix, exim4 or nullmailer); or take mail "
            "out of [notification]"
        )
        _fed(LocalHost(), argv, _letter(address, message, means), means, remedy)

    return Channel(f"mail:{address}", f"mail to {address}", send)


def _letter(address: str, message: Message, means: Means) -> bytes:
    title = subject(message, means.host)
    # In one line where it may be: folded, it would begin with an empty one. Encoded words have 75 at most.
    letter = EmailMessage(policy.clone(max_line_length=200) if title.isascii() else policy)
    try:
        letter["From"] = formataddr((f"cyber-zfs-backup on {means.host}", pwd.getpwuid(os.geteuid()).pw_name))
        letter["To"] = address
        letter["Subject"] = title
        told = (*message.new, *message.lasting, *message.well)
        letter["Date"] = format_datetime(max(each.looked for each in told))
        # RFC 3834: nobody's holiday answers it.
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content(body(message, means.host))
        return letter.as_bytes()
    except (ValueError, LookupError, MessageError) as error:
        raise UndeliveredError(
            f"no mail can be written to that address: {error}", "correct mail in [notification]"
        ) from None


def _command(argv: tuple[str, ...], means: Means) -> Channel:
    def send(message: Message) -> None:
        environment = {
            "CYBER_ZFS_BACKUP_HOST": means.host,
            "CYBER_ZFS_BACKUP_SUBJECT": subject(message, means.host),
            "CYBER_ZFS_BACKUP_NEW": str(len(message.new)),
            "CYBER_ZFS_BACKUP_LASTING": str(len(message.lasting)),
            "CYBER_ZFS_BACKUP_WELL": str(len(message.well)),
        }
        data = body(message, means.host).encode()
        _fed(
            LocalHost(environment), argv, data, means, "try it by hand; or correct command in [notification]"
        )

    return Channel("command", f"the command {argv[0]}", send)


def _fed(host: LocalHost, argv: Iterable[str], data: bytes, means: Means, remedy: str) -> None:
    try:
        done = host.feed(tuple(argv), data, timeout=means.patience)
    except HostError as error:
        raise UndeliveredError(error.what, remedy) from None
    except UnspeakableArgumentError as error:
        raise UndeliveredError(
            str(error), "write it without, or into a script that is named instead"
        ) from None
    finally:
        host.close()
    if not done.ok:
        raise UndeliveredError(_how_it_ended(done), remedy)


def _how_it_ended(done: Finished) -> str:
    said = next((line.strip() for line in done.stderr.splitlines() if line.strip()), "")
    return f"{done.argv[0]} ended with {done.status}{f': {said}' if said else ''}"


def _webhook(url: str, means: Means) -> Channel:
    def send(message: Message) -> None:
        try:
            post(url, document(message, means.host))
        except WebhookError as error:
            raise UndeliveredError(error.what, error.remedy) from None

    digest = sha256(url.encode()).hexdigest()[:12]
    return Channel(f"webhook:{digest}", f"webhook {without_secret(url)}", send)


def show_at_login(standing: Sequence[Told], means: Means) -> None:
    """Have all that stands shown to whoever logs in, until he has seen it; nothing, where nothing stands.

    ``standing`` was told on the channel ``LOGIN``. Raises ``UndeliveredError``.
    """
    try:
        if not standing:
            means.notice.unlink(missing_ok=True)
            return
        atomic.make_open(means.notice.parent)
        text = f"{notice_id(standing, LOGIN)}\n{notice(standing, means.host)}"
        ThisMachine().write(str(means.notice), text, 0o644)
    except OSError as error:
        remedy = "see that root can write there, and that the disk is not full"
        raise UndeliveredError(f"{means.notice}: {error.strerror}", remedy) from None

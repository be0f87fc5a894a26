# SPDX-License-Identifier: GPL-3.0-or-later
"""A message in words, and as JSON for programs: to be understood by whoever is woken by it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from ..model.escape import escape
from .findings import Severity
from .telling import Message
from .told import Told

SCHEMA = 1
_LONGEST_SUBJECT = 120
_SEVERITIES = {Severity.WARNING: "warning", Severity.FAILS: "fails"}


def subject(message: Message, host: str) -> str:
    """One line: what it is about, where there is one thing; else how many of each."""
    new, lasting, well = message.new, message.lasting, message.well
    if len(new) + len(lasting) + len(well) == 1:
        what = (*new, *lasting, *well)[0].trouble.what
        said = f"{'still: ' if lasting else 'well again: ' if well else ''}{what}"
    else:
        parts = ((new, "new"), (lasting, "still there"), (well, "well again"))
        said = ", ".join(f"{len(those)} {word}" for those, word in parts if those)
    line = escape(f"[{host}] backup: {said}")
    return line if len(line) <= _LONGEST_SUBJECT else f"{line[: _LONGEST_SUBJECT - 3]}..."


def body(message: Message, host: str) -> str:
    """The whole message; each line of it is safe to show on a terminal."""
    parts = [
        *_part("New:", _troubles(message.new)),
        *_part("Still so (told before):", _troubles(message.lasting)),
        *_part("Well again:", [line for told in message.well for line in _ended(told)]),
        f"This is the machine {escape(host)}. How it stands now: cyber-zfs-backup status --offline",
    ]
    return "".join(f"{line}\n" for line in parts)


def notice(standing: Iterable[Told], host: str) -> str:
    """What whoever logs in is shown: all that stands."""
    lines = [f"Backups of {escape(host)} need you:", *_troubles(standing)]
    return "".join(f"{line}\n" for line in lines)


def notice_id(standing: Iterable[Told], channel: str) -> str:
    """Sixteen digits that change where something new was told on that channel, or told again."""
    parts = sorted(f"{told.trouble.key}\0{told.channels[channel].isoformat()}" for told in standing)
    return hashlib.sha256("\0\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def document(message: Message, host: str) -> str:
    """The message as JSON, ASCII: ``text`` is what chat services show of it, ``id`` is the same where it is
    sent again."""
    kinds = {"new": message.new, "lasting": message.lasting, "well": message.well}
    troubles = {kind: [_row(told) for told in those] for kind, those in kinds.items()}
    text = f"{subject(message, host)}\n\n{body(message, host)}"
    # Not of the texts, which have ages in them; with when it was told before: each reminder has its own.
    parts = [
        [kind, told.trouble.key, moment(told.since), str(told.ended), str(told.channels.get(message.channel))]
        for kind, those in kinds.items()
        for told in those
    ]
    digest = hashlib.sha256(json.dumps([host, parts]).encode()).hexdigest()[:16]
    values = {"schema": SCHEMA, "id": digest, "host": host, "subject": subject(message, host), "text": text}
    return json.dumps({**values, **troubles})


def _row(told: Told) -> dict[str, object]:
    trouble = told.trouble
    return {
        "key": trouble.key,
        "topic": trouble.topic.value,
        "severity": _SEVERITIES.get(trouble.severity, "good"),
        "what": trouble.what,
        "remedy": trouble.remedy,
        "since": moment(told.since),
        "ended": None if told.ended is None else moment(told.ended),
    }


def _part(title: str, lines: Sequence[str]) -> list[str]:
    return [title, *lines, ""] if lines else []


def _troubles(those: Iterable[Told]) -> list[str]:
    return [line for told in those for line in _trouble(told)]


def _trouble(told: Told) -> list[str]:
    remedy = told.trouble.remedy
    lines = [f"- {escape(told.trouble.what)}", f"  seen since {moment(told.since)}"]
    return [*lines, f"  what to do: {escape(remedy)}"] if remedy else lines


def _ended(told: Told) -> list[str]:
    until = moment(told.ended or told.looked)
    return [f"- {escape(told.trouble.what)}", f"  was so from {moment(told.since)} to {until}"]


def moment(at: datetime) -> str:
    """A moment as people read it, in UTC as the names of snapshots are."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"

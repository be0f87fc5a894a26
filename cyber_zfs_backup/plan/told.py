# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody was told of, and where: the record that keeps a message from coming with every run. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from .findings import Severity

SCHEMA = 1


class Topic(Enum):
    """What kind of trouble it is, for whoever wants to be told of one kind alone."""

    FAILURE = "failure"
    """A run has failed, or could not even begin."""
    LATE = "late"
    """Something has not come that should have: a dead man's switch, which no run has to report."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong now.

    ``key`` is the same as long as it is the same trouble (so it has no age in it); ``question`` names what
    was asked to find it. ``what`` and ``remedy`` are for people.
    """

    key: str
    question: str
    topic: Topic
    severity: Severity
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Told:
    """A trouble on record.

    ``since`` when it was first seen, ``looked`` when its question was last asked. ``ended`` where it is well
    again. ``channels`` are those where it was told and its end was not, each with when it was last told
    there. ``restless``: it has come back soon after an end; ``hold``: it is not told before that.
    """

    trouble: Trouble
    since: datetime
    looked: datetime
    ended: datetime | None = None
    channels: Mapping[str, datetime] = field(default_factory=dict)
    restless: bool = False
    hold: datetime | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """All that is on record: the troubles by their keys, and when each channel was last reminded."""

    troubles: Mapping[str, Told] = field(default_factory=dict)
    reminded: Mapping[str, datetime] = field(default_factory=dict)


def written(record: Record) -> str:
    """The record as JSON, ASCII, with its end."""
    rows = [
        {
            "key": each.trouble.key,
            "question": each.trouble.question,
            "topic": each.trouble.topic.value,
            "severity": int(each.trouble.severity),
            "what": each.trouble.what,
            "remedy": each.trouble.remedy,
            "since": _text(each.since),
            "looked": _text(each.looked),
            "ended": None if each.ended is None else _text(each.ended),
            "channels": {name: _text(at) for name, at in each.channels.items()},
            "restless": each.restless,
            "hold": None if each.hold is None else _text(each.hold),
        }
        for each in record.troubles.values()
    ]
    reminded = {name: _text(at) for name, at in record.reminded.items()}
    return f"{json.dumps({'schema': SCHEMA, 'troubles': rows, 'reminded': reminded}, indent=1)}\n"


def read(text: str) -> Record:
    """A record from its text.

    What is damaged counts as not told: to be told twice is better than not at all. So a row that cannot be
    understood is left out, and nothing is on record where the whole cannot.
    """
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return Record()
    if not isinstance(whole, dict) or whole.get("schema") != SCHEMA:
        return Record()
    rows = whole.get("troubles")
    found = [told for row in (rows if isinstance(rows, list) else ()) if (told := _told(row)) is not None]
    try:
        reminded = _moments(whole.get("reminded"))
    except (TypeError, ValueError, OverflowError):
        reminded = {}
    return Record({told.trouble.key: told for told in found}, reminded)


def _told(row: Any) -> Told | None:
    try:
        words = {name: row[name] for name in ("key", "question", "what", "remedy")}
        if not all(isinstance(word, str) for word in words.values()) or type(row["restless"]) is not bool:
            return None
        trouble = Trouble(**words, topic=Topic(row["topic"]), severity=Severity(row["severity"]))
        return Told(
            trouble,
            since=_moment(row["since"]),
            looked=_moment(row["looked"]),
            ended=None if row["ended"] is None else _moment(row["ended"]),
            channels=_moments(row["channels"]),
            restless=row["restless"],
            hold=None if row["hold"] is None else _moment(row["hold"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _moments(found: Any) -> dict[str, datetime]:
    if not isinstance(found, dict):
        raise TypeError
    return {name: _moment(at) for name, at in found.items()}


def _moment(text: Any) -> datetime:
    if not isinstance(text, str):
        raise TypeError
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()

# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody is told now, of all that is wrong: one message for what is new, a reminder once in a while,
one when it is well again, and nothing otherwise. Pure.

Each channel (an address, a command, the notice at a login) counts for itself: what could not be delivered to
one is told there by the next run, and nowhere twice. What is over before it could be told is not told.

A trouble that comes and goes would make two messages each time. So one that is back within an hour of its end
is the same trouble, and *restless* from then on: it is told anew only an hour after that end, if it is still
there, and its next end only once it has been well for an hour. Of one that never is well for so long nothing
comes but its reminders, and of any at most three messages within an hour. An end that is the first one is
told at once: whoever was woken by the trouble waits for that.

A moment in the record that lies in the future was written by a clock that was wrong. It keeps nobody silent:
what was "told" then is told again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..model.names import TOLERANCE
from .told import Record, Told, Topic, Trouble

SETTLED = timedelta(hours=1)
"""So long a trouble must be away before its return is a new one: a run of our timer."""

FORGOTTEN = timedelta(days=7)
"""So long it is tried to tell that a trouble is over, on a channel that does not work."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is wrong now. ``answered`` are the questions that were asked and answered: what they do not tell
    of is well. ``unanswered`` are those to which there was no answer: what was wrong there still is."""

    troubles: tuple[Trouble, ...] = ()
    answered: frozenset[str] = frozenset()
    unanswered: frozenset[str] = frozenset()


def together(seen: Iterable[Seen]) -> Seen:
    """All of them as one. A question that was not answered once was not answered."""
    parts = list(seen)
    unanswered = frozenset(question for each in parts for question in each.unanswered)
    return Seen(
        tuple(trouble for each in parts for trouble in each.troubles),
        frozenset(question for each in parts for question in each.answered) - unanswered,
        unanswered,
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is told of what: the names of the channels, the topics, whether an end is told, and how often it is
    told again."""

    channels: tuple[str, ...]
    topics: frozenset[Topic]
    recovery: bool
    repeat: timedelta


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one channel: what is new, what lasts and was told before, and what is well again."""

    channel: str
    new: tuple[Told, ...] = ()
    lasting: tuple[Told, ...] = ()
    well: tuple[Told, ...] = ()


@dataclass(frozen=True, slots=True)
class Telling:
    """What is to be told now, one message a channel at most; and the record while none of it is delivered."""

    messages: tuple[Message, ...]
    record: Record


def telling(seen: Seen, record: Record, now: datetime, policy: Policy) -> Telling:
    """Decide what is told now. ``after`` answers the record for each message that was delivered."""
    wanted = [trouble for trouble in seen.troubles if trouble.topic in policy.topics]
    troubles = {trouble.key: _standing(trouble, record.troubles.get(trouble.key), now) for trouble in wanted}
    for key, told in record.troubles.items():
        if key not in troubles and told.trouble.topic in policy.topics:
            left = _left(told, seen, now, policy)
            if left is not None:
                troubles[key] = left
    fresh = Record(troubles, record.reminded)
    messages = (_message(channel, fresh, now, policy) for channel in policy.channels)
    return Telling(tuple(each for each in messages if each.new or each.lasting or each.well), fresh)


def after(record: Record, message: Message, now: datetime) -> Record:
    """The record once that message was delivered."""
    troubles = dict(record.troubles)
    for each in (*message.new, *message.lasting):
        told = troubles[each.trouble.key]
        channels = {**told.channels, message.channel: now}
        troubles[each.trouble.key] = replace(told, channels=channels, hold=None)
    for each in message.well:
        told = troubles[each.trouble.key]
        channels = {name: at for name, at in told.channels.items() if name != message.channel}
        troubles[each.trouble.key] = replace(told, channels=channels)
    reminded = {**record.reminded, message.channel: now} if message.lasting else record.reminded
    return Record(troubles, reminded)


def on_channel(record: Record, channel: str) -> tuple[Told, ...]:
    """What stands and was told there, in the order in which it began."""
    standing = (each for each in record.troubles.values() if each.ended is None and channel in each.channels)
    return tuple(sorted(standing, key=lambda each: (each.since, each.trouble.key)))


def _standing(trouble: Trouble, told: Told | None, now: datetime) -> Told:
    """A trouble that is there now, given what was on record of it."""
    if told is None:
        return Told(trouble, since=now, looked=now)
    told = replace(told, trouble=trouble, since=min(told.since, now), looked=now)
    if told.ended is None:
        return told
    ended, since = told.ended, told.since if told.channels else now
    soon = timedelta() <= now - ended < SETTLED
    hold = (told.hold or ended + SETTLED) if soon else None
    return replace(told, since=since, ended=None, restless=soon, hold=hold)


def _left(told: Told, seen: Seen, now: datetime, policy: Policy) -> Told | None:
    """What is left on record of a trouble that was not seen now; ``None`` where nothing is."""
    question = told.trouble.question
    if question in seen.unanswered and told.ended is None:
        return replace(told, looked=now)
    if told.ended is None and question not in seen.answered:
        # Somebody else asks that, or nobody any more: then it ends in silence, since nobody knows.
        return told if -TOLERANCE <= now - told.looked < policy.repeat else None
    if told.ended is None:
        if not told.channels and not told.restless:
            return None
        told = replace(told, ended=now, looked=now)
    elif told.ended > now:
        told = replace(told, ended=now)
    gone = now - (told.ended or now)
    if not policy.recovery and _end_counts(told, now):
        told = replace(told, channels={})
    waits = any(channel in told.channels for channel in policy.channels)
    return told if gone < SETTLED or (waits and gone < FORGOTTEN) else None


def _end_counts(told: Told, now: datetime) -> bool:
    return told.ended is not None and (not told.restless or now - told.ended >= SETTLED)


def _message(channel: str, record: Record, now: datetime, policy: Policy) -> Message:
    # What nobody has asked for this time may be over.
    current = [each for each in record.troubles.values() if each.ended is None and each.looked == now]
    new = [each for each in current if channel not in each.channels and not _held(each, now)]
    lasting = [
        each
        for each in current
        if channel in each.channels and _due(each.channels[channel], now, policy.repeat)
    ]
    well = [each for each in record.troubles.values() if channel in each.channels and _end_counts(each, now)]
    if not new and not well and not _due(record.reminded.get(channel), now, policy.repeat):
        # Reminders of troubles that began at different hours come together, not one by one.
        lasting = []
    return Message(channel, _ordered(new), _ordered(lasting), _ordered(well))


def _held(told: Told, now: datetime) -> bool:
    return told.hold is not None and timedelta() < told.hold - now <= SETTLED


def _due(last: datetime | None, now: datetime, repeat: timedelta) -> bool:
    return last is None or last > now + TOLERANCE or now - last >= repeat


def _ordered(found: Sequence[Told]) -> tuple[Told, ...]:
    """The worst first."""
    return tuple(sorted(found, key=lambda each: (-each.trouble.severity, each.since, each.trouble.key)))

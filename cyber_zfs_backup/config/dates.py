# SPDX-License-Identifier: GPL-3.0-or-later
"""Dates as people write them. What could mean two moments is refused, never guessed."""

from __future__ import annotations

import re
import warnings
from datetime import UTC, datetime, timedelta

from .job import UsageError

EXAMPLES = (
    "'2026-11-22', '2026-11-22 14:30', '2026-11-22T13:30:00Z', '22 Nov 2026 2pm', 'yesterday', '3 days ago'"
)
"""What messages offer."""

_AGO = re.compile(r"(\d{1,4}) *(minute|hour|day|week|month|year)s? ago")
# Two moments that share no part: what a date takes from them was not written in it.
_ONE, _OTHER = datetime(2001, 4, 11, 3, 17), datetime(2002, 6, 22, 5, 29)  # noqa: DTZ001 - local, as written


def moment_of(text: str, now: datetime) -> datetime:
    """The moment that the words mean, with a time zone; ``now`` has one too.

    In this machine's zone unless the words name another. A day without an hour means its end: all that was
    done on that day. Raises ``UsageError`` for what cannot be read, could mean two moments, or lies in the
    future.
    """
    words = " ".join(text.split()).lower()
    local = now.astimezone()
    if words == "now":
        return now
    if words in ("today", "yesterday"):
        return min(_end_of(local - timedelta(days=words == "yesterday")), now)
    ago = _AGO.fullmatch(words)
    moment = _ago(int(ago.group(1)), ago.group(2), local) if ago else _written(text)
    if moment.date() > local.date() and moment > now:
        raise UsageError(f"the date {text!r} lies in the future; write one from the past, such as {EXAMPLES}")
    return min(moment, now)


def _ago(count: int, unit: str, local: datetime) -> datetime:
    from dateutil.relativedelta import relativedelta  # noqa: PLC0415 - only who restores pays for it

    naive = local.astimezone(UTC) - timedelta(minutes=count) if unit == "minute" else None
    if naive is None and unit == "hour":
        naive = local.astimezone(UTC) - timedelta(hours=count)
    if naive is not None:
        return naive
    try:
        then = local.replace(tzinfo=None) - relativedelta(**{f"{unit}s": count})  # type: ignore[arg-type]
        return _end_of(then.astimezone())
    except (OverflowError, ValueError):
        raise UsageError(
            f"{count} {unit}s ago is before all calendars; write a date, such as {EXAMPLES}"
        ) from None


def _written(text: str) -> datetime:
    if not any(letter.isdigit() for letter in text):
        raise _unreadable(text)
    found = _parsed(text, _ONE, dayfirst=False)
    # Behind a year the month comes first, whatever dateutil makes of dayfirst there.
    if not re.match(r"\s*\d{4}\b", text) and found != _parsed(text, _ONE, dayfirst=True):
        raise UsageError(
            f"the date {text!r} could mean two days; write the year first, or the month as a word: {EXAMPLES}"
        )
    other = _parsed(text, _OTHER, dayfirst=False)
    if found.date() != other.date():
        raise UsageError(f"the date {text!r} lacks its year, month or day; write {EXAMPLES}")
    if found.hour != other.hour:
        found = found.replace(hour=23, minute=59, second=59, microsecond=999999)
    elif found.minute != other.minute:
        found = found.replace(minute=0)
    return _placed(text, found)


def _parsed(text: str, default: datetime, *, dayfirst: bool) -> datetime:
    from dateutil import parser  # noqa: PLC0415 - only who restores pays for it

    try:
        with warnings.catch_warnings():
            # dateutil only warns of a zone that it does not know, and takes the time as local.
            warnings.simplefilter("error")
            found = parser.parse(text, default=default, dayfirst=dayfirst)
    except (ValueError, OverflowError, TypeError, Warning):
        raise _unreadable(text) from None
    if not isinstance(found, datetime):
        raise _unreadable(text)
    return found


def _placed(text: str, found: datetime) -> datetime:
    """The same in this machine's zone, where it names none."""
    if found.tzinfo is not None:
        return found.astimezone(UTC)
    from dateutil import tz  # noqa: PLC0415 - as above

    zone = tz.tzlocal()
    if tz.datetime_ambiguous(found, zone) or not tz.datetime_exists(found, zone):
        raise UsageError(
            f"the clock was changed at {text!r}, so that time came twice or never; write it with a zone, as "
            "'2026-11-22T13:30:00Z'"
        )
    return found.replace(tzinfo=zone).astimezone(UTC)


def _end_of(day: datetime) -> datetime:
    naive = day.replace(hour=23, minute=59, second=59, microsecond=999999, tzinfo=None)
    return naive.astimezone(UTC)


def _unreadable(text: str) -> UsageError:
    return UsageError(f"{text!r} is no date that can be read; write {EXAMPLES}")

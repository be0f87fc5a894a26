# SPDX-License-Identifier: GPL-3.0-or-later
"""Ages as people write them (``36h``, ``14d``, ``3 months``), and periods of the calendar, in UTC.

Months and years are the calendar's: a month before 31 March is the last day of February, as dateutil's
``relativedelta`` and the systems whose work this takes over have it. All other units have a fixed length.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_MINUTE, _HOUR, _DAY, _WEEK = 60, 3600, 86400, 7 * 86400

_SECONDS = {"s": 1, "min": _MINUTE, "h": _HOUR, "d": _DAY, "w": _WEEK}
_MONTHS = {"month": 1, "y": 12}
_SPELT = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks"), "w"),
    **dict.fromkeys(("month", "months"), "month"),
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), "y"),
}
_AGE = re.compile(r"([0-9]{1,9}) *([A-Za-z]+)")

HOW = (
    "write a whole number and a unit: s, min, h, d, w, months or y, or the word for it, "
    "for example 36h, 14d, '3 months'"
)
"""What messages offer."""

_BEGIN = datetime.min.replace(tzinfo=UTC)
"""The first moment that can be told. It is a Monday, so that weeks counted from it begin on Monday."""


@dataclass(frozen=True, slots=True)
class Age:
    """A length of time: so many months of the calendar, and so many seconds; one of them is 0.

    A year is twelve months. ``str()`` of it is read by ``parse_age`` again. Raises ``ValueError`` for a
    negative length, none at all, and a mixture.
    """

    months: int = 0
    seconds: int = 0

    def __post_init__(self) -> None:
        if min(self.months, self.seconds) < 0 or (self.months > 0) == (self.seconds > 0):
            raise ValueError(f"no age: {self.months} months and {self.seconds} seconds")

    def before(self, moment: datetime) -> datetime:
        """The moment so long before ``moment`` (which has a time zone), in UTC.

        The first moment that can be told where it would be earlier than that. Where the month is too short
        for the day, its last day.
        """
        moment = moment.astimezone(UTC)
        if self.seconds:
            since = moment - _BEGIN
            # Compared as numbers: a timedelta cannot be as long as an age can.
            return (
                _BEGIN if self.seconds >= since.total_seconds() else moment - timedelta(seconds=self.seconds)
            )
        year, month = divmod(moment.year * 12 + moment.month - 1 - self.months, 12)
        if year < 1:
            return _BEGIN
        day = min(moment.day, monthrange(year, month + 1)[1])
        return moment.replace(year=year, month=month + 1, day=day)

    def period(self, moment: datetime) -> int:
        """The number of the period of this length that ``moment`` (with a time zone) lies in.

        Periods follow each other without a gap and do not depend on the present: days begin at midnight in
        UTC, weeks on Monday, months on the first. Equal for two moments of the same period, and greater
        for the later of two in different ones.
        """
        if moment.tzinfo is not UTC:  # a question that is asked very often
            moment = moment.astimezone(UTC)
        if self.months:
            return (moment.year * 12 + moment.month - 1) // self.months
        since = moment - _BEGIN
        return (since.days * _DAY + since.seconds) // self.seconds

    def next_period(self, moment: datetime) -> datetime | None:
        """When the period after the one that ``moment`` lies in begins, in UTC; ``None`` where that is later
        than can be told."""
        number = self.period(moment) + 1
        try:
            if self.months:
                year, month = divmod(number * self.months, 12)
                return datetime(year, month + 1, 1, tzinfo=UTC)
            return _BEGIN + timedelta(seconds=number * self.seconds)
        except (ValueError, OverflowError):
            return None

    def is_longer_than(self, other: Age) -> bool:
        """Whether it is the longer one, also where one is in months: a month counts 31 days then."""
        day = datetime(9001, 2, 1, tzinfo=UTC)
        return self.before(day) < other.before(day)

    def __str__(self) -> str:
        """As short as can be: ``36h``, ``3 months``, ``1y``."""
        if self.months:
            if self.months % 12 == 0:
                return f"{self.months // 12}y"
            return f"{self.months} month{'s' if self.months > 1 else ''}"
        unit = next(unit for unit, size in reversed(_SECONDS.items()) if self.seconds % size == 0)
        return f"{self.seconds // _SECONDS[unit]}{unit}"


def parse_age(text: str) -> Age:
    """Answer the age that ``text`` says: a whole number and a unit, with or without a space between.

    Units are s, min, h, d, w, months and y, or their words, in either number and case. Raises
    ``ValueError``, whose message says what to write instead, for what is none of these, for 0, and for
    ``m``, which could mean minutes or months.
    """
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no age; {HOW}")
    number, word = int(match[1]), match[2].lower()
    if word == "m":
        raise ValueError(f"{text!r} could mean minutes or months; write {number}min or '{number} months'")
    unit = _SPELT.get(word)
    if unit is None:
        raise ValueError(f"{text!r} is no age: {match[2]!r} is no unit of time; {HOW}")
    if not number:
        raise ValueError(f"{text!r} is no age, since it is nothing; {HOW}")
    if unit in _MONTHS:
        return Age(months=number * _MONTHS[unit])
    return Age(seconds=number * _SECONDS[unit])

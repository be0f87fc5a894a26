# SPDX-License-Identifier: GPL-3.0-or-later
"""Ages of a fixed length, as people write them: ``90min``, ``36h``, ``14d``, ``2 weeks``."""

from __future__ import annotations

from datetime import timedelta

from ..model import ages

_HOW = "write a number and a unit: 90min, 36h, 14d or 2w"
_MOST = timedelta(days=36_500)
"""A hundred years: what is longer is a slip of the hand, and some way on no date can be told any more."""


def parse_age(text: str) -> timedelta:
    """Answer an age; raises ``ValueError``, whose message says what to write instead.

    As ``model.ages`` reads it, but for months and years, whose length depends on the day.
    """
    try:
        age = ages.parse_age(text)
    except ValueError:
        raise ValueError(f"{text!r} is no age; {_HOW}") from None
    if age.months or age.seconds > _MOST.total_seconds():
        raise ValueError(f"{text!r} is no age that can be used here; {_HOW}")
    return timedelta(seconds=age.seconds)


def as_age(length: timedelta) -> str:
    """The age (more than 0, in whole seconds) as ``parse_age`` reads it."""
    return str(ages.Age(seconds=round(length.total_seconds())))

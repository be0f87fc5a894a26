# SPDX-License-Identifier: GPL-3.0-or-later
"""Ages as people write them: ``90min``, ``36h``, ``14d``, ``2 weeks``."""

from __future__ import annotations

import re
from datetime import timedelta

_AGE = re.compile(r"([0-9]{1,6}) ?([a-z]+)")
_UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), timedelta(seconds=1)),
    **dict.fromkeys(("min", "minute", "minutes"), timedelta(minutes=1)),
    **dict.fromkeys(("h", "hour", "hours"), timedelta(hours=1)),
    **dict.fromkeys(("d", "day", "days"), timedelta(days=1)),
    **dict.fromkeys(("w", "week", "weeks"), timedelta(weeks=1)),
}
_HOW = "write a number and a unit: 90min, 36h, 14d or 2w"


def parse_age(text: str) -> timedelta:
    """Answer an age; raises ``ValueError``, whose message says what to write instead.

    ``m`` alone is refused: it could be minutes or months.
    """
    match = _AGE.fullmatch(text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"{text!r} is no age; {_HOW}")
    age = int(match[1]) * _UNITS[match[2]]
    if not age:
        raise ValueError(f"{text!r} is no age at all; {_HOW}")
    return age

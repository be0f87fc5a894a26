# SPDX-License-Identifier: GPL-3.0-or-later
"""Rates of bytes per second, as an administrator writes them: ``500k``, ``20M``, ``1.5MiB/s``."""

from __future__ import annotations

import re
from decimal import Decimal

LEAST = 1024
"""The smallest rate, in bytes per second: below it a push would not end in a lifetime."""

_BINARY, _DECIMAL = 1024, 1000
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_RATE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?(?:([kKmMgGtT]?)(i?)(B?))(?:/s)?")
_HOW = "write bytes per second, for example 500k, 20M or 1.5MiB/s (k, M and G are powers of 1024)"


def parse_rate(text: str) -> int:
    """Answer a rate in whole bytes per second (a fraction of one is dropped).

    ``k``, ``M``, ``G`` and ``T`` (either case), alone or as ``KiB``, ``MiB``, ..., are powers of 1024, as
    pv and rsync have them; ``kB``, ``MB``, ... are powers of 1000, as rsync and dd have them. A number
    alone is bytes per second, unlike rsync's. ``/s`` may follow. Raises ``ValueError``, whose message
    says what to write instead, for what is none of these and for less than ``LEAST``.
    """
    if re.search(r"\d ?[kKmMgGtT]?i?(b|[bB]it)(/s|ps)?$", text, re.ASCII):
        raise ValueError(f"{text!r} is a rate in bits; {_HOW}")
    match = _RATE.fullmatch(text)
    if match is None or (match[3] and not match[2]):
        raise ValueError(f"{text!r} is no rate; {_HOW}")
    number, prefix, binary, unit = match.groups()
    step = _DECIMAL if unit and not binary else _BINARY
    rate = int(Decimal(number) * step ** _POWERS[prefix.lower()])
    if rate < LEAST:
        raise ValueError(f"{text!r} is less than 1 KiB per second; {_HOW}")
    return rate

# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers in words, for summaries."""

from __future__ import annotations


def count(number: int, thing: str) -> str:
    """``1 stream``, ``2 streams``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """A number of bytes for people: ``17.3 MiB``."""
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"

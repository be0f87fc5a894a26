# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of bytes for people."""

from __future__ import annotations


def size(number: float) -> str:
    """A number of bytes for people: ``17.3 MiB``."""
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"

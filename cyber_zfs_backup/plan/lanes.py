# SPDX-License-Identifier: GPL-3.0-or-later
"""How level's streams are shared out among connections."""

from __future__ import annotations

from collections.abc import Sequence

from .steps import Step


def share_out(steps: Sequence[Step], count: int, sizes: Sequence[int], limit: int) -> list[list[Step]]:
    """Divide steps among at most ``count`` lanes, keeping their order.

    Each lane becomes one remote command, so the sum of its ``sizes`` (bytes of each step's command)
    must stay below ``limit``. Only where ``count`` lanes cannot hold them all does the answer have more
    entries: those run afterwards, each on a connection of its own.
    """
    if len(steps) != len(sizes):
        raise ValueError("each step needs a size")
    wanted = max(1, -(-len(steps) // max(1, count)))
    lanes: list[list[Step]] = []
    room = 0
    for step, size in zip(steps, sizes, strict=True):
        if not lanes or len(lanes[-1]) == wanted or size > room:
            lanes.append([])
            room = limit
        lanes[-1].append(step)
        room -= size
    return lanes

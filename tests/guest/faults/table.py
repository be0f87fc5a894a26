# SPDX-License-Identifier: GPL-3.0-or-later
"""The campaign's table, for people."""

from __future__ import annotations

from collections.abc import Iterable

from .battlefield import MEBI, TOTAL
from .campaign import Played
from .plan import Kind

ROW = "{:<29} {:>5} {:>6} {:>6} {:>8} {:>11}  {}"


def table(played: Iterable[Played], seed: int) -> list[str]:
    """One row a kind of fault: how often, how often healed, how long a receive was waited for, what was
    sent again (of the fault with the most of it), and the phases that were hit."""
    every = list(played)
    head = ROW.format(
        "fault", "times", "healed", "missed", "waited s", "again MiB", "hit while, and the exits"
    )
    rows = [head, *(_row(kind, [one for one in every if one.fault.kind is kind]) for kind in Kind)]
    healed = sum(one.healed for one in every)
    said = f"{healed} of {len(every)} healed by the next run; {TOTAL // MEBI} MiB to send each time"
    return [*rows, f"{said}; CYBER_ZFS_BACKUP_SEED={seed}"]


def _row(kind: Kind, these: list[Played]) -> str:
    if not these:
        return ROW.format(kind, 0, 0, 0, "", "", "")
    phases = sorted({f"{one.fault.phase} ({'reset' if one.status is None else one.status})" for one in these})
    return ROW.format(
        kind,
        len(these),
        sum(one.healed for one in these),
        sum(one.missed for one in these),
        f"{max(one.waited for one in these):.0f}",
        f"{max(one.again for one in these) / MEBI:.1f}",
        ", ".join(phases),
    )


def story(one: Played, seed: int) -> str:
    """All that is known of a fault, for the message of a test that failed."""
    lines = [
        f"{one.fault} (CYBER_ZFS_BACKUP_SEED={seed}, fault {one.fault.number})",
        f"struck: {one.struck}",
        f"the struck run ended with {one.status} and said:\n{one.said}",
        *one.wrongs,
    ]
    return "\n".join(lines)

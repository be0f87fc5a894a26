# SPDX-License-Identifier: GPL-3.0-or-later
"""Which faults a campaign plays: kind, moment, send mode; all from one seed, so that it can be repeated."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What happens."""

    SEND = "zfs send killed"
    RECEIVE = "zfs receive killed"
    SSH = "data ssh killed"
    SESSION = "sshd session killed"
    SSHD = "whole sshd killed"
    KILL = "our SIGKILL"
    TERM = "our SIGTERM"
    INT = "our SIGINT"
    FULL = "receiver full"
    BLACKOUT = "all packets lost for a while"
    LOSS = "many packets lost"
    RESET = "machine reset"
    CUT = "cable cut"


class Phase(StrEnum):
    """When it happens."""

    CONNECT = "connecting"
    PREPARE = "snapshot and hold"
    STREAM = "mid-stream"
    CONFIRM = "confirming"
    EXPIRE = "expire"
    MIRROR = "mirror"


ANY = tuple(Phase)
WHERE: dict[Kind, tuple[Phase, ...]] = {
    Kind.SEND: (Phase.STREAM,),
    Kind.RECEIVE: (Phase.STREAM,),
    Kind.SSH: (Phase.STREAM,),
    Kind.SESSION: (Phase.STREAM,),
    Kind.FULL: (Phase.STREAM,),
    Kind.LOSS: (Phase.STREAM,),
}
"""The phases of a kind; those that are not here can happen at any."""

ROUND = tuple(Kind)
"""Every kind once; a campaign repeats it."""

MODES = ("level", "replicate")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``fraction`` is of the stream's bytes, or of a stretch of time where there is no stream."""

    number: int
    kind: Kind
    phase: Phase
    mode: str
    first: bool
    fraction: float
    seconds: float
    """How long it lasts, where it lasts."""
    between: bool
    """Whether the stream is of two snapshots, and not of one."""

    def __str__(self) -> str:
        """For messages and ids of tests."""
        push = "first push" if self.first else "incremental"
        return f"{self.kind} while {self.phase} at {self.fraction:.2f}, {push}, {self.mode}"


def kind_of(number: int) -> Kind:
    """The kind of a campaign's fault, whatever the seed. A reset costs a boot: only in each third round."""
    kind = ROUND[number % len(ROUND)]
    return Kind.CUT if kind is Kind.RESET and (number // len(ROUND)) % 3 else kind


def fault(seed: int, number: int, attempt: int = 0) -> Fault:
    """A campaign's fault. Another ``attempt`` has another moment, for one that was missed.

    Modes, first pushes and (in the first round) phases are dealt out evenly; all else is chance.
    """
    chance = random.Random(f"{seed} {number} {attempt}")  # noqa: S311 (no secret)
    kind = kind_of(number)
    first = number % 6 == 0
    return Fault(
        number=number,
        kind=kind,
        phase=_phase(seed, number, chance),
        mode=MODES[(number + number // 6) % 2],
        first=first,
        fraction=round(chance.uniform(0.02, 0.95), 3),
        seconds=round(chance.uniform(2.0, 8.0), 1),
        between=chance.random() < 0.5,
    )


def _phase(seed: int, number: int, chance: random.Random) -> Phase:
    kind = kind_of(number)
    if kind in WHERE:
        return chance.choice(WHERE[kind])
    free = [other for other in ROUND if other not in WHERE]
    if number >= len(ROUND):
        return chance.choice(ANY)
    # The streams are where most of the time goes, and most of what can break: one more of them.
    dealt = [*ANY, Phase.STREAM]
    random.Random(seed).shuffle(dealt)  # noqa: S311
    return dealt[free.index(kind) % len(dealt)]

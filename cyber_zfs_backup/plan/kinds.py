# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention rules beside the buckets: the last so many, those not older than an age, and unions of rules.

What a rule here decides of a snapshot depends on what it keeps, never on what it destroys. So a second time
destroys nothing more, also where another rule has kept more meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..model.ages import Age
from .retention import NEWEST, Because, Reason, Rule, Ruling, named_time


@dataclass(frozen=True, slots=True)
class KeepLast:
    """The newest ``count`` by createtxg, whenever they were taken. Raises ``ValueError`` below 1."""

    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"a retention rule cannot keep the last {self.count}")

    def judge(self, names: Sequence[str]) -> tuple[Ruling, ...]:
        """See ``Rule.judge``."""
        return tuple(self._rulings(names))

    def _rulings(self, names: Sequence[str]) -> Iterator[Ruling]:
        unwanted = Ruling(False, Reason(Because.NOT_AMONG_LAST, f"not among the last {self.count}"))
        for number, name in enumerate(names, 1):
            named_time(name)
            if number == 1:
                yield NEWEST
            elif number <= self.count:
                yield Ruling(True, Reason(Because.LAST, f"last {number} of {self.count}"))
            else:
                yield unwanted


@dataclass(slots=True)
class Clock:
    """Finds the snapshots whose names cannot be believed, going from the oldest to the newest.

    One that is dated earlier than another which is kept, and was taken before it, was taken after a clock
    went back (or under a wrong one). How old it is cannot be told, so it is kept, and counts for nothing.
    """

    name: str = ""
    latest: datetime | None = None

    def doubt(self, time: datetime) -> Ruling | None:
        """The ruling for such a snapshot, which tells ``time``; ``None`` for any other."""
        if self.latest is None or time >= self.latest:
            return None
        text = f"clock went back: dated earlier than {self.name}, which was taken before it"
        return Ruling(True, Reason(Because.CLOCK_WENT_BACK, text))

    def kept(self, name: str, time: datetime) -> None:
        """The snapshot is kept, and its time can be believed."""
        self.name, self.latest = name, time


@dataclass(frozen=True, slots=True)
class KeepWithin:
    """All snapshots that are not older than ``age`` at ``now``, and the newest.

    Months and years are the calendar's. ``now`` carries a time zone; raises ``ValueError`` where not.
    """

    age: Age
    now: datetime

    def __post_init__(self) -> None:
        require_zone(self.now)

    def judge(self, names: Sequence[str]) -> tuple[Ruling, ...]:
        """See ``Rule.judge``."""
        return newest_first(self._rulings(names))

    def _rulings(self, names: Sequence[str]) -> Iterator[Ruling]:
        """From the oldest to the newest."""
        since = self.age.before(self.now)
        wanted = Ruling(True, Reason(Because.WITHIN, f"not older than {self.age}"))
        unwanted = Ruling(False, Reason(Because.TOO_OLD, f"older than {self.age}"))
        clock = Clock()
        for name in reversed(names):
            time = named_time(name)
            doubt = clock.doubt(time)
            if doubt is None and time >= since:
                clock.kept(name, time)
            yield doubt or (wanted if time >= since else unwanted)


@dataclass(frozen=True, slots=True)
class Union:
    """What any of the rules keeps. Says each reason once, that of the first rule first.

    Raises ``ValueError`` where there is no rule: it would keep nothing.
    """

    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        if not self.rules:
            raise ValueError("a union of no retention rules")

    def judge(self, names: Sequence[str]) -> tuple[Ruling, ...]:
        """See ``Rule.judge``."""
        return tuple(map(_either, *(rule.judge(names) for rule in self.rules)))


def _either(*rulings: Ruling) -> Ruling:
    """The ruling that they come to together: kept where any says so, with the reasons of those that do."""
    chosen = [ruling for ruling in rulings if ruling.keep] or rulings
    if len(chosen) == 1:
        return chosen[0]
    texts = dict.fromkeys([ruling.reason.text for ruling in chosen])
    if len(texts) == 1:
        return chosen[0]
    return Ruling(chosen[0].keep, Reason(chosen[0].reason.because, "; ".join(texts)))


def newest_first(rulings: Iterator[Ruling]) -> tuple[Ruling, ...]:
    """Rulings that were made from the oldest to the newest, turned round; the newest is kept for that."""
    made = list(rulings)
    if made:
        made[-1] = NEWEST
    return tuple(reversed(made))


def require_zone(now: datetime) -> None:
    """Raises ``ValueError`` for a moment without a time zone."""
    if now.tzinfo is None:
        raise ValueError("retention needs to know the present with its time zone")

# SPDX-License-Identifier: GPL-3.0-or-later
"""The retention rule by windows: of each period so long one snapshot, as far back as an age.

``windows: [{max-age: {weeks: 6}, period: {hours: 1}}, ...]`` is zam's way to say it, ``6w=>1h,6mon=>1d`` is
znapzend's. As in znapzend, periods are the calendar's and the *first* snapshot of each is kept: which one
that is does not change as time goes on, so the one that is kept today is kept tomorrow. (Were it the newest
of the period, a new one would push it out, and where periods are counted from the present, each day would
want others: of what was thinned by one, the other finds too little.)

In two things it keeps more than znapzend does. Each window begins at the present, not where the shorter one
ends, so that none hangs on what another has left over. And a window reaches back to the beginning of the
period that its age falls into: else that period's first snapshot would go while the period still counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..model.ages import Age, parse_age
from .kinds import Clock, newest_first, require_zone
from .retention import Because, Reason, Ruling, named_time

FOREVER = "forever"
"""The word for a window, or a bucket, without an end."""


@dataclass(frozen=True, slots=True)
class Window:
    """One snapshot of each ``period``, up to ``max_age`` old (``None``: for ever).

    ``str()`` of it is read by ``parse_window`` again. Raises ``ValueError`` for a period that is longer than
    the age.
    """

    max_age: Age | None
    period: Age

    def __post_init__(self) -> None:
        if self.max_age is not None and self.period.is_longer_than(self.max_age):
            raise ValueError(
                f"window {str(self)!r}: one snapshot every {self.period} cannot be kept for {self.max_age}, "
                "which is shorter; write the age first, then the period: 7d/1h"
            )

    def __str__(self) -> str:
        return f"{FOREVER if self.max_age is None else self.max_age}/{self.period}"


def parse_window(text: str) -> Window:
    """Answer the window that ``AGE/PERIOD`` says: ``7d/1h``, ``'6 months/1d'``, ``forever/1y``.

    Raises ``ValueError``, whose message says what to write instead.
    """
    age, slash, period = (part.strip() for part in text.partition("/"))
    if not slash:
        raise ValueError(
            f"{text!r} is no window; write for how long and one of which period, for example 7d/1h "
            f"(one an hour for seven days) or {FOREVER}/1y"
        )
    return Window(None if age.lower() == FOREVER else parse_age(age), parse_age(period))


@dataclass(slots=True)
class _Claims:
    """A window's periods as they are filled, from the oldest on; ``since`` is the first one that counts."""

    window: Window
    since: int
    first: dict[int, str] = field(default_factory=dict)

    def owner(self, name: str, time: datetime) -> str | None:
        """Whose the period of ``time`` is: ``name``, if it is the first there; ``None`` if it is too old."""
        period = self.window.period.period(time)
        return None if period < self.since else self.first.setdefault(period, name)


class _Places:
    """Where snapshots find their place, from the oldest on. Makes each text once: there are very many."""

    def __init__(self, windows: Sequence[Window], now: datetime) -> None:
        self._claims = [_Claims(window, _since(window, now)) for window in windows]
        self._wanted: dict[tuple[int, ...], Ruling] = {}
        listed = ", ".join(map(str, windows))
        self._too_old = Ruling(False, Reason(Because.TOO_OLD, f"older than the windows reach ({listed})"))

    def place(self, name: str, time: datetime) -> Ruling:
        owners = [each.owner(name, time) for each in self._claims]
        if name in owners:
            mine = tuple([number for number, owner in enumerate(owners) if owner == name])
            return self._wanted.get(mine) or self._wanted.setdefault(mine, self._first_of(mine))
        for each, owner in zip(self._claims, owners, strict=True):
            if owner is not None:
                text = f"same {each.window.period} as {owner}, which is kept"
                return Ruling(False, Reason(Because.SAME_PERIOD, text))
        return self._too_old

    def _first_of(self, numbers: Sequence[int]) -> Ruling:
        windows = [self._claims[number].window for number in numbers]
        text = ", ".join(f"first of {window.period} ({window})" for window in windows)
        return Ruling(True, Reason(Because.WINDOW, text))


def _since(window: Window, now: datetime) -> int:
    return 0 if window.max_age is None else window.period.period(window.max_age.before(now))


@dataclass(frozen=True, slots=True)
class Windows:
    """What any of the windows keeps at ``now``, and the newest.

    A snapshot that was taken after a clock went back is kept and fills no period; see ``Clock``. Raises
    ``ValueError`` where there is no window, or ``now`` carries no time zone.
    """

    windows: tuple[Window, ...]
    now: datetime

    def __post_init__(self) -> None:
        require_zone(self.now)
        if not self.windows:
            raise ValueError("a retention rule of no windows")

    def judge(self, names: Sequence[str]) -> tuple[Ruling, ...]:
        """See ``Rule.judge``."""
        return newest_first(self._rulings(names))

    def _rulings(self, names: Sequence[str]) -> Iterator[Ruling]:
        """From the oldest to the newest."""
        places, clock = _Places(self.windows, self.now), Clock()
        for name in reversed(names):
            time = named_time(name)
            ruling = clock.doubt(time)
            if ruling is None:
                ruling = places.place(name, time)
                if ruling.keep:
                    clock.kept(name, time)
            yield ruling

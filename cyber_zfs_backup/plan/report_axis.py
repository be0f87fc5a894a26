# SPDX-License-Identifier: GPL-3.0-or-later
"""Time from left to right, the past squeezed: the last weeks get as much room as the years before. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

WIDTH = 500
"""How many steps there are from left to right: what lies within one is drawn as one."""
WEEKS, MONTHS = timedelta(days=35), timedelta(days=400)
"""How far back the part that shows single days goes, and the one before it."""

Span = tuple[int, int]
"""From one step up to, and not with, another."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of the axis within which time goes evenly, from the step ``left`` to ``right``."""

    begin: datetime
    end: datetime
    left: int
    right: int
    label: str


@dataclass(frozen=True, slots=True)
class Axis:
    """The zones in the order of time; each begins where the one before it ends."""

    zones: tuple[Zone, ...]

    def x(self, moment: datetime) -> int:
        """The step of a moment; what lies outside is at the nearer end."""
        for zone in reversed(self.zones):
            if moment >= zone.begin:
                part = min((moment - zone.begin) / (zone.end - zone.begin), 1.0)
                return min(zone.left + int(part * (zone.right - zone.left)), WIDTH - 1)
        return 0

    def spans(self, moments: Iterable[datetime]) -> tuple[Span, ...]:
        """The steps with any of the moments; neighbours are one span."""
        found: list[Span] = []
        for step in sorted({self.x(moment) for moment in moments}):
            if found and found[-1][1] == step:
                found[-1] = (found[-1][0], step + 1)
            else:
                found.append((step, step + 1))
        return tuple(found)

    def span(self, begin: datetime, end: datetime) -> Span:
        """From one moment to a later one, at least a step wide."""
        left = self.x(begin)
        return (left, max(self.x(end), left + 1))

    def counts(self, moments: Iterable[datetime]) -> tuple[tuple[str, int], ...]:
        """How many of the moments are in each zone, by its label, the latest zone first."""
        left = list(moments)
        found = []
        for zone in reversed(self.zones):
            inside = [moment for moment in left if moment >= zone.begin]
            left = [moment for moment in left if moment < zone.begin]
            found.append((zone.label, len(inside)))
        return tuple(found)

    def ticks(self) -> tuple[int, ...]:
        """The steps of the lines behind it: weeks, months or years, whatever fits the zone; and its ends."""
        return tuple(sorted({step for zone in self.zones for step in self._ticks(zone)}))

    def _ticks(self, zone: Zone) -> Iterator[int]:
        if zone.left:
            yield zone.left
        if zone.end - zone.begin <= WEEKS:
            moment = zone.end - timedelta(days=7)
            while moment > zone.begin:
                yield self.x(moment)
                moment -= timedelta(days=7)
            return
        monthly = zone.end - zone.begin <= MONTHS
        for year in range(zone.begin.year, zone.end.year + 1):
            for month in range(1, 13) if monthly else (1,):
                moment = datetime(year, month, 1, tzinfo=zone.begin.tzinfo)
                if zone.begin < moment < zone.end:
                    yield self.x(moment)


def axis(oldest: datetime | None, now: datetime) -> Axis:
    """The axis that reaches from the oldest moment to now; both have a time zone."""
    weeks, months = now - WEEKS, now - MONTHS
    if oldest is None or oldest >= weeks:
        return Axis((Zone(weeks, now, 0, WIDTH, "the last 5 weeks"),))
    if oldest >= months:
        return Axis(
            (
                Zone(months, weeks, 0, 250, "the year before"),
                Zone(weeks, now, 250, WIDTH, "the last 5 weeks"),
            )
        )
    return Axis(
        (
            Zone(oldest, months, 0, 150, f"from {oldest:%Y-%m-%d}"),
            Zone(months, weeks, 150, 325, "the year before"),
            Zone(weeks, now, 325, WIDTH, "the last 5 weeks"),
        )
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""When something is due: at the moments of a calendar expression, or once in every period."""

from __future__ import annotations

from dataclasses import dataclass

from .ages import Age, parse_age


@dataclass(frozen=True, slots=True)
class Schedule:
    """When: a calendar expression of systemd.time(7), or (it is empty) ``every`` so long."""

    calendar: str = ""
    every: Age | None = None

    def __str__(self) -> str:
        return self.calendar if self.every is None else f"every {self.every}"


def parse_schedule(text: str) -> Schedule:
    """A calendar expression, or ``every`` and a period, as ``every 15min``.

    Raises ``ValueError`` for a period that is none; whether a calendar expression is one, systemd knows.
    """
    words = text.split()
    if not words:
        raise ValueError(f"{text!r} says nothing; write a calendar expression, or 'every' and a period")
    if not text.isprintable():
        raise ValueError(f"{text!r} has a character that cannot be shown; write it without")
    if words[0].lower() == "every":
        try:
            return Schedule(every=parse_age(" ".join(words[1:])))
        except ValueError as error:
            raise ValueError(f"behind 'every' stands a period; {error}") from None
    return Schedule(" ".join(words))

# SPDX-License-Identifier: GPL-3.0-or-later
"""A push whose trouble passes is tried again, after both sides have been asked anew."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from ..zfs.parse import Properties
from .ask import ask_receiver
from .attempt import attempt
from .ends import Ends
from .push import Newest, Pushed, push
from .result import ActionResult, Outcome

_FIRST = 10.0
"""Seconds before the first retry, more or less; each further one waits twice as long."""

_LONGEST = 600.0

_BUSY = 3
"""Retries at least where the receiver says that it is busy: the receive of a connection that died may live on
until its sshd has noticed (ClientAliveInterval), and ends by itself."""


def push_with_retries(
    ends: Ends, taken: Newest | None, about: Callable[[], Properties | None]
) -> Pushed | ActionResult:
    """Push, and while what went wrong is passing trouble push again, as often as the job allows.

    Each attempt asks and plans anew, so that it sends only what has not arrived. Conflicts, usage errors
    and whatever needs a person are never tried again.
    """
    done = attempt("push", lambda: push(ends, taken, about))
    sofar = _result(done)
    number = 0
    while (result := _result(done)).outcome is Outcome.PASSING and number < _allowed(ends, result):
        number += 1
        seconds = delay(number, random.uniform(0.5, 1.5))  # noqa: S311 - no secret depends on it
        what = result.problems[0].what if result.problems else result.summary
        ends.surface.warn(
            f"push: {ends.destination.label}: {what}; trying again in {seconds:.0f} s "
            f"({number} of {_allowed(ends, result)})"
        )
        ends.pause(seconds)
        done = attempt("push", lambda: push(ends, taken, lambda: ask_receiver(ends)))
        sofar = _added(sofar, _result(done), number)
    return replace(done, result=sofar) if isinstance(done, Pushed) else sofar


def delay(number: int, jitter: float) -> float:
    """Seconds before retry ``number`` (from 1 on): exponential, with a bound.

    ``jitter`` is a factor around 1, so that many hosts that lost one receiver do not all come back in the
    same second.
    """
    return min(_LONGEST, _FIRST * 2.0 ** (number - 1)) * jitter


def _allowed(ends: Ends, result: ActionResult) -> int:
    busy = any(problem.kind == "busy" for problem in result.problems)
    return max(ends.job.delivery.retries, _BUSY if busy else 0)


def _result(done: Pushed | ActionResult) -> ActionResult:
    return done.result if isinstance(done, Pushed) else done


def _added(before: ActionResult, after: ActionResult, retries: int) -> ActionResult:
    """The last attempt's result, with what the earlier ones have moved already."""
    figures = dict(after.figures)
    for name in ("bytes", "streams", "data_connections", "seconds"):
        earlier = before.figures.get(name, 0)
        if isinstance(earlier, int | float) and (name in figures or earlier):
            own = figures.get(name, 0)
            figures[name] = round(earlier + own, 3) if isinstance(own, int | float) else earlier
    return replace(after, lines=(*before.lines, *after.lines), figures={**figures, "retries": retries})

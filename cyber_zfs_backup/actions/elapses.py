# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks systemd when a calendar expression comes next."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from ..hosts.errors import HostError
from ..hosts.local import LocalHost
from ..hosts.protocol import Finished

_NEXT = re.compile(r"^ *(?:Next elapse|\(in UTC\)): (?:[A-Za-z]{3} )?(.*)$", re.MULTILINE)
_EACH = re.compile(
    r"^ *(?:Next elapse|Iter[a-z.]* #\d+): (?:[A-Za-z]{3} )?(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})",
    re.MULTILINE,
)
_MANY = 200
"""So many moments show the longest pause of a schedule: a weekend, and that of quarters of working hours."""
_UTC = re.compile(r"(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})(?:\.\d+)? UTC")

Run = Callable[[Sequence[str]], Finished]
"""Runs a command on this machine. Raises ``HostError``."""


class CalendarError(Exception):
    """systemd has not told when something is due. The message says why, and what to do."""


def next_elapse(expression: str, moment: datetime, run: Run | None = None) -> datetime | None:
    """When a calendar expression (systemd.time(7)) comes next after a moment, in UTC; ``None`` for never.

    In this machine's time zone, as for systemd's own timers. Raises ``CalendarError``.
    """
    # --base-time: systemd-analyze(1), since version 248.
    base = f"--base-time=@{int(moment.timestamp())}"
    try:
        done = (run or _here)(["systemd-analyze", "calendar", base, "--", expression])
    except HostError as error:
        raise CalendarError(f"{error.what}; {error.remedy}") from None
    if done.status == 127:
        raise CalendarError(
            "systemd-analyze is not here; write the schedule with 'every', or install systemd"
        )
    told = _NEXT.findall(done.stdout)
    if not done.ok or not told:
        said = (done.stderr or done.stdout).strip()
        raise CalendarError(f"{expression!r}: {said}; cyber-zfs-backup config check tells what is meant")
    if told[-1].strip() == "never":
        return None
    found = _UTC.fullmatch(told[-1].strip())
    if found is None:
        raise CalendarError(f"{expression!r}: systemd-analyze says {told[-1]!r}, which is not understood")
    return _moment(found[1])


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def longest_gap(expression: str, moment: datetime, run: Run | None = None) -> timedelta | None:
    """The longest time between two of the next moments of a calendar expression; ``None`` where there are no
    two, or systemd does not tell."""
    base = f"--base-time=@{int(moment.timestamp())}"
    try:
        done = (run or _here)(
            ["systemd-analyze", "calendar", base, f"--iterations={_MANY}", "--", expression]
        )
    except HostError:
        return None
    # By this machine's clock: a night in which that is set back is no longer one.
    times = [_moment(told) for told in _EACH.findall(done.stdout)] if done.ok else []
    return max((late - early for early, late in pairwise(times)), default=None)


def _here(argv: Sequence[str]) -> Finished:
    return LocalHost().run(argv, timeout=30)


def time_zone() -> str:
    """What this machine's time zone is called; another name is another calendar."""
    try:
        return os.readlink("/etc/localtime").rpartition("zoneinfo/")[2]
    except OSError:
        return "UTC"

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check-up finds: a value for each thing that was looked at, with the command that mends it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from ..model.places import HERE


class Severity(IntEnum):
    """How bad a finding is; the value is the exit code that it makes."""

    GOOD = 0
    WARNING = 1
    FAILS = 2
    """A backup would fail, or what it keeps would be worth nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    ``where`` is an end as messages name it; ``remedy`` is a command or what else to do, empty where all is
    well. ``kind`` is a short stable word for machines, for example ``pool-capacity``. ``about`` tells, where
    that is known, what it is about: the same as long as it is the same trouble, whatever ``what`` says.
    """

    severity: Severity
    kind: str
    where: str
    what: str
    remedy: str = ""
    about: str = ""


def typed(where: str, command: str) -> str:
    """A remedy that is a command for root on that end: it says so where that is another machine."""
    return command if where == HERE or where.startswith(f"{HERE}:") else f"as root there: {command}"


def good(kind: str, where: str, what: str) -> Finding:
    """Something that is as it should be."""
    return Finding(Severity.GOOD, kind, where, what)


def warning(kind: str, where: str, what: str, remedy: str) -> Finding:
    """Something that somebody should look at before it is a trouble."""
    return Finding(Severity.WARNING, kind, where, what, remedy)


def fails(kind: str, where: str, what: str, remedy: str) -> Finding:
    """Something that makes the next backup fail."""
    return Finding(Severity.FAILS, kind, where, what, remedy)


def some(names: Sequence[str]) -> str:
    """The first three names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def worst(findings: Iterable[Finding]) -> Severity:
    """The worst of them; GOOD where there are none."""
    return max((finding.severity for finding in findings), default=Severity.GOOD)

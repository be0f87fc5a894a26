# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run hands back, and what it may say on the way.

The command line shows these values, as text or as JSON; it decides nothing about them. The exit code
is decided here, once, from the outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from ..plan.findings import Finding

if TYPE_CHECKING:
    from ..plan.simulation import Timeline


class Outcome(Enum):
    """How one action ended."""

    DONE = "done"
    NOTHING = "nothing"
    """There was nothing to do; a success."""
    PARTIAL = "partial"
    """Some datasets are done, others are not; each has a problem of its own."""
    CONFLICT = "conflict"
    """Nothing could be done before a person decides (no common snapshot, diverged)."""
    PASSING = "passing"
    """Passing trouble, of the network mostly: worth trying again."""
    LOCKED = "locked"
    """Another run is at it."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not tried, and that is no failure of its own (what it needs did not come about)."""
    WARNINGS = "warnings"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    """How a check-up ended: with something to look at, with what makes a backup fail, or not at all."""


EXIT_CODES: tuple[tuple[Outcome, int], ...] = (
    (Outcome.CONFLICT, 65),
    (Outcome.FAILED, 1),
    (Outcome.PASSING, 75),
    (Outcome.PARTIAL, 3),
    (Outcome.LOCKED, 4),
    (Outcome.CRITICAL, 2),
    (Outcome.UNKNOWN, 3),
    (Outcome.WARNINGS, 1),
)
"""The exit code of a run: that of the first row whose outcome any of its actions had; else 0.

What needs a person comes first (trying again is useless), then what failed, then what is worth trying
again, then what is done in part. 65 (EX_DATAERR) and 75 (EX_TEMPFAIL) are those of sysexits.h. The last three
are a check-up's, which stands alone. Usage and configuration errors (2) and interruptions (130, 143) never
come to a result.
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that went wrong: what, where (a dataset or a host), and what to do next.

    ``kind`` is a short stable word for machines, for example ``diverged`` or ``no-space``.
    """

    what: str
    where: str
    remedy: str
    kind: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of as many cells as there are columns; an empty cell says that there is nothing to say.

    ``members`` is what programs are told of each row beside its cells, by names that no column has.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    members: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class ActionResult:
    """One action, finished.

    ``summary`` is one line. ``lines`` are the plan with each reason (shown with -v, and in a dry run).
    ``figures`` are counts, bytes and seconds by name, for machines. ``destination`` is the label of the
    one that it was for; empty for what concerns the source alone. ``answer`` is what the person asked for, or
    does next: always shown, unless --quiet says not to. ``findings`` are a check-up's, ``table`` is what a
    person reads at a glance, ``timeline`` is a simulation's. ``dataset``: the tree, where a run has several.
    """

    action: str
    outcome: Outcome
    summary: str
    lines: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    figures: Mapping[str, int | float | str] = field(default_factory=dict)
    destination: str = ""
    answer: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    timeline: Timeline | None = None
    table: Table | None = None
    dataset: str = ""


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run, finished. ``started`` carries a time zone; ``seconds`` is how long it took. ``outdated``: what
    monitoring reads was written long ago, whether anything was done now or not."""

    dataset: str
    destinations: tuple[str, ...]
    started: datetime
    seconds: float
    dry_run: bool
    actions: tuple[ActionResult, ...]
    outdated: bool = False

    @property
    def exit_code(self) -> int:
        """The exit code that ``EXIT_CODES`` gives to the actions' outcomes."""
        return exit_code(self.actions)

    @property
    def did_something(self) -> bool:
        """Whether there was anything to do, and it was not only looked at."""
        return not self.dry_run and any(each.outcome is not Outcome.NOTHING for each in self.actions)

    def exit_code_of(self, destination: str) -> int:
        """The same of one destination's actions alone."""
        return exit_code(action for action in self.actions if action.destination == destination)


def exit_code(actions: Iterable[ActionResult]) -> int:
    """The exit code that ``EXIT_CODES`` gives to the outcomes of these actions."""
    outcomes = {action.outcome for action in actions}
    return next((code for outcome, code in EXIT_CODES if outcome in outcomes), 0)


class Surface(Protocol):
    """Where an action may say something while it works. May be used from several threads at once."""

    @property
    def estimates(self) -> bool:
        """Whether ``progress`` shows totals to somebody, so that asking zfs for them is worth the time."""

    def note(self, message: str) -> None:
        """Something everybody wants to know, one line; hidden by --quiet."""

    def detail(self, message: str) -> None:
        """Something shown with -v: a step of the plan, a reason."""

    def warn(self, message: str) -> None:
        """Something that is not right but stops nothing; hidden by --quiet."""

    def progress(self, label: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """Show the progress of one transfer while the context lasts.

        ``total`` is the estimated number of bytes, where known. The callable takes the number of bytes
        that have moved since its last call (as ``hosts.protocol.Link.transfer``'s ``on_bytes``).
        """

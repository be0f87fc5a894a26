# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong now, in words for whoever is woken by it: from ``check``, the history of runs, and systemd.

Each of these answers ``Seen``: its troubles, and which questions it could answer. Whoever has more to ask
puts another one beside them (``plan.telling.together``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from ..config.declared import CRITICAL, Declared
from ..config.job import UsageError
from ..config.requests import Check
from ..config.tasks import Task, tasks
from ..model.history import Finished
from ..model.names import own_time
from ..plan.commands import JOURNAL, of_copy, of_tree
from ..plan.findings import Finding, Severity
from ..plan.lateness import BELOW, Limits
from ..plan.telling import Seen, together
from ..plan.telling_text import moment
from ..plan.told import Topic, Trouble
from .doctor_here import SERVICE, Run, SilentError, show_units, unit_moment
from .expected import SLACK, Gap, expected
from .result import ActionResult, Outcome

RUN_SERVICE = "cyber-zfs-backup-run.service"
SERVICES = (
    SERVICE,
    RUN_SERVICE,
    "cyber-zfs-backup@*.service",
    "cyber-zfs-backup-receiver.service",
)
TIMER = "cyber-zfs-backup.timer"

RECENT = timedelta(days=7)
"""A run that failed longer ago was given up, or what it should have brought is late."""

NIGHT = timedelta(days=1)

A_LOOK = timedelta(minutes=1)
"""So long after it has begun, a run that begins every few minutes may be one that finds nothing to do."""

USAGE, LOCKED, INTERRUPTED = 2, 4, (130, 143)
"""Exit codes that are told otherwise, or not: a slip of the hand, another run at work, somebody's wish."""

_REMEDIES = {
    3: "{journal} says which datasets; the next run tries them again",
    65: "no run mends this by itself: {verify} shows both sides, and {journal} what to do",
    75: "the network or the other machine: the next run goes on by itself; if it stays so, {doctor}",
}
_REMEDY = "{journal} says why; {doctor} looks for more"


@dataclass(frozen=True, slots=True)
class Look:
    """A check to be made. ``guessed``: nobody has said what that tree leaves out, and what it keeps."""

    check: Check
    guessed: bool = False

    @property
    def question(self) -> str:
        """Its name on record."""
        return f"{'received' if self.check.receiver else 'backed up'} {self.check.dataset}"


@dataclass(frozen=True, slots=True)
class Unit:
    """A service of ours, as systemd has it. ``started``: when its last run began."""

    name: str
    state: str
    result: str
    status: int
    started: datetime | None


def looks_of(declared: Declared, now: datetime, gap: Gap) -> tuple[Look, ...]:
    """The checks of a configuration file's datasets, but for those that rest."""
    found, known_gap = [], cache(gap)
    for task in tasks(declared):
        if task.settings.paused(now):
            continue
        late = expected(task.settings, now, known_gap)
        found.append(Look(check_of(task, late.taken, late.arrived)))
    return tuple(found)


def check_of(task: Task, taken: Limits, arrived: Limits) -> Check:
    """How a declared tree is checked, by the ages from which on it is late here, and at its destinations."""
    return Check(
        dataset=task.dataset,
        warning=taken.warning,
        critical=taken.critical,
        arrived=arrived,
        declared=True,
        local=not task.routes,
        exclude=task.exclude,
        retention=task.retention,
        destinations=tuple(route.destination for route in task.routes),
    )


def guessed_look(dataset: str, runs: Sequence[Finished], run: Run, now: datetime) -> tuple[Look, ...]:
    """The check of the tree that the plain timer backs up, where nothing is declared.

    None where that timer is off, or where that tree was never backed up: this must be silent on a machine
    that only receives, or that is not set up yet. It is late once two of the timer's runs are missing; until
    the first run on record is so old nothing is, and that it has failed is told otherwise.
    """
    ours = [each for each in runs if each.dataset == dataset]
    blocks = _shown(run, ("ActiveState", "LastTriggerUSec", "NextElapseUSecRealtime"), (TIMER,))
    if not ours or not blocks or blocks[0].get("ActiveState") != "active":
        return ()
    last, coming = (
        unit_moment(blocks[0].get(name, "")) for name in ("LastTriggerUSec", "NextElapseUSecRealtime")
    )
    period = max(coming - last, NIGHT) if last and coming else NIGHT
    late = max(2 * period + SLACK, CRITICAL)
    if now - min(each.started for each in ours) < late:
        return ()
    local = not any(each.destination for each in ours)
    return (Look(Check(dataset, late, late, local=local), guessed=True),)


def from_checks(
    looks: Iterable[Look], check: Callable[[Check], ActionResult], busy: timedelta | None
) -> Seen:
    """What is late. ``busy``: since when a run of ours is under way, which may be about to mend that."""
    return together(_looked(look, check, busy) for look in looks)


def _looked(look: Look, check: Callable[[Check], ActionResult], busy: timedelta | None) -> Seen:
    question = frozenset({look.question})
    if busy is not None and not look.check.receiver and busy < look.check.critical:
        return Seen(unanswered=question)
    try:
        done = check(look.check)
    except UsageError as error:
        return Seen((_no_answer(look, str(error)),), unanswered=question)
    if done.outcome is Outcome.UNKNOWN:
        return Seen((_no_answer(look, done.summary),), unanswered=question)
    late = (each for each in done.findings if each.severity and not (look.guessed and _unsure(each)))
    return Seen(tuple(_late(look, finding) for finding in late), answered=question)


def _unsure(finding: Finding) -> bool:
    return finding.kind == "expired" or finding.about.endswith(BELOW)


def _no_answer(look: Look, why: str) -> Trouble:
    what = f"whether backups of {look.check.dataset} are late is not known: {why}"
    remedy = f"zpool status; {of_tree('doctor --here', look.check.dataset)}"
    return Trouble(f"unknown {look.question}", look.question, Topic.LATE, Severity.FAILS, what, remedy)


def _late(look: Look, finding: Finding) -> Trouble:
    key = f"{finding.kind} {finding.about}"
    return Trouble(key, look.question, Topic.LATE, finding.severity, finding.what, finding.remedy)


def still_meant(runs: Iterable[Finished], declared: Declared, now: datetime) -> list[Finished]:
    """Those that somebody has to hear of: all but the runs by the configuration file of a tree that rests, or
    of what it does not declare any more."""
    labels = {
        task.dataset: {"", *(route.destination.label for route in task.routes)}
        for task in tasks(declared)
        if not task.settings.paused(now)
    }
    return [run for run in runs if not run.job or run.destination in labels.get(run.job, ())]


def from_history(runs: Iterable[Finished], looked: frozenset[str], now: datetime) -> Seen:
    """Which runs have failed: the last of each dataset and destination, if it was not long ago.

    A run that was refused for its options or its dataset's name is told only for the trees that are looked
    at: elsewhere it was a slip of somebody's hand.
    """
    last: dict[tuple[str, str], Finished] = {}
    for run in runs:
        if run.exit != LOCKED and run.exit not in INTERRUPTED:
            local = last.get((run.dataset, ""))
            if local is not None and _makes_good(run, local):
                del last[run.dataset, ""]
            last[run.dataset, run.destination] = run
    recent = [run for run in last.values() if abs(now - run.started) < RECENT]
    bad = [run for run in recent if not run.good and (run.exit != USAGE or run.dataset in looked)]
    return Seen(tuple(map(_failed, bad)), answered=frozenset(map(_run_of, recent)))


def _makes_good(run: Finished, local: Finished) -> bool:
    """Whether a later run shows that what was done here without a push is over.

    A run of a command line took its snapshot and expired, too. One by the configuration file only pushed: it
    has to be of a snapshot that was taken since.
    """
    if not run.job:
        return True
    taken = own_time(run.target)
    # Both moments have no fractions of seconds.
    return taken is not None and taken > local.started + timedelta(seconds=local.seconds + 1)


def _run_of(run: Finished) -> str:
    return f"run {run.dataset} {run.destination}".rstrip()


def _failed(run: Finished) -> Trouble:
    where = f" to {run.destination}" if run.destination else ""
    part = "was done in part only" if run.exit == 3 else "failed"
    why = f": {run.error}" if run.error else f" (exit {run.exit})"
    what = f"the backup of {run.dataset}{where} {part}, {moment(run.started)}{why}"
    verify, doctor = (of_copy(word, run.dataset, run.destination) for word in ("verify", "doctor"))
    remedy = _REMEDIES.get(run.exit, _REMEDY).format(journal=JOURNAL, verify=verify, doctor=doctor)
    return Trouble(_run_of(run), _run_of(run), Topic.FAILURE, Severity.FAILS, what, remedy)


def units(run: Run) -> tuple[Unit, ...] | None:
    """Our services that systemd knows now; ``None`` where it does not answer, or does not run here."""
    names = ("Id", "ActiveState", "Result", "ExecMainStatus", "ExecMainStartTimestamp")
    blocks = _shown(run, names, SERVICES)
    return None if blocks is None else tuple(map(_unit, blocks))


def _shown(run: Run, names: Sequence[str], units: Sequence[str]) -> list[dict[str, str]] | None:
    try:
        return show_units(run, names, units)
    except SilentError:
        return None


def _unit(block: Mapping[str, str]) -> Unit:
    status = block.get("ExecMainStatus", "")
    return Unit(
        block.get("Id", ""),
        block.get("ActiveState", ""),
        block.get("Result", ""),
        int(status) if status.isdecimal() else 0,
        unit_moment(block.get("ExecMainStartTimestamp", "")),
    )


def from_units(found: Iterable[Unit] | None, runs: Iterable[Finished]) -> Seen:
    """Which services have failed, but for those whose run has left word of it in the history."""
    if found is None:
        return Seen()
    words = list(runs)
    failed = (unit for unit in found if unit.state == "failed" and not _has_word(unit, words))
    return Seen(tuple(map(_unit_failed, failed)), answered=frozenset({"units"}))


def _has_word(unit: Unit, runs: Iterable[Finished]) -> bool:
    if unit.result != "exit-code":
        return False
    if unit.status == LOCKED or unit.status in INTERRUPTED:
        return True
    # The history has no fractions of seconds.
    since = unit.started or datetime.max.replace(tzinfo=UTC)
    return any(run.exit == unit.status and run.started >= since - timedelta(seconds=2) for run in runs)


def _unit_failed(unit: Unit) -> Trouble:
    how = f"exit {unit.status}" if unit.result == "exit-code" else unit.result
    begun = f", begun {moment(unit.started)}" if unit.started else ""
    what = f"{unit.name} has failed ({how}{begun})"
    remedy = f"journalctl -u {unit.name} -e says why; systemctl start {unit.name} tries again"
    return Trouble(f"unit {unit.name}", "units", Topic.FAILURE, Severity.FAILS, what, remedy)


def just_begun(found: Iterable[Unit] | None, now: datetime) -> timedelta | None:
    """How long to wait until it shows whether a run that has just begun finds anything to do; ``None`` where
    none has."""
    ages = (
        now - unit.started
        for unit in found or ()
        if unit.name == RUN_SERVICE and unit.state == "activating" and unit.started
    )
    return next((A_LOOK - age for age in ages if timedelta() <= age < A_LOOK), None)


def busy_for(found: Iterable[Unit] | None, now: datetime) -> timedelta | None:
    """Since when a backup is under way; ``None`` where none is.

    A run by the configuration file begins every few minutes, and must not keep what is late from being told.
    """
    times = [
        now - unit.started
        for unit in found or ()
        if unit.state == "activating" and unit.started and not unit.name.endswith("-receiver.service")
        if unit.name != RUN_SERVICE or now - unit.started >= A_LOOK
    ]
    return min(times, default=None)

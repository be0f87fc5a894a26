# SPDX-License-Identifier: GPL-3.0-or-later
"""``status`` and ``check`` of all trees that the configuration file declares, and what such looks share.

Changes nothing. A tree that cannot be read is a problem of its own, and the others are told of all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..config.declared import Declared
from ..config.declared_requests import LookDeclared, NothingDeclaredError
from ..config.job import Job
from ..config.requests import Check
from ..config.tasks import tasks
from ..hosts.local import LocalHost
from ..model.history import Finished, by_dataset
from ..model.places import HERE
from ..plan.due import Elapse
from ..plan.findings import good, warning
from ..plan.lateness import Checked
from ..plan.standing import Standing
from ..zfs.client import Zfs
from .attempt import attempt, missing
from .awaited import Awaited, awaited
from .check import checked, runs_on_record, unknown, verdict
from .configuration import read_declared
from .doctor_here import RUN_TIMER, SYSTEMD_PATIENCE, run_timer_is_off
from .due_jobs import Open, open_real
from .elapses import longest_gap, next_elapse
from .ends import Ends, Home
from .errors import PATIENCE, SourceMissingError
from .expected import Gap
from .result import ActionResult, Outcome, Problem, RunResult, Surface
from .status import Told, table_of, tree_rows
from .troubles import check_of

Answer = TypeVar("Answer")

_OFF = (
    f"{RUN_TIMER} is off: nothing of this is backed up by itself, unless something else starts "
    f"cyber-zfs-backup run; systemctl enable --now {RUN_TIMER}"
)


@dataclass(frozen=True, slots=True)
class World:
    """What is looked at: this machine's zfs, ways out, and the runs on record (oldest first).

    ``off``: the timer that does what is due is off, so that it is not known when anything is done.
    """

    source: Zfs
    open: Open
    clock: Callable[[], datetime]
    runs: Sequence[Finished]
    elapse: Elapse = next_elapse
    gap: Gap = longest_gap
    off: bool = False


Trees = Sequence[Awaited]
Answers = Callable[[World, Trees], ActionResult]


def status_declared(request: LookDeclared, surface: Surface) -> RunResult:
    """How the trees stand, as a table. Raises ``UsageError`` where the configuration cannot be used."""
    return look(request, surface, lambda world, trees: status_of(world, trees, online=request.online))


def check_declared(request: LookDeclared, surface: Surface) -> RunResult:
    """Whether backups of the trees come as they should. Raises ``UsageError`` as ``status_declared`` does."""
    return look(request, surface, partial(check_all, request.file))


def look(request: LookDeclared, surface: Surface, answer: Answers) -> RunResult:
    """Read the file, look when things are due, and let ``answer`` tell the rest.

    Raises ``NothingDeclaredError`` where the file was not named, and has no dataset.
    """
    declared = read_declared(request.file, surface)
    if not declared.entries and not request.named:
        raise NothingDeclaredError(f"{request.file} declares no [[dataset]]")
    return looked(declared, surface, answer)


def looked(declared: Declared, surface: Surface, answer: Answers) -> RunResult:
    """The same of what was read already."""
    started, began = datetime.now(UTC), time.monotonic()
    host = LocalHost()
    try:
        off = run_timer_is_off(partial(host.run, timeout=SYSTEMD_PATIENCE))
        result = look_on(real_world(Zfs(host, timeout=PATIENCE), surface, off=off), declared, answer)
    finally:
        host.close()
    return RunResult("", (), started, round(time.monotonic() - began, 3), False, (result,))


def real_world(source: Zfs, surface: Surface, *, off: bool) -> World:
    """The world, by real processes and connections."""
    return World(source, open_real(surface), lambda: datetime.now(UTC), runs_on_record(), off=off)


def look_on(world: World, declared: Declared, answer: Answers) -> ActionResult:
    """The same in a given world."""
    known = tasks(declared)
    newest = attempt(
        "look", lambda: world.source.newest_own([task.dataset for task in known]) if known else {}
    )
    # Where zfs does not answer, each tree has that problem, and tells it.
    seen = None if isinstance(newest, ActionResult) else newest
    trees = awaited(known, seen, world.clock(), world.elapse, world.gap)
    return answer(world, [tree.without_times() for tree in trees] if world.off else trees)


def status_of(world: World, trees: Trees, *, online: bool) -> ActionResult:
    """A row for each destination of each tree; ``online``: as the receivers say."""
    standings: list[Standing] = []
    problems: list[Problem] = []
    runs = by_dataset(world.runs)
    for tree in trees:
        told = look_into(world, tree.task.looking(online=online), partial(rows_of, runs))
        standings += tree.standings(told.rows if isinstance(told, Told) else ())
        problems += told.problems
    table = table_of(standings, tuple(problems), world.clock())
    return replace(table, answer=(_OFF,)) if world.off else table


def rows_of(runs: Mapping[str, Sequence[Finished]], home: Home, ways: Sequence[Ends]) -> Told:
    """One tree's rows; ``runs`` are those on record of each tree."""
    return tree_rows(home, ways, runs.get(home.job.dataset, ()))


def look_into(world: World, job: Job, see: Callable[[Home, Sequence[Ends]], Answer]) -> Answer | ActionResult:
    """Look at one tree; what cannot be read of it, or is not there, becomes a result with its problem."""

    def opened() -> Answer | ActionResult:
        with world.open(job) as (home, ways):
            return see_tree(home, ways, see)

    return attempt(job.dataset, opened)


def see_tree(
    home: Home, ways: Sequence[Ends], see: Callable[[Home, Sequence[Ends]], Answer]
) -> Answer | ActionResult:
    """The same where its ends are open."""
    try:
        return see(home, ways)
    except SourceMissingError as error:
        # A pool that is not imported hides nothing of the others.
        return missing(home.job.dataset, error)


def check_all(file: Path, world: World, trees: Trees) -> ActionResult:
    """One line for all of them; the worst counts. What cannot be looked at is not called well."""
    done: list[Checked] = []
    blind: list[str] = []
    runs = by_dataset(world.runs)
    for tree in trees:
        if tree.paused:
            done.append(Checked((good("taken", HERE, f"{tree.task.dataset} is {tree.paused}"),)))
            continue
        mine = runs.get(tree.task.dataset, ())
        see = partial(_check, check_of(tree.task, tree.limits, tree.arrived), mine)
        told = look_into(world, tree.task.looking(online=False), see)
        if isinstance(told, ActionResult):
            blind += [f"{tree.task.dataset}: {each.what}" for each in told.problems]
        else:
            done += told
    found = verdict(done) if done else unknown(f"{file} declares no [[dataset]]")
    if not blind:
        return found
    if found.outcome is Outcome.CRITICAL:
        # What is known to be bad is worse than what is not known; it is told all the same.
        return verdict([*done, Checked((warning("taken", HERE, f"not known: {'; '.join(blind)}", ""),))])
    return unknown("; ".join([*blind, *(each.what for each in found.findings if each.severity)]))


def _check(
    request: Check, runs: Sequence[Finished], home: Home, _ways: Sequence[Ends]
) -> tuple[Checked, ...]:
    return checked(home, request, runs)

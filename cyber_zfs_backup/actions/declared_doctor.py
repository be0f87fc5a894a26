# SPDX-License-Identifier: GPL-3.0-or-later
"""``doctor`` of all trees that the configuration file declares, and of what they have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..config.declared_requests import LookDeclared
from ..config.job import Job, SourceHost
from ..hosts.local import LocalHost
from ..model.places import HERE
from ..plan.findings import Finding, fails, warning
from .declared_looks import Trees, World, look, look_into
from .doctor import FILE, Examined, examine, summary_of
from .doctor_here import RUN_TIMER, Here, look_here
from .ends import Ends, Home
from .journal import Journal, state_folder
from .result import ActionResult, RunResult, Surface


def doctor_declared(request: LookDeclared, surface: Surface) -> RunResult:
    """Look at all of them; ``online``: at the receivers, too. Raises ``UsageError``."""

    def answer(world: World, trees: Trees) -> ActionResult:
        jobs = [tree.task.looking(online=request.online) for tree in trees]
        ends = [end for job in jobs for end in job.destinations]
        here = look_here((SourceHost(), *ends), LocalHost().run)
        return doctor_of(here, Journal(state_folder() / FILE), world, jobs)

    return look(request, surface, answer)


def doctor_of(here: Here, past: Journal, world: World, jobs: Sequence[Job]) -> ActionResult:
    """The same in a given world. What several trees have in common (a pool, a way) is told once."""
    found = [finding for job in jobs for finding in _found(here, past, world, job)]
    if world.off:
        remedy = f"systemctl enable --now {RUN_TIMER}"
        found.append(
            warning("timer", HERE, f"{RUN_TIMER} is off: what the file declares is not done", remedy)
        )
    return summary_of(tuple(dict.fromkeys(found)))


def _found(here: Here, past: Journal, world: World, job: Job) -> Iterator[Finding]:
    def see(home: Home, ways: Sequence[Ends]) -> Examined:
        return examine(home, ways, here, past)

    told = look_into(world, replace(job, destinations=here.reachable(job.destinations)), see)
    if isinstance(told, Examined):
        yield from told.findings
    else:
        yield from (fails("source", HERE, each.what, each.remedy) for each in told.problems)

# SPDX-License-Identifier: GPL-3.0-or-later
"""``report`` of all trees that the configuration file declares: one page for all of them."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial

from ..config.declared_requests import LookDeclared
from ..config.job import SourceHost, UsageError
from ..hosts.local import LocalHost
from ..plan.report_page import Page, Seen, report_page
from .attempt import attempt
from .declared_looks import Trees, World, look, rows_of, see_tree
from .report_page import Around, look_at, refuse_file, surroundings, written
from .result import ActionResult, Problem, RunResult, Surface
from .status import Told


def report_declared(request: LookDeclared, surface: Surface) -> RunResult:
    """Write the page; ``online``: the doctor looks at the receivers, too. Raises ``UsageError``."""
    output = request.output
    if output is None:
        raise UsageError("report: name the folder for it with --output")
    refuse_file(output)

    def answer(world: World, trees: Trees) -> ActionResult:
        ends = [route.destination for tree in trees for route in tree.task.routes] if request.online else []
        around = surroundings((SourceHost(), *ends), LocalHost().run)
        page, problems = page_of(around, world, trees, online=request.online)
        return written(page, output, problems)

    return look(request, surface, answer)


def page_of(around: Around, world: World, trees: Trees, *, online: bool) -> tuple[Page, tuple[Problem, ...]]:
    """The page, and what could not be looked at."""
    seen: list[Seen] = []
    problems: list[Problem] = []
    for tree in trees:
        job = tree.task.looking(online=online)
        with world.open(replace(job, destinations=around.here.reachable(job.destinations))) as (home, ways):
            told = attempt("report", partial(see_tree, home, (), partial(rows_of, around.recorded.runs)))
            standings = tree.standings(told.rows if isinstance(told, Told) else ())
            looked = look_at(home, ways, around, standings)
        seen.append(looked.seen)
        problems += looked.problems
    page = report_page(os.uname().nodename, world.clock(), seen, around.recorded)
    return page, tuple(problems)

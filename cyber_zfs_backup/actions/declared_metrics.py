# SPDX-License-Identifier: GPL-3.0-or-later
"""``metrics`` of all trees that the configuration file declares; also after a run by that file."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from ..config.declared_requests import LookDeclared, RunDue
from ..config.job import UsageError
from .declared_looks import Trees, World, look, looked
from .metrics import Watched, after_run, gather, told
from .remembered import recall
from .reread import Reader
from .result import ActionResult, RunResult, Surface


def metrics_declared(request: LookDeclared, surface: Surface) -> RunResult:
    """Tell them, or write them into a file. Raises ``UsageError``, ``ModuleNotFoundError``."""
    return look(request, surface, partial(metrics_of, request.output))


def metrics_of(output: Path | None, world: World, trees: Trees) -> ActionResult:
    """The same in a given world."""
    with ExitStack() as stack:
        watched = []
        for tree in trees:
            home, _ = stack.enter_context(world.open(tree.task.looking(online=False)))
            watched.append(Watched(home, tree.limits, tree.paused, tree.coming, tree.arrived))
        return told(gather(watched, world.runs), output)


def write_after_run(request: RunDue, surface: Surface) -> None:
    """Write them into the file that the configuration names, if any; trouble is a warning."""
    try:
        # As the run has read it: what was found to be good is not looked into again.
        declared = Reader(request.file, surface).read(recall().good).declared
    except UsageError:
        # Somebody has edited it meanwhile; the next run says what is wrong.
        return
    output = declared.monitoring.metrics
    if output is not None:
        write = partial(metrics_of, output)
        after_run(output, lambda: looked(declared, surface, write).actions[0], surface)

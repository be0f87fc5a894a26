# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the steps that set a machine up, or prints them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from ..config.setup import SetupReceiver, SetupSender
from ..config.steps import Run, Step, Write, shell
from ..hosts.quoting import command_line
from .attempt import attempt
from .machine import Machine
from .result import ActionResult, Outcome, Problem, RunResult, Surface

_AGAIN = "mend that, then give the same command again: what is done is seen, and not done twice"


def set_up(
    request: SetupReceiver | SetupSender, destination: str, do: Callable[[], ActionResult]
) -> RunResult:
    """Do it, and put what came of it together as a result; ``destination`` may be empty."""
    started, began = datetime.now(UTC), time.monotonic()
    side = "sender" if isinstance(request, SetupSender) else "receiver"
    result = attempt(f"setup {side}", do)
    return RunResult(
        dataset=request.dataset,
        destinations=(destination,) if destination else (),
        started=started,
        seconds=round(time.monotonic() - began, 3),
        dry_run=request.dry_run,
        actions=(result,),
    )


def printed(action: str, steps: Sequence[Step], notes: Sequence[str] = ()) -> ActionResult:
    """The steps as lines for a shell, and nothing done."""
    due = sum(not step.already for step in steps)
    lines = (*shell(steps), *(f"# {note}" for note in notes))
    return ActionResult(action, Outcome.DONE, f"{due} steps to take", lines=lines)


def carry_out(action: str, steps: Sequence[Step], machine: Machine, surface: Surface) -> ActionResult:
    """Take the steps in order; the first that fails is the last. Says each as it is done."""
    done: list[str] = []
    for step in steps:
        if step.already:
            surface.note(f"{action}: already so: {step.what}")
            done.append(f"already so: {step.what}")
            continue
        surface.detail(f"{action}: {step.what}: {step.why}")
        for each in step.do:
            problem = _do(each, machine)
            if problem is not None:
                return ActionResult(action, Outcome.FAILED, problem.what, tuple(done), (problem,))
        surface.note(f"{action}: done: {step.what}")
        done.append(f"done: {step.what}")
    due = sum(not step.already for step in steps)
    if not due:
        return ActionResult(action, Outcome.NOTHING, "all is as it should be already", tuple(done))
    rest = len(steps) - due
    return ActionResult(
        action, Outcome.DONE, f"{due} steps done" + (f", {rest} were so already" if rest else ""), tuple(done)
    )


def _do(each: Run | Write, machine: Machine) -> Problem | None:
    if isinstance(each, Write):
        try:
            machine.write(each.path, each.text, each.mode)
        except OSError as error:
            return Problem(f"cannot be written: {error.strerror}", each.path, _AGAIN, "write")
        return None
    finished = machine.host.run(each.argv)
    if finished.ok:
        return None
    said = " ".join(finished.stderr.split()) or f"exit status {finished.status}"
    return Problem(f"{command_line(each.argv)}: {said}", machine.host.label, _AGAIN, "command")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the commands that stand before and after a snapshot or a push, and the condition of a task."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..config.declared import Conditions, Hook, OnFailure, Stage
from ..hosts.errors import HostError
from ..hosts.local import LocalHost
from ..hosts.protocol import Finished
from .result import ActionResult, Outcome, Problem, Surface

_VARIABLES = "CYBER_ZFS_BACKUP_"
_PATIENCE = 60.0
"""Seconds that a condition's command may take: it is to look at something, not to work."""

_BROKEN = (126, 127, 255)

POWER = Path("/sys/class/power_supply")

Run = Callable[[tuple[str, ...], Mapping[str, str], float], Finished]
"""Runs a command with these variables and so many seconds to do it in. Raises ``HostError``."""


def run_here(command: tuple[str, ...], environment: Mapping[str, str], timeout: float) -> Finished:
    """Run a command on this machine, and end it and its children when its time is up."""
    host = LocalHost(environment)
    try:
        return host.run(command, timeout=timeout)
    finally:
        host.close()


@dataclass(frozen=True, slots=True)
class Moment:
    """What a hook is told: where it stands, the tree, and the snapshot and destination where there are any.

    ``result`` is how what it stands behind has ended: ``done`` or ``failed``; empty before it.
    """

    stage: Stage
    dataset: str
    snapshot: str = ""
    destination: str = ""
    result: str = ""

    def variables(self) -> dict[str, str]:
        """The same, as variables of the environment."""
        told = {
            "WHEN": self.stage.value,
            "DATASET": self.dataset,
            "SNAPSHOT": self.snapshot,
            "DESTINATION": self.destination,
            "RESULT": self.result,
        }
        return {f"{_VARIABLES}{name}": value for name, value in told.items()}


@dataclass(frozen=True, slots=True)
class Hooked:
    """What the hooks of one moment came to. ``aborts``: what they stand beside fails too."""

    results: tuple[ActionResult, ...] = ()

    @property
    def aborts(self) -> bool:
        """Whether one failed whose failure counts."""
        return bool(self.results)


def run_hooks(hooks: Iterable[Hook], moment: Moment, surface: Surface, run: Run = run_here) -> Hooked:
    """Run the hooks that stand there, in the file's order.

    Before a snapshot or push the first failure that counts ends it: what follows builds on what failed. After
    it all are run, since each may have to undo what one before has done.
    """
    results: list[ActionResult] = []
    before = moment.stage in (Stage.BEFORE_SNAPSHOT, Stage.BEFORE_PUSH)
    for hook in hooks:
        if hook.when is not moment.stage:
            continue
        why = _trouble(hook, moment, run)
        if not why:
            surface.detail(f"{moment.stage.value}: {hook.command[0]}: done")
            continue
        if hook.on_failure is OnFailure.ABORT:
            results.append(_failed(hook, moment, why))
            if before:
                break
        elif hook.on_failure is OnFailure.WARN:
            surface.warn(f"{moment.stage.value}: {moment.dataset}: {hook.command[0]} {why}")
        else:
            surface.detail(f"{moment.stage.value}: {moment.dataset}: {hook.command[0]} {why}")
    return Hooked(tuple(results))


def _trouble(hook: Hook, moment: Moment, run: Run) -> str:
    """Why a hook has failed; empty where it has not."""
    try:
        done = run(hook.command, {**hook.environment, **moment.variables()}, hook.timeout.total_seconds())
    except HostError as error:
        return f"failed: {error.what}"
    return "" if done.ok else f"failed {_ending(done)}"


def _ending(done: Finished) -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    said = f": {lines[-1].strip()}" if lines else ""
    how = f"signal {-done.status}" if done.status is not None and done.status < 0 else f"exit {done.status}"
    return f"({how}){said}"


def _failed(hook: Hook, moment: Moment, why: str) -> ActionResult:
    problem = Problem(
        f"{hook.command[0]} {why}",
        moment.dataset,
        "mend it, or say in the file what its failure means: on-failure",
        "hook",
    )
    return ActionResult(
        f"hook {moment.stage.value}",
        Outcome.FAILED,
        problem.what,
        problems=(problem,),
        destination=moment.destination,
        dataset=moment.dataset,
    )


@dataclass(frozen=True, slots=True)
class Held:
    """Why something that is due is put off; ``broken``: its condition cannot be told, which is a fault."""

    why: str
    broken: bool = False


def put_off(conditions: Conditions, dataset: str, run: Run = run_here, power: Path = POWER) -> Held | None:
    """Why what is due must wait; ``None`` where it need not.

    A condition's command means the same as systemd's ``ExecCondition=``: 0 goes on, 1 to 254 puts it off
    without a fault, and 255, a signal or no end in time is one (systemd.service(5)); so is one that cannot be
    started, which looks like 126 or 127.
    """
    if conditions.on_ac_power and not on_ac_power(power):
        return Held("the machine runs on its battery")
    load = os.getloadavg()[1]
    if conditions.max_load is not None and load > conditions.max_load:
        return Held(f"the load is {load:.1f}, more than {conditions.max_load:g}")
    if not conditions.command:
        return None
    name = conditions.command[0]
    try:
        done = run(conditions.command, {f"{_VARIABLES}DATASET": dataset}, _PATIENCE)
    except HostError as error:
        return Held(f"its condition {name} failed: {error.what}", broken=True)
    if done.ok:
        return None
    if done.status is None or done.status < 0 or done.status in _BROKEN:
        return Held(f"its condition {name} failed {_ending(done)}", broken=True)
    return Held(f"its condition {name} says no {_ending(done)}")


def on_ac_power(folder: Path = POWER) -> bool:
    """Whether some supply gives power, or there is none that could tell: as systemd's ConditionACPower=."""
    found = []
    for supply in sorted(folder.glob("*")):
        try:
            if (supply / "type").read_text().strip() == "Battery":
                continue
            found.append((supply / "online").read_text().strip() == "1")
        except OSError:
            continue
    return any(found) or not found

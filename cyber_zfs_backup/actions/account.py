# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of a push: which datasets arrived, what went wrong with the others, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..model.names import join
from ..plan.ledger import Standing
from ..plan.push import PushPlan
from ..zfs.errors import Nature, ZfsError
from . import report
from .ends import Ends
from .execute import Executed
from .result import ActionResult, Outcome, Problem


@dataclass(frozen=True, slots=True)
class Account:
    """A push that ended: its last plan, all that was executed, and the error of each dataset that failed."""

    ends: Ends
    root: str
    target: str
    plan: PushPlan
    executed: Executed
    failures: Mapping[str, ZfsError]
    lines: tuple[str, ...]

    def confirmed(self, standings: Mapping[str, Standing]) -> dict[str, str]:
        """The targets that the receiver was seen to hold; in a dry run those that it would hold then."""
        plan = self.plan
        if self.ends.job.dry_run:
            return {
                path: name for path, name in plan.targets.items() if plan.fits and path not in plan.conflicted
            }
        return {
            path: name
            for path, name in plan.targets.items()
            if path in standings and standings[path].confirmed == name
        }

    def result(self, confirmed: Mapping[str, str]) -> ActionResult:
        """The action's result; ``confirmed`` as above."""
        plan, done = self.plan, self.executed
        return ActionResult(
            "push",
            self._outcome(confirmed),
            report.push_summary(self.ends, plan, done, len(confirmed), self.target),
            lines=self.lines,
            problems=(
                *(report.conflict_problem(conflict) for conflict in plan.conflicts),
                *(report.failure_problem(join(self.root, path), e) for path, e in self.failures.items()),
                *self._not_reached(confirmed),
            ),
            figures={
                "bytes": done.bytes_moved,
                "streams": done.streams,
                "data_connections": done.connections,
                "datasets": len(plan.targets),
                "confirmed": len(confirmed),
                "conflicts": len(plan.conflicts),
                "orphans": len(plan.orphans),
                "target": self.target,
                "form": plan.choice.form.value,
                "repaired": len(done.repaired),
                "renamed": done.moved,
                "properties_left_out": done.left_out,
                "seconds": done.seconds or 0.0,
            },
        )

    def _not_reached(self, confirmed: Mapping[str, str]) -> list[Problem]:
        """What has neither arrived nor a reason of its own; the end of the whole push is one."""
        if self.executed.hopeless or not self.plan.fits:
            return []
        told = {*confirmed, *self.plan.conflicted, *self.failures}
        left = [join(self.root, path) for path in self.plan.targets if path not in told]
        if not left:
            return []
        what = f"not pushed, the run ended before it: {', '.join(left[:5])}"
        more = f" and {len(left) - 5} more" if len(left) > 5 else ""
        return [Problem(what + more, left[0], "run again; first mend what failed", "not-reached")]

    def _outcome(self, confirmed: Mapping[str, str]) -> Outcome:
        plan, failures = self.plan, self.failures.values()
        if not plan.conflicts and not failures and len(confirmed) == len(plan.targets):
            did = self.executed.streams or self.executed.moved
            sends = did or (self.ends.job.dry_run and not plan.nothing_to_do)
            return Outcome.DONE if sends else Outcome.NOTHING
        if failures and all(error.trouble.nature is Nature.PASSING for error in failures):
            return Outcome.PASSING
        if confirmed and plan.fits:
            return Outcome.PARTIAL
        return Outcome.CONFLICT if plan.conflicts and not failures else Outcome.FAILED

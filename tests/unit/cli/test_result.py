# SPDX-License-Identifier: GPL-3.0-or-later
"""The exit code of a run."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.actions.result import Outcome

from .results import action, run_result


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ((), 0),
        ((Outcome.DONE,), 0),
        ((Outcome.NOTHING,), 0),
        ((Outcome.SKIPPED,), 0),
        ((Outcome.FAILED,), 1),
        ((Outcome.PARTIAL,), 3),
        ((Outcome.LOCKED,), 4),
        ((Outcome.CONFLICT,), 65),
        ((Outcome.PASSING,), 75),
        ((Outcome.DONE, Outcome.NOTHING, Outcome.DONE), 0),
        ((Outcome.DONE, Outcome.PASSING, Outcome.DONE), 75),
        ((Outcome.LOCKED, Outcome.PARTIAL), 3),
        ((Outcome.PARTIAL, Outcome.PASSING), 75),
        ((Outcome.PASSING, Outcome.FAILED), 1),
        ((Outcome.FAILED, Outcome.CONFLICT), 65),
        ((Outcome.WARNINGS,), 1),
        ((Outcome.CRITICAL, Outcome.WARNINGS), 2),
        (tuple(Outcome), 65),
    ],
)
def test_the_gravest_outcome_gives_the_exit_code(outcomes: tuple[Outcome, ...], code: int) -> None:
    for order in (outcomes, outcomes[::-1]):
        assert run_result(*(action("x", outcome) for outcome in order)).exit_code == code

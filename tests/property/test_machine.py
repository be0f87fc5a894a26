# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps are safe in any order of failure: see ``machine.py``, and ``world_laws.py`` for what must hold.

``CYBER_ZFS_BACKUP_MACHINE_RUNS`` sets how many histories are played (a nightly run: 2000); each such run
plays others, while the quick one always plays the same. The seed is in the report of a failure, and with
it as ``CYBER_ZFS_BACKUP_MACHINE_SEED`` (and the same number of runs) the same are played again. A failure is
made small, which can take minutes; with ``CYBER_ZFS_BACKUP_MACHINE_SHRINK=0`` it is not.
"""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.property.machine import Machine, happened
from tests.property.two_copies import without_threads

QUICK = 50
QUICK_SEED = 31
STEPS = 30


def test_every_step_is_safe_whatever_failed_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = os.environ.get("CYBER_ZFS_BACKUP_MACHINE_RUNS")
    runs = int(asked or QUICK)
    otherwise = random.SystemRandom().randrange(2**32) if asked else QUICK_SEED
    chosen = int(os.environ.get("CYBER_ZFS_BACKUP_MACHINE_SEED", otherwise))
    shrink = os.environ.get("CYBER_ZFS_BACKUP_MACHINE_SHRINK") != "0"
    print(
        f"to play the same again: CYBER_ZFS_BACKUP_MACHINE_RUNS={runs} CYBER_ZFS_BACKUP_MACHINE_SEED={chosen}"
    )
    without_threads(monkeypatch)
    happened.clear()
    run_state_machine_as_test(
        seed(chosen)(Machine),
        settings=settings(
            max_examples=runs,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            print_blob=True,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        ),
    )
    print(dict(happened.most_common()))
    # A machine in which nothing happens proves nothing.
    assert happened["killed between two steps of one plan"] > 0
    assert runs < 1000 or all(happened[what] for what in ("a partial receive is left", "late bytes"))

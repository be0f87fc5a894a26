# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps are safe in any order of failure: see ``machine.py``, and ``world_laws.py`` for what must hold.

``CYBER_ZFS_BACKUP_MACHINE_RUNS`` sets how many histories are played (a nightly run: 2000). Each run of
the tests plays others; the seed is in the report of a failure, and with it as
``CYBER_ZFS_BACKUP_MACHINE_SEED`` (and the same number of runs) the same are played again.
"""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.property.machine import Machine, happened
from tests.property.two_copies import without_threads

QUICK = 150
STEPS = 30


def test_every_step_is_safe_whatever_failed_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = int(os.environ.get("CYBER_ZFS_BACKUP_MACHINE_RUNS", QUICK))
    chosen = int(os.environ.get("CYBER_ZFS_BACKUP_MACHINE_SEED", random.SystemRandom().randrange(2**32)))
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
        ),
    )
    print(dict(happened.most_common()))
    # A machine in which nothing happens proves nothing.
    assert happened["killed between two steps of one plan"] > 0
    assert runs < 1000 or all(happened[what] for what in ("a partial receive is left", "late bytes"))

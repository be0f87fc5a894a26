# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands before and after a snapshot or a push, and what puts off what is due."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from cyber_zfs_backup.actions.hooks import Moment, on_ac_power, put_off, run_hooks
from cyber_zfs_backup.config.declared import Conditions, Hook, OnFailure, Stage
from tests.unit.actions.rig import Said

BEFORE = Moment(Stage.BEFORE_SNAPSHOT, "tank/db")
AFTER = Moment(Stage.AFTER_SNAPSHOT, "tank/db", "tank/db@x", result="done")


def shell(text: str, when: Stage = Stage.BEFORE_SNAPSHOT, failure: OnFailure = OnFailure.ABORT) -> Hook:
    return Hook(when, ("/bin/sh", "-c", text), timedelta(seconds=20), {"WORD": "own"}, failure)


def test_a_hook_is_told_where_it_stands(tmp_path: Path) -> None:
    hook = shell(f"env > {tmp_path}/env", Stage.AFTER_SNAPSHOT)
    hooked = run_hooks([hook, shell("exit 1")], AFTER, Said())
    assert not hooked.aborts
    told = (tmp_path / "env").read_text().splitlines()
    assert {line for line in told if line.startswith(("CYBER_", "WORD"))} == {
        "CYBER_ZFS_BACKUP_WHEN=after-snapshot",
        "CYBER_ZFS_BACKUP_DATASET=tank/db",
        "CYBER_ZFS_BACKUP_SNAPSHOT=tank/db@x",
        "CYBER_ZFS_BACKUP_DESTINATION=",
        "CYBER_ZFS_BACKUP_RESULT=done",
        "WORD=own",
    }


def test_the_first_failure_before_ends_it_and_after_all_are_run(tmp_path: Path) -> None:
    hooks = [shell(f"echo {n} >> {tmp_path}/ran; echo no way >&2; exit 3") for n in (1, 2)]
    hooked = run_hooks(hooks, BEFORE, Said())
    assert (tmp_path / "ran").read_text() == "1\n"
    (problem,) = [problem for result in hooked.results for problem in result.problems]
    assert (problem.what, problem.where) == ("/bin/sh failed (exit 3): no way", "tank/db")
    hooks = [shell(f"echo {n} >> {tmp_path}/after; exit 3", Stage.AFTER_SNAPSHOT) for n in (1, 2)]
    assert len(run_hooks(hooks, AFTER, Said()).results) == 2
    assert (tmp_path / "after").read_text() == "1\n2\n"


def test_what_a_failure_means_is_the_files_to_say() -> None:
    said = Said()
    assert not run_hooks([shell("exit 1", failure=OnFailure.WARN)], BEFORE, said).aborts
    assert said.warnings == ["before-snapshot: tank/db: /bin/sh failed (exit 1)"]
    assert not run_hooks([shell("exit 1", failure=OnFailure.IGNORE)], BEFORE, said).aborts
    assert len(said.warnings) == 1


def test_one_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    hook = Hook(
        Stage.BEFORE_SNAPSHOT,
        ("/bin/sh", "-c", f"sleep 600 & echo $! > {tmp_path}/child; wait"),
        timedelta(seconds=1),
    )
    hooked = run_hooks([hook], BEFORE, Said())
    assert hooked.aborts
    assert "had not ended after 1 s" in hooked.results[0].summary
    child = int((tmp_path / "child").read_text())
    state = Path(f"/proc/{child}/stat")
    # A signal is on its way for a moment, and who inherits it may not have looked after it yet.
    limit = time.monotonic() + 20
    while _runs(state) and time.monotonic() < limit:
        time.sleep(0.02)
    assert not _runs(state)


def _runs(state: Path) -> bool:
    try:
        return not state.read_text().rpartition(") ")[2].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("status", "held", "broken"), [(0, False, False), (1, True, False), (254, True, False), (255, True, True)]
)
def test_a_condition_means_what_systemds_does(status: int, held: bool, broken: bool) -> None:
    found = put_off(Conditions(command=("/bin/sh", "-c", f"exit {status}")), "tank/db")
    assert (found is not None, found is not None and found.broken) == (held, broken)


def test_a_condition_that_cannot_be_started_is_a_fault() -> None:
    found = put_off(Conditions(command=("/no/such",)), "tank/db")
    assert found is not None
    assert found.broken


def test_under_load_it_is_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 4.5, 0.0))
    found = put_off(Conditions(max_load=4.0), "tank/db")
    assert found is not None
    assert (found.why, found.broken) == ("the load is 4.5, more than 4", False)
    assert put_off(Conditions(max_load=5.0), "tank/db") is None


@pytest.mark.parametrize(
    ("supplies", "powered"),
    [
        ({}, True),
        ({"BAT0": ("Battery", "0")}, True),
        ({"AC": ("Mains", "0"), "BAT0": ("Battery", "1")}, False),
        ({"AC": ("Mains", "1")}, True),
        ({"AC": ("Mains", "0"), "usb": ("USB", "1")}, True),
    ],
)
def test_power(supplies: dict[str, tuple[str, str]], powered: bool, tmp_path: Path) -> None:
    for name, (kind, online) in supplies.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "type").write_text(f"{kind}\n")
        (tmp_path / name / "online").write_text(f"{online}\n")
    assert on_ac_power(tmp_path) is powered
    held = put_off(Conditions(on_ac_power=True), "tank/db", power=tmp_path)
    assert (held is None) is powered

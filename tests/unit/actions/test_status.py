# SPDX-License-Identifier: GPL-3.0-or-later
"""``status`` on the fake: by the source's own records, and by asking."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cyber_zfs_backup.actions.doctor_here import next_run
from cyber_zfs_backup.actions.result import ActionResult, Outcome
from cyber_zfs_backup.actions.status import status_on
from cyber_zfs_backup.config.job import Destination
from cyber_zfs_backup.hosts.protocol import Finished
from tests.unit.actions.rig import ONLY_PUSH, ROOT, THERE, Rig

OTHER = Destination("nas", "vault/other")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    return tmp_path


def status(rig: Rig, *, offline: bool = False, **changes: object) -> ActionResult:
    home = rig.home(actions=ONLY_PUSH, **changes)
    return status_on(home, [] if offline else rig.ways(home), None)


def told(result: ActionResult) -> list[dict[str, str]]:
    assert result.table is not None
    return [dict(zip(result.table.columns, row, strict=True)) for row in result.table.rows]


def nightly(*children: str) -> Rig:
    rig = Rig(*children)
    rig.first()
    rig.night()
    return rig


def test_offline_nobody_but_this_machine_is_asked() -> None:
    rig = nightly("a")
    before = rig.states()
    rig.receiver.faults.unreachable = True
    rig.source.calls.clear()
    result = status(rig, offline=True)
    (row,) = told(result)
    assert (row["destination"], row["newest"], row["behind by"]) == (
        f"offsite:{THERE}",
        rig.names()[-1],
        "nothing",
    )
    assert (result.outcome, result.summary) == (Outcome.DONE, "1 row, 0 behind")
    assert [call[:2] for call in rig.source.calls] == [("zfs", "get"), ("zfs", "list")]
    assert rig.states() == before


def test_a_destination_that_is_behind_tells_what_it_keeps_here() -> None:
    rig = nightly("a")
    there = rig.names()[-1]
    rig.receiver.faults.unreachable = True
    for _ in range(2):
        rig.night()
    (row,) = told(status(rig, offline=True))
    assert (row["there"], row["behind by"]) == (there, "2 days")
    assert row["kept for it"].endswith("B")
    # Asked, and out of reach: the record tells all the same, and that it could not be asked.
    result = status(rig)
    assert (result.outcome, [problem.kind for problem in result.problems]) == (
        Outcome.PARTIAL,
        ["unreachable"],
    )
    assert told(result) == [row]


def test_asked_the_receiver_tells_more_than_the_record() -> None:
    rig = nightly("a")
    newest = rig.names_there()[-1]
    rig.receiver.zfs("destroy", f"{THERE}@{newest}")
    (row,) = told(status(rig))
    assert row["there"] == rig.names_there()[-1] != newest
    assert row["behind by"] == "24 h"


def test_a_destination_that_is_not_on_record_and_one_that_is_not_asked() -> None:
    rig = nightly()
    rig.elsewhere["nas"] = rig.receiver
    first, second = told(status(rig, destination=OTHER))
    assert (first["destination"], first["there"]) == ("nas:vault/other", "nothing")
    assert (second["destination"], second["there"]) == (f"offsite:{THERE}", rig.names()[-1])


def test_no_push_yet() -> None:
    rig = Rig()
    rig.snap()
    (row,) = told(status(rig, offline=True))
    assert (row["dataset"], row["destination"]) == (ROOT, "none")
    (row,) = told(status(rig))
    assert (row["destination"], row["there"]) == (f"offsite:{THERE}", "nothing")


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("NextElapseUSecRealtime=@1764208800\n", datetime.fromtimestamp(1764208800, UTC)),
        ("NextElapseUSecRealtime=\n", None),
        ("", None),
    ],
)
def test_the_next_run_is_systemds(said: str, moment: datetime | None) -> None:
    def run(argv: Sequence[str]) -> Finished:
        return Finished(tuple(argv), 0, said, "")

    assert next_run(run) == moment

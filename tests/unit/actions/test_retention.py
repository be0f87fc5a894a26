# SPDX-License-Identifier: GPL-3.0-or-later
"""``retention``: what it explains is what expire does, and a simulation is drawn where it was asked for."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from cyber_zfs_backup.actions.result import Outcome, RunResult
from cyber_zfs_backup.actions.retention import retention_explain_on, retention_simulate
from cyber_zfs_backup.config.job import RetentionPolicy, UsageError
from cyber_zfs_backup.config.retaining import Explain, Simulate
from cyber_zfs_backup.model.ages import parse_age
from cyber_zfs_backup.plan.retention import Because
from cyber_zfs_backup.plan.windows import parse_window
from tests.unit.actions.rig import FORCED, HARSH, ONLY_EXPIRE, ROOT, Rig, Said, action, mutations

SVG = "{http://www.w3.org/2000/svg}"
TWO_DAYS = RetentionPolicy(2, 0, 0)
SIMPLE = Simulate(TWO_DAYS, date(2026, 1, 1), years=1)


def explain(rig: Rig, request: Explain) -> RunResult:
    job = {"retention": request.retention, "exclude": request.exclude, "force": request.force}
    return retention_explain_on(request, rig.home(actions=ONLY_EXPIRE, dry_run=True, destinations=(), **job))


def answer(rig: Rig, request: Explain) -> tuple[str, ...]:
    return action(explain(rig, request), "retention explain").answer


def guarded() -> Rig:
    """A tree with a base, a hold, a clone, a foreign snapshot, and more that goes by most rules."""
    rig = Rig("a", "b")
    names = [rig.snap() for _ in range(5)]
    rig.run(force=FORCED)
    rig.source.zfs("hold", "mine", f"{ROOT}/a@{names[0]}")
    rig.source.zfs("clone", f"{ROOT}/b@{names[1]}", "tank/clone")
    rig.source.zfs("snapshot", "-r", f"{ROOT}@by-hand")
    for _ in range(3):
        rig.snap()
    return rig


@pytest.mark.parametrize(
    "policy",
    [
        TWO_DAYS,
        HARSH,
        RetentionPolicy(),
        RetentionPolicy(0, 0, 0, years=0, last=2),
        RetentionPolicy(0, 0, 0, years=0, within=parse_age("2d")),
        RetentionPolicy(1, 0, 0, years=0, windows=(parse_window("3d/2d"),)),
    ],
)
def test_what_is_explained_is_what_expire_does(policy: RetentionPolicy) -> None:
    rig = guarded()
    before = rig.states()
    told = answer(rig, Explain(ROOT, ROOT, policy))
    assert rig.states() == before
    assert not explain(rig, Explain(ROOT, ROOT, policy)).dry_run
    result = action(rig.run(actions=ONLY_EXPIRE, retention=policy), "expire")
    assert result.outcome in (Outcome.DONE, Outcome.NOTHING)
    assert told == result.lines
    kept = {line.split()[1].rstrip(":") for line in told if line.startswith("keep ")}
    assert kept == {f"{rig.full(path)}@{name}" for path in rig.paths() for name in rig.names(path)}


def test_the_guards_are_reasons() -> None:
    lines = "\n".join(answer(guarded(), Explain(ROOT, ROOT, HARSH)))
    for reason in ("held by mine", "has clones: tank/clone", "base of offsite:", "foreign", ": newest"):
        assert reason in lines


def test_programs_get_each_verdict_with_its_kind() -> None:
    rig = guarded()
    result = action(explain(rig, Explain(ROOT, ROOT, HARSH)), "retention explain")
    assert [verdict.line for verdict in result.verdicts] == list(result.answer)
    assert len(result.verdicts) == sum(len(rig.names(path)) for path in rig.paths())
    kinds = Counter((verdict.keep, verdict.reason.because) for verdict in result.verdicts)
    # Three datasets: the newest and one made by hand on each, one base, one held, one with a clone.
    assert kinds == {
        (True, Because.NEWEST): 3,
        (True, Because.FOREIGN): 3,
        (True, Because.PROTECTED): 3,
        (True, Because.IN_USE): 2,
        (False, Because.SAME_PERIOD): sum(not verdict.keep for verdict in result.verdicts),
    }


def test_it_reads_and_lists_snapshots_once() -> None:
    rig = guarded()
    rig.source.calls.clear()
    explain(rig, Explain(ROOT, ROOT, TWO_DAYS))
    assert mutations(rig.source.calls) == []
    listings = [call for call in rig.source.called("list") if "-r" in call]
    assert len(listings) == 1


def test_one_dataset_with_all_below_it_or_alone() -> None:
    rig = Rig("a", "a/x", "b")
    name = rig.snap()
    request = Explain(ROOT, f"{ROOT}/a")
    assert answer(rig, request) == (
        f"keep {ROOT}/a@{name}: newest",
        f"keep {ROOT}/a/x@{name}: newest",
    )
    assert answer(rig, replace(request, recursive=False)) == (f"keep {ROOT}/a@{name}: newest",)


def test_a_dataset_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="tank/src/gone: there is no such dataset in the tree tank/src"):
        explain(Rig("a"), Explain(ROOT, f"{ROOT}/gone"))


def test_an_expire_that_would_refuse_says_so_first() -> None:
    rig = Rig()
    for _ in range(16):
        rig.snap()
    result = action(explain(rig, Explain(ROOT, ROOT, HARSH)), "retention explain")
    assert result.answer[0].startswith(
        f"expire refuses: {ROOT}: 15 of 16 snapshots would be destroyed at once"
    )
    assert "--force-destroy-lots" in result.answer[0]
    assert result.summary == f"15 of 16 snapshots of {ROOT} would be destroyed, but expire refuses"
    assert (result.outcome, result.figures["refusals"]) == (Outcome.DONE, 1)


def test_a_snapshot_in_the_future_is_a_refusal_too() -> None:
    rig = Rig()
    rig.snap()
    rig.source.zfs("snapshot", f"{ROOT}@2099-01-01T00:00:00Z")
    first, *rest = answer(rig, Explain(ROOT, ROOT, HARSH))
    assert "is dated in the future" in first
    assert all(line.startswith("keep ") for line in rest)


# simulate


def test_a_simulation_says_what_would_exist() -> None:
    said = Said()
    result = retention_simulate(SIMPLE, said)
    (done,) = result.actions
    assert (result.exit_code, said.notes) == (0, [])
    assert done.summary == (
        "at the end of 2026-12-31 3 snapshots of 365 would exist; at most 3 at the end of any day"
    )
    assert done.lines == (
        "keep 2026-12-31T00:00:00Z: newest",
        "keep 2026-12-30T00:00:00Z: daily 1 of 2",
        "keep 2026-12-29T00:00:00Z: daily 2 of 2",
    )
    assert done.figures == {"snapshots": 3, "taken": 365, "most": 3}


def test_a_simulation_ends_with_the_day_that_is_shown() -> None:
    (done,) = retention_simulate(replace(SIMPLE, on=date(2026, 2, 28), per_day=2), Said()).actions
    assert done.summary.startswith("at the end of 2026-02-28 3 snapshots of 118 would exist")
    assert done.lines[0] == "keep 2026-02-28T12:00:00Z: newest"


def test_a_long_one_says_so_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cyber_zfs_backup.actions.retention.LONG", 300)
    said = Said()
    retention_simulate(SIMPLE, said)
    assert said.notes == ["retention simulate: 365 snapshots; this takes a while"]


def test_it_is_drawn_as_svg(tmp_path: Path) -> None:
    output = tmp_path / "kept.svg"
    result = retention_simulate(replace(SIMPLE, years=3, output=output), Said())
    assert result.exit_code == 0
    drawing = ET.fromstring(output.read_text())  # noqa: S314 - our own
    groups = {group.get("aria-label"): group for group in drawing.iter(f"{SVG}g") if group.get("aria-label")}
    assert list(groups) == ["newest", "daily", "yearly"]
    times = [title.text for title in groups["yearly"].iter(f"{SVG}title")]
    assert times == ["2026-12-31 00:00:00 UTC", "2027-12-31 00:00:00 UTC"]
    places = [float(line.get("x1", "")) for line in groups["daily"].iter(f"{SVG}line")]
    assert places == sorted(places)
    assert 170 < places[0] < 930


def test_a_file_that_cannot_be_written_fails_and_loses_nothing(tmp_path: Path) -> None:
    output = tmp_path / "no" / "kept.svg"
    result = retention_simulate(replace(SIMPLE, output=output), Said())
    (done,) = result.actions
    assert (result.exit_code, done.problems[0].where) == (1, str(output))
    assert "No such file" in done.problems[0].what
    assert done.timeline is not None

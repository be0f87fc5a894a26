# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics on the fake: gathered from the source alone, rendered, and written into a file at once."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cyber_zfs_backup.actions import atomic, exposition, metrics
from cyber_zfs_backup.actions.metrics import Watched, gather, metrics_on, write_after
from cyber_zfs_backup.actions.result import Outcome
from cyber_zfs_backup.config.job import Exclude, Job, SourceHost
from cyber_zfs_backup.model.history import Finished
from cyber_zfs_backup.model.names import own_time
from cyber_zfs_backup.plan.metrics import Family
from cyber_zfs_backup.zfs import properties
from tests.unit.actions.rig import ROOT, THERE, Rig

OFF = f"offsite:{THERE}"
Samples = dict[tuple[str, tuple[str, ...]], float]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setattr(metrics, "next_run", lambda _run: None)
    return tmp_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with nothing in it."""
    made = tmp_path / "textfiles"
    made.mkdir()
    return made


def read(text: str) -> Samples:
    """A text as Prometheus reads it: by name, without what they all begin with, and labels."""
    return {
        (sample.name.removeprefix("cyber_zfs_backup_"), tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def told(rig: Rig, *runs: Finished) -> Samples:
    return read(exposition.rendered(gather([Watched(rig.home())], runs).families))


def nightly(*children: str) -> Rig:
    rig = Rig(*children)
    rig.first()
    rig.night()
    return rig


def seconds(name: str) -> float:
    moment = own_time(name)
    assert moment is not None
    return moment.timestamp()


def test_nobody_but_the_source_is_asked() -> None:
    rig = nightly("a")
    before = rig.states()
    rig.receiver.faults.unreachable = True
    rig.source.calls.clear()
    run = Finished(ROOT, OFF, rig.now, 12.5, 0, bytes=1 << 40)
    found = told(rig, run)
    assert found["newest_snapshot_timestamp_seconds", (ROOT,)] == seconds(rig.names()[-1])
    assert found["newest_received_timestamp_seconds", (ROOT, OFF)] == seconds(rig.names()[-1])
    assert found["last_run_duration_seconds", (ROOT, OFF)] == 12.5
    assert found["last_run_bytes", (ROOT, OFF)] == 1 << 40
    assert found["dataset_available", (ROOT,)] == 1
    assert not [name for name, _ in found if name == "kept_bytes"]
    assert [call[:2] for call in rig.source.calls] == [("zfs", "get"), ("zfs", "list")]
    assert rig.states() == before


def test_a_destination_that_is_behind() -> None:
    rig = nightly("a")
    there = rig.names()[-1]
    rig.receiver.faults.unreachable = True
    for _ in range(2):
        rig.night()
    found = told(rig)
    assert found["newest_received_timestamp_seconds", (ROOT, OFF)] == seconds(there)
    assert found["kept_bytes", (ROOT, OFF)] > 0


def test_a_tree_that_is_not_there_is_told_with_the_others() -> None:
    rig, gone = nightly(), Rig()
    run = Finished("tank/gone", OFF, rig.now, 1.0, 2, error="there is no such dataset")
    missing = Watched(gone.home(dataset="tank/gone"), paused="until Monday")
    gathered = gather([missing, Watched(rig.home())], [run])
    found = read(exposition.rendered(gathered.families))
    assert found["dataset_available", ("tank/gone",)] == 0
    assert found["last_run_exit_code", ("tank/gone", OFF)] == 2
    assert ("newest_snapshot_timestamp_seconds", ("tank/gone",)) not in found
    assert (found["paused", ("tank/gone",)], found["paused", (ROOT,)]) == (1, 0)
    assert found["newest_snapshot_timestamp_seconds", (ROOT,)] > 0
    (problem,) = gathered.problems
    assert problem.what.startswith("tank/gone: there is no such dataset")
    assert problem.remedy.startswith("import its pool")


def test_a_damaged_record_hides_no_other_tree() -> None:
    rig, other = nightly(), nightly()
    other.source.zfs("set", f"{properties.BASE_PREFIX}0123456789abcdef=rubbish", ROOT)
    gathered = gather([Watched(other.home())], [])
    assert read(exposition.rendered(gathered.families))["dataset_available", (ROOT,)] == 0
    assert [problem.kind for problem in gathered.problems] == ["damaged-record"]
    assert told(rig)["dataset_available", (ROOT,)] == 1


def test_labels_are_escaped_and_come_back() -> None:
    odd = 'a"b\\c\nd{e}'
    family = Family("cyber_zfs_backup_x", 'about "it" \\', ("dataset", "destination"), {(odd, "ü"): 1.5})
    text = exposition.rendered([family])
    assert len(text.splitlines()) == 3
    assert read(text) == {("x", (odd, "ü")): 1.5}


def test_times_are_whole_to_the_second() -> None:
    family = Family("cyber_zfs_backup_x", "About it.", (), {(): 1_796_000_001.0})
    assert read(exposition.rendered([family])) == {("x", ()): 1_796_000_001}


def test_on_stdout_there_is_nothing_but_metrics() -> None:
    rig = nightly()
    result = metrics_on(rig.home(), None, datetime(2026, 11, 28, 2, tzinfo=UTC))
    assert result.outcome is Outcome.DONE
    found = read("".join(f"{line}\n" for line in result.lines))
    assert found["next_run_timestamp_seconds", (ROOT,)] == datetime(2026, 11, 28, 2, tzinfo=UTC).timestamp()
    assert result.figures == {"samples": len(found)}


def test_a_file_is_written_for_all_to_read_and_nothing_beside_it(folder: Path) -> None:
    rig, output = nightly(), folder / "x.prom"
    former = os.umask(0o077)
    try:
        for _ in range(2):
            result = metrics_on(rig.home(), output, None)
            assert (result.outcome, result.lines) == (Outcome.DONE, ())
    finally:
        os.umask(former)
    assert stat.S_IMODE(output.stat().st_mode) == 0o644
    assert [each.name for each in folder.iterdir()] == ["x.prom"]
    assert read(output.read_text())["dataset_available", (ROOT,)] == 1


def test_a_file_is_there_whole_or_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = folder / "x.prom"
    output.write_text("former\n")
    seen: list[list[str]] = []

    def fail(_from: str, _to: str) -> None:
        seen.append(sorted(each.name for each in folder.iterdir()))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    result = metrics_on(nightly().home(), output, None)
    assert result.outcome is Outcome.FAILED
    (problem,) = result.problems
    assert (problem.what, problem.where) == (
        "the metrics cannot be written: No space left on device",
        str(output),
    )
    # What lay beside it is nothing that node_exporter reads, and is gone.
    ((beside, name),) = seen
    assert name == "x.prom"
    assert not beside.endswith(".prom")
    assert [each.name for each in folder.iterdir()] == ["x.prom"]
    assert output.read_text() == "former\n"


def test_a_link_is_replaced_and_not_followed(folder: Path) -> None:
    real, link = folder / "real", folder / "link"
    real.write_text("old")
    link.symlink_to(real)
    atomic.write(str(link), b"new", 0o640)
    assert (real.read_text(), link.is_symlink()) == ("old", False)
    assert (link.read_bytes(), stat.S_IMODE(link.stat().st_mode)) == (b"new", 0o640)


def use(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Let the writer find this source; answers the jobs that it asks for."""
    asked: list[Job] = []

    @contextmanager
    def home(job: Job, _surface: object) -> Iterator[object]:
        asked.append(job)
        yield rig.home(dataset=job.dataset, exclude=job.exclude)

    monkeypatch.setattr(metrics, "real_home", home)
    return asked


def test_after_a_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig, output = nightly("a", "b"), folder / "x.prom"
    asked = use(rig, monkeypatch)
    source = SourceHost("zippy")
    write_after(rig.job(metrics=output, exclude=Exclude(("b",)), source=source), rig.said)
    assert [(job.source, job.exclude.patterns, job.destinations) for job in asked] == [(source, ("b",), ())]
    assert read(output.read_text())["dataset_available", (ROOT,)] == 1
    assert rig.said.warnings == []


def test_nothing_is_written_where_nobody_asked_or_nothing_was_done(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, output = nightly(), folder / "x.prom"
    asked = use(rig, monkeypatch)
    write_after(rig.job(metrics=output, dry_run=True), rig.said)
    write_after(rig.job(), rig.said)
    assert (asked, output.exists()) == ([], False)


def test_trouble_is_a_warning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = nightly()
    use(rig, monkeypatch)
    output = folder / "missing" / "x.prom"
    write_after(rig.job(metrics=output), rig.said)
    (warning,) = rig.said.warnings
    assert warning.startswith(
        f"metrics: {output}: the metrics cannot be written: No such file or directory; "
    )
    assert warning.endswith("; the run itself is done")


def test_without_the_module_it_is_a_warning_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = nightly()
    use(rig, monkeypatch)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    write_after(rig.job(metrics=folder / "x.prom"), rig.said)
    (warning,) = rig.said.warnings
    assert "apt install python3-prometheus-client" in warning
    assert list(folder.iterdir()) == []


def test_whatever_it_is_it_is_a_warning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = nightly()

    def broken(_job: object, _surface: object) -> object:
        raise RuntimeError("boo")

    monkeypatch.setattr(metrics, "real_home", broken)
    write_after(rig.job(metrics=folder / "x.prom"), rig.said)
    assert rig.said.warnings == [
        f"{folder}/x.prom: no metrics are written: boo; the run itself is done",
    ]


def test_a_tree_that_cannot_be_read_is_told_in_the_file_and_warned_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, output = nightly(), folder / "x.prom"
    use(rig, monkeypatch)
    write_after(rig.job(dataset="tank/gone", metrics=output), rig.said)
    assert read(output.read_text())["dataset_available", ("tank/gone",)] == 0
    (warning,) = rig.said.warnings
    assert warning.startswith("metrics: tank/gone: there is no such dataset")

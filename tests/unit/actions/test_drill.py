# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill on the fake zfs (which mounts nothing): what is made is taken away, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cyber_zfs_backup.actions import drill as module
from cyber_zfs_backup.actions.back import Back, Way
from cyber_zfs_backup.actions.content import read_files
from cyber_zfs_backup.actions.drill import drill_on
from cyber_zfs_backup.actions.result import RunResult
from cyber_zfs_backup.config.drilling import Drill
from cyber_zfs_backup.config.job import Destination
from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.zfs.client import Zfs
from tests.fake.host import FakeLink
from tests.unit.actions.rig import ROOT, THERE, Rig, action, kinds, problems

SCRATCH = "tank/scratch"
PLAIN = Drill(ROOT, Destination("offsite", THERE), SCRATCH, seed=7)

Fake = Callable[[Rig], None]


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fake:
    """Lets a rig's snapshots be mounted: their files are written into a folder."""

    def use(rig: Rig) -> None:
        count = iter(range(1000))

        @contextmanager
        def mounted(here: Zfs, snapshot: str) -> Iterator[str]:
            folder = tmp_path / f"mount{next(count)}"
            folder.mkdir()
            found = rig.source.world.find_snapshot(snapshot)
            assert found is not None, snapshot
            for name, blob in found[1].files.items():
                place = folder / name
                place.write_bytes(f"{blob}".encode())
                os.utime(place, (1, 1))
            yield str(folder)

        monkeypatch.setattr(module, "mounted", mounted)

    return use


def back(rig: Rig) -> Back:
    way = Way(PLAIN.destination, Zfs(rig.receiver), FakeLink(rig.receiver, rig.source))
    return Back(Zfs(rig.source), (way,), rig.said, lambda: rig.now)


def drill(rig: Rig, state: Path, **changes: Any) -> RunResult:
    return drill_on(replace(PLAIN, **changes), back(rig), state)


def pushed(*children: str) -> Rig:
    rig = Rig(*children)
    rig.first()
    rig.night()
    return rig


def test_every_dataset_is_restored_compared_and_taken_away(mounts: Fake, tmp_path: Path) -> None:
    rig = pushed("a", "a/b")
    mounts(rig)
    before = rig.states()
    result = drill(rig, tmp_path / "state")
    assert result.exit_code == 0, problems(result)
    assert action(result, "drill").figures["equal"] == 3
    assert rig.states() == before
    (line,) = (tmp_path / "state/drills.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record["good"] is True
    assert [each["snapshot"] for each in record["datasets"]] == [
        f"{THERE}{path}@{rig.names()[-1]}" for path in ("", "/a", "/a/b")
    ]
    drill(rig, tmp_path / "state")
    assert len((tmp_path / "state/drills.jsonl").read_text().splitlines()) == 2


def test_a_sample_is_the_same_for_the_same_seed(mounts: Fake, tmp_path: Path) -> None:
    rig = pushed(*"abcdefgh")
    mounts(rig)
    chosen = set()
    for seed in (1, 1, 2, 3, 4):
        result = drill(rig, tmp_path, sample=2, seed=seed, dry_run=True)
        chosen.add(action(result, "drill").lines)
        assert len(action(result, "drill").lines) == 2
    assert 1 < len(chosen) < 5


def test_what_differs_is_an_error(mounts: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = pushed("a")
    mounts(rig)
    real = read_files
    answers = iter(["", "", "", "other"])

    def read(folder: str, count: int, seed: int) -> Any:
        return replace(real(folder, count, seed), listing=next(answers))

    monkeypatch.setattr(module, "read_files", read)
    result = drill(rig, tmp_path)
    assert (result.exit_code, kinds(result)) == (1, ["drill-differs"])
    assert "names, sizes, times, owners or modes differ" in problems(result)[0]
    assert SCRATCH not in rig.source.world.datasets


def test_a_scratch_that_exists_is_left_alone(mounts: Fake, tmp_path: Path) -> None:
    rig = pushed("a")
    mounts(rig)
    rig.source.zfs("create", SCRATCH)
    before = rig.states()
    result = drill(rig, tmp_path)
    assert result.exit_code == 1
    assert "exists, and a drill makes its scratch dataset itself" in problems(result)[0]
    assert rig.states() == before


def test_a_scratch_that_has_become_anothers_is_left_alone(
    mounts: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = pushed()
    mounts(rig)
    real = read_files

    def read(folder: str, count: int, seed: int) -> Any:
        if f"{SCRATCH}/mine" not in rig.source.world.datasets:
            rig.source.zfs("create", f"{SCRATCH}/mine")
        return real(folder, count, seed)

    monkeypatch.setattr(module, "read_files", read)
    result = drill(rig, tmp_path)
    assert result.exit_code == 1
    assert "left alone" in problems(result)[0]
    assert f"{SCRATCH}/mine" in rig.source.world.datasets


def test_an_interrupted_drill_leaves_nothing(
    mounts: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = pushed("a")
    mounts(rig)
    before = rig.states()

    def read(folder: str, count: int, seed: int) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "read_files", read)
    with pytest.raises(KeyboardInterrupt):
        drill(rig, tmp_path)
    assert rig.states() == before


def test_a_broken_stream_leaves_nothing_and_keeps_no_other_back(mounts: Fake, tmp_path: Path) -> None:
    rig = pushed("a")
    mounts(rig)
    made = back(rig)
    assert isinstance(made.ways[0].link, FakeLink)
    made.ways[0].link.break_next(100)
    before = rig.states()
    result = drill_on(PLAIN, made, tmp_path)
    assert (result.exit_code, kinds(result)) == (3, ["drill-failed"])
    assert action(result, "drill").figures["equal"] == 1
    assert rig.states() == before
    assert json.loads((tmp_path / "drills.jsonl").read_text())["good"] is False


def test_what_the_source_no_longer_has_is_not_compared_and_that_is_said(mounts: Fake, tmp_path: Path) -> None:
    rig = pushed("a")
    mounts(rig)
    rig.source.zfs("release", f"cyber-zfs-backup:{rig.tag}", f"{ROOT}/a@{rig.names('a')[-1]}")
    rig.source.zfs("destroy", "-r", f"{ROOT}/a")
    result = drill(rig, tmp_path)
    assert result.exit_code == 0, problems(result)
    assert "no snapshot to compare" in action(result, "drill").answer[0]


def test_nothing_to_drill(tmp_path: Path) -> None:
    result = drill(Rig(), tmp_path)
    assert (result.exit_code, kinds(result)) == (65, ["not-there"])


def test_a_record_that_cannot_be_written_is_told(mounts: Fake, tmp_path: Path) -> None:
    rig = pushed()
    mounts(rig)
    (tmp_path / "file").write_text(own_name(rig.now))
    result = drill(rig, tmp_path / "file")
    assert (result.exit_code, kinds(result)) == (3, ["record"])

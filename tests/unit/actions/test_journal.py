# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that several processes add lines to: bounded, and none the worse for a crash or a full disk."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyber_zfs_backup.actions.journal import LIMIT, Journal, state_folder


def numbers(journal: Journal) -> list[int]:
    return [row["n"] for row in journal.rows()]


def line(number: int, filling: str = "") -> str:
    return json.dumps({"n": number, "filling": filling}) + "\n"


def test_what_is_added_is_read_in_order_and_by_its_owner_only(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state/j.jsonl")
    assert numbers(journal) == []
    journal.add([line(1), line(2)])
    journal.add([line(3)])
    assert numbers(journal) == [1, 2, 3]
    assert journal.path.stat().st_mode & 0o777 == 0o600
    assert journal.path.parent.stat().st_mode & 0o777 == 0o700


@given(st.integers(0, len(line(2))))
def test_a_crash_in_the_middle_of_a_line_costs_that_line_alone(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    journal = Journal(tmp_path_factory.mktemp("crash") / "j.jsonl")
    whole = line(1) + line(2)[:cut]
    journal.path.write_text(whole)
    journal.add([line(3)])
    second = [2] if cut >= len(line(2)) - 1 else []
    assert numbers(journal) == [1, *second, 3]


def test_what_is_no_object_is_skipped(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl")
    journal.path.write_bytes(b'[1]\n\xff\xfe\n{"n": 1}\nnull\n{"n": 2')
    assert numbers(journal) == [1]


def test_the_older_half_goes_where_it_would_grow_too_long(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl", limit=2000)
    for number in range(100):
        journal.add([line(number, "x" * 30)])
        assert journal.path.stat().st_size <= 2000
    kept = numbers(journal)
    assert kept == list(range(kept[0], 100))
    assert len(kept) >= 15
    assert os.listdir(tmp_path) == ["j.jsonl"]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "j.jsonl", limit=400)
    journal.add([line(1)])
    before = journal.path.read_bytes()
    real, writes = os.write, 0

    def write(file: int, data: bytes) -> int:
        nonlocal writes
        writes += 1
        if writes % 2:
            return real(file, bytes(data)[:5])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", write)
    for lines in ([line(2)], [line(2, "x" * 500)]):  # added to the file, and instead of the file
        with pytest.raises(OSError, match="No space"):
            journal.add(lines)
        assert journal.path.read_bytes() == before
    assert os.listdir(tmp_path) == ["j.jsonl"]


def test_writers_beside_each_other_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"

    def write(who: int) -> None:
        for number in range(50):
            Journal(path).add([line(who * 1000 + number)])

    threads = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers(Journal(path))) == sorted(
        who * 1000 + number for who in range(4) for number in range(50)
    )


def test_a_writer_that_waited_while_the_file_was_replaced_writes_to_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "j.jsonl")
    journal.add([line(1)])
    real, calls = fcntl.flock, 0

    def flock(file: int, how: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            (tmp_path / "other").write_text(line(2))
            (tmp_path / "other").replace(journal.path)
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    journal.add([line(3)])
    assert numbers(journal) == [2, 3]


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "j.jsonl").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        Journal(tmp_path / "j.jsonl").add([line(1)])
    assert not (tmp_path / "victim").exists()


def test_where_the_state_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}:/elsewhere")
    assert state_folder() == tmp_path
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert state_folder() == Path("/var/lib/cyber-zfs-backup")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder() == tmp_path / "cyber-zfs-backup"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_folder() == tmp_path / ".local/state/cyber-zfs-backup"


def test_twenty_thousand_runs_have_room() -> None:
    assert LIMIT > 20_000 * 350

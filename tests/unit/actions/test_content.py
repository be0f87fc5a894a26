# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill reads of a folder or a device, and that each difference shows."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cyber_zfs_backup.actions.content import read_files, read_volume
from cyber_zfs_backup.plan.drill import disagreement


def fill(folder: Path) -> Path:
    """A folder with a bit of everything."""
    (folder / "sub/empty").mkdir(parents=True)
    (folder / "sub/file").write_bytes(b"content")
    (folder / "other").write_bytes(b"more")
    (folder / "link").symlink_to("sub/file")
    os.mkfifo(folder / "pipe")
    with open(os.fsencode(folder) + b"/\xff\n", "wb") as file:
        file.write(b"a name that is no text")
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.utime(os.path.join(place, name), (5, 5), follow_symlinks=False)
    return folder


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    return fill(tmp_path / "one"), fill(tmp_path / "two")


def test_equal_folders_agree_whatever_is_in_them(two: tuple[Path, Path]) -> None:
    one, other = (read_files(str(folder), 10, 1) for folder in two)
    assert disagreement(one, other) == ""
    assert one.entries == 7
    assert len(one.samples) == 3


def change(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    os.utime(folder / name, (5, 5))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: (folder / "sub/empty").rmdir(), "7 entries on the source, 6 restored"),
        (lambda folder: (folder / "other").chmod(0o600), "differ"),
        (lambda folder: change(folder, "other", b"shorter or longer"), "differ"),
        (lambda folder: change(folder, "other", b"mOre"), "the bytes of 'other' differ"),
        (lambda folder: os.utime(folder / "other", (6, 6)), "differ"),
        (lambda folder: (folder / "other").rename(folder / "another"), "differ"),
    ],
)
def test_each_difference_shows(two: tuple[Path, Path], spoil: Callable[[Path], object], why: str) -> None:
    one = read_files(str(two[0]), 10, 1)
    spoil(two[1])
    assert why in disagreement(one, read_files(str(two[1]), 10, 1))


def test_a_sample_is_as_large_as_asked_and_the_seed_decides(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"{number}").write_bytes(b"%d" % number)
    chosen = [tuple(name for name, _ in read_files(str(tmp_path), 5, seed).samples) for seed in (1, 1, 2, 3)]
    assert {len(names) for names in chosen} == {5}
    assert chosen[0] == chosen[1]
    assert len(set(chosen)) > 1
    assert read_files(str(tmp_path), 0, 1).samples == ()


def test_a_volume_is_read_at_its_ends_and_between(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "two"
    for device in (one, other):
        device.write_bytes(bytes(range(256)) * 4096)
    assert disagreement(read_volume(str(one), 3, 1), read_volume(str(other), 3, 1)) == ""
    with open(other, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    assert "bytes" in disagreement(read_volume(str(one), 3, 1), read_volume(str(other), 3, 1))

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gatekeeper remembers of a client."""

from __future__ import annotations

import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyber_zfs_backup.gatekeeper.book import Book, BookError
from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.plan.floors import Keep, Mark, Row, in_order, keepers

HOUR = 60 * 60
DAY = 24 * HOUR


@pytest.fixture
def book(tmp_path: Path) -> Book:
    (tmp_path / "state").mkdir()
    return Book(tmp_path / "state", kstat=tmp_path)


def kernel_tells(tmp_path: Path, txg: int) -> None:
    (tmp_path / "offsite").mkdir(exist_ok=True)
    (tmp_path / "offsite/txgs").write_text(f"18 0 0x01\ntxg birth state\n{txg - 1} 5 C 0\n{txg} 7 O 0\n")


def test_marks(book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for moment, txg in ((100, 5), (200, 9), (DAY + 7, 12), (2 * DAY - 1, 12), (2 * DAY, 15)):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment + 0.9)
        kernel_tells(tmp_path, txg)
        book.mark("offsite")
    assert book.marks() == [Mark(200, 9), Mark(2 * DAY - 1, 12), Mark(2 * DAY, 15)]
    assert (tmp_path / "state/seen").read_text().startswith("0000000200 00000000000000000009\n0000172799 ")


def test_a_kernel_that_does_not_tell(book: Book) -> None:
    book.mark("offsite")
    assert book.marks() == []


def test_a_line_that_was_cut_off(book: Book, tmp_path: Path) -> None:
    (tmp_path / "state/seen").write_text("100 5\n200 9\n300 1")
    assert book.marks() == [Mark(100, 5), Mark(200, 9)]

    # What follows it is not taken for its end.
    kernel_tells(tmp_path, 12)
    book.mark("offsite")
    assert [mark.txg for mark in book.marks()] == [5, 9, 12]


@pytest.mark.parametrize("text", ["once upon a time\n", "soon 5\n"])
def test_a_record_that_is_damaged(book: Book, tmp_path: Path, text: str) -> None:
    (tmp_path / "state/seen").write_text(text)
    kernel_tells(tmp_path, 12)
    book.mark("offsite")  # no reason to refuse a backup, but every destroy
    with pytest.raises(BookError, match="state/seen"):
        book.marks()


def test_the_record_grows_with_the_days_and_not_with_the_commands(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5 * 24 * 4):
        monkeypatch.setattr(time, "time", lambda number=number: number * HOUR / 4)
        kernel_tells(tmp_path, 10 + number)
        book.mark("offsite")
    assert (tmp_path / "state/seen").stat().st_size == 5 * 32
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["seen"]


@given(
    gaps=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4)), max_size=40),
    # Of each snapshot the transaction group, and by how many hours its name is off.
    took=st.lists(st.tuples(st.integers(0, 80), st.integers(-40, 40)), unique_by=lambda each: each[0]),
    later=st.integers(0, 60),
    yearly=st.booleans(),
)
def test_a_line_a_day_keeps_what_all_marks_would(
    gaps: list[tuple[int, int]], took: list[tuple[int, int]], later: int, yearly: bool
) -> None:
    with tempfile.TemporaryDirectory() as made, pytest.MonkeyPatch.context() as patch:
        folder = Path(made)
        (folder / "state").mkdir()
        book = Book(folder / "state", kstat=folder)
        hours, txg, every = 0, 0, []
        for gap, groups in gaps:
            hours, txg = hours + gap, txg + groups
            patch.setattr(time, "time", lambda hours=hours: hours * HOUR)
            kernel_tells(folder, txg)
            book.mark("offsite")
            every.append(Mark(hours * HOUR, txg))
        found = book.marks()
    rows = [
        Row(own_name(datetime.fromtimestamp(max(0, createtxg * 8 + off) * HOUR, UTC)), createtxg, createtxg)
        for createtxg, off in took
    ]
    now, keep = (hours + later) * HOUR, Keep(20, 5, 3)
    assert keepers(rows, found, now, keep, yearly=yearly) == keepers(
        rows, in_order(every), now, keep, yearly=yearly
    )


def test_an_allowance_of_a_day(book: Book) -> None:
    assert book.spend("bytes", 60, 100) == 60
    assert book.spend("bytes", 60, 100) == 40
    assert book.spend("bytes", 60, 100) == 0
    assert book.spend("destroyed", 3, 100) == 3
    assert book.spend("bytes", -30, 100) == -30
    assert book.spend("bytes", 60, 100) == 30


def test_many_at_once_do_not_get_more_together(book: Book) -> None:
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(book.spend("bytes", 7, 100))) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(got) == 100


def test_slots(book: Book) -> None:
    with book.slot(2) as first, book.slot(2) as second, book.slot(2) as third:
        assert (first, second, third) == (True, True, False)
    with book.slot(2) as again:
        assert again


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BookError, match="No such file"):
        Book(tmp_path / "gone").spend("bytes", 1, 1)


def test_a_link_in_the_folder_is_not_followed(book: Book, tmp_path: Path) -> None:
    (tmp_path / "state/seen").symlink_to(tmp_path / "elsewhere")
    kernel_tells(tmp_path, 5)
    with pytest.raises(BookError, match="seen"):
        book.mark("offsite")
    assert not (tmp_path / "elsewhere").exists()

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gatekeeper remembers of a client."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from cyber_zfs_backup.gatekeeper.book import Book, BookError
from cyber_zfs_backup.plan.floors import Mark


@pytest.fixture
def book(tmp_path: Path) -> Book:
    (tmp_path / "state").mkdir()
    return Book(tmp_path / "state", kstat=tmp_path)


def kernel_tells(tmp_path: Path, txg: int) -> None:
    (tmp_path / "offsite").mkdir(exist_ok=True)
    (tmp_path / "offsite/txgs").write_text(f"18 0 0x01\ntxg birth state\n{txg - 1} 5 C 0\n{txg} 7 O 0\n")


def test_marks(book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for moment, txg in ((100, 5), (200, 9), (300, 9)):
        monkeypatch.setattr(time, "time", lambda moment=moment: float(moment))
        kernel_tells(tmp_path, txg)
        book.mark("offsite")
    assert book.marks() == [Mark(100, 5), Mark(200, 9)]


def test_a_kernel_that_does_not_tell(book: Book) -> None:
    book.mark("offsite")
    assert book.marks() == []


def test_a_line_that_was_cut_off(book: Book, tmp_path: Path) -> None:
    (tmp_path / "state/seen").write_text("100 5\n200 9\n300 1")
    assert book.marks() == [Mark(100, 5), Mark(200, 9)]


def test_a_record_that_is_damaged(book: Book, tmp_path: Path) -> None:
    (tmp_path / "state/seen").write_text("once upon a time\n")
    with pytest.raises(BookError, match="state/seen"):
        book.marks()


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

# SPDX-License-Identifier: GPL-3.0-or-later
"""A check-up's one question about snapshots and bookmarks, and what its answer says."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.model.trees import Bookmark, Snapshot
from cyber_zfs_backup.zfs.checkup import list_checkup, parse_checkup
from cyber_zfs_backup.zfs.parse import GarbledError

ANSWER = "tank@a\t1\t10\t2\t4096\ntank@b\t2\t20\t0\t0\ntank#m\t1\t10\t-\t-\n"


def test_the_question() -> None:
    assert list_checkup("tank")[:5] == ["zfs", "list", "-Hp", "-o", "name,guid,createtxg,userrefs,written"]
    assert list_checkup("tank")[5:] == ["-t", "snapshot,bookmark", "-r", "tank"]


def test_the_answer() -> None:
    found = parse_checkup(ANSWER)
    assert found.listing.snapshots == {"tank": [Snapshot("a", 1, 10), Snapshot("b", 2, 20)]}
    assert found.listing.bookmarks == {"tank": [Bookmark("m", 1, 10)]}
    assert found.holds == {"tank@a": 2}
    assert found.written == {"tank@a": 4096, "tank@b": 0}
    assert parse_checkup("").written == {}


@pytest.mark.parametrize(
    "text",
    [
        ANSWER[:-1],
        ANSWER.replace("4096", "-"),
        ANSWER.replace("\t2\t4096", "\t-\t4096"),
        ANSWER.replace("\t4096", ""),
        "Welcome!\n" + ANSWER,
        "tank@a\tx\t10\t2\t4096\n",
    ],
)
def test_what_is_no_answer_is_refused(text: str) -> None:
    with pytest.raises(GarbledError):
        parse_checkup(text)

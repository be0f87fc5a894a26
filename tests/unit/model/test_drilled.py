# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill, read back from its line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cyber_zfs_backup.model.drilled import Drilled, drilled

ROW: dict[str, Any] = {
    "time": "2026-11-24T03:00:00Z",
    "dataset": "tank/src",
    "destination": "off:vault/copy",
    "seed": 7,
    "seconds": 61.5,
    "good": False,
    "datasets": [
        {"snapshot": "vault/copy@1", "verdict": "equal", "why": "", "bytes": 1},
        {"snapshot": "vault/copy/a@1", "verdict": "differs", "why": "names differ", "bytes": 1},
        {"snapshot": "vault/copy/b@1", "verdict": "arrived", "why": "no key", "bytes": 1},
        {"snapshot": "vault/copy/c@1", "verdict": "failed", "why": "I/O error", "bytes": 0},
    ],
}


def test_what_was_wrong_is_told_and_what_was_not_read_is_not_wrong() -> None:
    assert drilled(ROW) == Drilled(
        "tank/src",
        "off:vault/copy",
        datetime(2026, 11, 24, 3, tzinfo=UTC),
        good=False,
        datasets=4,
        wrong=("vault/copy/a@1: names differ", "vault/copy/c@1: I/O error"),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"time": "yesterday"},
        {"time": 7},
        {"good": "yes"},
        {"datasets": 4},
        {"datasets": [{}]},
        {"datasets": ["a"]},
    ],
)
def test_what_we_never_wrote_is_none(change: dict[str, Any]) -> None:
    assert drilled({**ROW, **change}) is None


@pytest.mark.parametrize("name", ["time", "dataset", "destination", "good", "datasets"])
def test_so_is_a_line_that_lacks_something(name: str) -> None:
    assert drilled({key: value for key, value in ROW.items() if key != name}) is None

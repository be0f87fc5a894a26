# SPDX-License-Identifier: GPL-3.0-or-later
"""Ages as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cyber_zfs_backup.config.ages import parse_age


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("36h", timedelta(hours=36)),
        ("90min", timedelta(minutes=90)),
        ("14d", timedelta(days=14)),
        ("2w", timedelta(weeks=2)),
        ("30s", timedelta(seconds=30)),
        (" 2 Weeks ", timedelta(weeks=2)),
        ("1 day", timedelta(days=1)),
    ],
)
def test_ages(text: str, age: timedelta) -> None:
    assert parse_age(text) == age


@pytest.mark.parametrize(
    "text", ["", "36", "h", "-1h", "1.5h", "5m", "3 months", "0h", "1h 30min", "9999999d"]
)
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(ValueError, match="write a number and a unit"):
        parse_age(text)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Dates as people write them: what each means in Berlin, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cyber_zfs_backup.config.dates import moment_of
from cyber_zfs_backup.config.job import UsageError

NOW = datetime(2026, 11, 26, 19, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-22", "2026-11-22T22:59:59"),
        ("2026-11-12", "2026-11-12T22:59:59"),
        ("2026-07-12", "2026-07-12T21:59:59"),
        ("2026-11-22 14:30", "2026-11-22T13:30:00"),
        ("2026-11-22 00:00", "2026-11-21T23:00:00"),
        ("2026-11-22T13:30:00Z", "2026-11-22T13:30:00"),
        ("2026-11-22 14:30 +01:00", "2026-11-22T13:30:00"),
        ("22 Nov 2026 2pm", "2026-11-22T13:00:00"),
        ("Nov 3, 2026", "2026-11-03T22:59:59"),
        ("22.11.2026", "2026-11-22T22:59:59"),
        ("20261122", "2026-11-22T22:59:59"),
        ("today", "2026-11-26T19:00:00"),
        ("2026-11-26", "2026-11-26T19:00:00"),
        ("now", "2026-11-26T19:00:00"),
        ("yesterday", "2026-11-25T22:59:59"),
        ("3 days ago", "2026-11-23T22:59:59"),
        ("1 month ago", "2026-10-26T22:59:59"),
        ("2 hours ago", "2026-11-26T17:00:00"),
        ("90 minutes ago", "2026-11-26T17:30:00"),
    ],
)
def test_what_is_meant(text: str, meant: str) -> None:
    assert moment_of(text, NOW).astimezone(UTC).isoformat(timespec="seconds") == f"{meant}+00:00"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("3/4/2026", "two days"),
        ("1.2.2026", "two days"),
        ("tuesday", "no date that can be read"),
        ("nonsense", "no date that can be read"),
        ("2026-02-30", "no date that can be read"),
        ("2026-11-22 14:30 XYZ", "no date that can be read"),
        ("99999999999", "no date that can be read"),
        ("14:30", "lacks its year, month or day"),
        ("2026", "lacks its year, month or day"),
        ("22 Nov", "lacks its year, month or day"),
        ("2027-01-01", "in the future"),
        ("2026-10-25 02:30", "twice or never"),
        ("2026-03-29 02:30", "twice or never"),
        ("9999 years ago", "before all calendars"),
    ],
)
def test_what_is_refused_with_examples(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        moment_of(text, NOW)
    assert "'2026-11-22" in str(refused.value)

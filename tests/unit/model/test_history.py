# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished run as a line, and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyber_zfs_backup.model.history import Finished, finished, line

START = datetime(2026, 3, 1, 2, 3, 4, tzinfo=UTC)
RUN = Finished(
    "tank/home",
    "offsite:pool/zippy",
    START,
    12.5,
    3,
    job="nightly",
    snapshot="2026-03-01T02:03:04Z",
    target="2026-03-01T02:03:04Z",
    datasets=7,
    confirmed=6,
    bytes=1 << 40,
    steps=2,
    repaired=1,
    destroyed=9,
    error="push: tank/home/a: no space",
)


def test_a_run_comes_back_as_it_was() -> None:
    text = line(RUN)
    assert text.count("\n") == 1
    assert text.isascii()
    assert finished(json.loads(text)) == RUN
    assert not RUN.good


def test_times_are_kept_in_utc() -> None:
    there = START.astimezone(timezone(timedelta(hours=9)))
    back = finished(json.loads(line(Finished("tank", "", there, 1.0, 0))))
    assert back is not None
    assert (back.started, back.good) == (START, True)


def test_members_of_a_newer_version_are_left_out() -> None:
    assert finished({**json.loads(line(RUN)), "schema": 2, "colour": "blue"}) == RUN


def test_an_error_of_pages_is_cut() -> None:
    long = line(Finished("tank", "", START, 1.0, 1, error="é" * 50_000))
    assert len(long) < 7000


@pytest.mark.parametrize(
    "change",
    [
        {"started": None},
        {"started": "yesterday"},
        {"seconds": "long"},
        {"exit": None},
        {"exit": 1e999},
        {"dataset": 7},
        {"schema": 0},
        {"schema": "one"},
        {"bytes": "many"},
        {"error": ["a"]},
    ],
)
def test_what_is_no_run_of_ours_is_none(change: dict[str, Any]) -> None:
    assert finished({**json.loads(line(RUN)), **change}) is None


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.floats()))
def test_any_object_is_a_run_or_none(row: dict[str, Any]) -> None:
    assert finished(row) is None


@pytest.mark.parametrize("missing", ["schema", "dataset", "destination", "started", "seconds", "exit"])
def test_a_line_without_what_it_must_have_is_none(missing: str) -> None:
    row = json.loads(line(RUN))
    del row[missing]
    assert finished(row) is None

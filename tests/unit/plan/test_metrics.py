# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics from what is known; what is not known has no sample."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from cyber_zfs_backup.model.history import Finished
from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.plan.lateness import Limits
from cyber_zfs_backup.plan.metrics import PREFIX, Family, families
from cyber_zfs_backup.plan.standing import Row, Standing

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
AT = NOW.timestamp()
LIMITS = Limits(timedelta(hours=26), timedelta(hours=50))
TREE, OFF = "tank/src", "off:a/b"


def ago(hours: float) -> str:
    return own_name(NOW - timedelta(hours=hours))


def run(hours: float, destination: str = OFF, code: int = 0, **changes: object) -> Finished:
    began = NOW - timedelta(hours=hours)
    return Finished(TREE, destination, began, 90.0, code, **changes)  # type: ignore[arg-type]


def samples(told: tuple[Family, ...]) -> Mapping[str, Mapping[tuple[str, ...], float]]:
    """By the names without what they all begin with; those alone that have any."""
    return {each.name.removeprefix(PREFIX): each.samples for each in told if each.samples}


def test_all_that_is_known() -> None:
    last = run(2, code=3, bytes=7)
    row = Row(TREE, OFF, ago(3), ago(30), last, kept=1 << 30)
    standing = Standing(row, LIMITS, "until 2026-12-24", NOW + timedelta(hours=14))
    told = families([standing], [run(40), run(28, bytes=5), last], "1.2")
    assert samples(told) == {
        "build_info": {(TREE, "1.2"): 1},
        "dataset_available": {(TREE,): 1},
        "newest_snapshot_timestamp_seconds": {(TREE,): AT - 3 * 3600},
        "warn_after_seconds": {(TREE,): 26 * 3600},
        "critical_after_seconds": {(TREE,): 50 * 3600},
        "paused": {(TREE,): 1},
        "next_run_timestamp_seconds": {(TREE,): AT + 14 * 3600},
        "newest_received_timestamp_seconds": {(TREE, OFF): AT - 30 * 3600},
        "copy_warn_after_seconds": {(TREE, OFF): 26 * 3600},
        "copy_critical_after_seconds": {(TREE, OFF): 50 * 3600},
        "kept_bytes": {(TREE, OFF): 1 << 30},
        "last_run_timestamp_seconds": {(TREE, OFF): AT - 2 * 3600 + 90},
        "last_run_exit_code": {(TREE, OFF): 3},
        "last_run_duration_seconds": {(TREE, OFF): 90},
        "last_run_bytes": {(TREE, OFF): 7},
        "last_success_timestamp_seconds": {(TREE, OFF): AT - 28 * 3600 + 90},
    }


def test_what_arrives_by_a_schedule_of_its_own_is_late_later() -> None:
    week = Limits(timedelta(days=8), timedelta(days=15))
    standing = Standing(Row(TREE, OFF, ago(3), ago(30)), LIMITS, arrived=week)
    told = samples(families([standing], [], "1.2"))
    assert told["warn_after_seconds"] == {(TREE,): 26 * 3600}
    assert told["copy_warn_after_seconds"] == {(TREE, OFF): 8 * 86400}
    assert told["copy_critical_after_seconds"] == {(TREE, OFF): 15 * 86400}


def test_what_is_not_known_has_no_sample() -> None:
    told = families([Standing(Row(TREE, "", "", ""), LIMITS)], [], "1.2", [TREE])
    assert samples(told) == {
        "build_info": {(TREE, "1.2"): 1},
        "dataset_available": {(TREE,): 0},
        "warn_after_seconds": {(TREE,): 26 * 3600},
        "critical_after_seconds": {(TREE,): 50 * 3600},
        "paused": {(TREE,): 0},
    }


@pytest.mark.parametrize("name", ["", "by-hand", "2026-02-30T00:00:00Z"])
def test_a_name_that_tells_no_time_gives_none(name: str) -> None:
    told = samples(families([Standing(Row(TREE, OFF, name, name), LIMITS)], [], "1.2"))
    assert "newest_snapshot_timestamp_seconds" not in told
    assert "newest_received_timestamp_seconds" not in told


def test_zero_is_something_that_is_known() -> None:
    row = Row(TREE, OFF, ago(1), ago(1), run(1), kept=0)
    told = samples(families([Standing(row, LIMITS)], [], "1.2"))
    assert told["last_run_exit_code"] == told["last_run_bytes"] == told["kept_bytes"] == {(TREE, OFF): 0}


def test_a_number_that_is_none_gives_none() -> None:
    odd = Finished(TREE, OFF, NOW, float("nan"), 0)
    told = samples(families([Standing(Row(TREE, OFF, ago(1), ago(1), odd), LIMITS)], [odd], "1.2"))
    assert not {"last_run_duration_seconds", "last_success_timestamp_seconds"} & told.keys()
    assert told["last_run_exit_code"] == {(TREE, OFF): 0}


def test_several_trees_and_destinations() -> None:
    nas = "nas:x/y"
    all_of_them = [
        Standing(Row(TREE, nas, ago(1), ago(1), run(1, nas)), LIMITS),
        Standing(Row(TREE, OFF, ago(1), ago(9)), LIMITS),
        Standing(Row("pool/z", OFF, ago(2), ""), Limits(timedelta(hours=1), timedelta(hours=2))),
    ]
    told = samples(families(all_of_them, [run(1, nas), run(99, "gone:c/d")], "1.2", ["pool/z"]))
    assert told["dataset_available"] == {(TREE,): 1, ("pool/z",): 0}
    assert told["warn_after_seconds"] == {(TREE,): 26 * 3600, ("pool/z",): 3600}
    assert told["newest_received_timestamp_seconds"] == {(TREE, nas): AT - 3600, (TREE, OFF): AT - 9 * 3600}
    assert told["last_run_timestamp_seconds"] == {(TREE, nas): AT - 3600 + 90}
    # Of what is not on the list any more nothing is told, were it in the history for ever.
    assert told["last_success_timestamp_seconds"] == {(TREE, nas): AT - 3600 + 90}


def test_the_files_of_two_jobs_have_no_sample_in_common() -> None:
    """node_exporter reads them as one, and refuses what it is told twice."""
    one, other = (
        families([Standing(Row(tree, OFF, ago(1), ago(1)), LIMITS)], [], "1.2") for tree in (TREE, "pool/z")
    )
    for each, beside in zip(one, other, strict=True):
        assert not each.samples.keys() & beside.samples.keys()
        assert (each.name, each.about, each.labels) == (beside.name, beside.about, beside.labels)


def test_names_and_labels_are_as_prometheus_wants_them() -> None:
    """The same ones at any time, so that a graph never loses its thread."""
    full = families([Standing(Row(TREE, OFF, ago(1), ago(1), run(1)), LIMITS)], [run(1)], "1.2")
    empty = families([], [], "1.2")
    assert [(each.name, each.labels) for each in full] == [(each.name, each.labels) for each in empty]
    assert len({each.name for each in full}) == len(full)
    for each in full:
        assert re.fullmatch(
            r"cyber_zfs_backup_[a-z_]+(_seconds|_bytes|_info|_code|_paused|_available)|\w+_paused", each.name
        )
        assert each.about.endswith((".", "not.", "0."))
        assert all(len(labels) == len(each.labels) for labels in each.samples)
        assert "\n" not in each.about

# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether backups are late: each limit on both sides, and the line that a monitoring system reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.model.trees import Dataset, Snapshot, Tree
from cyber_zfs_backup.plan.findings import Severity
from cyber_zfs_backup.plan.lateness import (
    Age,
    Checked,
    Limits,
    check_expired,
    check_reached,
    check_received,
    check_taken,
    said,
    status_line,
)
from cyber_zfs_backup.plan.ledger import Ledger, Record

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
LIMITS = Limits(timedelta(hours=26), timedelta(hours=50))
GOOD, WARNING, FAILS = Severity
HOUR = timedelta(hours=1)


def name(hours: float) -> str:
    return own_name(NOW - hours * HOUR)


def tree(root: str, **hours: float | None) -> Tree:
    """Datasets (``top`` is the root) with one own snapshot of that age each, and a foreign one."""
    datasets = {}
    for word, age in hours.items():
        path = word.replace("top", "").replace("_", "/")
        own = () if age is None else (Snapshot(name(age), 1, 1),)
        datasets[path] = Dataset(path, (*own, Snapshot("by-hand", 2, 2)))
    return Tree(root, datasets)


def seen(checked: Checked) -> list[tuple[Severity, str]]:
    return [(finding.severity, finding.what) for finding in checked.findings]


@pytest.mark.parametrize(
    ("hours", "severity"),
    [(0, GOOD), (26, GOOD), (26.01, WARNING), (50, WARNING), (50.01, FAILS), (-0.05, GOOD), (-0.1, FAILS)],
)
def test_the_newest_snapshot(hours: float, severity: Severity) -> None:
    checked = check_taken(tree("tank/src", top=hours), NOW, LIMITS)
    assert [each.severity for each in checked.findings] == [severity]
    assert ("in the future" in checked.findings[0].what) is (hours < -0.05)
    assert checked.ages == (
        Age("tank/src taken", (NOW - datetime.fromisoformat(name(hours))).total_seconds(), LIMITS),
    )


def test_no_snapshot_at_all() -> None:
    checked = check_taken(tree("tank/src", top=None), NOW, LIMITS)
    assert seen(checked) == [(FAILS, "tank/src has no snapshot of ours")]
    assert checked.ages == (Age("tank/src taken", None, LIMITS),)


def test_a_dataset_that_is_left_out() -> None:
    checked = check_taken(tree("tank/src", top=1, a=1, b=51.5, new=None, c=50), NOW, LIMITS)
    assert seen(checked)[1:] == [(WARNING, f"tank/src/b had no snapshot since @{name(1)}")]


def test_what_has_arrived() -> None:
    ledgers = [
        Ledger(Record("nas:a/b", base=name(2))),
        Ledger(
            Record("off:a/b", base=name(30)), {"x": Record("off:a/b", base=name(80)), "y": Record("off:a/b")}
        ),
        Ledger(Record("usb:a/b", pending=(name(2),))),
    ]
    checked = check_reached("tank/src", ledgers, NOW, LIMITS, {"off:a/b": "push: no route", "nas:a/b": ""})
    assert seen(checked) == [
        (GOOD, "what nas:a/b has of tank/src is 2 h old"),
        (WARNING, "what off:a/b has of tank/src is 30 h old (last run: push: no route)"),
        (WARNING, "off:a/b lacks the newest snapshots of tank/src/x, tank/src/y"),
        (FAILS, "nothing of tank/src has arrived at usb:a/b yet"),
    ]
    assert [age.label for age in checked.ages] == ["nas:a/b reached", "off:a/b reached", "usb:a/b reached"]
    assert seen(check_reached("tank/src", [], NOW, LIMITS, {}))[0][0] is FAILS


def test_what_should_be_gone() -> None:
    assert check_expired("tank/src", 0, ()).findings[0].severity is GOOD
    assert seen(check_expired("tank/src", 7, ())) == [
        (WARNING, "7 snapshots of tank/src should have been expired")
    ]
    assert seen(check_expired("tank/src", 0, ("too many at once",))) == [(WARNING, "too many at once")]


def test_what_arrives_here() -> None:
    there = tree("pool", top=None, one=3, one_a=3, one_gone=90, two=60, two_b=60, three=None, three_x=27)
    checked = check_received(there, (), NOW, LIMITS)
    assert seen(checked) == [
        (GOOD, "the newest snapshot of pool/one is 3 h old"),
        (FAILS, "the newest snapshot of pool/two is 2 days old"),
        (WARNING, "the newest snapshot of pool/three/x is 27 h old"),
        (WARNING, "pool/one/gone got nothing while the rest of the copy did"),
    ]
    assert [age.label for age in checked.ages] == [
        "pool/one received",
        "pool/two received",
        "pool/three/x received",
    ]
    left = check_received(there, ("one/gone", "pool/two", "two/*", "three*"), NOW, LIMITS)
    assert [severity for severity, _what in seen(left)] == [GOOD]
    assert seen(check_received(tree("pool", top=None), (), NOW, LIMITS)) == [
        (FAILS, "nothing has ever arrived at or below pool")
    ]
    # The root itself may be the copy.
    assert len(check_received(tree("pool/a", top=1, x=1), (), NOW, LIMITS).findings) == 1


def test_the_line_has_what_is_wrong_first_and_figures_with_their_limits() -> None:
    good = check_taken(tree("tank/src", top=1), NOW, LIMITS)
    late = check_reached("tank/src", [Ledger(Record("it's|=off:a/b", base=name(60)))], NOW, LIMITS, {})
    assert status_line([good], "OK") == (
        "CYBER-ZFS-BACKUP OK - the newest snapshot of tank/src is 60 min old"
        " | 'tank/src taken'=3600s;93600;180000;0"
    )
    line = status_line([good, late], "CRITICAL")
    assert line.startswith("CYBER-ZFS-BACKUP CRITICAL - what it's/=off:a/b has of tank/src is 2 days old | ")
    assert line.endswith("'its  off:a/b reached'=216000s;93600;180000;0")
    assert line.count("|") == 1
    none = check_taken(tree("tank/src", top=None), NOW, LIMITS)
    assert status_line([none], "CRITICAL").endswith("| 'tank/src taken'=U;93600;180000;0")
    assert "|" not in status_line([check_expired("tank/src", 0, ())], "OK")


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(seconds=119), "119 s"),
        (timedelta(minutes=2), "2 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=47, minutes=59), "47 h"),
        (timedelta(days=2), "2 days"),
    ],
)
def test_ages_in_words(age: timedelta, words: str) -> None:
    assert said(age) == words

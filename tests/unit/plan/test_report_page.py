# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands on the report's page, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cyber_zfs_backup.model.drilled import Drilled
from cyber_zfs_backup.model.history import Finished
from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.model.places import HERE
from cyber_zfs_backup.model.trees import Dataset, Snapshot, Tree
from cyber_zfs_backup.plan.findings import Severity, fails, good
from cyber_zfs_backup.plan.lateness import Limits
from cyber_zfs_backup.plan.ledger import Ledger, Record
from cyber_zfs_backup.plan.report_axis import WIDTH
from cyber_zfs_backup.plan.report_page import Page, Seen, recorded, report_page
from cyber_zfs_backup.plan.standing import Row, Standing, rows

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
LIMITS = Limits(timedelta(hours=26), timedelta(hours=50))
TO = "off:vault/src"
GOOD, WARNING, FAILS = Severity.GOOD, Severity.WARNING, Severity.FAILS


def name(days: float) -> str:
    return own_name(NOW - timedelta(days=days))


def dataset(path: str, *days: float, foreign: int = 0) -> Dataset:
    names = [*(f"by-hand-{number}" for number in range(foreign)), *map(name, days)]
    return Dataset(path, tuple(Snapshot(each, at + 1, at) for at, each in enumerate(names)))


def seen(
    *datasets: Dataset,
    base: str | None = name(0.5),
    lagging: Mapping[str, str] | None = None,
    runs: tuple[Finished, ...] = (),
    root: str = "tank/src",
) -> Seen:
    """A tree with one destination."""
    tree = Tree(root, {each.path: each for each in datasets or (dataset("", 30, 1.5, 0.5),)})
    records = {path: Record(TO, each) for path, each in (lagging or {}).items()}
    ledger = Ledger(Record(TO, base), records)
    newest = tree.datasets[""].newest_own
    standings = rows(root, newest.name if newest else "", {"1": ledger}, runs)
    return Seen(root, tuple(Standing(row, LIMITS) for row in standings), tree, (ledger,))


def run(days: float, code: int = 0, error: str = "", root: str = "tank/src") -> Finished:
    target = "" if code else name(days)
    return Finished(root, TO, NOW - timedelta(days=days), 1.0, code, target=target, bytes=7, error=error)


def page(*trees: Seen, runs: tuple[Finished, ...] = (), drills: tuple[Drilled, ...] = ()) -> Page:
    return report_page("zippy", NOW, trees, recorded(runs, drills))


def test_all_is_well() -> None:
    runs = (run(1.5), run(0.5))
    told = page(seen(runs=runs), runs=runs)
    assert (told.severity, told.wrong, told.datasets) == (GOOD, (), 1)
    assert [each.kind for each in told.fine] == ["taken", "reached"]
    (tree,) = told.trees
    (way,) = tree.ways
    assert (tree.severity, tree.read, way.destination, way.severity) == (GOOD, True, TO, GOOD)
    assert way.since == NOW - timedelta(days=1.5)
    assert sum(each.bytes for each in way.traffic.days) == 14
    (kept,) = tree.datasets
    assert (kept.name, kept.count, kept.foreign, kept.oldest) == ("tank/src", 3, 0, NOW - timedelta(days=30))
    assert kept.spans == ((71, 72), (478, 479), (492, 493))
    (copy,) = kept.copies
    # From the first that is known to have arrived up to the base.
    assert (copy.has, copy.lacks, copy.behind, copy.severity) == ((478, 492), None, timedelta(), GOOD)


@pytest.mark.parametrize(
    ("base", "severity", "has", "lacks"),
    [
        (name(0.5), GOOD, (492, 493), None),
        (name(1.5), WARNING, (478, 479), (478, 492)),
        (name(30), FAILS, (71, 72), (71, 492)),
        # Nothing there yet: all that is here is not there.
        (None, FAILS, None, (71, 492)),
        # A name that tells no time.
        ("by-hand", FAILS, None, None),
    ],
)
def test_what_a_destination_has_of_a_dataset(
    base: str | None, severity: Severity, has: tuple[int, int] | None, lacks: tuple[int, int] | None
) -> None:
    told = page(seen(base=base))
    (tree,) = told.trees
    (copy,) = tree.datasets[0].copies
    assert (copy.severity, copy.has, copy.lacks) == (severity, has, lacks)
    assert (tree.severity, tree.ways[0].severity, told.severity) == (severity, severity, severity)


def test_a_dataset_that_is_younger_than_the_first_push_begins_with_itself() -> None:
    runs = (run(30), run(0.5))
    told = page(seen(dataset("", 30, 0.5), dataset("new", 2, 0.5), runs=runs), runs=runs)
    assert [kept.copies[0].has for kept in told.trees[0].datasets] == [(71, 492), (471, 492)]


def test_the_worst_comes_first() -> None:
    lagging = seen(
        dataset("", 0.5), dataset("a", 0.5), dataset("b", 9, 0.5), dataset("c", 0.5), lagging={"b": name(9)}
    )
    told = page(seen(root="tank/fine"), lagging)
    assert [tree.root for tree in told.trees] == ["tank/src", "tank/fine"]
    assert [kept.name for kept in told.trees[0].datasets] == [
        *("tank/src/b", "tank/src", "tank/src/a", "tank/src/c"),
    ]
    # As every dataset of the copy counts, the copy as a whole is as old as its oldest.
    assert [tree.ways[0].severity for tree in told.trees] == [FAILS, GOOD]
    assert [each.severity for each in told.wrong] == sorted(
        (each.severity for each in told.wrong), reverse=True
    )


def test_what_the_last_run_and_the_last_drill_say() -> None:
    runs = (run(1.5), run(0.4, 75, "push: no route"))
    first = Drilled("tank/src", TO, NOW - timedelta(days=40), good=True, datasets=3)
    last = replace(first, time=NOW - timedelta(days=9), good=False, wrong=("vault/src@x: names differ", "y"))
    told = page(seen(runs=runs), runs=runs, drills=(first, last))
    assert [(each.kind, each.severity, each.what) for each in told.wrong] == [
        (
            "drill",
            FAILS,
            f"the last drill of tank/src to {TO} found something wrong: vault/src@x: names differ",
        ),
        ("run", WARNING, f"the last run of tank/src to {TO} ended with exit code 75: push: no route"),
    ]
    (way,) = told.trees[0].ways
    assert (way.drill, way.severity) == (last, FAILS)
    again = replace(last, time=NOW, good=True, wrong=())
    told = page(seen(runs=runs[:1]), runs=runs[:1], drills=(last, again))
    assert (told.severity, told.trees[0].ways[0].drill) == (GOOD, again)


def test_what_rests_is_not_late() -> None:
    whole = seen(dataset("", 30, 9), base=name(9))
    rests = replace(
        whole, standings=tuple(replace(each, paused="until 2027-01-01: moving") for each in whole.standings)
    )
    told = page(rests)
    assert (told.severity, told.trees[0].severity) == (GOOD, GOOD)
    assert [each.what for each in told.fine] == [f"tank/src to {TO} rests: until 2027-01-01: moving"]


def test_no_snapshot_of_ours_and_one_dataset_that_has_none_yet() -> None:
    told = page(seen(dataset("", foreign=2), base=None))
    (kept,) = told.trees[0].datasets
    assert (kept.count, kept.foreign, kept.newest, kept.spans) == (0, 2, None, ())
    assert (kept.severity, kept.copies[0].lacks) == (FAILS, None)
    (fresh, _) = page(seen(dataset("", 0.5), dataset("new"))).trees[0].datasets
    assert (fresh.name, fresh.severity) == ("tank/src/new", WARNING)


def test_a_tree_that_was_never_pushed() -> None:
    tree = Tree("tank/src", {"": dataset("", 0.5)})
    standings = tuple(Standing(row, LIMITS) for row in rows("tank/src", name(0.5), {}, ()))
    told = page(Seen("tank/src", standings, tree))
    assert [(each.kind, each.severity) for each in told.wrong] == [("reached", WARNING)]
    assert (told.trees[0].ways[0].severity, told.trees[0].datasets[0].copies) == (WARNING, ())


def test_a_tree_that_is_declared_to_be_pushed_nowhere_is_well() -> None:
    plain = seen()
    assert plain.tree is not None
    row = Row("tank/src", "", plain.standings[0].row.newest, "")
    there = Seen("tank/src", (Standing(row, LIMITS, arrived=LIMITS),), plain.tree)
    shown = page(there)
    assert [each.what for each in shown.wrong] == []
    assert shown.trees[0].severity is GOOD


def test_what_is_pushed_seldom_is_held_against_that() -> None:
    late = replace(seen(base=name(5)).standings[0], arrived=Limits(timedelta(days=9), timedelta(days=16)))
    shown = page(replace(seen(base=name(5)), standings=(late,)))
    assert [each.what for each in shown.wrong] == []
    assert shown.trees[0].severity is GOOD


def test_one_that_is_declared_and_never_arrived() -> None:
    whole = seen()
    (standing,) = whole.standings
    other = replace(standing, row=replace(standing.row, destination="nas:b/src", there=""))
    told = page(replace(whole, standings=(standing, other)))
    assert [each.what for each in told.wrong] == ["nothing of tank/src has arrived at nas:b/src yet"]
    assert [way.destination for way in told.trees[0].ways] == ["nas:b/src", TO]
    assert [copy.lacks for copy in told.trees[0].datasets[0].copies] == [None, (71, 492)]


def test_a_tree_that_could_not_be_read_is_not_called_late() -> None:
    found = fails("source", HERE, "there is no tank/src", "import its pool")
    unread = replace(seen(base=None), tree=None, ledgers=(), findings=(found,))
    told = page(unread)
    assert (told.wrong, told.datasets) == ((found,), 0)
    (tree,) = told.trees
    assert (tree.read, tree.severity, tree.ways[0].severity) == (False, FAILS, FAILS)


def test_what_was_found_of_the_machine_with_each_tree_is_told_once() -> None:
    found = (fails("pool", HERE, "tank is degraded", "zpool status"), good("timer", HERE, "it is enabled"))
    told = page(replace(seen(), findings=found), replace(seen(root="tank/b"), findings=found))
    assert told.wrong == found[:1]
    assert told.fine.count(found[1]) == 1
    # Of the trees themselves it says nothing.
    assert [tree.severity for tree in told.trees] == [GOOD, GOOD]


def test_a_machine_without_any_tree_is_not_well() -> None:
    told = page()
    assert [each.what for each in told.wrong] == ["nothing is backed up here"]
    assert told.trees == ()


def test_a_snapshot_of_the_future_stays_on_the_axis() -> None:
    told = page(seen(dataset("", 1, -3)))
    assert told.trees[0].datasets[0].spans[-1] == (WIDTH - 1, WIDTH)
    assert "in the future" in told.wrong[0].what

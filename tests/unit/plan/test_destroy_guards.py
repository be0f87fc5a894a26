# SPDX-License-Identifier: GPL-3.0-or-later
"""When expiry refuses: a snapshot in the future, and lots at once; see drawn.py for the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.model.trees import Dataset, Snapshot, Tree
from cyber_zfs_backup.plan.destroy import (
    Destroy,
    DestroyPlan,
    DestroysLots,
    FutureSnapshot,
    Terms,
    candidates,
    finish,
    is_lots,
)
from cyber_zfs_backup.plan.retention import Because, Buckets, Reason, Ruling

from .drawn import day, days, tree

NOW = datetime(2026, 11, 30, tzinfo=UTC)
ONE_DAILY = Terms(Buckets(days=1, weeks=0, months=0), NOW)
"""Keeps the newest and one daily; all else of the month goes."""


def plan(
    given: Tree,
    terms: Terms = ONE_DAILY,
    protected: Mapping[str, Mapping[str, str]] | None = None,
    in_use: Mapping[str, str] | None = None,
) -> DestroyPlan:
    """Both phases at once."""
    return finish(candidates(given, terms, protected), in_use or {})


def gone(result: DestroyPlan) -> dict[str, tuple[str, ...]]:
    """The planned names by path, without the datasets that lose nothing."""
    return {each.path: each.destroy for each in result.datasets if each.destroy}


def kept(result: DestroyPlan, path: str = "") -> dict[str, str]:
    """The reasons of what one dataset keeps, by name."""
    verdicts = next(each.verdicts for each in result.datasets if each.path == path)
    return {verdict.snapshot.name: str(verdict.reason) for verdict in verdicts if verdict.keep}


# A snapshot in the future


def test_a_snapshot_in_the_future_refuses_everything() -> None:
    given = tree(
        """
                20 21 22 30b
        .        x  x  x  .
        a_b      x  x  x  x
        home     x  x  x  x
        """,
        root="tank/my data",
    )
    found = candidates(given, ONE_DAILY)
    assert dict(found.names) == {}
    result = finish(found, {})
    assert (result.commands, result.count) == ((), 0)
    (refusal,) = result.refusals
    assert isinstance(refusal, FutureSnapshot)
    assert refusal.datasets == ("tank/my data/a_b", "tank/my data/home")
    assert refusal.message == (
        "tank/my data/a_b@2026-11-30T02:00:00Z (and on 1 more dataset) is dated in the future: "
        "it is 2026-11-30T00:00:00Z now; nothing is destroyed"
    )
    assert refusal.remedy == (
        "set the clock right; or, where the snapshot is wrong: "
        "cyber-zfs-backup quarantine 'tank/my data/a_b@2026-11-30T02:00:00Z'"
    )
    assert set(kept(result).values()) == {"a snapshot is dated in the future"}
    assert len(kept(result)) == 3


def test_each_name_in_the_future_is_a_refusal_of_its_own() -> None:
    result = plan(
        tree("""
                20 30c 30b
        .        x  x   .
        home     x  .   x
        """)
    )
    assert [(r.name, r.datasets) for r in result.refusals if isinstance(r, FutureSnapshot)] == [
        (day("30b"), ("tank/home",)),
        (day("30c"), ("tank",)),
    ]
    assert "more dataset" not in result.refusals[0].message


@pytest.mark.parametrize(
    ("now", "future"),
    [
        (datetime(2026, 11, 22, 23, 59, 59, 999999, tzinfo=UTC), True),
        (datetime(2026, 11, 23, tzinfo=UTC), False),
        (datetime(2026, 11, 23, 1, tzinfo=timezone(timedelta(hours=2))), True),
        (datetime(2026, 11, 22, 22, tzinfo=timezone(timedelta(hours=-2))), False),
    ],
)
def test_the_future_begins_after_this_second(now: datetime, future: bool) -> None:
    result = plan(
        tree("""
                20 21 22 23
        .        x  x  x  x
        """),
        Terms(Buckets(1, 0, 0), now),
    )
    assert bool(result.refusals) is future
    assert bool(result.commands) is not future


def test_a_future_snapshot_that_is_old_by_createtxg_or_excluded_counts_too() -> None:
    given = tree("""
                30b 20 21 22
        .        .  x  x  x
        cache    x  x  x  x
        """)
    result = plan(given, replace(ONE_DAILY, excluded=frozenset({"cache"})))
    assert [type(refusal) for refusal in result.refusals] == [FutureSnapshot]
    assert kept(result, "cache")[day("20")] == "the dataset is excluded"


def test_a_foreign_name_has_no_time_and_so_no_future() -> None:
    result = plan(
        tree("""
                20 21 22 2099-01-01
        .        x  x  x  x
        """)
    )
    assert result.commands == (Destroy("tank", days("20")),)


# Lots


def row(path: str, count: int) -> Dataset:
    """A dataset with so many hourly snapshots."""
    first = datetime(2026, 11, 1, tzinfo=UTC)
    names = [own_name(first + timedelta(minutes=number)) for number in range(count)]
    return Dataset(path, tuple(Snapshot(name, number + 1, number + 1) for number, name in enumerate(names)))


@dataclass(frozen=True)
class DropsOldest:
    """A rule that drops the so many oldest."""

    count: int

    def judge(self, names: Sequence[str]) -> tuple[Ruling, ...]:
        wanted = len(names) - self.count
        return tuple(Ruling(n < wanted, Reason(Because.SAME_PERIOD, "old")) for n in range(len(names)))


@pytest.mark.parametrize(
    ("planned", "own", "lots"),
    [
        (10, 11, False),  # not more than 10
        (11, 12, True),
        (11, 43, True),  # 11 is more than a quarter of 43
        (11, 44, False),  # exactly a quarter
        (11, 45, False),
        (100, 400, False),
        (101, 400, True),
    ],
)
def test_lots_are_more_than_ten_and_more_than_a_quarter(planned: int, own: int, lots: bool) -> None:
    given = Tree("tank", {"": row("", own), "home": row("home", 3)})
    terms = Terms(DropsOldest(planned), NOW, excluded=frozenset({"home"}))
    result = plan(given, terms)
    assert is_lots(planned, own) is lots
    assert result.refusals == ((DestroysLots("tank", planned, own),) if lots else ())
    assert result.count == (0 if lots else planned)
    forced = plan(given, replace(terms, force_lots=True))
    assert (forced.refusals, forced.count) == ((), planned)


def test_lots_on_one_dataset_refuse_all_and_every_such_dataset_is_named() -> None:
    given = Tree("tank", {"": row("", 100), "a": row("a", 40), "b c": row("b c", 20)})
    result = plan(given, Terms(DropsOldest(12), NOW))
    assert result.commands == ()
    assert result.refusals == (DestroysLots("tank/a", 12, 40), DestroysLots("tank/b c", 12, 20))
    assert [refusal.message for refusal in result.refusals] == [
        "tank/a: 12 of 40 snapshots would be destroyed at once; nothing is destroyed",
        "tank/b c: 12 of 20 snapshots would be destroyed at once; nothing is destroyed",
    ]
    assert all("--force-destroy-lots" in refusal.remedy for refusal in result.refusals)
    assert len(gone(result)["a"]) == 12  # the plan still shows what would go


def test_foreign_snapshots_do_not_dilute_lots_and_held_ones_do_not_count() -> None:
    own = row("", 40)
    hand = tuple(Snapshot(f"hand{number}", 1000 + number, 1000 + number) for number in range(100))
    given = Tree("tank", {"": replace(own, snapshots=own.snapshots + hand)})
    terms = Terms(DropsOldest(11), NOW)
    assert plan(given, terms).refusals == (DestroysLots("tank", 11, 40),)
    held = plan(given, terms, in_use={f"tank@{own.snapshots[0].name}": "held by keep"})
    assert (held.refusals, held.count) == ((), 10)

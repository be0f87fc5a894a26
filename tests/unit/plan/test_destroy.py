# SPDX-License-Identifier: GPL-3.0-or-later
"""What expires on a tree, what never does, and by which commands; see drawn.py for the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from cyber_zfs_backup.model.trees import Tree
from cyber_zfs_backup.plan.destroy import (
    Destroy,
    DestroyPlan,
    Terms,
    candidates,
    finish,
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


# The shape of the commands


def test_a_uniform_tree_is_one_recursive_command() -> None:
    result = plan(
        tree("""
                20 21 22 23
        .        x  x  x  x
        home     x  x  x  x
        home/ann x  x  x  x
        """)
    )
    assert result.commands == (Destroy("tank", days("20 21"), recursive=True),)
    assert result.count == 6


def test_names_that_a_dataset_lacks_do_not_hinder_the_recursive_command() -> None:
    result = plan(
        tree("""
                20 21 22 23
        .        .  x  x  x
        home     x  x  x  x
        young    .  .  .  x
        """)
    )
    assert result.commands == (Destroy("tank", days("20 21"), recursive=True),)
    assert result.count == 3


def test_a_dataset_that_would_lose_more_than_planned_forbids_the_recursive_command() -> None:
    # home has no 22 and no 23, so its 20 and 21 are what it keeps.
    result = plan(
        tree("""
                19 20 21 22 23
        .        x  x  x  x  x
        home     x  x  x  .  .
        srv      x  x  x  x  x
        """)
    )
    assert result.commands == (
        Destroy("tank", days("19 20 21")),
        Destroy("tank/home", days("19")),
        Destroy("tank/srv", days("19 20 21")),
    )


def test_a_dataset_with_nothing_to_lose_forbids_it_too() -> None:
    result = plan(
        tree("""
                20 21 22 23
        .        x  x  x  x
        home     x  x  x  x
        idle     .  x  .  .
        """)
    )
    assert result.commands == (Destroy("tank", days("20 21")), Destroy("tank/home", days("20 21")))


def test_one_dataset_alone_is_named_without_recursion() -> None:
    result = plan(
        tree("""
                20 21 22 23
        .        .  .  .  .
        home     x  x  x  x
        """)
    )
    assert result.commands == (Destroy("tank/home", days("20 21")),)


def test_nothing_to_destroy_is_no_command() -> None:
    result = plan(
        tree("""
                hand 22 23
        .        x    x  x
        empty    .    .  .
        """)
    )
    assert (result.commands, result.refusals, result.count) == ((), (), 0)


def test_an_excluded_dataset_loses_nothing() -> None:
    given = tree("""
                20 21 22 23
        .        x  x  x  x
        cache    x  x  x  x
        home     x  x  x  x
        """)
    result = plan(given, replace(ONE_DAILY, excluded=frozenset({"cache"})))
    assert result.commands == (Destroy("tank", days("20 21")), Destroy("tank/home", days("20 21")))
    assert kept(result, "cache") == dict.fromkeys(days("23 22 21 20"), "the dataset is excluded")


def test_an_excluded_dataset_without_those_names_does_not_hinder_the_recursive_command() -> None:
    given = tree("""
                hand 20 21 22 23
        .        x    x  x  x  x
        cache    x    .  .  .  x
        home     x    x  x  x  x
        """)
    result = plan(given, replace(ONE_DAILY, excluded=frozenset({"cache"})))
    assert result.commands == (Destroy("tank", days("20 21"), recursive=True),)


# What is never destroyed


@dataclass(frozen=True)
class WantsNothing:
    """A rule that would destroy everything."""

    def judge(self, names: Sequence[str]) -> tuple[Ruling, ...]:
        return tuple(Ruling(False, Reason(Because.SAME_PERIOD, "unwanted")) for _ in names)


def test_the_worst_rule_still_leaves_the_newest_own_and_every_foreign_snapshot() -> None:
    result = plan(
        tree("""
                hand 20 21 22 hand2
        .        x    x  x  x  x
        home     x    x  x  .  x
        """),
        Terms(WantsNothing(), NOW, force_lots=True),
    )
    assert gone(result) == {"": days("20 21"), "home": days("20")}
    foreign = "foreign: not a name of ours"
    assert kept(result) == {"hand2": foreign, day("22"): "newest", "hand": foreign}


def test_bases_and_pending_targets_stay() -> None:
    given = tree("""
                19 20 21 22 23
        .        x  x  x  x  x
        home     x  x  x  x  x
        """)
    protected = {"home": {day("20"): "base of offsite", day("22"): "pending target of attic"}}
    result = plan(given, protected=protected)
    assert gone(result) == {"": days("19 20 21"), "home": days("19 21")}
    assert kept(result, "home") == {
        day("23"): "newest",
        day("22"): "daily 1 of 1",  # the rule keeps it anyway, and says why
        day("20"): "base of offsite",
    }
    assert not any(command.recursive for command in result.commands)


def test_a_base_that_every_dataset_has_leaves_the_recursive_command_whole() -> None:
    given = tree("""
                19 20 21 22 23
        .        x  x  x  x  x
        home     x  x  x  x  x
        """)
    base = {day("20"): "base of offsite"}
    result = plan(given, protected={"": base, "home": base})
    assert result.commands == (Destroy("tank", days("19 21"), recursive=True),)


def test_held_and_cloned_snapshots_stay() -> None:
    given = tree("""
                19 20 21 22 23
        .        x  x  x  x  x
        home     x  x  x  x  x
        """)
    in_use = {
        f"tank/home@{day('19')}": "held by keep",
        f"tank@{day('21')}": "cloned as tank/try",
        f"tank@{day('23')}": "held by keep",  # was never a candidate
        f"other@{day('20')}": "held by keep",  # nor this
    }
    result = plan(given, in_use=in_use)
    assert gone(result) == {"": days("19 20"), "home": days("20 21")}
    assert kept(result)[day("21")] == "cloned as tank/try"
    assert kept(result)[day("23")] == "newest"
    assert kept(result, "home")[day("19")] == "held by keep"
    assert result.commands == (Destroy("tank", days("19 20")), Destroy("tank/home", days("20 21")))


def test_protected_and_held_reasons_stand_side_by_side() -> None:
    given = tree("""
                19 20 21 22 23
        .        x  x  x  x  x
        """)
    result = plan(
        given, protected={"": {day("19"): "base of offsite"}}, in_use={f"tank@{day('20')}": "held by keep"}
    )
    assert gone(result) == {"": days("21")}
    assert kept(result)[day("19")] == "base of offsite"
    assert kept(result)[day("20")] == "held by keep"


def test_only_candidates_need_be_asked_about() -> None:
    given = tree("""
                hand 20 21 22 23
        .        x    x  x  x  x
        cache    x    x  x  x  x
        home     x    .  x  x  x
        new      .    .  .  .  x
        """)
    found = candidates(given, replace(ONE_DAILY, excluded=frozenset({"cache"})), {"": {day("20"): "base"}})
    assert dict(found.names) == {"tank": days("21"), "tank/home": days("21")}
    assert found.full_names == (f"tank@{day('21')}", f"tank/home@{day('21')}")


# Misuse


def test_half_a_tree_is_no_ground_for_destroying() -> None:
    with pytest.raises(ValueError, match="every snapshot of 'tank'"):
        candidates(Tree("tank", {}, complete=False), ONE_DAILY)


def test_the_present_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Terms(Buckets(1, 1, 1), datetime(2026, 11, 30))  # noqa: DTZ001 -- that is what is refused

# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the planner's table that need a person, and orphans. Pictures as in ``drawn``."""

from __future__ import annotations

from cyber_zfs_backup.plan.cost import SendMode
from tests.unit.plan.drawn import day, tree
from tests.unit.plan.two_sides import (
    conflicts,
    encrypted,
    plan,
    renamed,
    steps,
    swapped,
)

LEVEL, REPLICATE = SendMode.LEVEL, SendMode.REPLICATE
THERE = "vault/copy"

BOTH = """
       01 02
    .  x  x
    a  x  x
    b  x  x"""
AT_01 = """
       01
    .  x
    a  x
    b  x"""


# Rows: same names, other GUIDs; diverged; no common


def test_the_same_name_with_another_guid_is_never_common() -> None:
    found = plan(BOTH, AT_01.replace("b  x", "b  y"), "02", mode=LEVEL)
    assert steps(found) == ["level . 01..02", "level a 01..02"]
    assert conflicts(found) == {"b": "no_common"}


def test_the_targets_name_on_the_receiver_with_another_guid_is_a_divergence() -> None:
    receiver = """
           01 02
        .  x  .
        a  x  y
        b  x  ."""
    found = plan(BOTH, receiver, "02", mode=LEVEL)
    assert steps(found) == ["level . 01..02", "level b 01..02"]
    assert conflicts(found) == {"a": "diverged"}
    assert "by hand" in found.conflicts[0].remedy
    assert day("02") in found.conflicts[0].text


def test_an_encrypted_dataset_with_any_snapshot_above_the_base_has_diverged() -> None:
    receiver = """
           01 theirs
        .  x  .
        a  x  y
        b  x  y"""
    found = plan(encrypted(tree(BOTH), "a"), receiver, "02", mode=LEVEL)
    assert conflicts(found) == {"a": "diverged"}
    assert steps(found) == ["level . 01..02", "level b 01..02"]


def test_a_conflict_of_the_root_stops_everything() -> None:
    found = plan(BOTH, AT_01.replace(".  x", ".  y"), "02")
    assert (steps(found), conflicts(found)) == ([], {".": "no_common"})


def test_a_conflict_of_a_child_forbids_replicate() -> None:
    found = plan(BOTH, AT_01.replace("b  x", "b  y"), "02", mode=REPLICATE)
    assert found.choice.reason == "some datasets cannot be pushed (replicate was asked for)"


def test_a_receiver_dataset_without_any_snapshot_was_not_made_by_a_push() -> None:
    receiver = """
           01
        .  x
        a  .
        b  x"""
    found = plan(BOTH, receiver, "02", mode=LEVEL)
    assert conflicts(found) == {"a": "no_common"}
    assert "if it is empty, destroy it there by hand" in found.conflicts[0].remedy


def test_a_receiver_that_is_ahead_of_the_target() -> None:
    source = """
           01 02 by-hand
        .  x  x  x"""
    receiver = """
           01 02 by-hand
        .  x  .  x"""
    found = plan(source, receiver, "02")
    assert conflicts(found) == {".": "out_of_order"}


# Rows: renamed, exchanged, created anew, destroyed


def test_a_dataset_renamed_on_the_source_is_a_conflict_that_names_both_places() -> None:
    found = plan(renamed(tree(BOTH), "a", "z"), AT_01, "02", mode=LEVEL)
    assert conflicts(found) == {"z": "renamed"}
    assert "zfs rename 'vault/copy/a' 'vault/copy/z'" in found.conflicts[0].remedy
    assert steps(found) == ["level . 01..02", "level b 01..02"]


def test_children_of_a_conflict_wait_for_their_parent() -> None:
    source = """
             01 02
        .    x  x
        a    x  x
        a/n  .  x"""
    receiver = """
             01
        .    x
        a    y"""
    found = plan(source, receiver, "02", mode=LEVEL)
    assert conflicts(found) == {"a": "no_common", "a/n": "parent"}
    assert steps(found) == ["level . 01..02"]


def test_exchanged_names_are_found_out() -> None:
    found = plan(swapped(tree(BOTH), "a", "b"), AT_01, "02", mode=LEVEL)
    assert conflicts(found) == {"a": "renamed", "b": "renamed"}
    assert "names were exchanged" in found.conflicts[0].what


def test_destroyed_and_created_anew() -> None:
    source = """
           01 02
        .  x  x
        a  .  x"""
    receiver = """
           01
        .  x
        a  y"""
    found = plan(source, receiver, "02", mode=LEVEL)
    assert conflicts(found) == {"a": "recreated"}
    assert "zfs rename 'vault/copy/a' 'vault/copy/a.old'" in found.conflicts[0].remedy


def test_destroyed_on_the_source_is_kept_and_told_as_an_orphan() -> None:
    source = """
           01 02
        .  x  x"""
    found = plan(source, AT_01, "02", mode=LEVEL)
    assert [orphan.full for orphan in found.orphans] == ["vault/copy/a", "vault/copy/b"]
    assert steps(found) == ["level . 01..02"]
    assert not found.conflicts


def test_the_receivers_copies_of_what_is_excluded_are_no_orphans() -> None:
    source = """
           01 02
        .  x  x
        a  x  x"""
    found = plan(source, AT_01, "02", mode=REPLICATE, excluded=frozenset({"b"}))
    assert not found.orphans
    assert found.choice.reason == "datasets are excluded (replicate was asked for)"


def test_what_failed_in_this_run_is_not_tried_again_nor_by_replicate() -> None:
    found = plan(BOTH, AT_01, "02", mode=REPLICATE, set_aside=frozenset({"a"}))
    assert steps(found) == ["level . 01..02", "level b 01..02"]


def test_a_new_child_waits_where_its_parent_failed() -> None:
    source = """
             01 02
        .    x  x
        n    .  x
        n/m  .  x"""
    receiver = """
             01
        .    x"""
    found = plan(source, receiver, "02", mode=LEVEL, set_aside=frozenset({"n"}))
    assert steps(found) == ["level . 01..02"]

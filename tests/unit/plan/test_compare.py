# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the planner's table that need a person, and orphans. Pictures as in ``drawn``."""

from __future__ import annotations

from cyber_zfs_backup.plan.cost import SendMode
from tests.unit.plan.drawn import day, guid_of, tree
from tests.unit.plan.two_sides import (
    conflicts,
    encrypted,
    plan,
    renamed,
    steps,
    swapped,
    usable,
    with_token,
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
    assert f"zfs rename 'vault/copy/a@{day('02')}'" in found.conflicts[0].remedy
    assert day("02") in found.conflicts[0].text


RETAKEN = """
       01 vzdump 02 vzdump 03
    .  x  .      x  .      x
    a  x  {}      x  {}      x
    b  x  .      x  .      x"""
"""A foreign snapshot that another tool destroys and takes anew under its old name."""
COPIED = """
       01 vzdump 02
    .  x  .      x
    a  x  x      x
    b  x  .      x"""


def test_a_foreign_snapshot_taken_anew_under_its_old_name_is_in_the_way_of_its_dataset_alone() -> None:
    """ZFS refuses a name that the dataset has, also where that one stands below the base."""
    found = plan(RETAKEN.format(".", "y"), COPIED, "03", mode=LEVEL)
    assert conflicts(found) == {"a": "diverged"}
    assert steps(found) == ["level . 02..03", "level b 02..03"]
    (conflict,) = found.conflicts
    assert str(guid_of("a", "vzdump", "x")) in conflict.what
    assert str(guid_of("a", "vzdump", "y")) in conflict.what
    assert conflict.remedy == (
        "keep it there under another name: zfs rename 'vault/copy/a@vzdump' 'vault/copy/a@vzdump.old'; "
        "or, if it is worth nothing: zfs destroy 'vault/copy/a@vzdump'"
    )


def test_a_foreign_snapshot_that_made_room_before_is_not_in_the_way_of_the_next() -> None:
    """One is moved aside each time; the remedy never names a place that is taken."""
    copied = """
           vzdump.old vzdump.old1 vzdump 02
        .  .          .           .      x
        a  x          x           z      x
        b  .          .           .      x"""
    found = plan(RETAKEN.format(".", "y"), copied, "03", mode=LEVEL)
    assert "'vault/copy/a@vzdump.old2'" in found.conflicts[0].remedy
    moved = copied.replace(" vzdump ", " vzdump.old2 ")
    assert not conflicts(plan(RETAKEN.format(".", "y"), moved, "03", mode=LEVEL))


def test_a_foreign_snapshot_is_in_nobodys_way_where_no_other_of_its_name_is_to_come() -> None:
    kept = plan(RETAKEN.format("x", "."), COPIED, "03", mode=LEVEL)
    gone = plan(RETAKEN.format(".", "."), COPIED, "03", mode=LEVEL)
    after_the_target = plan(RETAKEN.format(".", "y"), COPIED, "02", mode=LEVEL)
    assert [conflicts(found) for found in (kept, gone, after_the_target)] == [{}, {}, {}]


def test_of_an_encrypted_dataset_too_a_name_that_is_to_come_must_be_free() -> None:
    found = plan(encrypted(tree(RETAKEN.format(".", "y")), "a"), COPIED, "03", mode=LEVEL)
    assert conflicts(found) == {"a": "diverged"}
    assert "zfs rename 'vault/copy/a@vzdump'" in found.conflicts[0].remedy


def test_the_way_back_of_a_copy_that_was_written_to() -> None:
    """A rollback over other snapshots needs -r, which destroys them: they are named."""
    alone = plan(BOTH, AT_01, "02", mode=LEVEL, changed=frozenset({"a"}))
    assert conflicts(alone) == {"a": "diverged"}
    assert alone.conflicts[0].remedy.endswith(f"worth nothing: zfs rollback 'vault/copy/a@{day('01')}'")
    receiver = """
           01 mine yours
        .  x  .    .
        a  x  y    y
        b  x  .    ."""
    below = plan(BOTH, receiver, "02", mode=LEVEL, changed=frozenset({"a"}))
    assert conflicts(below) == {"a": "diverged"}
    assert below.conflicts[0].remedy.endswith(
        f"zfs rollback -r 'vault/copy/a@{day('01')}', which destroys @mine, @yours there"
    )


def test_an_encrypted_dataset_with_any_snapshot_above_the_base_has_diverged() -> None:
    receiver = """
           01 theirs
        .  x  .
        a  x  y
        b  x  y"""
    found = plan(encrypted(tree(BOTH), "a"), receiver, "02", mode=LEVEL)
    assert conflicts(found) == {"a": "diverged"}
    assert steps(found) == ["level . 01..02", "level b 01..02"]


def test_only_what_is_not_encrypted_here_and_is_there_is_not_sent_raw() -> None:
    """An encrypted dataset never leaves the source in clear, whatever the receiver says of its copy."""
    here, there = encrypted(tree(BOTH), "a"), encrypted(tree(AT_01, "vault/copy"), "a", "b")
    for mode in (LEVEL, REPLICATE):
        found = plan(here, there, "02", mode=mode)
        assert [(step.path, step.raw) for step in found.steps] == [("", True), ("a", True), ("b", False)]
    assert found.choice.reason == "tank/b is not encrypted, and its copy is (replicate was asked for)"
    resumed = plan(here, with_token(there, "a", "b"), "02", tokens={p: usable(p, "02") for p in "ab"})
    assert {step.path: step.raw for step in resumed.steps} == {"a": True, "b": False, "": True}


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


def test_a_rename_that_the_receiver_refuses_is_a_conflict_that_names_both_places() -> None:
    found = plan(renamed(tree(BOTH), "a", "z"), AT_01, "02", mode=LEVEL, refused={"z": "permission denied"})
    assert conflicts(found) == {"z": "renamed"}
    assert "zfs rename 'vault/copy/a' 'vault/copy/z'" in found.conflicts[0].remedy
    assert "(it could not be renamed: permission denied)" in found.conflicts[0].what
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
    no = "permission denied"
    found = plan(swapped(tree(BOTH), "a", "b"), AT_01, "02", mode=LEVEL, refused={"a": no, "b": no})
    assert conflicts(found) == {"a": "renamed", "b": "renamed"}
    assert "names were exchanged" in found.conflicts[0].what


def test_destroyed_and_created_anew_where_the_old_copy_cannot_be_put_aside() -> None:
    source = """
           01 02
        .  x  x
        a  .  x"""
    receiver = """
           01
        .  x
        a  y"""
    found = plan(source, receiver, "02", mode=LEVEL, refused={"a": "permission denied"})
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

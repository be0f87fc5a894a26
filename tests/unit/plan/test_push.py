# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner's table, a test for each row. Pictures as in ``drawn``: source first, then receiver."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.plan.compare import Token
from cyber_zfs_backup.plan.cost import Form, SendMode
from cyber_zfs_backup.plan.push import Unsettled
from tests.unit.plan.drawn import day, tree
from tests.unit.plan.two_sides import (
    TOKEN,
    ask,
    conflicts,
    named_only,
    plan,
    steps,
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


# Row: no receiver tree


def test_no_receiver_tree_needs_the_flag() -> None:
    found = plan(BOTH, None, "02")
    assert (steps(found), conflicts(found)) == ([], {".": "no_receiver_tree"})
    assert "--force-non-incremental" in found.conflicts[0].remedy


def test_no_receiver_tree_with_the_flag_is_one_full_replicate() -> None:
    found = plan(BOTH, None, "02", allow_full=True)
    assert steps(found) == ["replicate . 02 +p new"]
    assert found.targets == {path: day("02") for path in ("", "a", "b")}


def test_a_first_push_by_level_goes_parents_first_oldest_in_full_then_the_rest() -> None:
    found = plan(BOTH, None, "02", allow_full=True, mode=LEVEL)
    assert steps(found) == [
        "full . 01 +p new",
        "full a 01 +p new",
        "full b 01 +p new",
        "level . 01..02 +p",
        "level a 01..02 +p",
        "level b 01..02 +p",
    ]


# Rows: common base; nothing to do


def test_the_common_base_is_the_start_of_the_level_step() -> None:
    assert steps(plan(BOTH, AT_01, "02", mode=LEVEL)) == [
        "level . 01..02",
        "level a 01..02",
        "level b 01..02",
    ]


def test_or_of_one_replicate() -> None:
    assert steps(plan(BOTH, AT_01, "02", mode=REPLICATE)) == ["replicate . 01..02 +p"]


def test_nothing_to_do() -> None:
    found = plan(BOTH, BOTH, "02")
    assert found.nothing_to_do
    assert not found.conflicts
    assert found.bases == {path: day("02") for path in ("", "a", "b")}


def test_the_newest_common_snapshot_is_the_base_whatever_is_between() -> None:
    source = """
           01 02 by-hand 03
        .  x  x  x       x"""
    receiver = """
           01 02 by-hand
        .  x  .  x"""
    assert steps(plan(source, receiver, "03", mode=LEVEL)) == ["level . by-hand..03"]


def test_a_receivers_own_snapshots_under_other_names_are_in_nobodys_way() -> None:
    receiver = """
           01 theirs
        .  x  x"""
    source = """
           01 02
        .  x  x"""
    assert steps(plan(source, receiver, "02", mode=LEVEL)) == ["level . 01..02"]


# Row: behind the others


def test_a_laggard_is_brought_up_from_its_own_base() -> None:
    source = """
           01 02 03
        .  x  x  x
        a  x  x  x
        b  x  x  x"""
    receiver = """
           01 02
        .  x  x
        a  x  .
        b  x  x"""
    found = plan(source, receiver, "03", mode=REPLICATE)
    assert steps(found) == ["level . 02..03", "level a 01..03", "level b 02..03"]
    assert found.choice.reason == "tank/a has another base than the root (replicate was asked for)"


def test_a_repair_touches_only_the_laggard() -> None:
    receiver = """
           01 02
        .  x  x
        a  x  .
        b  x  x"""
    assert steps(plan(BOTH, receiver, "02")) == ["level a 01..02"]


# Rows: a new child; a child that the receiver lacks; changed properties


NEW = """
       01 02
    .  x  x
    a  x  x
    n  .  x"""
LACKS_N = """
       01
    .  x
    a  x"""


def test_a_new_child_by_level_is_sent_in_full_with_its_properties() -> None:
    assert steps(plan(NEW, LACKS_N, "02", mode=LEVEL)) == [
        "full n 02 +p new",
        "level . 01..02",
        "level a 01..02",
    ]


def test_a_new_child_by_replicate_comes_with_the_rest() -> None:
    assert steps(plan(NEW, LACKS_N, "02", mode=REPLICATE)) == ["replicate . 01..02 +p"]


def test_a_child_that_the_receiver_lacks_although_it_has_the_base_forbids_replicate() -> None:
    found = plan(BOTH, LACKS_N, "02", mode=REPLICATE)
    assert steps(found) == ["full b 01 +p new", "level . 01..02", "level a 01..02", "level b 01..02 +p"]
    assert found.choice.form is Form.LEVEL
    assert "the receiver lacks tank/b" in found.choice.reason


def test_new_children_come_after_their_parents() -> None:
    source = """
             01 02
        .    x  x
        n    .  x
        n/m  .  x"""
    receiver = """
             01
        .    x"""
    assert steps(plan(source, receiver, "02", mode=LEVEL))[:2] == ["full n 02 +p new", "full n/m 02 +p new"]


def test_changed_properties_travel_with_their_datasets_streams() -> None:
    found = plan(BOTH, AT_01, "02", mode=LEVEL, properties_changed=frozenset({"", "a"}))
    assert steps(found) == ["level . 01..02 +p", "level a 01..02 +p", "level b 01..02"]


# Row: a child that lacks the target


def test_a_child_without_the_target_is_brought_to_its_own_newest() -> None:
    source = """
           01 02 03
        .  x  x  x
        a  x  x  ."""
    receiver = """
           01
        .  x
        a  x"""
    found = plan(source, receiver, "03", mode=REPLICATE)
    assert steps(found) == ["level . 01..03", "level a 01..02"]
    assert found.targets == {"": day("03"), "a": day("02")}
    assert "tank/a is not at the same point as the root" in found.choice.reason


def test_a_child_without_any_own_snapshot_is_left_out_with_a_note() -> None:
    source = """
           01 02 by-hand
        .  x  x  .
        a  .  .  x"""
    receiver = """
           01
        .  x"""
    found = plan(source, receiver, "02", mode=LEVEL)
    assert steps(found) == ["level . 01..02"]
    assert found.notes == ("tank/a has no own snapshot yet; it is left out",)
    assert "a" not in found.targets


# Rows: tokens


def test_a_usable_token_is_resumed_first_and_then_the_rest_follows() -> None:
    source = """
           01 02 03
        .  x  x  x
        a  x  x  x"""
    receiver = with_token(
        tree(
            """
           01
        .  x
        a  x""",
            THERE,
        ),
        "a",
    )
    found = plan(source, receiver, "03", tokens={"a": usable("a", "02")}, mode=LEVEL)
    assert steps(found) == ["resume a 02", "level . 01..03", "level a 02..03"]
    assert found.bases["a"] == day("01")


def test_a_token_for_the_target_itself_is_all_that_is_needed() -> None:
    receiver = with_token(tree(AT_01, THERE), "a")
    assert steps(plan(BOTH, receiver, "02", tokens={"a": usable("a", "02")}, mode=LEVEL)) == [
        "resume a 02",
        "level . 01..02",
        "level b 01..02",
    ]


def test_a_token_of_a_dataset_that_has_nothing_else_is_resumed() -> None:
    receiver = with_token(
        tree(
            """
           01
        .  x
        a  .
        b  x""",
            THERE,
        ),
        "a",
    )
    found = plan(BOTH, receiver, "02", tokens={"a": usable("a", "01")}, mode=LEVEL)
    assert steps(found)[0] == "resume a 01"
    assert "level a 01..02" in steps(found)


@pytest.mark.parametrize(
    "token",
    [Token(TOKEN, why_not="gone from the source"), None],
    ids=["the source cannot continue it", "nobody asked"],
)
def test_an_unusable_token_is_aborted_and_the_table_goes_on(token: Token | None) -> None:
    receiver = with_token(tree(AT_01, THERE), "a")
    found = plan(BOTH, receiver, "02", tokens={"a": token} if token else {}, mode=LEVEL)
    assert steps(found) == ["abort a", "level . 01..02", "level a 01..02", "level b 01..02"]


def test_an_unusable_token_of_a_dataset_that_has_nothing_else() -> None:
    receiver = with_token(
        tree(
            """
           01
        .  x
        a  .
        b  x""",
            THERE,
        ),
        "a",
    )
    found = plan(BOTH, receiver, "02", tokens={"a": Token(TOKEN, why_not="stale")}, mode=LEVEL)
    assert steps(found)[:2] == ["abort a", "full a 01 +p new"]


def test_a_token_for_something_newer_than_the_target_is_not_resumed() -> None:
    receiver = with_token(tree(AT_01, THERE), "a")
    source = """
           01 02 03
        .  x  x  x
        a  x  x  x
        b  x  x  x"""
    assert "abort a" in steps(plan(source, receiver, "02", tokens={"a": usable("a", "03")}, mode=LEVEL))


def test_a_token_forbids_replicate() -> None:
    receiver = with_token(tree(AT_01, THERE), "a")
    found = plan(BOTH, receiver, "02", tokens={"a": usable("a", "02")}, mode=REPLICATE)
    assert "tank/a has a partial receive" in found.choice.reason


# The form


def test_auto_takes_level_also_where_most_are_new() -> None:
    rows = "\n".join(f"n{number} . x" for number in range(20))
    found = plan(f"   01 02\n. x x\n{rows}", "   01\n. x", "02")
    assert steps(found)[0] == "full n0 02 +p new"
    assert "(20 new)" in found.choice.reason
    assert "level costs about" in found.choice.reason


def test_auto_takes_level_where_snapshots_are_many() -> None:
    labels = [f"{number:02}" for number in range(1, 29)]
    header = " ".join(labels)
    marks = " ".join("x" for _ in labels)
    source = f"{header}\n. {marks}\na {marks}"
    older = f"{' '.join(labels[:-1])}\n. {marks[:-2]}\na {marks[:-2]}"
    assert steps(plan(source, older, "28")) == ["level . 27..28", "level a 27..28"]


# The cheap question: partial trees


@pytest.mark.parametrize(
    ("receiver", "expected"),
    [(AT_01, ["level . 01..02", "level a 01..02", "level b 01..02"]), (BOTH, [])],
    ids=["base common, target missing", "target there"],
)
def test_the_cheap_question_settles_it(receiver: str, expected: list[str]) -> None:
    mine, theirs = named_only(tree(BOTH), "01 02"), named_only(tree(receiver, THERE), "01 02")
    assert steps(plan(mine, theirs, "02", mode=LEVEL)) == expected


LOST_TARGET = BOTH.replace("b  x  x", "b  x  .")


@pytest.mark.parametrize(
    ("source", "receiver", "why"),
    [
        (BOTH, AT_01.replace("b  x", "b  y"), "tank/b shares none of the named snapshots"),
        (BOTH, LACKS_N, "the receiver lacks tank/b"),
        (LOST_TARGET, AT_01, "tank/b does not have @2026-11-02T00:00:00Z"),
    ],
    ids=["another GUID", "the receiver lacks a dataset", "the source lacks the target"],
)
def test_the_cheap_question_does_not_settle_it(source: str, receiver: str, why: str) -> None:
    mine, theirs = named_only(tree(source), "01 02"), named_only(tree(receiver, THERE), "01 02")
    assert ask(mine, theirs, "02") == Unsettled(why)


def test_a_token_is_never_settled_by_the_cheap_question() -> None:
    theirs = with_token(named_only(tree(AT_01, THERE), "01 02"), "a")
    found = ask(named_only(tree(BOTH), "01 02"), theirs, "02")
    assert found == Unsettled("the receiver has a partial receive of tank/a")


def test_a_first_push_is_never_planned_from_the_cheap_question() -> None:
    found = ask(named_only(tree(BOTH), "02"), None, "02", allow_full=True)
    assert found == Unsettled("the receiver has no such dataset yet")


def test_whole_trees_always_settle_it() -> None:
    for receiver in (LACKS_N, AT_01.replace("x", "y"), BOTH, AT_01):
        assert not isinstance(ask(BOTH, receiver, "02"), Unsettled)

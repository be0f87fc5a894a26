# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between two trees, kind by kind. Pictures as in ``drawn``: source first, then receiver."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cyber_zfs_backup.plan.verify import Difference, Differs, differences
from tests.unit.plan.drawn import day, tree
from tests.unit.plan.two_sides import renamed, with_token

BOTH = """
       01 02 by-hand
    .  x  x  x
    a  x  x  .
    b  x  x  ."""


def told(source: str, receiver: str, **more: object) -> list[str]:
    found = differences(
        tree(source),
        tree(receiver, "vault/copy"),
        more.get("written", {}),  # type: ignore[arg-type]
        more.get("excluded", frozenset()),  # type: ignore[arg-type]
    )
    return [f"{each.path or '.'}: {each.kind.value}" for each in found]


def test_equal() -> None:
    assert told(BOTH, BOTH) == []


def test_foreign_snapshots_of_the_receiver_are_its_own_business() -> None:
    there = """
           01 02 by-hand theirs
        .  x  x  x       x
        a  x  x  .       x
        b  x  x  .       ."""
    assert told(BOTH, there) == []


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        (BOTH.replace("a  x  x", "a  x  ."), ["a: snapshots missing"]),
        (BOTH.replace("a  x  x", "a  .  x"), ["a: snapshots missing"]),
        (BOTH.replace(".  x  x  x", ".  x  x  ."), [".: snapshots missing"]),
        (BOTH.replace("a  x  x", "a  x  y"), ["a: same name other guid"]),
        (BOTH.replace("a  x  x", "a  y  ."), ["a: same name other guid", "a: snapshots missing"]),
        (BOTH.replace("    b  x  x  .", ""), ["b: dataset missing"]),
        (BOTH + "\n    c  x  x  .", ["c: orphan"]),
        (BOTH + "\n    b/x  .  .  .", ["b/x: orphan"]),
    ],
)
def test_one_difference(there: str, wanted: list[str]) -> None:
    assert told(BOTH, there) == wanted


def test_extra_snapshots_of_our_own() -> None:
    assert told(BOTH.replace("a  x  x", "a  .  x"), BOTH) == ["a: snapshots extra"]


def test_what_is_excluded_is_no_orphan() -> None:
    assert told(BOTH, BOTH + "\n    tmp  x  x  .", excluded=frozenset({"tmp"})) == []


def test_a_partial_receive_and_a_copy_that_was_written_to() -> None:
    there = with_token(tree(BOTH, "vault/copy"), "a")
    found = differences(tree(BOTH), there, {"b": 12288}, frozenset())
    assert [(each.path, each.kind) for each in found] == [("a", Differs.PARTIAL), ("b", Differs.MODIFIED)]
    assert f"since @{day('02')} (12288 bytes)" in found[1].what


def test_a_dataset_that_was_renamed_is_told_with_its_other_name() -> None:
    found = differences(renamed(tree(BOTH), "a", "z"), tree(BOTH, "vault/copy"), {}, frozenset())
    assert [(each.path, each.kind) for each in found] == [("z", Differs.NO_DATASET), ("a", Differs.ORPHAN)]
    assert "it has snapshots of it as vault/copy/a" in found[0].what


def test_long_lists_are_told_in_short() -> None:
    labels = " ".join(f"{number:02}" for number in range(1, 9))
    source = f"     {labels}\n . {'x ' * 8}"
    receiver = f"     {labels}\n . {'. ' * 7} x"
    (found,) = differences(tree(source), tree(receiver, "vault/copy"), {}, frozenset())
    assert found == Difference(
        Differs.MISSING, "", f"the receiver lacks @{day('07')}, @{day('06')}, @{day('05')} and 4 older", 7
    )


def test_a_dataset_without_snapshots_on_both_sides_is_equal() -> None:
    empty = replace(tree(BOTH).datasets["b"], snapshots=())
    one = replace(tree(BOTH), datasets={**tree(BOTH).datasets, "b": empty})
    assert differences(one, replace(one, root="vault/copy"), {"b": 5}, frozenset()) == ()

# SPDX-License-Identifier: GPL-3.0-or-later
"""What is renamed on the receiver before a push, row by row. Pictures as in ``drawn``.

In a picture of this file the letter of a mark is the *dataset* that a snapshot is of, whatever its path:
so the two sides of a rename are drawn with the same letter on different rows.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyber_zfs_backup.model.trees import Bookmark, Dataset, Snapshot, Tree
from cyber_zfs_backup.plan.compare import Token
from cyber_zfs_backup.plan.cost import SendMode
from cyber_zfs_backup.plan.moves import plan_moves
from cyber_zfs_backup.plan.push import PushPlan
from tests.unit.plan import drawn
from tests.unit.plan.drawn import day
from tests.unit.plan.two_sides import TOKEN, conflicts, plan, steps, with_token

LEVEL, REPLICATE = SendMode.LEVEL, SendMode.REPLICATE


def tree(picture: str, root: str = "tank") -> Tree:
    """A picture whose letters tell the dataset."""
    plain = drawn.tree(picture, root)
    marks = {
        row.split()[0].removeprefix("."): row.split()[1:] for row in picture.splitlines()[1:] if row.strip()
    }
    labels = next(line.split() for line in picture.splitlines() if line.strip())
    guids = {
        (path, day(label)): drawn.guid_of(mark, label)
        for path, listed in marks.items()
        for label, mark in zip(labels, listed, strict=False)
    }
    return replace(
        plain,
        datasets={
            path: replace(
                dataset,
                snapshots=tuple(
                    replace(s, guid=guids.get((path, s.name), s.guid)) for s in dataset.snapshots
                ),
            )
            for path, dataset in plain.datasets.items()
        },
    )


def both(source: str, receiver: str, **more: object) -> PushPlan:
    return plan(tree(source), tree(receiver, "vault/copy"), "02", **{"mode": LEVEL, **more})


def moves(found: PushPlan) -> list[str]:
    return [f"{move.old} -> {move.new}" for move in found.moves]


THERE = """
        01
    .   r
    a   a
    a/n n
    b   b"""


ROWS = {
    "a child": (
        """
        01 02
    .   r  r
    a   a  a
    a/m n  n
    b   b  b""",
        ["a/n -> a/m"],
        ["level . 01..02", "level a 01..02", "level a/m 01..02", "level b 01..02"],
    ),
    "a parent, with its children": (
        """
        01 02
    .   r  r
    b   b  b
    z   a  a
    z/n n  n""",
        ["a -> z"],
        ["level . 01..02", "level b 01..02", "level z 01..02", "level z/n 01..02"],
    ),
    "a parent and its child, each by itself": (
        """
        01 02
    .   r  r
    b   b  b
    z   a  a
    z/m n  n""",
        ["a -> z", "z/n -> z/m"],
        ["level . 01..02", "level b 01..02", "level z 01..02", "level z/m 01..02"],
    ),
    "out of its parent": (
        """
        01 02
    .   r  r
    a   a  a
    b   b  b
    n   n  n""",
        ["a/n -> n"],
        ["level . 01..02", "level a 01..02", "level b 01..02", "level n 01..02"],
    ),
    "into a brother": (
        """
        01 02
    .   r  r
    a   a  a
    a/b b  b
    a/n n  n""",
        ["b -> a/b"],
        ["level . 01..02", "level a 01..02", "level a/b 01..02", "level a/n 01..02"],
    ),
    "two that exchanged their names, one with a child": (
        """
        01 02
    .   r  r
    a   b  b
    b   a  a
    b/n n  n""",
        ["a -> a.moving", "b -> a", "a.moving -> b"],
        ["level . 01..02", "level a 01..02", "level b 01..02", "level b/n 01..02"],
    ),
    "a parent and its child that exchanged their names": (
        """
        01 02
    .   r  r
    a   n  n
    a/n a  a
    b   b  b""",
        ["a -> a.moving", "a.moving/n -> a", "a.moving -> a/n"],
        ["level . 01..02", "level a 01..02", "level a/n 01..02", "level b 01..02"],
    ),
    "one that took the name of one that is gone": (
        """
        01 02
    .   r  r
    a   b  b""",
        ["a -> a.old", "b -> a"],
        ["level . 01..02", "level a 01..02"],
    ),
    "destroyed and created anew": (
        """
        01 02
    .   r  r
    a   a  a
    a/n n  n
    b   .  c""",
        ["b -> b.old"],
        ["full b 02 +p new", "level . 01..02", "level a 01..02", "level a/n 01..02"],
    ),
    "renamed, and another created under the old name": (
        """
        01 02
    .   r  r
    a   .  c
    b   b  b
    z   a  a
    z/n n  n""",
        ["a -> z"],
        ["full a 02 +p new", "level . 01..02", "level b 01..02", "level z 01..02", "level z/n 01..02"],
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_what_was_renamed_here_is_renamed_there(row: str) -> None:
    source, wanted, then = ROWS[row]
    found = both(source, THERE)
    assert moves(found) == wanted
    assert steps(found) == then
    assert not found.conflicts
    assert not found.waiting


def test_a_whole_package_follows_once_every_name_is_right() -> None:
    found = both(ROWS["a parent, with its children"][0], THERE, mode=REPLICATE)
    assert moves(found) == ["a -> z"]
    assert steps(found) == ["replicate . 01..02 +p"]


def test_a_dataset_below_a_new_one_waits_until_that_has_been_created() -> None:
    source = """
            01 02
    .       r  r
    new     .  c
    new/b   b  b
    new/b/n n  n"""
    there = THERE.replace("a/n", "b/n").replace("    a   a\n", "")
    found = both(source, there, mode=REPLICATE)
    assert (moves(found), list(found.waiting)) == ([], ["new/b", "new/b/n"])
    assert steps(found) == ["full new 02 +p new", "level . 01..02"]
    assert not found.conflicts
    created = """
            01 02
    .       r  r
    b       b  .
    b/n     n  .
    new     .  c"""
    then = both(source, created)
    assert moves(then) == ["b -> new/b"]
    assert steps(then) == ["level new/b 01..02", "level new/b/n 01..02"]


def test_names_that_were_exchanged_half_way_when_a_run_died() -> None:
    """What stands under the name on the way is known by its snapshots, as anything else."""
    source = ROWS["two that exchanged their names, one with a child"][0]
    half = """
                01
    .           r
    a           b
    a.moving    a
    a.moving/n  n"""
    found = both(source, half)
    assert moves(found) == ["a.moving -> b"]
    quarter = half.replace("    a           b", "    b           b")
    assert moves(both(source, quarter)) == ["b -> a", "a.moving -> b"]


def test_a_name_that_is_taken_is_not_taken_again() -> None:
    there = THERE + "\n    b.old  x\n    b.old1 y"
    found = both(ROWS["destroyed and created anew"][0], there)
    assert moves(found) == ["b -> b.old2"]


def test_a_root_that_fits_nothing_moves_nothing() -> None:
    """It may be the wrong receiver."""
    found = both(ROWS["a child"][0], THERE.replace(".   r", ".   q"))
    assert (moves(found), conflicts(found)) == ([], {".": "no_common"})


def test_what_is_older_than_the_base_and_shares_nothing_is_not_put_aside() -> None:
    found = both(
        THERE.replace("01", "01 02")
        .replace("r", "r r")
        .replace("a   a", "a   a a")
        .replace("n n", "n n n")
        .replace("b   b", "b   x x"),
        THERE,
    )
    assert (moves(found), conflicts(found)) == ([], {"b": "no_common"})


def test_the_copy_of_another_dataset_that_has_one_already_is_put_aside() -> None:
    """Names were exchanged, the receiver refused to rename, and the one whose name was free came in full."""
    found = both(
        """
            01 02
        .   r  r
        a   x  x
        b   y  y
        """,
        """
            01
        .   r
        a   x
        b   x
        """,
    )
    assert (moves(found), conflicts(found)) == (["b -> b.old"], {})
    assert sorted(step.split(" +")[0] for step in steps(found)) == [
        "full b 01",
        "level . 01..02",
        "level a 01..02",
        "level b 01..02",
    ]


def test_a_refused_rename_leaves_all_below_it_where_it_is() -> None:
    found = both(ROWS["a parent and its child, each by itself"][0], THERE, refused={"z": "no"})
    assert moves(found) == []
    assert conflicts(found) == {"z": "renamed", "z/m": "renamed"}
    assert steps(found) == ["level . 01..02", "level b 01..02"]


def test_what_could_not_be_moved_before_is_not_moved_for_the_sake_of_another_either() -> None:
    """Else the same rename would be tried round after round, and believed in at the end."""
    exchanged = """
        01 02
    .   r  r
    a   b  b
    b   .  n"""
    there = """
        01
    .   r
    b   b"""
    assert moves(both(exchanged, there)) == ["b -> a"]
    found = both(exchanged, there, refused={"a": "no"})
    assert moves(found) == []
    assert conflicts(found) == {"b": "recreated"}
    assert steps(found)[0].startswith("full a 01")
    exchanged = exchanged.replace("b   .  n", "b   a  a")
    there = there + "\n    a   a"
    found = both(exchanged, there, refused={"a": "no"})
    assert (moves(found), conflicts(found)) == ([], {"a": "renamed", "b": "renamed"})


def test_a_partial_receive_moves_with_its_dataset_and_goes_on() -> None:
    """Also where nothing of it has arrived whole: then its token alone tells whose copy it is."""
    source = tree(ROWS["a child"][0])
    there = with_token(tree(THERE.replace("a/n n", "a/n ."), "vault/copy"), "a/n")
    token = Token(TOKEN, day("01"), drawn.guid_of("n", "01"), usable=True)
    found = plan(source, there, "02", mode=LEVEL, tokens={"a/n": token})
    assert moves(found) == ["a/n -> a/m"]
    assert steps(found)[0] == "resume a/m 01"
    assert "level a/m 01..02" in steps(found)


def test_a_partial_receive_of_another_dataset_hides_no_copy_that_stands_elsewhere() -> None:
    """Names were exchanged while the first receive of one of them was under way."""
    source = """
        01 02
    .   r  r
    a   b  b
    b   a  a"""
    there = """
        01
    .   r
    a   .
    b   b"""
    token = Token(TOKEN, why_not="a partial receive of another dataset")
    theirs = with_token(tree(there, "vault/copy"), "a")
    found = plan(tree(source), theirs, "02", mode=LEVEL, tokens={"a": token})
    assert moves(found) == ["a -> a.old", "b -> a"]
    assert conflicts(found) == {}
    assert steps(found) == ["full b 01 +p new", "level . 01..02", "level a 01..02", "level b 01..02 +p"]


def test_what_was_created_anew_below_a_renamed_parent_finds_its_place_in_the_same_run() -> None:
    source = """
        01 02
    .   r  r
    z   a  a
    z/n .  m"""
    there = """
        01
    .   r
    a   a
    a/n n"""
    found = both(source, there)
    assert moves(found) == ["a -> z", "z/n -> z/n.old"]
    assert (conflicts(found), steps(found)[0]) == ({}, "full z/n 02 +p new")


def test_after_a_promote_the_newer_claim_counts() -> None:
    """The clone has the origin's older snapshots then; the origin has kept the newer ones."""
    source = """
        01 02 03
    .   r  r  r
    b   a  .  .
    c   .  a  a"""
    there = """
        01 02
    .   r  r
    a   a  a"""
    found = plan(tree(source), tree(there, "vault/copy"), "03", mode=LEVEL)
    assert moves(found) == ["a -> c"]


def test_what_belongs_below_itself_goes_aside_first() -> None:
    """On the source d became d/c/a, and its child c took its place as the parent."""
    source = """
          01 02
    .     r  r
    d     .  n
    d/c   c  c
    d/c/a d  d"""
    there = """
        01
    .   r
    d   d
    d/c c"""
    found = both(source, there)
    assert moves(found) == ["d -> d.moving"]


names = st.sampled_from(["a", "b", "c", "d"])
paths = st.lists(st.lists(names, min_size=1, max_size=3).map("/".join), unique=True, max_size=7)


def _complete(listed: list[str]) -> list[str]:
    every = {""}
    for path in listed:
        parts = path.split("/")
        every |= {"/".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return sorted(every, key=lambda path: path.split("/"))


def _populated(listed: list[str], owners: list[int]) -> dict[str, Dataset]:
    """A dataset at each path whose snapshot tells which dataset it is; the root is always itself."""
    own = iter(owners)
    return {path: Dataset(path, (Snapshot(day("01"), next(own) + 1 if path else 1, 10),)) for path in listed}


@given(paths, paths, st.randoms(use_true_random=False))
def test_whatever_the_names_the_moves_can_be_done_and_lose_nothing(
    here: list[str], there: list[str], random: object
) -> None:
    """Each rename finds its dataset, its place free and its parent there; afterwards whatever both have is
    where the source has it, but for what waits."""
    mine, theirs = _complete(here), _complete(there)
    numbers = list(range(1, 40))
    random.shuffle(numbers)  # type: ignore[attr-defined]
    source = Tree("tank", _populated(mine, sorted(numbers[:20], key=lambda n: n % 7)))
    receiver = Tree("vault/copy", _populated(theirs, sorted(numbers[5:30], key=lambda n: n % 5)))
    shared = {s.guid for d in receiver.datasets.values() for s in d.snapshots}
    astray = [
        path
        for path, dataset in source.datasets.items()
        if path not in receiver.datasets or receiver.datasets[path].snapshots != dataset.snapshots
    ]
    found = plan_moves(source, receiver, astray, {})
    at = {path: dataset.snapshots[0].guid for path, dataset in receiver.datasets.items()}
    for move in found.moves:
        assert move.old in at
        assert move.new not in at
        assert move.new.rpartition("/")[0] in at
        assert not move.new.startswith(f"{move.old}/")
        at = {
            move.new + path[len(move.old) :] if f"{path}/".startswith(f"{move.old}/") else path: guid
            for path, guid in at.items()
        }
    assert at == {path: dataset.snapshots[0].guid for path, dataset in found.receiver.datasets.items()}
    assert sorted(at.values()) == sorted(d.snapshots[0].guid for d in receiver.datasets.values())
    for path, dataset in source.datasets.items():
        guid = dataset.snapshots[0].guid
        if guid in shared and path not in found.waiting:
            assert at.get(path) == guid
    for path in found.waiting:
        assert path.rpartition("/")[0] not in at


def test_a_copy_is_known_by_a_bookmark_too() -> None:
    """Its snapshots have expired on the source while the receiver was away."""
    source = tree(ROWS["a child"][0])
    base = Bookmark("mark", drawn.guid_of("n", "01"), 10)
    without = replace(
        source.datasets["a/m"], snapshots=source.datasets["a/m"].snapshots[1:], bookmarks=(base,)
    )
    source = replace(source, datasets={**source.datasets, "a/m": without})
    found = plan(source, tree(THERE, "vault/copy"), "02", mode=LEVEL)
    assert moves(found) == ["a/n -> a/m"]
    assert "bridge a/m mark..02" in steps(found)

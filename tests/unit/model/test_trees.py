# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees as values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from cyber_zfs_backup.model.trees import Dataset, Kind, Snapshot, Tree

OLD = Snapshot("2026-11-20T00:00:00Z", 1, 10)
BY_HAND = Snapshot("by-hand", 2, 20)
NEW = Snapshot("2026-11-21T00:00:00Z", 3, 30)
LAST_BY_HAND = Snapshot("2026-02-30T00:00:00Z", 4, 40)  # no such day, so not ours

HOME = Dataset("home", (OLD, BY_HAND, NEW, LAST_BY_HAND))
TREE = Tree("tank/data", {"": Dataset("", (OLD,)), "home": HOME, "home/ann": Dataset("home/ann")})


def test_own_snapshots_are_known_by_their_names() -> None:
    assert [snapshot.own for snapshot in HOME.snapshots] == [True, False, True, False]


def test_the_newest_own_is_the_last_by_createtxg_not_by_name() -> None:
    assert HOME.newest_own == NEW
    went_back = Dataset("x", (NEW, Snapshot(OLD.name, 5, 50)))
    assert went_back.newest_own == Snapshot(OLD.name, 5, 50)


def test_a_dataset_without_own_snapshots_has_no_newest_own() -> None:
    assert Dataset("x").newest_own is None
    assert Dataset("x", (BY_HAND,)).newest_own is None


def test_snapshots_are_found_by_name_and_by_guid() -> None:
    assert HOME.named("by-hand") == BY_HAND
    assert HOME.named("by-hand2") is None
    assert HOME.by_guid() == {1: OLD, 2: BY_HAND, 3: NEW, 4: LAST_BY_HAND}


def test_a_dataset_is_a_plain_filesystem_until_told_otherwise() -> None:
    assert (HOME.kind, HOME.encrypted, HOME.resume_token) == (Kind.FILESYSTEM, False, None)


@pytest.mark.parametrize(("path", "full"), [("", "tank/data"), ("home/ann", "tank/data/home/ann")])
def test_full_names(path: str, full: str) -> None:
    assert TREE.full(path) == full


def test_a_tree_without_some_datasets_keeps_those_below_them() -> None:
    assert list(TREE.without(["home"]).datasets) == ["", "home/ann"]
    assert TREE.without([]) is TREE
    assert TREE.without(["nowhere"]) == TREE
    assert list(TREE.datasets) == ["", "home", "home/ann"]


def test_what_is_left_out_does_not_make_an_incomplete_tree_complete() -> None:
    assert not Tree("tank", TREE.datasets, complete=False).without(["home"]).complete


def test_an_imagined_snapshot_is_the_newest_everywhere_and_touches_nothing() -> None:
    name = "2026-11-22T00:00:00Z"
    imagined = TREE.with_snapshot(name)
    assert [dataset.newest_own for dataset in imagined.datasets.values()] == [Snapshot(name, 0, 41)] * 3
    assert imagined.datasets["home"].snapshots[:-1] == HOME.snapshots
    assert (imagined.root, imagined.complete) == ("tank/data", True)
    assert TREE.datasets["home"].newest_own == NEW


def test_an_imagined_snapshot_of_an_empty_tree() -> None:
    empty = Tree("tank", {"": Dataset("")})
    assert empty.with_snapshot("2026-11-22T00:00:00Z").datasets[""].snapshots == (
        Snapshot("2026-11-22T00:00:00Z", 0, 1),
    )


def test_values_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        OLD.guid = 7  # type: ignore[misc]  # that is what is refused

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore takes, in which streams, and what it refuses, as tables."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cyber_zfs_backup.model.names import own_name, own_time
from cyber_zfs_backup.model.trees import Dataset, Snapshot, Tree
from cyber_zfs_backup.plan import restore as plan
from cyber_zfs_backup.plan.restore import At, Extent, Found, Offer, Selection

COPY = "vault/copy"
DAYS = {letter: own_name(datetime(2026, 11, 20 + day, 2, tzinfo=UTC)) for day, letter in enumerate("abcd")}


def snapshots(letters: str, offset: int = 0) -> tuple[Snapshot, ...]:
    """A snapshot for each letter: own ones of some days for a to d, foreign ones for capitals."""
    return tuple(Snapshot(DAYS.get(c, c), offset + ord(c), ord(c.lower())) for c in letters)


def tree(root: str = COPY, **datasets: str) -> Tree:
    """``top`` is the root; ``a__b`` the path a/b."""
    found = {}
    for number, (key, letters) in enumerate(datasets.items()):
        path = "" if key == "top" else key.replace("__", "/")
        found[path] = Dataset(path, snapshots(letters, number * 1000))
    return Tree(root, found)


def at(letter: str) -> At:
    return At(DAYS[letter], own_time(DAYS[letter]))


def selected(copy: Tree, when: At, extent: Extent | None = None, path: str = "") -> Selection:
    found = plan.select(copy, path, when, extent or Extent())
    assert found is not None
    return found


def names(selection: Selection) -> dict[str, str]:
    letters = {name: letter for letter, name in DAYS.items()}
    return {
        part.path: "".join(letters.get(s.name, s.name) for s in part.snapshots) for part in selection.parts
    }


@pytest.mark.parametrize(
    ("copy", "when", "wanted"),
    [
        ({"top": "abc", "x": "abc"}, At(), {"": "abc", "x": "abc"}),
        ({"top": "abc", "x": "abc"}, at("b"), {"": "ab", "x": "ab"}),
        # Between two: the older one. Foreign snapshots before it come along.
        ({"top": "aBc"}, At("x", datetime(2026, 11, 21, tzinfo=UTC)), {"": "a"}),
        ({"top": "aBc"}, At(), {"": "aBc"}),
        # A dataset that lags gives what it has; one that did not exist then is left out.
        ({"top": "abc", "x": "ab"}, at("c"), {"": "abc", "x": "ab"}),
        ({"top": "abc", "x": "c", "x__y": "bc"}, at("b"), {"": "ab"}),
        ({"top": "aB", "x": "aB", "y": "a"}, At("B"), {"": "aB", "x": "aB", "y": "a"}),
    ],
)
def test_what_is_taken(copy: dict[str, str], when: At, wanted: dict[str, str]) -> None:
    assert names(selected(tree(**copy), when)) == wanted


def test_what_is_left_out_is_told() -> None:
    found = selected(tree(top="abc", x="c", x__y="bc"), at("b"))
    assert [(left.origin, left.why) for left in found.left_out] == [
        ("x", "it has no snapshot from then"),
        ("x/y", "what it lies in is left out"),
    ]


def test_one_dataset_and_one_snapshot() -> None:
    copy = tree(top="abc", x="abc", x__y="abc")
    assert names(selected(copy, at("b"), Extent(recursive=False), "x")) == {"": "ab"}
    assert names(selected(copy, at("b"), Extent(history=False), "x")) == {"": "b", "y": "b"}


@pytest.mark.parametrize("when", [At("1999", datetime(1999, 1, 1, tzinfo=UTC)), At("nothing-like-it")])
def test_nothing_from_then(when: At) -> None:
    assert plan.select(tree(top="abc"), "", when, Extent()) is None
    assert plan.select(tree(top="abc"), "gone", At(), Extent()) is None


def told(selection: Selection, found: Found | None, copy: Tree) -> list[tuple[str, str, str, str]]:
    letters = {name: letter for letter, name in DAYS.items()}
    return [
        (step.form.value, step.part.path, letters.get(step.base, step.base), letters[step.target])
        for step in plan.steps(selection, found, copy)
    ]


@pytest.mark.parametrize(
    ("copy", "extent", "wanted"),
    [
        ({"top": "ab", "x": "ab"}, Extent(), [("tree", "", "", "b")]),
        ({"top": "b", "x": "b"}, Extent(history=False), [("tree", "", "", "b")]),
        ({"top": "ab"}, Extent(), [("full", "", "", "a"), ("rest", "", "a", "b")]),
        (
            {"top": "ab", "x": "ab"},
            Extent(history=False),
            [("full", "", "", "b"), ("full", "x", "", "b")],
        ),
        (
            {"top": "ab", "x": "a"},
            Extent(),
            [("full", "", "", "a"), ("rest", "", "a", "b"), ("full", "x", "", "a")],
        ),
        ({"top": "ab", "x": "ab"}, Extent(recursive=False), [("full", "", "", "a"), ("rest", "", "a", "b")]),
    ],
)
def test_the_streams(copy: dict[str, str], extent: Extent, wanted: list[tuple[str, str, str, str]]) -> None:
    made = tree(**copy)
    assert told(selected(made, At(), extent), None, made) == wanted


def begun(token: str | None = None, guid: int | None = None, mark: str = "m", **datasets: str) -> Found:
    there = tree("tank/back", **datasets)
    last = list(there.datasets)[-1]
    changed = {
        path: Dataset(path, each.snapshots, resume_token=token if path == last else None)
        for path, each in there.datasets.items()
    }
    return Found(Tree("tank/back", changed), mark, {last: guid} if token else {})


def test_a_cut_restore_goes_on_dataset_by_dataset() -> None:
    copy = tree(top="abc", x="abc", y="abc")
    selection = selected(copy, At())
    found = begun("1-a", 1000 + ord("b"), top="abc", x="a")
    assert plan.obstacle(selection, found, "m") is None
    assert told(selection, found, copy) == [
        ("resume", "x", "", "b"),
        ("rest", "x", "b", "c"),
        ("full", "y", "", "a"),
        ("rest", "y", "a", "c"),
    ]
    assert [part.path for part in plan.missing(selection, found.tree)] == ["x", "y"]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (begun(mark="", top="ab"), "never overwrites"),
        (begun(mark="other", top="ab"), "another restore"),
        (begun(top="ab", alien="ab"), "does not belong"),
        (begun(top="abz"), "does not belong"),
        (begun("1-a", None, top="a"), "can no longer continue"),
        (begun("1-a", 4711, top="a"), "can no longer continue"),
        (begun(top=""), "without any snapshot"),
    ],
)
def test_what_exists_is_somebodys(found: Found, why: str) -> None:
    cannot = plan.obstacle(selected(tree(top="ab"), At()), found, "m")
    assert cannot is not None
    assert why in cannot.what
    assert cannot.remedy


def test_nothing_there_is_no_obstacle() -> None:
    assert plan.obstacle(selected(tree(top="ab"), At()), None, "m") is None


def test_the_settings() -> None:
    received = {
        "mountpoint": "/srv", "sharenfs": "on", "compression": "lz4", "volsize": "8", "keylocation": "prompt",
        "cyber-zfs-backup:base.x": "{}", "org.example:x": "y",
    }  # fmt: skip
    beside = {"compression": "lz4", "org.example:x": "y"}
    assert plan.settings_of(received, "cyber-zfs-backup:", in_place=False) == beside
    whole = plan.settings_of(received, "cyber-zfs-backup:", in_place=True)
    assert whole == beside | {"mountpoint": "/srv", "sharenfs": "on"}


def test_the_nearest_destination_wins() -> None:
    one, two = snapshots("ab")
    assert plan.best([Offer(0, one), Offer(1, two), Offer(2, two), Offer(3, None)]) == Offer(1, two)
    assert plan.best([Offer(0, None)]) is None

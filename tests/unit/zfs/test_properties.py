# SPDX-License-Identifier: GPL-3.0-or-later
"""What travels with a push, and what is ours."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.zfs.parse import Properties, Property
from cyber_zfs_backup.zfs.properties import (
    brought_up,
    differing,
    digest,
    limited,
    local_values,
    own_names,
)


def about(*more: tuple[str, str, str]) -> Properties:
    found: dict[str, dict[str, Property]] = {"tank": {}, "tank/a": {"compression": Property("lz4", "local")}}
    for name, value, source in more:
        found["tank"][name] = Property(value, source)
    return found


def of(*more: tuple[str, str, str]) -> str:
    return digest(about(*more), "tank", ["tank", "tank/a"])


@pytest.mark.parametrize(
    "change",
    [("compression", "zstd", "local"), ("site:note", "x", "local"), ("recordsize", "1M", "received")],
)
def test_what_travels_counts(change: tuple[str, str, str]) -> None:
    assert of(change) != of()


@pytest.mark.parametrize(
    "change",
    [
        ("used", "4096", "-"),
        ("compression", "lz4", "default"),
        ("compression", "lz4", "inherited from tank"),
        ("mountpoint", "/srv", "local"),
        ("readonly", "on", "local"),
        ("quota", "0", "local"),
        ("cyber-zfs-backup:base.1", "{}", "local"),
        ("atime", "off", "temporary"),
    ],
)
def test_what_does_not_travel_does_not_count(change: tuple[str, str, str]) -> None:
    assert of(change) == of()


def test_of_a_limit_counts_that_there_is_one_and_not_how_much() -> None:
    assert of(("quota", "5", "local")) == of(("quota", "6", "received")) != of()
    assert of(("quota", "5", "local")) != of(("reservation", "5", "local"))
    said = about(("quota", "5", "local"), ("refreservation", "0", "local"), ("reservation", "7", "received"))
    assert limited(said, ["tank", "tank/a"]) == {"quota": ["tank"], "reservation": ["tank"]}
    assert limited(said, ["tank/a"]) == {}


def test_a_change_concerns_its_own_dataset_and_few_others() -> None:
    paths = ["", *(f"d{number}" for number in range(200))]
    names = ["tank", *(f"tank/{path}" for path in paths[1:])]
    plain: Properties = {name: {"atime": Property("off", "local")} for name in names}
    one: Properties = {**plain, "tank/d7": {"atime": Property("on", "local")}}
    old, new = digest(plain, "tank", names), digest(one, "tank", names)
    assert differing(old, old, paths) == frozenset()
    concerned = differing(old, new, paths)
    assert "d7" in concerned
    assert len(concerned) < 20
    # Whoever has no record, or one of another kind, gets everything.
    assert differing("", new, paths) == differing("12345678", new, paths) == frozenset(paths)
    # What did not travel still differs the next time, and nothing else does.
    assert brought_up(old, new, []) == new
    assert brought_up(old, new, ["d7"]) == old
    both = {**one, "tank": {"atime": Property("on", "local")}}
    newer = digest(both, "tank", names)
    missed_one = brought_up(old, newer, ["d7"])
    assert "d7" in differing(missed_one, newer, paths)
    assert "" not in differing(missed_one, newer, paths)
    assert brought_up("", newer, ["d7"]) == ""


def test_the_digest_does_not_depend_on_where_the_tree_stands() -> None:
    here = {"tank": {"a:b": Property("x", "local")}}
    moved = {"other/tree": {"a:b": Property("x", "local")}}
    assert digest(here, "tank", ["tank"]) == digest(moved, "other/tree", ["other/tree"])


def test_bytes_that_are_no_utf_8_are_as_good_as_others() -> None:
    """As Python reads them from a listing: a Latin-1 byte in a user property's value."""
    old, new = (value.decode(errors="surrogateescape") for value in (b"B\xfccher", b"B\xf6cher"))
    assert of(("site:owner", old, "local")) not in (of(("site:owner", new, "local")), of())


def test_our_own_properties_wherever_they_stand() -> None:
    said = about(("cyber-zfs-backup:base.1", "x", "local"), ("cyber-zfs:other", "x", "local"))
    assert own_names(said) == ["cyber-zfs-backup:base.1"]


def test_only_local_values_are_ours() -> None:
    said = {
        "p.1": Property("mine", "local"),
        "p.2": Property("theirs", "received"),
        "p.3": Property("above", "inherited from tank"),
        "q.4": Property("other", "local"),
    }
    assert local_values(said, "p.") == {"1": "mine"}

# SPDX-License-Identifier: GPL-3.0-or-later
"""What zfs prints, as values; anything else is refused whole."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.model.trees import Kind, Snapshot
from cyber_zfs_backup.zfs import parse
from cyber_zfs_backup.zfs.parse import GarbledError, Property

NOT_ZFS = [
    "Welcome to offsite!\n",
    "\x00\xff\n",
    "\t\t\n",
    "\n",
    "tank\n",
    "<html>\t</html>\n",
]


TOKEN_PROPERTY = "receive_resume_token"

# Snapshots


def test_snapshots_by_dataset() -> None:
    text = "tank@a\t11\t1\ntank@b\t12\t2\ntank/x y@a\t18446744073709551615\t3\n"
    assert parse.snapshots(text) == {
        "tank": [Snapshot("a", 11, 1), Snapshot("b", 12, 2)],
        "tank/x y": [Snapshot("a", 2**64 - 1, 3)],
    }


def test_datasets_that_take_turns_are_kept_apart() -> None:
    text = "tank@a\t1\t1\ntank/x@a\t2\t1\ntank@b\t3\t2\n"
    assert {name: len(found) for name, found in parse.snapshots(text).items()} == {"tank": 2, "tank/x": 1}


def test_no_snapshot_at_all() -> None:
    assert parse.snapshots("") == {}


@pytest.mark.parametrize(
    "text",
    [
        *NOT_ZFS,
        "tank@a\t11\t1",
        "tank@a\t11\n",
        "tank@a\t11\t\n",
        "tank@a\t\t1\n",
        "tank@a\t11\t1\t\n",
        "tank\t11\t1\n",
        "tank@a@b\t11\t1\n",
        "tank@a\t-11\t1\n",
        "tank@a\t1_1\t1\n",
        "tank@a\t0x1\t1\n",
        "tank@a\t\u0661\t1\n",
        "tank@a\t11\t1\nrubbish\n",
        "tank@a 11 1\n",
        "tank@a\t11\t1\r\n",
    ],
)
def test_snapshots_that_are_none(text: str) -> None:
    with pytest.raises(GarbledError):
        parse.snapshots(text)


@pytest.mark.parametrize("cut", range(1, 24))
def test_a_list_cut_anywhere_is_never_taken_for_a_shorter_one(cut: int) -> None:
    text = "tank@a\t11\t1\ntank@b\t12\t2\n"
    if text[:cut].endswith("\n"):
        # A cut at a line's end cannot be seen here: the exit status tells it.
        assert len(parse.snapshots(text[:cut])["tank"]) == 1
    else:
        with pytest.raises(GarbledError):
            parse.snapshots(text[:cut])


# Properties


def test_properties_by_dataset() -> None:
    text = "tank\tguid\t5\t-\ntank\tcompression\tlz4\tlocal\ntank/a b\ttype\tvolume\t-\n"
    assert parse.properties(text) == {
        "tank": {"guid": Property("5", "-"), "compression": Property("lz4", "local")},
        "tank/a b": {"type": Property("volume", "-")},
    }


@pytest.mark.parametrize(
    "value", ["", "a\tb", "a\nb", "\n", "a\t\n\tb", "a\tb\nc", "line\nother\tline", "=", "ümlaut ☃"]
)
def test_a_user_property_may_hold_anything(value: str) -> None:
    text = f"tank\tsite:note\t{value}\tlocal\ntank\tguid\t5\t-\n"
    assert parse.properties(text) == {
        "tank": {"site:note": Property(value, "local"), "guid": Property("5", "-")}
    }


def test_an_inherited_source_is_kept_whole() -> None:
    text = "tank/a\tsite:x\tv\tinherited from tank\n"
    assert parse.properties(text)["tank/a"]["site:x"].source == "inherited from tank"


@pytest.mark.parametrize(
    "text",
    [*NOT_ZFS, "tank\tguid\t5\n", "tank\tguid\t5\t-", "tank\tsite:x\tcut off\n", "tank\tguid\t5\t6\t-\n"],
)
def test_properties_that_are_none(text: str) -> None:
    with pytest.raises(GarbledError):
        parse.properties(text)


# Trees


def about(*names: str, **more: str) -> parse.Properties:
    return {
        name: {"type": Property("filesystem", "-"), **{key: Property(v, "-") for key, v in more.items()}}
        for name in names
    }


def test_a_tree_has_parents_before_children_and_snapshots_by_createtxg() -> None:
    found = parse.tree(
        "tank/src",
        about("tank/src/b", "tank/src/a/deep", "tank/src", "tank/src/a", "tank/src/a b"),
        {"tank/src": [Snapshot("young", 2, 9), Snapshot("old", 1, 3)]},
        complete=True,
    )
    assert list(found.datasets) == ["", "a", "a/deep", "a b", "b"]
    assert [snapshot.name for snapshot in found.datasets[""].snapshots] == ["old", "young"]


def test_what_a_dataset_is() -> None:
    found = parse.tree(
        "t", {"t": {"type": Property("volume", "-"), "encryption": Property("aes-256-gcm", "-")}}, {},
        complete=True,
    ).datasets[""]  # fmt: skip
    assert (found.kind, found.encrypted, found.resume_token) == (Kind.VOLUME, True, None)
    said = about("t", encryption="off", **{TOKEN_PROPERTY: "1-ab-c"})
    found = parse.tree("t", said, {}, complete=True).datasets[""]
    assert (found.encrypted, found.resume_token) == (False, "1-ab-c")


def test_snapshots_of_a_dataset_that_appeared_in_between_are_left_out() -> None:
    found = parse.tree("t", about("t"), {"t/new": [Snapshot("a", 1, 1)]}, complete=True)
    assert list(found.datasets) == [""]


@pytest.mark.parametrize(
    ("said", "listed"),
    [
        (about("tank", "other"), {}),
        (about("tank/a"), {}),
        (about("tank", "tankx"), {}),
        (about("tank"), {"other": []}),
        (about("tank", type="snapshot"), {}),
        (about("tank", **{TOKEN_PROPERTY: "rm -rf /"}), {}),
    ],
    ids=["a name outside", "no root", "a longer name", "a snapshot outside", "no dataset", "no token"],
)
def test_trees_that_are_none(said: parse.Properties, listed: dict[str, list[Snapshot]]) -> None:
    with pytest.raises(GarbledError):
        parse.tree("tank", said, listed, complete=True)


# The rest


def test_uses() -> None:
    text = "t@a\t1\t0\t\nt@b\t2\t3\tt/x,t/y\nt@c\t3\t0\t-\n"
    found = parse.uses(text)
    assert [(use.guid, use.holds, use.clones) for use in found.values()] == [
        (1, 0, ()),
        (2, 3, ("t/x", "t/y")),
        (3, 0, ()),
    ]


def test_holds_and_counts() -> None:
    text = "t@a\tone\tMon Nov 23 10:00 2026\nt@a\ttwo\tMon Nov 23 10:00 2026\n"
    assert parse.holds(text) == {"t@a": {"one", "two"}}
    assert parse.held("t@a\t2\nt@b\t0\n") == {"t@a": 2, "t@b": 0}


@pytest.mark.parametrize("text", NOT_ZFS)
def test_the_rest_that_is_none(text: str) -> None:
    for parser in (parse.uses, parse.holds, parse.held):
        with pytest.raises(GarbledError):
            parser(text)


def test_reclaimed() -> None:
    assert parse.reclaimed("destroy\tt@a\nreclaim\t4096\n") == 4096
    assert parse.reclaimed("") == 0
    with pytest.raises(GarbledError):
        parse.reclaimed("reclaim\t4K\n")


TOKEN = """resume token contents:
nvlist version: 0
\tobject = 0x2
\toffset = 0x0
\tbytes = 0x30000
\ttoguid = 0xdeadbeef
\ttoname = tank/src a@2026-11-01T00:00:00Z
\tfromguid = 12
full send of tank/src a@2026-11-01T00:00:00Z estimated size is 1M
"""


def test_token_contents() -> None:
    found = parse.token_contents(TOKEN)
    assert (found.to_name, found.to_guid, found.from_guid) == (
        "tank/src a@2026-11-01T00:00:00Z",
        0xDEADBEEF,
        12,
    )
    assert parse.token_contents(TOKEN.replace("\tfromguid = 12\n", "")).from_guid is None


@pytest.mark.parametrize("text", ["", "toname = x\n", TOKEN.replace("0xdeadbeef", "rubbish")])
def test_token_contents_that_are_none(text: str) -> None:
    with pytest.raises(GarbledError):
        parse.token_contents(text)

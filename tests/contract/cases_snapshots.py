# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs snapshot``, ``rename``, ``bookmark``, ``rollback``."""

from __future__ import annotations

from tests.contract.zfs import Zfs


def case_snapshot_of_a_name_that_exists(z: Zfs) -> None:
    """With ``-r`` none is made, and every dataset that has it is named (facts file; measured)."""
    z.tree("a", "b")
    z.ok("snapshot", f"{z.src}/a@s", f"{z.src}/b@s")
    said = z.run("snapshot", "-r", f"{z.src}@s")
    assert said.status == 1
    assert sorted(said.err.splitlines()) == [
        f"cannot create snapshot '{z.src}/a@s': dataset already exists",
        f"cannot create snapshot '{z.src}/b@s': dataset already exists",
        "no snapshots were created",
    ]
    assert f"{z.src}@s" not in z.names(z.src)
    said = z.run("snapshot", f"{z.src}/a@s")
    assert (said.status, said.err) == (1, f"cannot create snapshot '{z.src}/a@s': dataset already exists\n")


def case_several_snapshots_in_one_transaction(z: Zfs) -> None:
    """``zfs snapshot a@z b@z``: one createtxg; where one exists, none is made."""
    z.tree("a", "b")
    z.ok("snapshot", f"{z.src}/a@one", f"{z.src}/b@one")
    assert z.value("createtxg", f"{z.src}/a@one") == z.value("createtxg", f"{z.src}/b@one")
    said = z.run("snapshot", f"{z.src}/a@two", f"{z.src}/b@one")
    assert said.status == 1
    assert said.err == (
        f"cannot create snapshot '{z.src}/b@one': dataset already exists\nno snapshots were created\n"
    )
    assert z.names(z.src, "snapshot") == ["/a@one", "/b@one"]


def case_two_snapshots_of_one_dataset(z: Zfs) -> None:
    """Not in one command."""
    said = z.run("snapshot", f"{z.src}@a", f"{z.src}@b")
    assert said.status == 1
    assert said.err == (
        "cannot create snapshots : multiple snapshots of same fs not allowed\nno snapshots were created\n"
    )


def case_snapshot_of_a_missing_dataset(z: Zfs) -> None:
    """The message, then the usage, exit 2."""
    said = z.run("snapshot", f"{z.src}/gone@s")
    assert (said.status, said.error) == (2, f"cannot open '{z.src}/gone': dataset does not exist")
    assert "usage:" in said.err


def case_snapshot_names_that_are_refused(z: Zfs) -> None:
    """A percent sign may not be made, nor anything else that a name may not hold."""
    said = z.run("snapshot", f"{z.src}@a%b")
    assert (said.status, said.err) == (
        1,
        f"cannot create snapshot '{z.src}@a%b': invalid character % in name\n",
    )
    said = z.run("snapshot", f"{z.src}@a$b")
    assert (said.status, said.err) == (
        1,
        f"cannot create snapshot '{z.src}@a$b': invalid character '$' in name\n",
    )


def case_snapshot_with_a_property(z: Zfs) -> None:
    """``-o`` sets a user property on each."""
    z.tree("a")
    z.ok("snapshot", "-r", "-o", "x:why=test", f"{z.src}@s")
    assert z.where("x:why", f"{z.src}/a@s") == ("test", "-", "local")


def case_rename_a_snapshot_in_the_whole_tree(z: Zfs) -> None:
    """``rename -r``: short or long target; a hold does not stop it, datasets without it are passed over."""
    z.tree("a", "b")
    z.snap("s")
    z.ok("destroy", f"{z.src}/b@s")
    z.ok("hold", "keep", f"{z.src}/a@s")
    z.ok("rename", "-r", f"{z.src}@s", "quarantine-s")
    assert z.names(z.src, "snapshot") == ["@quarantine-s", "/a@quarantine-s"]
    z.ok("rename", "-r", f"{z.src}@quarantine-s", f"{z.src}@t")
    assert z.names(z.src, "snapshot") == ["@t", "/a@t"]
    assert [row.split("\t")[:2] for row in z.lines("holds", "-H", f"{z.src}/a@t")] == [
        [f"{z.src}/a@t", "keep"]
    ]
    z.ok("release", "keep", f"{z.src}/a@t")


def case_rename_onto_a_snapshot_that_exists(z: Zfs) -> None:
    """Recursively: nothing is renamed, and the message names the root."""
    z.tree("a")
    z.snap("s")
    z.ok("snapshot", f"{z.src}/a@t")
    said = z.run("rename", "-r", f"{z.src}@s", "@t")
    assert said.status == 1
    assert said.err == (
        f"cannot rename '{z.src}@s': a child dataset already has a snapshot with the new name\n"
    )
    assert z.names(z.src, "snapshot") == ["@s", "/a@s", "/a@t"]
    said = z.run("rename", f"{z.src}/a@s", "t")
    assert (said.status, said.err) == (1, f"cannot rename '{z.src}/a@s': dataset already exists\n")


def case_rename_a_dataset(z: Zfs) -> None:
    """With all below it; GUIDs stay."""
    z.tree("a", "a/b")
    z.snap("s")
    before = z.guids(f"{z.src}/a")
    z.ok("rename", f"{z.src}/a", f"{z.src}/n")
    assert z.names(z.src, "filesystem") == ["", "/n", "/n/b"]
    assert z.guids(f"{z.src}/n") == before


def case_rename_is_refused(z: Zfs) -> None:
    """The words of ``zfs_rename`` of libzfs."""
    z.tree("a", "b")
    for new, said in (
        (f"{z.src}/b", f"cannot rename '{z.src}/a': dataset already exists\n"),
        (f"{z.src}/no/b", f"cannot create '{z.src}/no/b': parent does not exist\n"),
        (f"{z.dst}/b", f"cannot rename to '{z.dst}/b': datasets must be within same pool\n"),
        (
            f"{z.src}/a/c",
            f"cannot rename to '{z.src}/a/c': New dataset name cannot be a descendant of "
            "current dataset name\n",
        ),
    ):
        answer = z.run("rename", f"{z.src}/a", new)
        assert (answer.status, answer.err) == (1, said)
    answer = z.run("rename", f"{z.src}/gone", f"{z.src}/x")
    assert (answer.status, answer.err) == (1, f"cannot open '{z.src}/gone': dataset does not exist\n")


def case_bookmarks(z: Zfs) -> None:
    """One at a time, short or long name; it outlives its snapshot."""
    z.snap("s")
    guid = z.value("guid", f"{z.src}@s")
    z.ok("bookmark", f"{z.src}@s", "#m")
    said = z.run("bookmark", f"{z.src}@s", f"{z.src}#m")
    assert (said.status, said.err) == (1, f"cannot create bookmark '{z.src}#m': bookmark exists\n")
    z.ok("bookmark", f"{z.src}#m", f"{z.src}#copy")
    z.ok("destroy", f"{z.src}@s")
    assert z.lines("list", "-H", "-t", "bookmark", "-o", "name,guid", z.src) == [
        f"{z.src}#copy\t{guid}",
        f"{z.src}#m\t{guid}",
    ]
    z.ok("destroy", f"{z.src}#copy")
    said = z.run("destroy", f"{z.src}#copy")
    assert (said.status, said.err) == (1, f"bookmark '{z.src}#copy' does not exist.\n")
    said = z.run("destroy", "-r", f"{z.src}#m")
    assert (said.status, said.err) == (255, "recursive is not supported with bookmark\n")
    said = z.run("bookmark", f"{z.src}@gone", "#n")
    assert (said.status, said.error) == (2, f"cannot open '{z.src}@gone': dataset does not exist")


def case_rollback(z: Zfs) -> None:
    """Only to the newest, or with ``-r``, which destroys what is newer."""
    z.write(z.src, "file", 100_000)
    z.snap("one")
    z.write(z.src, "file", 100_000)
    z.snap("two")
    z.snap("three")
    said = z.run("rollback", f"{z.src}@one")
    assert said.status == 1
    first, second, *newer = said.err.splitlines()
    assert first == f"cannot rollback to '{z.src}@one': more recent snapshots or bookmarks exist"
    assert second == "use '-r' to force deletion of the following snapshots and bookmarks:"
    # In the order of the pool's own hash table, which is another one for every pool.
    assert sorted(newer) == [f"{z.src}@three", f"{z.src}@two"]
    z.ok("rollback", f"{z.src}@three")
    z.ok("rollback", "-r", f"{z.src}@one")
    assert z.names(z.src) == ["", "@one"]
    assert int(z.value("written", z.src)) < 100_000


def case_promote(z: Zfs) -> None:
    """The clone takes the snapshots, its origin becomes a clone."""
    z.tree("a")
    z.snap("s")
    z.ok("clone", f"{z.src}/a@s", f"{z.src}/c")
    assert z.value("origin", f"{z.src}/c") == f"{z.src}/a@s"
    assert z.value("clones", f"{z.src}/a@s") == f"{z.src}/c"
    z.ok("promote", f"{z.src}/c")
    assert z.value("origin", f"{z.src}/a") == f"{z.src}/c@s"
    assert z.value("origin", f"{z.src}/c") == "-"
    said = z.run("promote", f"{z.src}/c")
    assert (said.status, said.err) == (1, f"cannot promote '{z.src}/c': not a cloned filesystem\n")

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a push relies on when names have changed, and where bookmarks or origins are its bases."""

from __future__ import annotations

from tests.contract.zfs import Zfs

BIG = 600_000
KINDS = ("file system", "volume", "encrypted")


def _create(z: Zfs, kind: str, name: str) -> None:
    if kind == "volume":
        z.ok("create", "-V", "8M", name)
    elif kind == "encrypted":
        key = ("-o", "keyformat=passphrase", "-o", "keylocation=file:///run/contract-key")
        z.ok("create", "-o", "encryption=on", *key, name)
        z.write(name, "file", BIG)
    else:
        z.ok("create", name)
        z.write(name, "file", BIG)


def case_a_token_outlives_renames_on_both_sides(z: Zfs) -> None:
    """It names the old dataset; zfs finds the snapshot by its GUID and sends it (libzfs, guid_to_name)."""
    for kind in ("file system", "encrypted"):
        name = kind[:1]
        _create(z, kind, f"{z.src}/{name}")
        z.ok("snapshot", f"{z.src}/{name}@one")
        z.pipe(("-w", f"{z.src}/{name}@one"), ("-s", "-u", f"{z.dst}/{name}"), cut=0.6)
        token = z.token(f"{z.dst}/{name}")
        z.ok("rename", f"{z.src}/{name}", f"{z.src}/new-{name}")
        z.ok("rename", f"{z.dst}/{name}", f"{z.dst}/new-{name}")
        assert z.token(f"{z.dst}/new-{name}") == token
        said = z.ok("send", "-nvt", token)
        assert f"toname = {z.src}/{name}@one" in said
        assert f"full send of {z.src}/new-{name}@one estimated size" in said
        z.copy(("-w", "-t", token), ("-s", "-u", f"{z.dst}/new-{name}"))
        assert z.guids(f"{z.dst}/new-{name}") == z.guids(f"{z.src}/new-{name}")


def case_from_a_bookmark_and_on(z: Zfs) -> None:
    """``-i '#mark'`` to the first snapshot after it, then ``-I`` as ever; raw, of every kind of dataset."""
    for kind in KINDS:
        name = kind[:1]
        _create(z, kind, f"{z.src}/{name}")
        z.ok("snapshot", f"{z.src}/{name}@one")
        z.copy(("-w", f"{z.src}/{name}@one"), ("-s", "-u", f"{z.dst}/{name}"))
        z.ok("bookmark", f"{z.src}/{name}@one", f"{z.src}/{name}#mark")
        for later in ("two", "three"):
            z.ok("snapshot", f"{z.src}/{name}@{later}")
        z.ok("destroy", f"{z.src}/{name}@one")
        piped = z.join(
            [("-w", "-i", "#mark", f"{z.src}/{name}@two"), ("-w", "-I", "@two", f"{z.src}/{name}@three")],
            [("-s", "-u", f"{z.dst}/{name}")] * 2,
        )
        assert piped.receive.status == 0, piped
        assert list(z.guids(f"{z.dst}/{name}")) == ["@one", "@two", "@three"]
        assert z.guids(f"{z.src}/{name}").items() <= z.guids(f"{z.dst}/{name}").items()


def case_list_snapshots_with_bookmarks(z: Zfs) -> None:
    """One command for both; a bookmark has its snapshot's GUID and createtxg."""
    z.ok("snapshot", f"{z.src}@one")
    z.ok("bookmark", f"{z.src}@one", f"{z.src}#mark")
    rows = z.lines("list", "-Hp", "-o", "name,guid,createtxg", "-t", "snapshot,bookmark", "-r", z.src)
    (name, *one), (mark, *other) = (row.split("\t") for row in rows)
    assert (name, mark) == (f"{z.src}@one", f"{z.src}#mark")
    assert one == other


def case_destroy_a_bookmark(z: Zfs) -> None:
    """One at a time; one that is gone has a message of its own."""
    z.ok("snapshot", f"{z.src}@one")
    z.ok("bookmark", f"{z.src}@one", f"{z.src}#mark")
    z.ok("destroy", f"{z.src}#mark")
    said = z.run("destroy", f"{z.src}#mark")
    assert (said.status, said.err) == (1, f"bookmark '{z.src}#mark' does not exist.\n")


def case_a_clone_from_its_origin(z: Zfs) -> None:
    """Sent as what it differs in, it arrives as a clone: the receive finds the origin by its GUID."""
    for kind in KINDS:
        name = kind[:1]
        _create(z, kind, f"{z.src}/{name}")
        z.ok("snapshot", f"{z.src}/{name}@one")
        z.copy(("-w", "-p", f"{z.src}/{name}@one"), ("-s", "-u", f"{z.dst}/{name}"))
        z.ok("clone", f"{z.src}/{name}@one", f"{z.src}/{name}-clone")
        z.ok("snapshot", f"{z.src}/{name}-clone@two")
        z.copy(
            ("-w", "-p", "-i", f"{z.src}/{name}@one", f"{z.src}/{name}-clone@two"),
            ("-s", "-u", f"{z.dst}/{name}-clone"),
        )
        assert z.value("origin", f"{z.dst}/{name}-clone") == f"{z.dst}/{name}@one"
        assert z.guids(f"{z.dst}/{name}-clone") == z.guids(f"{z.src}/{name}-clone")


def case_a_clone_that_was_cut_goes_on(z: Zfs) -> None:
    """What is there of it is a clone already."""
    z.ok("create", f"{z.src}/o")
    z.ok("snapshot", f"{z.src}/o@one")
    z.copy(("-w", f"{z.src}/o@one"), ("-s", "-u", f"{z.dst}/o"))
    z.ok("clone", f"{z.src}/o@one", f"{z.src}/c")
    z.write(f"{z.src}/c", "file", BIG)
    z.ok("snapshot", f"{z.src}/c@two")
    z.pipe(("-w", "-p", "-i", f"{z.src}/o@one", f"{z.src}/c@two"), ("-s", "-u", f"{z.dst}/c"), cut=0.6)
    token = z.token(f"{z.dst}/c")
    assert z.value("origin", f"{z.dst}/c") == f"{z.dst}/o@one"
    z.copy(("-w", "-t", token), ("-s", "-u", f"{z.dst}/c"))
    assert z.value("origin", f"{z.dst}/c") == f"{z.dst}/o@one"


def case_what_was_written_to_a_copy(z: Zfs) -> None:
    """``written`` is 0 after a receive, whatever properties are set on the copy then."""
    z.write(z.src, "file", BIG)
    z.ok("snapshot", f"{z.src}@one")
    z.copy(("-w", f"{z.src}@one"), ("-s", "-u", f"{z.dst}/t"))
    z.ok("set", "x:y=1", f"{z.dst}/t")
    z.ok("set", "readonly=on", f"{z.dst}/t")
    assert z.value("written", f"{z.dst}/t") == "0"


def case_what_a_held_snapshot_would_free(z: Zfs) -> None:
    """The estimate of its destruction minds no hold, and ends with 0."""
    z.write(z.src, "file", BIG)
    z.ok("snapshot", "-r", f"{z.src}@one")
    z.write(z.src, "file", BIG)
    z.ok("snapshot", "-r", f"{z.src}@two")
    z.ok("hold", "-r", "tag", f"{z.src}@one")
    lines = z.lines("destroy", "-nvp", "-r", f"{z.src}@one")
    assert lines[0] == f"destroy\t{z.src}@one"
    assert lines[-1].startswith("reclaim\t")
    assert int(lines[-1].split("\t")[1]) >= BIG / 2


def case_names_on_the_way(z: Zfs) -> None:
    """Two datasets exchange their names by way of a third; what is below them goes along."""
    for name in ("a", "a/n", "b"):
        z.ok("create", f"{z.src}/{name}")
    z.snap("one")
    before = {name: z.value("guid", f"{z.src}/{name}@one") for name in ("a", "a/n", "b")}
    for old, new in (("a", "a.moving"), ("b", "a"), ("a.moving", "b")):
        z.ok("rename", f"{z.src}/{old}", f"{z.src}/{new}")
    after = {name: z.value("guid", f"{z.src}/{name}@one") for name in ("b", "b/n", "a")}
    assert list(after.values()) == list(before.values())


def case_a_token_after_names_were_exchanged(z: Zfs) -> None:
    """The old name is another dataset's now; zfs finds the snapshot by its GUID all the same."""
    for name in ("a", "b"):
        z.ok("create", f"{z.src}/{name}")
        z.write(f"{z.src}/{name}", "file", BIG)
    z.snap("one")
    z.pipe(("-w", f"{z.src}/a@one"), ("-s", "-u", f"{z.dst}/a"), cut=0.6)
    token = z.token(f"{z.dst}/a")
    for old, new in (("a", "x"), ("b", "a"), ("x", "b")):
        z.ok("rename", f"{z.src}/{old}", f"{z.src}/{new}")
    assert f"full send of {z.src}/b@one estimated size" in z.ok("send", "-nvt", token)
    z.copy(("-w", "-t", token), ("-s", "-u", f"{z.dst}/a"))
    assert z.guids(f"{z.dst}/a") == z.guids(f"{z.src}/b")

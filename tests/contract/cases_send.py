# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs send``: what it says beforehand, and what it refuses."""

from __future__ import annotations

from tests.contract.zfs import Zfs

HEADER_ONLY = 624
"""Bytes: a begin record and an end record."""


def _refused(z: Zfs, *send: str) -> tuple[int, str, int]:
    piped = z.join([send], [("-n", f"{z.dst}/nothing")])
    return piped.sends[0].status, piped.sends[0].err, piped.size


def case_send_dry_run_of_a_tree(z: Zfs) -> None:
    """``-nvP -R -I``: a line for each snapshot, the root first, then the sum (facts file)."""
    z.tree("a", "b")
    z.snap("one")
    z.snap("two")
    z.snap("three")
    rows = [row.split("\t") for row in z.lines("send", "-nvP", "-Rw", "-I", "one", f"{z.src}@three")]
    assert [row[:3] for row in rows[:2]] == [
        ["incremental", "one", f"{z.src}@two"],
        ["incremental", "two", f"{z.src}@three"],
    ]
    assert sorted(row[2] for row in rows[2:-1]) == sorted(
        f"{z.src}/{child}@{snap}" for child in "ab" for snap in ("two", "three")
    )
    assert rows[-1][0] == "size"
    assert int(rows[-1][1]) == sum(int(row[3]) for row in rows[:-1])
    assert rows[2][3] == str(HEADER_ONLY)


def case_send_dry_run_of_one(z: Zfs) -> None:
    """``full`` and ``incremental`` with the whole name of the base; without ``-P`` in words."""
    z.write(z.src, "file", 200_000)
    z.snap("one")
    z.snap("two")
    kind, name, size = z.lines("send", "-nvP", f"{z.src}@one")[0].split("\t")
    assert (kind, name) == ("full", f"{z.src}@one")
    assert 200_000 < int(size) < 400_000
    assert z.ok("send", "-nvP", "-i", "@one", f"{z.src}@two") == (
        f"incremental\t{z.src}@one\t{z.src}@two\t624\nsize\t624\n"
    )
    assert z.ok("send", "-nv", "-i", "@one", f"{z.src}@two") == (
        f"send from {z.src}@one to {z.src}@two estimated size is 624B\ntotal estimated size is 624\n"
    )


def case_send_says_it_on_stderr_when_it_sends(z: Zfs) -> None:
    """``-vP`` without ``-n``: the same lines, on stderr."""
    z.snap("one")
    z.snap("two")
    piped = z.join([("-P", "-i", "@one", f"{z.src}@two")], [("-n", f"{z.dst}/nothing")])
    assert piped.sends[0].status == 0
    assert piped.sends[0].err.startswith(f"incremental\t{z.src}@one\t{z.src}@two\t624\nsize\t624\n")


def case_send_of_what_is_not_there(z: Zfs) -> None:
    """``cannot open``, exit 1, nothing sent."""
    z.snap("s")
    for send, name in (
        ((f"{z.src}@gone",), f"{z.src}@gone"),
        ((f"{z.src}/gone@s",), f"{z.src}/gone@s"),
        (("-R", f"{z.src}@gone"), f"{z.src}@gone"),
        (("-R", "-I", "@gone", f"{z.src}@s"), f"{z.src}@gone"),
        (("-I", "@gone", f"{z.src}@s"), f"{z.src}@gone"),
        (("-i", "@gone", f"{z.src}@s"), f"{z.src}@gone"),
    ):
        assert _refused(z, *send) == (1, f"cannot open '{name}': dataset does not exist\n", 0), send


def case_send_from_a_bookmark_that_is_not_there(z: Zfs) -> None:
    """A message of its own; ``-I`` takes no bookmark at all."""
    z.snap("s")
    assert _refused(z, "-i", "#gone", f"{z.src}@s") == (
        1,
        f"warning: cannot send '{z.src}@s': incremental source ({z.src}#gone) does not exist\n",
        0,
    )
    assert _refused(z, "-I", "#gone", f"{z.src}@s") == (
        1,
        "Error: multiple snapshots cannot be sent from a bookmark.\n",
        0,
    )


def case_send_from_a_later_snapshot(z: Zfs) -> None:
    """``-i`` refuses; ``-I`` writes the header of a package and then gives up, exit 1."""
    z.snap("one")
    z.snap("two")
    assert _refused(z, "-i", "@two", f"{z.src}@one") == (
        1,
        f"warning: cannot send '{z.src}@one': not an earlier snapshot from the same fs\n",
        0,
    )
    assert _refused(z, "-I", "@two", f"{z.src}@one") == (
        1,
        f"WARNING: could not send {z.src}@one:\nincremental source ({z.src}@two) does not exist\n",
        HEADER_ONLY,
    )
    assert _refused(z, "-I", "@one", f"{z.src}@one") == (
        1,
        f"WARNING: could not send {z.src}@one:\nincremental source ({z.src}@one) is not earlier than it\n",
        HEADER_ONLY,
    )


def case_send_a_tree_where_a_child_lacks_the_target(z: Zfs) -> None:
    """``send -R -I``: refused, nothing sent (facts file); ``-s`` passes the child over."""
    z.tree("a", "b")
    z.snap("one")
    z.snap("two")
    z.ok("destroy", f"{z.src}/a@two")
    assert _refused(z, "-R", "-I", "@one", f"{z.src}@two") == (
        1,
        f"cannot send {z.src}@two recursively: snapshot {z.src}/a@two does not exist\n"
        f"warning: cannot send '{z.src}@two': backup failed\n",
        0,
    )
    piped = z.join([("-R", "-s", "-I", "@one", f"{z.src}@two")], [("-n", f"{z.dst}/nothing")])
    assert piped.sends[0].status == 0
    assert piped.sends[0].err == (
        f"WARNING: skipping dataset {z.src}/a and its children: snapshot two does not exist\n"
    )


def case_send_a_tree_with_a_younger_child(z: Zfs) -> None:
    """A child made after the target snapshot is no reason to fail: it is left out silently."""
    z.snap("one")
    z.ok("create", f"{z.src}/young")
    rows = z.lines("send", "-nvP", "-R", f"{z.src}@one")
    assert [row.split("\t")[1] for row in rows[:-1]] == [f"{z.src}@one"]


def case_send_a_child_without_the_base(z: Zfs) -> None:
    """``send -R -I`` exits 0 and puts a full stream of that child into the package (facts file)."""
    z.tree("a")
    z.snap("one")
    z.snap("two")
    z.ok("destroy", f"{z.src}/a@one")
    rows = [row.split("\t") for row in z.lines("send", "-nvP", "-R", "-I", "@one", f"{z.src}@two")]
    assert [row[:-1] for row in rows[:-1]] == [
        ["incremental", "one", f"{z.src}@two"],
        ["full", f"{z.src}/a@two"],
    ]


def case_send_intermediates(z: Zfs) -> None:
    """``-R -i`` sends the last alone, ``-R -I`` all, ``-R`` alone everything."""
    for name in ("one", "two", "three"):
        z.snap(name)
    small = z.lines("send", "-nvP", "-R", "-i", "@one", f"{z.src}@three")
    assert [row.split("\t")[2] for row in small[:-1]] == [f"{z.src}@three"]
    whole = z.lines("send", "-nvP", "-R", f"{z.src}@two")
    assert [row.split("\t")[-2] for row in whole[:-1]] == [f"{z.src}@one", f"{z.src}@two"]


def case_send_options_that_are_refused(z: Zfs) -> None:
    """Exit 2 with a usage."""
    z.tree("a")
    z.snap("s")
    for send, line in (
        (("-s", f"{z.src}@s"), "skip-missing flag can only be used in conjunction with replicate"),
        (("-I", f"{z.src}/a@s", f"{z.src}@s"), "incremental source must be in same filesystem"),
        ((), "missing snapshot argument"),
        ((f"{z.src}@s", f"{z.src}/a@s"), "too many arguments"),
        (("-t", "x", "-i", "@s"), "invalid flags combined with -t"),
    ):
        status, err, size = _refused(z, *send)
        assert (status, err.partition("\n")[0], size) == (2, line, 0)


def case_send_a_filesystem_that_is_mounted(z: Zfs) -> None:
    """Only snapshots of it can be sent."""
    assert _refused(z, z.src) == (
        1,
        f"warning: cannot send '{z.src}': target is busy; if a filesystem, it must not be mounted\n",
        0,
    )


def case_send_from_a_name_without_a_mark(z: Zfs) -> None:
    """``-i name`` is taken for a snapshot, with a warning."""
    z.snap("one")
    z.snap("two")
    piped = z.join([("-i", "one", f"{z.src}@two")], [("-n", f"{z.dst}/nothing")])
    assert piped.sends[0].status == 0
    assert piped.sends[0].err == (
        "Warning: incremental source didn't specify type, assuming snapshot. "
        "Use '@' or '#' prefix to avoid ambiguity.\n"
    )


def case_send_a_clone_within_a_tree(z: Zfs) -> None:
    """It arrives as a clone of its origin, which is sent before it."""
    z.tree("o")
    z.ok("snapshot", "-r", f"{z.src}@one")
    z.ok("clone", f"{z.src}/o@one", f"{z.src}/a-clone")
    z.snap("two")
    z.copy(("-R", f"{z.src}@two"), ("-u", f"{z.dst}/t"))
    assert z.value("origin", f"{z.dst}/t/a-clone") == f"{z.dst}/t/o@one"
    assert z.guids(f"{z.dst}/t") == z.guids(z.src)

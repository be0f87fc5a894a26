# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of whole trees: renamed, destroyed, new and re-created datasets."""

from __future__ import annotations

from tests.contract.zfs import Zfs


def _replicated(z: Zfs, *children: str) -> None:
    z.tree(*children)
    z.snap("one")
    z.copy(("-R", f"{z.src}@one"), ("-s", "-u", f"{z.dst}/t"))


def _next(z: Zfs, base: str, name: str, *receive: str) -> int:
    z.snap(name)
    return z.pipe(("-R", "-I", f"@{base}", f"{z.src}@{name}"), ("-s", "-u", *receive, f"{z.dst}/t")).status


def case_a_new_child(z: Zfs) -> None:
    """It arrives in full, within the increment (facts file)."""
    _replicated(z, "a")
    z.ok("create", "-o", "x:y=1", f"{z.src}/new")
    assert _next(z, "one", "two") == 0
    assert z.guids(f"{z.dst}/t") == z.guids(z.src)
    assert z.where("x:y", f"{z.dst}/t/new") == ("1", "1", "received")


def case_a_renamed_child(z: Zfs) -> None:
    """As root it is renamed on the receiver, without ``-F`` (facts file)."""
    _replicated(z, "a", "b")
    z.ok("rename", f"{z.src}/a", f"{z.src}/z")
    assert _next(z, "one", "two") == 0
    assert z.guids(f"{z.dst}/t") == z.guids(z.src)
    assert "/a" not in z.names(f"{z.dst}/t")


def case_a_renamed_child_sent_alone(z: Zfs) -> None:
    """A plain increment into the old place arrives there: names do not matter, GUIDs do."""
    _replicated(z, "a")
    z.ok("rename", f"{z.src}/a", f"{z.src}/z")
    z.snap("two")
    z.copy(("-I", "@one", f"{z.src}/z@two"), ("-s", "-u", f"{z.dst}/t/a"))
    assert z.guids(f"{z.dst}/t/a") == z.guids(f"{z.src}/z")


def case_a_renamed_snapshot(z: Zfs) -> None:
    """A package renames it on the receiver too; a plain stream does not."""
    _replicated(z, "a")
    z.ok("rename", "-r", f"{z.src}@one", "uno")
    assert _next(z, "uno", "two") == 0
    assert z.guids(f"{z.dst}/t") == z.guids(z.src)


def case_a_destroyed_child(z: Zfs) -> None:
    """It stays on the receiver, as do snapshots destroyed on the sender (facts file)."""
    _replicated(z, "a", "b")
    z.snap("between")
    assert _next(z, "one", "two") == 0
    z.ok("destroy", "-r", f"{z.src}/b")
    z.ok("destroy", "-r", f"{z.src}@between")
    assert _next(z, "two", "three") == 0
    assert z.names(f"{z.dst}/t/b", "snapshot") == ["@one", "@between", "@two"]
    assert z.names(f"{z.dst}/t/a", "snapshot") == ["@one", "@between", "@two", "@three"]


def case_a_child_without_the_base(z: Zfs) -> None:
    """Its full stream meets the receiver's copy: exit 1, after others have advanced (facts file)."""
    _replicated(z, "a")
    z.ok("destroy", f"{z.src}/a@one")
    z.snap("two")
    said = z.pipe(("-R", "-I", "@one", f"{z.src}@two"), ("-s", "-u", f"{z.dst}/t"))
    assert (said.status, said.err) == (
        1,
        f"cannot receive new filesystem stream: destination '{z.dst}/t/a' exists\n"
        "must specify -F to overwrite it\n",
    )
    assert z.names(f"{z.dst}/t") == ["", "@one", "@two", "/a", "/a@one"]


def case_a_re_created_child(z: Zfs) -> None:
    """The same, for it shares nothing with the receiver's copy."""
    _replicated(z, "a")
    z.ok("destroy", "-r", f"{z.src}/a")
    z.ok("create", f"{z.src}/a")
    assert _next(z, "one", "two") == 1
    assert z.names(f"{z.dst}/t") == ["", "@one", "@two", "/a", "/a@one"]


def case_a_child_that_lags_behind(z: Zfs) -> None:
    """A child that the receiver has only up to an older snapshot stops the package there."""
    _replicated(z, "a")
    assert _next(z, "one", "two") == 0
    z.ok("destroy", f"{z.dst}/t/a@two")
    z.snap("three")
    said = z.pipe(("-R", "-I", "@two", f"{z.src}@three"), ("-s", "-u", f"{z.dst}/t"))
    assert (said.status, said.err) == (
        1,
        f"cannot receive incremental stream: most recent snapshot of {z.dst}/t/a does not\n"
        "match incremental source\n",
    )
    z.copy(("-I", "@one", f"{z.src}/a@three"), ("-s", "-u", f"{z.dst}/t/a"))
    assert z.guids(f"{z.dst}/t") == z.guids(z.src)


def case_a_child_that_the_receiver_lost(z: Zfs) -> None:
    """Missing on the receiver: the package stops there; sent alone in full, then -I, it comes back."""
    _replicated(z, "a")
    z.ok("destroy", "-r", f"{z.dst}/t/a")
    z.snap("two")
    said = z.pipe(("-R", "-I", "@one", f"{z.src}@two"), ("-s", "-u", f"{z.dst}/t"))
    assert (said.status, said.err) == (
        1,
        f"cannot receive incremental stream: destination '{z.dst}/t/a' does not exist\n",
    )
    z.copy(("-p", f"{z.src}/a@one"), ("-s", "-u", f"{z.dst}/t/a"))
    z.copy(("-I", "@one", f"{z.src}/a@two"), ("-s", "-u", f"{z.dst}/t/a"))
    assert z.guids(f"{z.dst}/t") == z.guids(z.src)


def case_force_destroys_what_the_sender_lacks(z: Zfs) -> None:
    """``receive -F`` of a package: foreign snapshots and datasets are gone. Never use it."""
    _replicated(z, "a", "b")
    z.ok("snapshot", f"{z.dst}/t/a@foreign")
    z.ok("create", f"{z.dst}/t/extra")
    z.ok("destroy", "-r", f"{z.src}/b")
    assert _next(z, "one", "two", "-F") == 0
    assert z.guids(f"{z.dst}/t") == z.guids(z.src)
    assert z.names(f"{z.dst}/t", "filesystem") == ["", "/a"]


def case_without_f_the_receivers_own_stay(z: Zfs) -> None:
    """Foreign snapshots and datasets of the receiver do not stop a package and stay (facts file)."""
    _replicated(z, "a")
    z.ok("snapshot", f"{z.dst}/t/a@foreign")
    z.ok("create", f"{z.dst}/t/extra")
    assert _next(z, "one", "two") == 0
    assert z.names(f"{z.dst}/t") == ["", "@one", "@two", "/a", "/a@one", "/a@foreign", "/a@two", "/extra"]

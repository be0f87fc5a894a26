# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs destroy``: lists, ranges, what stands in the way."""

from __future__ import annotations

from tests.contract.zfs import Zfs


def _snaps(z: Zfs, *names: str) -> None:
    for name in names:
        z.snap(name)


def _held(z: Zfs, name: str) -> str:
    why = f"it's being held. Run 'zfs holds -r {name}' to see holders." if z.newer else "dataset is busy"
    return f"cannot destroy snapshot {name}: {why}\n"


def case_destroy_a_held_snapshot(z: Zfs) -> None:
    """``dataset is busy`` (facts file), in 2.3 words that say why; exit 1."""
    _snaps(z, "s")
    z.ok("hold", "keep", f"{z.src}@s")
    said = z.run("destroy", f"{z.src}@s")
    assert (said.status, said.err) == (1, _held(z, f"{z.src}@s"))
    z.ok("release", "keep", f"{z.src}@s")
    z.ok("destroy", f"{z.src}@s")


def case_destroy_a_list_with_a_held_one(z: Zfs) -> None:
    """All or nothing: where one is held, none of the command's list goes.

    Measured on 2.1.11; ``dsl_destroy_snapshots_nvl`` of the kernel checks all before it destroys
    any. (The facts file said otherwise.)
    """
    _snaps(z, "a", "b", "c")
    z.ok("hold", "keep", f"{z.src}@b")
    said = z.run("destroy", f"{z.src}@a,b,c")
    assert (said.status, said.err) == (1, _held(z, f"{z.src}@b"))
    assert z.names(z.src, "snapshot") == ["@a", "@b", "@c"]
    z.ok("release", "keep", f"{z.src}@b")


def case_destroy_a_list_in_a_tree_with_a_held_one(z: Zfs) -> None:
    """The same with ``-r``: one held snapshot of a child keeps the whole command from happening."""
    z.tree("a", "b")
    _snaps(z, "x", "y")
    z.ok("hold", "keep", f"{z.src}/a@y")
    said = z.run("destroy", "-r", f"{z.src}@x,y")
    assert (said.status, said.err) == (1, _held(z, f"{z.src}/a@y"))
    assert len(z.names(z.src, "snapshot")) == 6
    z.ok("release", "keep", f"{z.src}/a@y")


def case_destroy_a_list_in_a_tree(z: Zfs) -> None:
    """Names that a child does not have are ignored (facts file)."""
    z.tree("a", "b")
    _snaps(z, "x", "y", "z")
    z.ok("destroy", f"{z.src}/a@x")
    z.ok("destroy", "-r", f"{z.src}@x,y,never")
    assert z.names(z.src, "snapshot") == ["@z", "/a@z", "/b@z"]


def case_destroy_a_range(z: Zfs) -> None:
    """``a%b``, ``%b``, ``a%``; an end that is missing names nothing."""
    _snaps(z, "a", "b", "c", "d", "e")
    z.ok("destroy", f"{z.src}@b%c")
    assert z.names(z.src, "snapshot") == ["@a", "@d", "@e"]
    z.ok("destroy", f"{z.src}@%a")
    assert z.names(z.src, "snapshot") == ["@d", "@e"]
    said = z.run("destroy", f"{z.src}@d%gone")
    assert (said.status, said.err) == (1, "could not find any snapshots to destroy; check snapshot names.\n")
    z.ok("destroy", f"{z.src}@d%")
    assert z.names(z.src, "snapshot") == []


def case_destroy_what_is_not_there(z: Zfs) -> None:
    """Exit 1."""
    said = z.run("destroy", f"{z.src}@gone")
    assert (said.status, said.err) == (1, "could not find any snapshots to destroy; check snapshot names.\n")
    said = z.run("destroy", f"{z.src}/gone@s")
    assert (said.status, said.err) == (1, f"cannot open '{z.src}/gone': dataset does not exist\n")
    said = z.run("destroy", f"{z.src}/gone")
    assert (said.status, said.err) == (1, f"cannot open '{z.src}/gone': dataset does not exist\n")


def case_destroy_dry_run(z: Zfs) -> None:
    """``-nvp -r``: ``destroy`` lines and one ``reclaim`` line; nothing goes (facts file)."""
    z.tree("a")
    z.write(z.src, "file", 300_000)
    _snaps(z, "x", "y")
    z.write(z.src, "file", 300_000)
    rows = z.lines("destroy", "-nvp", "-r", f"{z.src}@x,y")
    assert sorted(rows[:-1]) == sorted(f"destroy\t{z.src}{name}" for name in ("@x", "@y", "/a@x", "/a@y"))
    word, size = rows[-1].split("\t")
    assert word == "reclaim"
    assert 300_000 <= int(size) < 600_000
    assert z.ok("destroy", "-nv", f"{z.src}/a@x") == (f"would destroy {z.src}/a@x\nwould reclaim 0B\n")
    assert len(z.names(z.src, "snapshot")) == 4


def case_destroy_a_snapshot_with_a_clone(z: Zfs) -> None:
    """Refused before anything goes; ``-d`` waits for the clone."""
    z.tree("a")
    _snaps(z, "s", "t")
    z.ok("clone", f"{z.src}/a@s", f"{z.src}/clone")
    for spec in (("destroy", f"{z.src}/a@s"), ("destroy", "-r", f"{z.src}@s,t")):
        said = z.run(*spec)
        assert said.status == 1
        assert said.err == (
            f"cannot destroy '{z.src}/a@s': snapshot has dependent clones\n"
            f"use '-R' to destroy the following datasets:\n{z.src}/clone\n"
        )
    assert len(z.names(z.src, "snapshot")) == 4
    z.ok("destroy", "-d", f"{z.src}/a@s")
    assert z.value("defer_destroy", f"{z.src}/a@s") == "on"
    z.ok("destroy", f"{z.src}/clone")
    assert z.names(f"{z.src}/a", "snapshot") == ["@t"]


def case_destroy_a_dataset(z: Zfs) -> None:
    """Children and snapshots need ``-r``."""
    z.tree("a", "a/b")
    z.snap("s")
    said = z.run("destroy", f"{z.src}/a")
    assert said.status == 1
    lines = said.err.splitlines()
    assert lines[:2] == [
        f"cannot destroy '{z.src}/a': filesystem has children",
        "use '-r' to destroy the following datasets:",
    ]
    assert sorted(lines[2:]) == sorted([f"{z.src}/a/b", f"{z.src}/a/b@s", f"{z.src}/a@s"])
    z.ok("destroy", "-r", f"{z.src}/a")
    assert z.names(z.src) == ["", "@s"]


def case_destroy_a_tree_with_a_held_snapshot(z: Zfs) -> None:
    """What is not in the way goes, the held one and its parents stay."""
    z.tree("t", "t/a", "t/b")
    z.ok("snapshot", "-r", f"{z.src}/t@s")
    z.ok("hold", "keep", f"{z.src}/t/a@s")
    said = z.run("destroy", "-r", f"{z.src}/t")
    assert said.status == 1
    assert said.err.splitlines(keepends=True)[0] == _held(z, f"{z.src}/t/a@s")
    assert {"/t", "/t/a", "/t/a@s"} <= set(z.names(z.src))
    z.ok("release", "keep", f"{z.src}/t/a@s")


def case_destroy_a_pool_by_mistake(z: Zfs) -> None:
    """``zfs destroy POOL`` is refused."""
    pool = z.src.partition("/")[0]
    said = z.run("destroy", pool)
    assert said.status == 1
    assert said.err == (
        f"cannot destroy '{pool}': operation does not apply to pools\n"
        f"use 'zfs destroy -r {pool}' to destroy all datasets in the pool\n"
        f"use 'zpool destroy {pool}' to destroy the pool itself\n"
    )

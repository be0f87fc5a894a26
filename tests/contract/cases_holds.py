# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs hold``, ``release`` and ``holds``."""

from __future__ import annotations

from tests.contract.zfs import Zfs


def _holds(z: Zfs, *args: str) -> list[tuple[str, str]]:
    rows = [row.split("\t") for row in z.lines("holds", "-H", *args)]
    return sorted((name[len(z.src) :], tag) for name, tag, _ in rows)


def case_hold_a_tree(z: Zfs) -> None:
    """``hold -r`` holds what there is of that name (facts file)."""
    z.tree("a", "b")
    z.snap("s")
    z.ok("destroy", f"{z.src}/b@s")
    z.ok("hold", "-r", "keep", f"{z.src}@s")
    assert _holds(z, "-r", f"{z.src}@s") == [("/a@s", "keep"), ("@s", "keep")]
    assert z.value("userrefs", f"{z.src}/a@s") == "1"
    z.ok("release", "-r", "keep", f"{z.src}@s")
    assert _holds(z, "-r", f"{z.src}@s") == []


def case_hold_over_a_tree_that_is_partly_held(z: Zfs) -> None:
    """All or nothing: one message, exit 1, nothing held. Measured on 2.1.11."""
    z.tree("a", "b")
    z.snap("s")
    z.ok("hold", "keep", f"{z.src}/a@s")
    said = z.run("hold", "-r", "keep", f"{z.src}@s")
    assert said.status == 1
    assert said.err == f"cannot hold snapshot '{z.src}/a@s': tag already exists on this dataset\n"
    assert _holds(z, "-r", f"{z.src}@s") == [("/a@s", "keep")]
    z.ok("hold", "-r", "other", f"{z.src}@s")
    z.ok("release", "-r", "other", f"{z.src}@s")
    z.ok("release", "keep", f"{z.src}/a@s")


def case_hold_several_names(z: Zfs) -> None:
    """Each operand is a transaction of its own."""
    z.tree("a")
    z.snap("s")
    said = z.run("hold", "keep", f"{z.src}@s", f"{z.src}@gone", f"{z.src}/a@s")
    assert said.status == 1
    assert said.err == f"cannot hold snapshot '{z.src}@gone': dataset does not exist\n"
    assert _holds(z, f"{z.src}@s", f"{z.src}/a@s") == [("/a@s", "keep"), ("@s", "keep")]
    z.ok("release", "keep", f"{z.src}@s", f"{z.src}/a@s")


def case_hold_is_refused(z: Zfs) -> None:
    """No such snapshot, no such dataset, not a snapshot."""
    z.tree("a")
    for args, text in (
        ((f"{z.src}@gone",), f"cannot hold snapshot '{z.src}@gone': dataset does not exist\n"),
        (("-r", f"{z.src}@gone"), f"cannot hold snapshot '{z.src}@gone': dataset does not exist\n"),
        ((f"{z.src}/gone@s",), f"cannot open '{z.src}/gone': dataset does not exist\n"),
        ((z.src,), f"'{z.src}' is not a snapshot\n"),
    ):
        options = [arg for arg in args if arg == "-r"]
        said = z.run("hold", *options, "keep", args[-1])
        assert (said.status, said.err) == (1, text)


def case_release_where_a_child_lacks_the_tag(z: Zfs) -> None:
    """The others are released, exit 0, nothing is said. Measured on 2.1.11."""
    z.tree("a", "b")
    z.snap("s")
    z.ok("hold", "keep", f"{z.src}@s", f"{z.src}/b@s")
    said = z.run("release", "-r", "keep", f"{z.src}@s")
    assert (said.status, said.out, said.err) == (0, "", "")
    assert _holds(z, "-r", f"{z.src}@s") == []


def case_release_where_nobody_has_the_tag(z: Zfs) -> None:
    """A message that names the root, exit 1."""
    z.tree("a")
    z.snap("s")
    for args in ((f"{z.src}@s",), ("-r", f"{z.src}@s")):
        options = [arg for arg in args if arg == "-r"]
        said = z.run("release", *options, "keep", args[-1])
        assert said.status == 1
        assert said.err == (f"cannot release hold from snapshot '{z.src}@s': no such tag on this dataset\n")
    said = z.run("release", "keep", f"{z.src}@gone")
    assert (said.status, said.err) == (
        1,
        f"cannot release hold from snapshot '{z.src}@gone': dataset does not exist\n",
    )


def case_holds_of_several_tags(z: Zfs) -> None:
    """A snapshot may have many; ``holds`` of one without any says nothing."""
    z.snap("s")
    z.snap("t")
    z.ok("hold", "one", f"{z.src}@s")
    z.ok("hold", "two", f"{z.src}@s")
    assert _holds(z, f"{z.src}@s") == [("@s", "one"), ("@s", "two")]
    assert z.value("userrefs", f"{z.src}@s") == "2"
    said = z.run("holds", "-H", f"{z.src}@t")
    assert (said.status, said.out, said.err) == (0, "", "")
    z.ok("release", "one", f"{z.src}@s")
    z.ok("release", "two", f"{z.src}@s")


def case_holds_of_a_missing_snapshot(z: Zfs) -> None:
    """Two lines, exit 1."""
    said = z.run("holds", "-H", f"{z.src}@gone")
    assert said.status == 1
    assert said.err == (f"cannot open '{z.src}@gone': dataset does not exist\nno datasets available\n")


def case_a_tag_that_zfs_keeps_for_itself(z: Zfs) -> None:
    """It may not begin with a dot."""
    z.snap("s")
    said = z.run("hold", ".mine", f"{z.src}@s")
    assert (said.status, said.error) == (2, "tag may not start with '.'")

# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs set``, ``inherit`` and ``create``: values, sources, refusals."""

from __future__ import annotations

from tests.contract.zfs import Zfs

JSON = '{"base": "2026-01-01T00:00:00Z", "list": [1, 2], "empty": ""}'


def case_a_user_property_of_any_text(z: Zfs) -> None:
    """JSON with quotes and blanks comes back as it was; children inherit it."""
    z.tree("a")
    z.ok("set", f"x:y={JSON}", z.src)
    assert z.where("x:y", z.src) == (JSON, "-", "local")
    assert z.where("x:y", f"{z.src}/a") == (JSON, "-", "inherited from SRC")
    assert z.ok("list", "-H", "-o", "x:y", z.src) == JSON + "\n"


def case_an_empty_user_property(z: Zfs) -> None:
    """It is set, to nothing; only ``inherit`` takes it away."""
    z.ok("set", "x:y=", z.src)
    assert z.ok("get", "-H", "-o", "value,source", "x:y", z.src) == "\tlocal\n"
    z.ok("inherit", "x:y", z.src)
    assert z.ok("get", "-H", "-o", "value,source", "x:y", z.src) == "-\t-\n"
    z.ok("inherit", "x:y", z.src)


def case_a_value_with_an_equals_sign(z: Zfs) -> None:
    """Only the first one separates."""
    z.ok("set", "x:y=a=b", z.src)
    assert z.value("x:y", z.src) == "a=b"


def case_set_several_at_once(z: Zfs) -> None:
    """Several properties and several datasets; one that is missing does not keep the others back."""
    z.tree("a")
    said = z.run("set", "x:a=1", "readonly=on", z.src, f"{z.src}/gone", f"{z.src}/a")
    assert (said.status, said.err) == (1, f"cannot open '{z.src}/gone': dataset does not exist\n")
    for name in (z.src, f"{z.src}/a"):
        assert z.where("x:a", name) == ("1", "-", "local")
        assert z.where("readonly", name) == ("on", "-", "local")


def case_set_is_refused(z: Zfs) -> None:
    """The words of libzfs; exit 1 (2.3: 255), but 2 where the order is wrong."""
    z.snap("s")
    for setting, name, fault in (
        ("nope=1", z.src, "invalid property 'nope'"),
        ("X:y=1", z.src, "invalid property 'X:y'"),
        ("readonly=maybe", z.src, "'readonly' must be one of 'on | off'"),
        ("guid=3", z.src, "'guid' is readonly"),
        ("mountpoint=here", z.src, "'mountpoint' must be an absolute path, 'none', or 'legacy'"),
        ("quota=much", z.src, "bad numeric value 'much'"),
        ("readonly=on", f"{z.src}@s", "this property can not be modified for snapshots"),
    ):
        said = z.run("set", setting, name)
        assert said.err == f"cannot set property for '{name}': {fault}\n", setting
        assert said.status == (255 if z.newer else 1), setting
    said = z.run("set", z.src, "x:y=1")
    no_name = (1, "cannot open 'x:y=1': invalid character '=' in name")
    assert (said.status, said.error) == (no_name if z.newer else (2, "invalid argument order"))
    assert z.value("x:y", z.src) == "-"
    said = z.run("set", "x:z=1", z.src, "x:y=1")
    assert (said.status, said.error) == (2, "invalid argument order")
    said = z.run("set", "x:y=1", "x:y=2", z.src)
    assert (said.status, said.err) == (255, "property 'x:y' specified multiple times\n")
    said = z.run("set", "x:y=1")
    assert (said.status, said.error) == (2, "missing dataset name(s)")


def case_a_user_property_of_a_snapshot(z: Zfs) -> None:
    """A snapshot has its own and inherits its dataset's."""
    z.ok("set", "x:of=dataset", z.src)
    z.snap("s")
    assert z.where("x:of", f"{z.src}@s") == ("dataset", "-", "inherited from SRC")
    z.ok("set", "x:own=1", f"{z.src}@s")
    assert z.where("x:own", f"{z.src}@s") == ("1", "-", "local")
    assert z.where("x:own", z.src) == ("-", "-", "-")


def case_sources(z: Zfs) -> None:
    """``get -s`` filters by source."""
    z.tree("a")
    z.ok("set", "x:y=1", "compression=lz4", z.src)
    rows = z.lines(
        "get",
        "-H",
        "-r",
        "-t",
        "filesystem",
        "-s",
        "local",
        "-o",
        "name,property",
        "compression,x:y,readonly",
        z.src,
    )
    assert rows == [f"{z.src}\tcompression", f"{z.src}\tx:y"]
    rows = z.lines("get", "-H", "-s", "inherited", "-o", "name,source", "x:y", f"{z.src}/a")
    assert rows == [f"{z.src}/a\tinherited from {z.src}"]
    assert z.lines("get", "-H", "-s", "none", "-o", "name", "no:such", z.src) == [z.src]
    assert z.lines("get", "-H", "-s", "local,received", "-o", "name", "no:such", z.src) == []


def case_get_all_with_sources(z: Zfs) -> None:
    """``get all`` shows user properties after the native ones."""
    z.ok("set", "x:y=1", "atime=off", z.src)
    rows = z.lines("get", "-Hp", "-s", "local", "-o", "property,value", "all", z.src)
    assert rows == ["atime\toff", "x:y\t1"]


def case_inherit(z: Zfs) -> None:
    """Back to the parent's value; not for what cannot be inherited."""
    z.tree("a")
    z.ok("set", "compression=lz4", "x:y=up", z.src)
    z.ok("set", "compression=off", "x:y=down", f"{z.src}/a")
    z.ok("inherit", "compression", f"{z.src}/a")
    z.ok("inherit", "x:y", f"{z.src}/a")
    assert z.where("compression", f"{z.src}/a") == ("lz4", "-", "inherited from SRC")
    assert z.where("x:y", f"{z.src}/a") == ("up", "-", "inherited from SRC")
    said = z.run("inherit", "quota", z.src)
    assert said.status == 1
    assert said.err == (
        "'quota' property cannot be inherited\nuse 'zfs set quota=none' to clear\n"
        "use 'zfs inherit -S quota' to revert to received value\n"
    )
    said = z.run("inherit", "guid", z.src)
    assert (said.status, said.err) == (1, "guid property is read-only\n")
    said = z.run("inherit", "nope", z.src)
    assert (said.status, said.error) == (2, "invalid property 'nope'")


def case_inherit_below(z: Zfs) -> None:
    """``inherit -r`` takes it from the whole tree."""
    z.tree("a")
    z.ok("set", "x:y=1", z.src, f"{z.src}/a")
    z.ok("inherit", "-r", "x:y", z.src)
    assert z.lines("get", "-H", "-r", "-s", "local", "-o", "name", "x:y", z.src) == []


def case_quota(z: Zfs) -> None:
    """A size that is none: 0 with ``-p``, ``none`` without; the source stays local."""
    z.ok("set", "quota=100M", z.src)
    assert z.where("quota", z.src) == ("104857600", "-", "local")
    z.ok("set", "quota=none", z.src)
    assert z.where("quota", z.src) == ("0", "-", "local")
    assert z.ok("get", "-H", "-o", "value", "quota", z.src) == "none\n"
    z.ok("inherit", "-S", "quota", z.src)
    assert z.where("quota", z.src) == ("0", "-", "default")


def case_create_is_refused(z: Zfs) -> None:
    """The words of ``zfs_create`` and ``check_parents`` of libzfs."""
    z.ok("create", "-V", "8M", f"{z.src}/vol")
    for argv, name, fault in (
        ((), z.src, "dataset already exists"),
        ((), f"{z.src}/no/child", "parent does not exist"),
        ((), "nopool/x", "no such pool 'nopool'"),
        ((), f"{z.src}/vol/x", "parent is not a filesystem"),
        ((), f"{z.src}/a@b", "snapshot delimiter '@' is not expected here"),
        (("-o", "nope=1"), f"{z.src}/x", "invalid property 'nope'"),
        (("-o", "guid=1"), f"{z.src}/x", "'guid' is readonly"),
        (("-o", "volsize=8M"), f"{z.src}/x", "'volsize' does not apply to datasets of this type"),
    ):
        said = z.run("create", *argv, name)
        assert (said.status, said.err) == (1, f"cannot create '{name}': {fault}\n"), (argv, name)


def case_create_with_parents_and_properties(z: Zfs) -> None:
    """``-p`` makes what is missing; ``-o`` is local."""
    z.ok("create", "-p", "-o", "x:y=1", "-o", "mountpoint=none", f"{z.src}/a/b/c")
    assert z.names(z.src) == ["", "/a", "/a/b", "/a/b/c"]
    assert z.where("x:y", f"{z.src}/a/b/c") == ("1", "-", "local")
    assert z.value("mounted", f"{z.src}/a/b/c") == "no"
    assert z.value("mounted", f"{z.src}/a/b") == "yes"


def case_odd_names(z: Zfs) -> None:
    """Blanks, colons, dots, dashes and underscores are part of names."""
    name = f"{z.src}/with blank:colon.dot_under-dash"
    z.ok("create", name)
    z.ok("snapshot", f"{name}@2026-01-01T00:00:00Z")
    assert z.lines("list", "-H", "-r", "-t", "snapshot", "-o", "name", z.src) == [
        f"{name}@2026-01-01T00:00:00Z"
    ]
    z.ok("destroy", "-r", name)
    assert z.names(z.src) == [""]


def case_a_volume(z: Zfs) -> None:
    """Its size is a local property; a filesystem's properties are not its own."""
    z.ok("create", "-V", "8M", f"{z.src}/vol")
    z.ok("create", "-s", "-V", "8M", f"{z.src}/sparse")
    assert z.where("volsize", f"{z.src}/vol") == ("8388608", "-", "local")
    assert z.value("type", f"{z.src}/vol") == "volume"
    assert z.where("mountpoint", f"{z.src}/vol") == ("-", "-", "-")
    assert int(z.value("refreservation", f"{z.src}/vol")) >= 8388608
    assert z.where("refreservation", f"{z.src}/sparse") == ("0", "-", "default")


def case_mount_and_unmount(z: Zfs) -> None:
    """``mounted`` follows; doing it twice is an error."""
    assert z.value("mounted", z.src) == "yes"
    assert z.value("mounted", z.dst) == "no"
    z.ok("unmount", z.src)
    assert z.value("mounted", z.src) == "no"
    said = z.run("unmount", z.src)
    assert (said.status, said.err) == (1, f"cannot unmount '{z.src}': not currently mounted\n")
    z.ok("mount", z.src)
    said = z.run("mount", z.src)
    assert (said.status, said.err) == (1, f"cannot mount '{z.src}': filesystem already mounted\n")

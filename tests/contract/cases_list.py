# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs list`` and ``zfs get``: who is shown, in which order, in which form."""

from __future__ import annotations

from tests.contract.zfs import Zfs


def case_list_by_name_shows_the_others_too(z: Zfs) -> None:
    """Names that are missing go to stderr, the others are listed, exit 1. Measured on 2.1.11."""
    z.snap("one")
    said = z.run(
        "list",
        "-Hp",
        "-o",
        "name,guid",
        "-t",
        "snapshot",
        f"{z.src}@one",
        f"{z.src}@nope",
        f"{z.src}/missing@one",
    )
    assert said.status == 1
    assert said.out == f"{z.src}@one\t{z.value('guid', f'{z.src}@one')}\n"
    assert said.err == (
        f"cannot open '{z.src}@nope': dataset does not exist\n"
        f"cannot open '{z.src}/missing@one': dataset does not exist\n"
    )


def case_list_of_a_missing_dataset(z: Zfs) -> None:
    """``cannot open 'X': dataset does not exist``, exit 1 (facts file)."""
    said = z.run("list", "-H", f"{z.src}/gone")
    assert (said.status, said.out) == (1, "")
    assert said.err == f"cannot open '{z.src}/gone': dataset does not exist\n"


def case_list_goes_by_createtxg_within_a_dataset(z: Zfs) -> None:
    """Default order: datasets by name, each before its snapshots, those by age, not by name."""
    z.tree("b", "a")
    z.snap("zz")
    z.snap("aa")
    assert z.names(z.src) == ["", "@zz", "@aa", "/a", "/a@zz", "/a@aa", "/b", "/b@zz", "/b@aa"]


def case_list_sorted(z: Zfs) -> None:
    """``-s name`` compares whole names, ``-S createtxg`` is newest first, ties in default order."""
    z.tree("a")
    z.snap("zz")
    z.snap("aa")
    by_name = z.lines("list", "-H", "-o", "name", "-s", "name", "-t", "snapshot", "-r", z.src)
    assert by_name == [f"{z.src}{x}" for x in ("/a@aa", "/a@zz", "@aa", "@zz")]
    newest = z.lines("list", "-H", "-o", "name", "-S", "createtxg", "-t", "snapshot", "-r", z.src)
    assert newest == [f"{z.src}{x}" for x in ("@aa", "/a@aa", "@zz", "/a@zz")]


def case_list_types_and_depth(z: Zfs) -> None:
    """``-t`` chooses, ``-d`` limits; ``-t snapshot NAME`` alone means depth 1."""
    z.tree("a", "a/deep")
    z.ok("create", "-V", "8M", f"{z.src}/vol")
    z.snap("s")
    z.ok("bookmark", f"{z.src}@s", f"{z.src}#m")
    assert z.names(z.src, "volume") == ["/vol"]
    assert z.names(z.src, "bookmark") == ["#m"]
    assert z.lines("list", "-H", "-d", "1", "-o", "name", z.src) == [z.src, f"{z.src}/a", f"{z.src}/vol"]
    assert z.lines("list", "-H", "-o", "name", "-t", "snapshot", z.src) == [f"{z.src}@s"]
    assert z.lines("list", "-H", "-r", "-d", "1", "-o", "name", "-t", "snapshot", z.src) == [f"{z.src}@s"]


def case_list_without_types_shows_a_snapshot_only_by_name(z: Zfs) -> None:
    """``listsnapshots`` is off: ``-r`` shows none, but one that is named is shown."""
    z.snap("s")
    assert z.lines("list", "-H", "-r", "-o", "name", z.src) == [z.src]
    assert z.lines("list", "-H", "-o", "name", f"{z.src}@s") == [f"{z.src}@s"]


def case_list_of_the_wrong_type(z: Zfs) -> None:
    """Delimiters are judged by the types that are asked for."""
    z.snap("s")
    said = z.run("list", "-H", "-t", "filesystem", f"{z.src}@s")
    assert (said.status, said.err) == (
        1,
        f"cannot open '{z.src}@s': snapshot delimiter '@' is not expected here\n",
    )
    said = z.run("list", "-H", f"{z.src}#m")
    assert (said.status, said.err) == (
        1,
        f"cannot open '{z.src}#m': bookmark delimiter '#' is not expected here\n",
    )
    said = z.run("list", "-H", "-t", "nonsense", z.src)
    assert (said.status, said.error) == (2, "invalid type 'nonsense'")


def case_names_that_zfs_refuses(z: Zfs) -> None:
    """The words of ``zfs_validate_name`` of libzfs."""
    for name, fault in (
        (f"{z.src}//x", "empty component or misplaced '@' or '#' delimiter in name"),
        (f"{z.src}@", "empty component or misplaced '@' or '#' delimiter in name"),
        (f"{z.src}/", "trailing slash in name"),
        (f"{z.src}/a$b", "invalid character '$' in name"),
        (f"{z.src}@a@b", "multiple '@' and/or '#' delimiters in name"),
        (f"{z.src}/../x", "parent reference, '..' is found in name"),
        (f"{z.src}/./x", "self reference, '.' is found in name"),
        (f"{z.src}/{'x' * 256}", "name is too long"),
    ):
        said = z.run("list", "-H", name)
        assert (said.status, said.err) == (1, f"cannot open '{name}': {fault}\n"), name


def case_list_of_an_unknown_column(z: Zfs) -> None:
    """``snapshots_changed`` is not a property of 2.1; exit 2 with the usage (facts file)."""
    said = z.run("list", "-H", "-o", "no_such_thing", z.src)
    assert (said.status, said.error) == (2, "bad property list: invalid property 'no_such_thing'")


def case_list_of_nothing(z: Zfs) -> None:
    """No snapshots at all: nothing with ``-H``, exit 0."""
    said = z.run("list", "-H", "-t", "snapshot", "-o", "name", z.src)
    assert (said.status, said.out, said.err) == (0, "", "")
    said = z.run("list", "-t", "snapshot", "-o", "name", z.src)
    assert (said.status, said.out, said.err) == (0, "", "no datasets available\n")


def case_list_as_a_table(z: Zfs) -> None:
    """Without ``-H`` there is a heading, and columns are filled with blanks."""
    z.snap("s")
    guid = z.value("guid", f"{z.src}@s")
    lines = z.lines("list", "-o", "name,guid", "-t", "snapshot", z.src)
    assert [line.split() for line in lines] == [["NAME", "GUID"], [f"{z.src}@s", guid]]


def case_written_and_used(z: Zfs) -> None:
    """A snapshot's ``written`` is what came since the one before; a dataset's, since its newest."""
    z.write(z.src, "file", 300_000)
    z.snap("one")
    z.snap("two")
    assert int(z.value("written", f"{z.src}@one")) >= 300_000
    assert int(z.value("written", f"{z.src}@two")) == 0
    z.write(z.src, "more", 200_000)
    assert int(z.value("referenced", f"{z.src}@one")) < 500_000
    z.snap("three")
    assert 200_000 <= int(z.value("written", f"{z.src}@three")) < 400_000


def case_createtxg_and_guid(z: Zfs) -> None:
    """One transaction is one createtxg; every GUID is its own; both are kept by a rename."""
    z.tree("a")
    z.snap("one")
    z.snap("two")
    rows = [
        line.split("\t")
        for line in z.lines("list", "-Hp", "-r", "-t", "snapshot", "-o", "name,guid,createtxg", z.src)
    ]
    txg = {name: int(number) for name, _, number in rows}
    assert txg[f"{z.src}@one"] == txg[f"{z.src}/a@one"] < txg[f"{z.src}@two"]
    assert len({guid for _, guid, _ in rows}) == 4
    z.ok("rename", f"{z.src}@one", "first")
    assert z.value("guid", f"{z.src}@first") == rows[0][1]
    assert int(z.value("createtxg", f"{z.src}@first")) == txg[f"{z.src}@one"]


def case_get_several_of_several(z: Zfs) -> None:
    """``get a,b x y``: one row for each; missing names to stderr, exit 1."""
    z.snap("s")
    said = z.run(
        "get", "-H", "-o", "name,property,value,source", "type,readonly", z.src, f"{z.src}@s", f"{z.src}/gone"
    )
    assert said.status == 1
    assert said.err == f"cannot open '{z.src}/gone': dataset does not exist\n"
    assert said.out == (
        f"{z.src}\ttype\tfilesystem\t-\n{z.src}\treadonly\toff\tdefault\n"
        f"{z.src}@s\ttype\tsnapshot\t-\n{z.src}@s\treadonly\t-\t-\n"
    )


def case_get_recursive_by_type(z: Zfs) -> None:
    """``get -r -t filesystem,volume`` leaves snapshots out; ``-r`` alone does not."""
    z.tree("a")
    z.snap("s")
    rows = z.lines(
        "get", "-Hp", "-r", "-t", "filesystem,volume", "-o", "name,value", "receive_resume_token", z.src
    )
    assert rows == [f"{z.src}\t-", f"{z.src}/a\t-"]
    rows = z.lines("get", "-H", "-r", "-o", "name", "type", z.src)
    assert rows == [z.src, f"{z.src}@s", f"{z.src}/a", f"{z.src}/a@s"]


def case_get_of_an_unknown_property(z: Zfs) -> None:
    """A native name that does not exist: exit 2; a user property that does not: ``-``."""
    said = z.run("get", "nonsense", z.src)
    assert (said.status, said.error) == (2, "bad property list: invalid property 'nonsense'")
    assert z.ok("get", "-H", "-o", "value,source", "no:such", z.src) == "-\t-\n"


def case_get_of_a_bookmark(z: Zfs) -> None:
    """A bookmark has a few properties; one that is missing has a message of its own."""
    z.snap("s")
    z.ok("bookmark", f"{z.src}@s", "#m")
    assert z.value("guid", f"{z.src}#m") == z.value("guid", f"{z.src}@s")
    assert z.value("createtxg", f"{z.src}#m") == z.value("createtxg", f"{z.src}@s")
    assert z.value("written", f"{z.src}#m") == "-"
    said = z.run("get", "-H", "guid", f"{z.src}#gone")
    assert (said.status, said.err) == (1, f"cannot open '{z.src}#gone': no such pool or dataset\n")


def case_an_unknown_command_or_option(z: Zfs) -> None:
    """Exit 2 and one line before the usage."""
    said = z.run("frobnicate")
    assert (said.status, said.error) == (2, "unrecognized command 'frobnicate'")
    said = z.run("list", "-Z")
    assert (said.status, said.error) == (2, "invalid option 'Z'")


def case_version(z: Zfs) -> None:
    """Two lines, of the tools and of the module."""
    tools, module = z.lines("version")
    assert tools.startswith("zfs-")
    assert module == tools.replace("zfs-", "zfs-kmod-", 1)

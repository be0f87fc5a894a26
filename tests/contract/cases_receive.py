# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs receive``: what it refuses, and what becomes of properties."""

from __future__ import annotations

from tests.contract.zfs import Zfs


def case_receive_of_nothing(z: Zfs) -> None:
    """No stream, too little of one, or something else."""
    for data, fault in (
        (b"", "failed to read from stream"),
        (b"some words", "failed to read from stream"),
        (bytes(1000), "invalid stream (bad magic number)"),
        (b"x" * 1000, "invalid stream (bad magic number)"),
    ):
        said = z.feed(data, "-s", "-u", f"{z.dst}/new")
        assert (said.status, said.err) == (1, f"cannot receive: {fault}\n")
    assert z.names(z.dst) == [""]


def case_receive_where_a_dataset_stands(z: Zfs) -> None:
    """A full stream never overwrites without ``-F`` (facts file)."""
    z.snap("s")
    z.copy((f"{z.src}@s",), ("-u", f"{z.dst}/t"))
    said = z.pipe((f"{z.src}@s",), ("-s", "-u", f"{z.dst}/t"))
    assert said.status == 1
    assert said.err == (
        f"cannot receive new filesystem stream: destination '{z.dst}/t' exists\n"
        "must specify -F to overwrite it\n"
    )
    said = z.pipe((f"{z.src}@s",), ("-s", "-u", "-F", f"{z.dst}/t"))
    assert said.err == (
        f"cannot receive new filesystem stream: destination has snapshots (eg. {z.dst}/t@s)\n"
        "must destroy them to overwrite it\n"
    )


def case_receive_without_a_parent(z: Zfs) -> None:
    """Missing parents are not made; a missing pool has no message of its own."""
    z.snap("s")
    for target, lines in (
        (
            f"{z.dst}/no/t",
            f"cannot open '{z.dst}/no': dataset does not exist\n"
            "cannot receive new filesystem stream: unable to restore to destination\n",
        ),
        (
            "nopool/t",
            "cannot open 'nopool': dataset does not exist\n"
            "cannot receive new filesystem stream: unable to restore to destination\n",
        ),
        ("nopool", "cannot receive new filesystem stream: destination 'nopool' does not exist\n"),
    ):
        for options in ((), ("-w", "-p")):
            said = z.pipe((*options, f"{z.src}@s"), ("-s", "-u", target))
            assert (said.status, said.err) == (1, lines), options


def case_receive_below_a_volume(z: Zfs) -> None:
    """Not possible."""
    z.ok("create", "-s", "-V", "8M", f"{z.dst}/vol")
    z.snap("s")
    said = z.pipe((f"{z.src}@s",), ("-u", f"{z.dst}/vol/t"))
    assert (said.status, said.err) == (
        1,
        f"cannot receive new filesystem stream: parent '{z.dst}/vol' is not a filesystem\n",
    )


def case_receive_an_increment_without_its_base(z: Zfs) -> None:
    """The receiver lacks the dataset, or has another one."""
    z.tree("a")
    z.snap("one")
    z.snap("two")
    z.copy((f"{z.src}/a@one",), ("-u", f"{z.dst}/t"))
    said = z.pipe(("-i", "@one", f"{z.src}@two"), ("-s", "-u", f"{z.dst}/gone"))
    assert (said.status, said.err) == (
        1,
        f"cannot receive incremental stream: destination '{z.dst}/gone' does not exist\n",
    )
    said = z.pipe(("-i", "@one", f"{z.src}@two"), ("-s", "-u", f"{z.dst}/t"))
    assert (said.status, said.err) == (
        1,
        f"cannot receive incremental stream: most recent snapshot of {z.dst}/t does not\n"
        "match incremental source\n",
    )


def case_receive_where_data_changed(z: Zfs) -> None:
    """Changed data stops an increment without ``-F``; a foreign snapshot alone does not (facts file)."""
    z.write(z.src, "file", 100_000)
    z.snap("one")
    z.snap("two")
    z.snap("three")
    z.copy((f"{z.src}@one",), ("-u", f"{z.dst}/t"))
    z.ok("snapshot", f"{z.dst}/t@foreign")
    z.copy(("-i", "@one", f"{z.src}@two"), ("-s", "-u", f"{z.dst}/t"))
    assert z.names(f"{z.dst}/t") == ["", "@one", "@foreign", "@two"]
    z.ok("set", f"mountpoint=/{z.dst}/t", f"{z.dst}/t")
    z.run("mount", f"{z.dst}/t")
    z.write(f"{z.dst}/t", "intruder", 50_000)
    z.ok("unmount", f"{z.dst}/t")
    said = z.pipe(("-i", "@two", f"{z.src}@three"), ("-s", "-u", f"{z.dst}/t"))
    assert (said.status, said.err) == (
        1,
        f"cannot receive incremental stream: destination {z.dst}/t has been modified\n"
        "since most recent snapshot\n",
    )
    z.copy(("-i", "@two", f"{z.src}@three"), ("-s", "-u", "-F", f"{z.dst}/t"))
    assert z.names(f"{z.dst}/t") == ["", "@one", "@foreign", "@two", "@three"]


def case_receive_force_destroys_what_is_newer(z: Zfs) -> None:
    """``receive -F`` of an increment rolls back: snapshots above the base are gone."""
    z.snap("one")
    z.snap("two")
    z.copy((f"{z.src}@one",), ("-u", f"{z.dst}/t"))
    z.ok("snapshot", f"{z.dst}/t@foreign")
    z.copy(("-i", "@one", f"{z.src}@two"), ("-u", "-F", f"{z.dst}/t"))
    assert z.names(f"{z.dst}/t") == ["", "@one", "@two"]


def case_receive_a_name_that_is_taken(z: Zfs) -> None:
    """Same name, other GUID: refused."""
    z.snap("one")
    z.snap("two")
    z.copy((f"{z.src}@one",), ("-u", f"{z.dst}/t"))
    z.ok("snapshot", f"{z.dst}/t@two")
    said = z.pipe(("-i", "@one", f"{z.src}@two"), ("-s", "-u", f"{z.dst}/t"))
    assert (said.status, said.err) == (1, f"cannot restore to {z.dst}/t@two: destination already exists\n")


def case_receive_into_another_name(z: Zfs) -> None:
    """``target@snap`` renames; ``-e`` keeps the last part of the path, ``-d`` all but the pool."""
    z.tree("a")
    z.snap("s")
    z.copy((f"{z.src}/a@s",), ("-u", f"{z.dst}/t@other"))
    assert z.names(f"{z.dst}/t") == ["", "@other"]
    said = z.pipe(("-R", f"{z.src}@s"), ("-u", f"{z.dst}/x@other"))
    assert (said.status, said.err) == (
        1,
        "cannot receive: cannot specify snapshot name for multi-snapshot stream\n",
    )
    z.copy((f"{z.src}/a@s",), ("-u", "-e", z.dst))
    assert z.guids(f"{z.dst}/a") == {"@s": z.value("guid", f"{z.src}/a@s")}
    z.copy((f"{z.src}/a@s",), ("-u", "-d", z.dst))
    below = z.src.partition("/")[2]
    assert z.guids(f"{z.dst}/{below}/a") == {"@s": z.value("guid", f"{z.src}/a@s")}
    said = z.pipe((f"{z.src}/a@s",), ("-u", "-d", f"{z.dst}/gone"))
    assert (said.status, said.err) == (1, f"cannot receive: specified fs ({z.dst}/gone) does not exist\n")


def case_receive_dry_run(z: Zfs) -> None:
    """``-nv`` says what it would do, and does nothing."""
    z.snap("s")
    said = z.pipe((f"{z.src}@s",), ("-n", "-v", f"{z.dst}/t"))
    assert (said.status, said.out) == (0, f"would receive full stream of {z.src}@s into {z.dst}/t@s\n")
    assert z.names(z.dst) == [""]


def case_receive_properties_that_never_can_be(z: Zfs) -> None:
    """Unknown, read-only, given twice. 2.3 stammers."""
    refused = "cannot receive: " * (2 if z.newer else 1)
    z.snap("s")
    for options, status, line in (
        (("-o", "nope=1"), 1, f"{refused}invalid property 'nope'"),
        (("-x", "nope"), 1, f"{refused}invalid property 'nope'"),
        (("-o", "guid=1"), 1, f"{refused}invalid property 'guid'"),
        (("-o", "readonly=on", "-o", "readonly=off"), 2, "property 'readonly' specified multiple times"),
        (("-o", "readonly=on", "-x", "readonly"), 2, "property 'readonly' specified multiple times"),
    ):
        said = z.pipe((f"{z.src}@s",), ("-u", *options, f"{z.dst}/t"))
        assert (said.status, said.error) == (status, line)


def _rich_source(z: Zfs) -> None:
    z.tree("a", "a/g", "b")
    z.ok("create", "-s", "-V", "8M", f"{z.src}/v")
    z.ok("set", "x:y=secret", "x:n=plain", "compression=lz4", "quota=100M", z.src)
    z.ok("set", "x:y=child", "canmount=noauto", f"{z.src}/a")
    z.ok("set", "sharenfs=off", f"{z.src}/b")
    z.snap("s")


def case_receive_override_and_exclude_on_a_tree(z: Zfs) -> None:
    """``-o`` is local at the top and inherited below; ``-x`` keeps the value off root and children.

    The received value of an inheritable property stays on record; one that cannot be inherited is
    not even recorded. Measured on 2.1.11.
    """
    _rich_source(z)
    z.copy(
        ("-w", "-R", f"{z.src}@s"),
        (
            "-s",
            "-u",
            "-o",
            "mountpoint=none",
            "-o",
            "readonly=on",
            "-x",
            "canmount",
            "-x",
            "sharenfs",
            "-x",
            "quota",
            "-o",
            "volmode=none",
            "-x",
            "x:y",
            f"{z.dst}/t",
        ),
    )
    top = f"{z.dst}/t"
    assert z.where("x:y", top) == ("-", "secret", "-")
    assert z.where("x:y", f"{top}/a") == ("-", "child", "-")
    assert z.where("x:y", f"{top}/a/g") == ("-", "-", "-")
    assert z.where("x:n", top) == ("plain", "plain", "received")
    assert z.where("x:n", f"{top}/a") == ("plain", "-", "inherited from DST/t")
    assert z.where("compression", top) == ("lz4", "lz4", "received")
    assert z.where("quota", top) == ("0", "-", "default")
    assert z.where("canmount", f"{top}/a") == ("on", "-", "default")
    assert z.where("sharenfs", f"{top}/b") == ("off", "off", "default")
    for child in ("a", "a/g", "b"):
        assert z.where("readonly", f"{top}/{child}") == ("on", "-", "inherited from DST/t")
        assert z.where("mountpoint", f"{top}/{child}") == ("none", "-", "inherited from DST/t")
    assert z.where("volmode", f"{top}/v") == ("none", "-", "inherited from DST/t")
    assert z.where("readonly", top) == ("on", "-", "local")
    rows = z.lines(
        "get",
        "-Hp",
        "-r",
        "-t",
        "filesystem,volume",
        "-s",
        "local,received",
        "-o",
        "name,property,value",
        "x:y,x:n,readonly,compression",
        top,
    )
    assert rows == [f"{top}\tx:n\tplain", f"{top}\treadonly\ton", f"{top}\tcompression\tlz4"]


def case_receive_exclude_on_a_volume_warns(z: Zfs) -> None:
    """``-x`` of a filesystem's property: a warning, exit 0 (facts file); ``-o`` alone: refused."""
    z.ok("create", "-s", "-V", "8M", f"{z.src}/v")
    z.snap("s")
    said = z.pipe((f"{z.src}/v@s",), ("-u", "-x", "mountpoint", f"{z.dst}/v"))
    assert (said.status, said.err) == (
        0,
        f"Warning: {z.dst}/v: property 'mountpoint' does not apply to datasets of this type\n",
    )
    said = z.pipe((f"{z.src}/v@s",), ("-u", "-o", "mountpoint=none", f"{z.dst}/w"))
    assert (said.status, said.err) == (
        1,
        "cannot receive new filesystem stream: property 'mountpoint' does not apply to datasets of "
        "this type\n",
    )
    z.copy(("-R", f"{z.src}/v@s"), ("-u", "-o", "mountpoint=none", f"{z.dst}/x"))
    assert z.value("volsize", f"{z.dst}/x") == "8388608"


def case_receive_properties_replace_those_before(z: Zfs) -> None:
    """The properties of a stream replace all that were received before; local ones win."""
    z.tree("a")
    z.ok("set", "x:a=1", "x:b=1", z.src)
    z.snap("one")
    z.copy(("-R", f"{z.src}@one"), ("-u", f"{z.dst}/t"))
    z.ok("set", "x:local=here", f"{z.dst}/t")
    z.ok("set", "x:a=2", z.src)
    z.ok("inherit", "x:b", z.src)
    z.snap("two")
    z.copy(("-R", "-I", "@one", f"{z.src}@two"), ("-s", "-u", f"{z.dst}/t"))
    assert z.where("x:a", f"{z.dst}/t") == ("2", "2", "received")
    assert z.where("x:b", f"{z.dst}/t") == ("-", "-", "-")
    assert z.where("x:local", f"{z.dst}/t") == ("here", "-", "local")


def case_receive_without_properties_leaves_them_alone(z: Zfs) -> None:
    """A plain ``send -I`` brings none: what was received stays; ``-o`` and ``-x`` still count."""
    z.ok("set", "x:a=1", "x:b=1", z.src)
    z.snap("one")
    z.copy(("-p", f"{z.src}@one"), ("-u", "-o", "readonly=on", f"{z.dst}/t"))
    z.ok("set", "x:a=2", z.src)
    z.snap("two")
    z.copy(("-w", "-I", "@one", f"{z.src}@two"), ("-s", "-u", "-x", "x:b", "-o", "x:new=5", f"{z.dst}/t"))
    assert z.where("x:a", f"{z.dst}/t") == ("1", "1", "received")
    assert z.where("x:b", f"{z.dst}/t") == ("-", "1", "-")
    assert z.where("x:new", f"{z.dst}/t") == ("5", "-", "local")
    assert z.where("readonly", f"{z.dst}/t") == ("on", "-", "local")


def case_inherit_of_a_received_property(z: Zfs) -> None:
    """``inherit`` hides the received value, ``-S`` goes back to it."""
    z.ok("set", "x:n=theirs", z.src)
    z.snap("s")
    z.copy(("-p", f"{z.src}@s"), ("-u", f"{z.dst}/t"))
    z.ok("set", "x:n=mine", f"{z.dst}/t")
    assert z.where("x:n", f"{z.dst}/t") == ("mine", "theirs", "local")
    z.ok("inherit", "x:n", f"{z.dst}/t")
    assert z.where("x:n", f"{z.dst}/t") == ("-", "theirs", "-")
    z.ok("inherit", "-S", "x:n", f"{z.dst}/t")
    assert z.where("x:n", f"{z.dst}/t") == ("theirs", "theirs", "received")


def case_exclude_before_any_property_was_received(z: Zfs) -> None:
    """A dataset that never received properties keeps no mark of ``-x``."""
    z.snap("one")
    z.copy((f"{z.src}@one",), ("-u", "-x", "x:n", f"{z.dst}/t"))
    z.ok("set", "x:n=later", z.src)
    z.snap("two")
    z.copy(("-R", "-I", "@one", f"{z.src}@two"), ("-u", f"{z.dst}/t"))
    assert z.where("x:n", f"{z.dst}/t") == ("later", "later", "received")


def case_exclude_lasts(z: Zfs) -> None:
    """Once properties were received, the mark of ``-x`` outlives streams that come without it."""
    z.ok("set", "x:n=first", z.src)
    z.snap("one")
    z.copy(("-R", f"{z.src}@one"), ("-u", "-x", "x:n", f"{z.dst}/t"))
    z.ok("set", "x:n=second", z.src)
    z.snap("two")
    z.copy(("-R", "-I", "@one", f"{z.src}@two"), ("-u", f"{z.dst}/t"))
    assert z.where("x:n", f"{z.dst}/t") == ("-", "second", "-")


def case_exclude_of_a_limit_changes_sides(z: Zfs) -> None:
    """``-x`` keeps a limit on space off a new dataset; in later streams it lets it in every second time.

    So 2.1: there only a value that was set on the copy stays. 2.3 keeps it off every time. ``canmount``,
    which cannot be inherited either, is kept off.
    """
    z.ok("create", "-o", "quota=20M", "-o", "refreservation=5M", "-o", "canmount=noauto", f"{z.src}/f")
    for number in range(1, 7):
        z.ok("snapshot", f"{z.src}/f@{number}")
    copy = f"{z.dst}/t"
    exclude = ("-u", "-x", "canmount", "-x", "quota", "-x", "refreservation", copy)

    def shown() -> list[str]:
        assert z.where("canmount", copy)[:2] in (("on", "-"), ("on", "noauto"))
        return [z.value(name, copy) for name in ("quota", "refreservation")]

    def more(since: int, *options: str) -> list[str]:
        z.copy(("-w", *options, "-I", f"@{since}", f"{z.src}/f@{since + 1}"), exclude)
        return shown()

    z.copy(("-w", "-R", f"{z.src}/f@1"), exclude)
    assert shown() == ["0", "0"]
    assert more(1, "-R") == (["0", "0"] if z.newer else ["20971520", "5242880"])
    assert more(2, "-p") == ["0", "0"]
    assert more(3) == ["0", "0"]
    assert z.where("quota", copy) == ("0", "-", "default")
    z.ok("set", "quota=none", "refreservation=none", copy)
    assert more(4, "-R") == ["0", "0"]
    assert z.where("quota", copy) == ("0", "20971520", "local")
    assert more(5, "-p") == ["0", "0"]
    assert z.where("refreservation", copy) == ("0", "5242880", "local")


def case_receive_snapshot_properties(z: Zfs) -> None:
    """A snapshot's own properties travel with ``-R`` and are received; holds do not travel."""
    z.ok("snapshot", "-o", "x:why=test", f"{z.src}@s")
    z.ok("hold", "keep", f"{z.src}@s")
    z.copy(("-R", f"{z.src}@s"), ("-u", f"{z.dst}/t"))
    assert z.where("x:why", f"{z.dst}/t@s") == ("test", "test", "received")
    assert z.value("userrefs", f"{z.dst}/t@s") == "0"
    z.ok("release", "keep", f"{z.src}@s")


def case_send_received_values_back(z: Zfs) -> None:
    """``send -p`` sends what counts, ``send -b`` what was received."""
    z.ok("set", "x:n=theirs", z.src)
    z.snap("s")
    z.copy(("-p", f"{z.src}@s"), ("-u", "-o", "x:mine=1", f"{z.dst}/t"))
    z.ok("set", "x:n=mine", f"{z.dst}/t")
    z.copy(("-p", f"{z.dst}/t@s"), ("-u", f"{z.src}/p"))
    z.copy(("-b", f"{z.dst}/t@s"), ("-u", f"{z.src}/b"))
    assert z.value("x:n", f"{z.src}/p") == "mine"
    assert z.value("x:mine", f"{z.src}/p") == "1"
    assert z.value("x:n", f"{z.src}/b") == "theirs"
    assert z.value("x:mine", f"{z.src}/b") == "-"

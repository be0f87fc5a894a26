# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams that break, and what is left of them. These cases also run on the executable."""

from __future__ import annotations

from tests.contract.zfs import Zfs

BIG = 600_000
CORRUPT = "cannot resume send: resume token is corrupt"
_INVALID = "cannot receive resume stream: kernel modules must be upgraded to receive this stream.\n"


def _cut_full(z: Zfs, *options: str) -> str:
    """A full stream of the source's ``@one``, cut in its middle; answers the token."""
    z.write(z.src, "file", BIG)
    z.snap("one")
    said = z.pipe((*options, f"{z.src}@one"), ("-s", "-u", f"{z.dst}/t"), cut=0.6)
    token = z.token(f"{z.dst}/t")
    assert said.status == 1
    assert said.err == (
        "cannot receive new filesystem stream: checksum mismatch or incomplete stream.\n"
        "Partially received snapshot is saved.\n"
        "A resuming stream can be generated on the sending system by running:\n"
        f"    zfs send -t {token}\n"
    )
    return token


def case_a_cut_full_stream(z: Zfs) -> None:
    """The dataset is there with a token and no snapshot; the resumed stream finishes it (facts file)."""
    token = _cut_full(z)
    assert z.names(f"{z.dst}/t") == [""]
    piped = z.join([("-t", token)], [("-s", "-u", f"{z.dst}/t")])
    assert (piped.sends[0].status, piped.receive) == (0, type(piped.receive)(0, "", ""))
    assert z.guids(f"{z.dst}/t") == z.guids(z.src)
    assert z.token(f"{z.dst}/t") == "-"


def case_what_a_token_says(z: Zfs) -> None:
    """``send -nvt``: the token's contents, then the estimate of what is left, on stdout."""
    token = _cut_full(z)
    lines = z.lines("send", "-nvt", token)
    assert lines[:2] == ["resume token contents:", "nvlist version: 0"]
    told = dict(line.strip().split(" = ") for line in lines[2:-2])
    assert set(told) == {"object", "offset", "bytes", "toguid", "toname"}
    assert told["toname"] == f"{z.src}@one"
    assert int(told["toguid"], 16) == int(z.value("guid", f"{z.src}@one"))
    assert 0 < int(told["bytes"], 16) < BIG
    assert lines[-2].startswith(f"full send of {z.src}@one estimated size is ")
    assert lines[-1].startswith("total estimated size is ")
    parsed = z.lines("send", "-nvPt", token)
    assert parsed[-2].split("\t")[:2] == ["full", f"{z.src}@one"]
    assert 0 < int(parsed[-1].split("\t")[1]) < BIG


def case_the_flags_in_a_token(z: Zfs) -> None:
    """``-w`` of what is not encrypted: compressed and embedded are remembered, raw is not."""
    token = _cut_full(z, "-w")
    lines = [line.strip() for line in z.lines("send", "-nvt", token)]
    assert "compressok = 1" in lines
    assert "embedok = 1" in lines
    assert "rawok = 1" not in lines


def case_a_cut_increment(z: Zfs) -> None:
    """The token sits on the dataset, whose last snapshot stays; its source is told as fromguid."""
    z.write(z.src, "file", BIG)
    z.snap("one")
    z.copy((f"{z.src}@one",), ("-u", f"{z.dst}/t"))
    z.write(z.src, "file", BIG)
    z.snap("two")
    said = z.pipe(("-I", "@one", f"{z.src}@two"), ("-s", "-u", f"{z.dst}/t"), cut=0.5)
    assert said.status == 1
    assert said.err.startswith("cannot receive incremental stream: checksum mismatch or incomplete stream.\n")
    assert z.names(f"{z.dst}/t") == ["", "@one"]
    token = z.token(f"{z.dst}/t")
    lines = [line.strip() for line in z.lines("send", "-nvt", token)]
    assert f"fromguid = {int(z.value('guid', f'{z.src}@one')):#x}" in lines
    assert any(line.startswith(f"send from {z.src}@one to {z.src}@two") for line in lines)
    z.copy(("-t", token), ("-s", "-u", f"{z.dst}/t"))
    assert z.guids(f"{z.dst}/t") == z.guids(z.src)


def case_a_stream_cut_in_a_later_snapshot(z: Zfs) -> None:
    """``-I`` of several: those before the cut are whole, the token is for the one in flight."""
    z.snap("zero")
    z.copy((f"{z.src}@zero",), ("-u", f"{z.dst}/t"))
    for name in ("one", "two"):
        z.write(z.src, name, BIG)
        z.snap(name)
    said = z.pipe(("-I", "@zero", f"{z.src}@two"), ("-s", "-u", f"{z.dst}/t"), cut=0.75)
    assert said.status == 1
    assert z.names(f"{z.dst}/t") == ["", "@zero", "@one"]
    z.copy(("-t", z.token(f"{z.dst}/t")), ("-s", "-u", f"{z.dst}/t"))
    assert z.guids(f"{z.dst}/t") == z.guids(z.src)


def case_a_stream_cut_before_its_first_record(z: Zfs) -> None:
    """No token, nothing is made (facts file)."""
    z.write(z.src, "file", BIG)
    z.snap("one")
    said = z.pipe((f"{z.src}@one",), ("-s", "-u", f"{z.dst}/t"), cut=0.0002)
    assert (said.status, said.err) == (1, "cannot receive: failed to read from stream\n")
    assert z.names(z.dst) == [""]


def case_a_cut_stream_without_s(z: Zfs) -> None:
    """Without ``-s`` nothing is kept. 2.3 looks for the top of a raw package that broke off, and says so."""
    z.write(z.src, "file", BIG)
    z.snap("one")
    broken = "cannot receive new filesystem stream: incomplete stream\n"
    for options in ((), ("-w",), ("-p",), ("-w", "-p"), ("-w", "-R")):
        said = z.pipe((*options, f"{z.src}@one"), ("-u", f"{z.dst}/t"), cut=0.6)
        raw_package = len(options) == 2
        look = f"cannot open '{z.dst}/t': dataset does not exist\n" if z.newer and raw_package else ""
        assert (said.status, said.err) == (1, broken + look), options
        assert z.names(z.dst) == [""]


def case_a_resumed_stream_that_breaks_again(z: Zfs) -> None:
    """The new token goes further, and finishes."""
    token = _cut_full(z)
    said = z.pipe(("-t", token), ("-s", "-u", f"{z.dst}/t"), cut=0.7)
    assert said.status == 1
    assert said.err.startswith("cannot receive resume stream: checksum mismatch or incomplete stream.\n")
    later = z.token(f"{z.dst}/t")
    assert later not in ("-", token)
    said = z.pipe(("-t", token), ("-s", "-u", f"{z.dst}/t"))
    assert (said.status, said.err) == (1, _INVALID)
    z.copy(("-t", later), ("-s", "-u", f"{z.dst}/t"))
    assert z.guids(f"{z.dst}/t") == z.guids(z.src)


def case_other_streams_while_a_token_waits(z: Zfs) -> None:
    """They are refused until it is resumed or aborted."""
    z.write(z.src, "file", BIG)
    z.snap("one")
    z.copy((f"{z.src}@one",), ("-u", f"{z.dst}/t"))
    z.write(z.src, "file", BIG)
    z.snap("two")
    z.pipe(("-I", "@one", f"{z.src}@two"), ("-s", "-u", f"{z.dst}/t"), cut=0.5)
    said = z.pipe(("-I", "@one", f"{z.src}@two"), ("-s", "-u", f"{z.dst}/t"))
    assert (said.status, said.err) == (
        1,
        f"cannot receive incremental stream: destination {z.dst}/t contains partially-complete "
        'state from "zfs receive -s".\n',
    )
    z.ok("receive", "-A", f"{z.dst}/t")
    assert z.token(f"{z.dst}/t") == "-"
    z.copy(("-I", "@one", f"{z.src}@two"), ("-s", "-u", f"{z.dst}/t"))
    assert z.guids(f"{z.dst}/t") == z.guids(z.src)


def case_a_full_stream_onto_a_partial_one(z: Zfs) -> None:
    """The dataset stands in its way, with ``-F`` the state does."""
    _cut_full(z)
    said = z.pipe((f"{z.src}@one",), ("-s", "-u", f"{z.dst}/t"))
    assert said.err == (
        f"cannot receive new filesystem stream: destination '{z.dst}/t' exists\n"
        "must specify -F to overwrite it\n"
    )
    said = z.pipe((f"{z.src}@one",), ("-s", "-u", "-F", f"{z.dst}/t"))
    assert said.err == (
        f"cannot receive new filesystem stream: destination {z.dst}/t contains "
        'partially-complete state from "zfs receive -s".\n'
    )


def case_abort(z: Zfs) -> None:
    """``receive -A``: a new dataset goes with its state; where there is none, an error."""
    _cut_full(z)
    z.ok("receive", "-A", f"{z.dst}/t")
    assert z.names(z.dst) == [""]
    z.copy((f"{z.src}@one",), ("-u", f"{z.dst}/t"))
    said = z.run("receive", "-A", f"{z.dst}/t")
    assert (said.status, said.err) == (1, f"'{z.dst}/t' does not have any resumable receive state to abort\n")
    said = z.run("receive", "-A", f"{z.dst}/gone")
    assert (said.status, said.error) == (2, f"cannot open '{z.dst}/gone': dataset does not exist")


def case_tokens_that_mean_nothing(z: Zfs) -> None:
    """Exit 255, and why."""
    token = _cut_full(z)
    for bad, why in (
        ("nonsense", "(invalid format)"),
        ("2" + token[1:], "(invalid version 2)"),
        ("1-abc-10-00", "(incorrect checksum)"),
    ):
        said = z.run("send", "-nvt", bad)
        assert (said.status, said.err) == (255, f"{CORRUPT} {why}\n")


def case_a_token_whose_snapshot_is_gone(z: Zfs) -> None:
    """Gone, or made anew under its old name: exit 255; a rename does no harm."""
    token = _cut_full(z)
    z.ok("rename", f"{z.src}@one", "renamed")
    assert f"full send of {z.src}@renamed" in z.ok("send", "-nvt", token)
    z.ok("destroy", f"{z.src}@renamed")
    said = z.run("send", "-nvt", token)
    assert (said.status, said.err) == (
        255,
        f"cannot resume send: '{z.src}@one' used in the initial send no longer exists\n",
    )
    z.snap("one")
    said = z.run("send", "-nvt", token)
    assert (said.status, said.err) == (
        255,
        f"cannot resume send: '{z.src}@one' is no longer the same snapshot used in the initial send\n",
    )


def case_a_token_whose_base_is_gone(z: Zfs) -> None:
    """Exit 255; a bookmark of the base is enough."""
    z.snap("one")
    z.copy((f"{z.src}@one",), ("-u", f"{z.dst}/t"))
    z.write(z.src, "file", BIG)
    z.snap("two")
    z.pipe(("-i", "@one", f"{z.src}@two"), ("-s", "-u", f"{z.dst}/t"), cut=0.5)
    token = z.token(f"{z.dst}/t")
    guid = int(z.value("guid", f"{z.src}@one"))
    z.ok("bookmark", f"{z.src}@one", "#m")
    z.ok("destroy", f"{z.src}@one")
    assert f"send from {z.src}#m to {z.src}@two" in z.ok("send", "-nvt", token)
    z.ok("destroy", f"{z.src}#m")
    said = z.run("send", "-nvt", token)
    assert (said.status, said.err) == (
        255,
        f"cannot resume send: incremental source {guid:#x} no longer exists\n",
    )


def case_a_resumed_stream_without_its_state(z: Zfs) -> None:
    """The receiver has finished, or never began."""
    token = _cut_full(z)
    z.copy(("-t", token), ("-s", "-u", f"{z.dst}/t"))
    said = z.pipe(("-t", token), ("-s", "-u", f"{z.dst}/t"))
    there = (
        f"cannot receive resume stream: Resuming recv on existing destination '{z.dst}/t'\n"
        "must specify -F to overwrite it\n"
    )
    assert (said.status, said.err) == (1, there if z.newer else _INVALID)
    said = z.pipe(("-t", token), ("-s", "-u", f"{z.dst}/gone"))
    assert (said.status, said.err) == (
        1,
        f"cannot receive resume stream: destination '{z.dst}/gone' does not exist\n",
    )


def case_a_resumed_increment_without_its_state(z: Zfs) -> None:
    """The receiver has finished: in the same words in 2.1 and 2.3."""
    z.snap("one")
    z.copy((f"{z.src}@one",), ("-u", f"{z.dst}/t"))
    z.write(z.src, "file", BIG)
    z.snap("two")
    z.pipe(("-i", "@one", f"{z.src}@two"), ("-s", "-u", f"{z.dst}/t"), cut=0.5)
    token = z.token(f"{z.dst}/t")
    z.copy(("-t", token), ("-s", "-u", f"{z.dst}/t"))
    said = z.pipe(("-t", token), ("-s", "-u", f"{z.dst}/t"))
    assert (said.status, said.err) == (1, _INVALID)


def case_a_tree_cut_in_a_child(z: Zfs) -> None:
    """What is finished is whole, the child in flight has the token and its properties, the rest is not there.

    The rest must go dataset by dataset: the package is refused from now on (facts file).
    """
    z.tree("a", "b", size=BIG)
    z.ok("set", "x:y=v", f"{z.src}/a", f"{z.src}/b")
    z.snap("one")
    said = z.pipe(("-w", "-R", f"{z.src}@one"), ("-s", "-u", "-o", "readonly=on", f"{z.dst}/t"), cut=0.45)
    assert said.status == 1
    names = z.names(f"{z.dst}/t")
    assert names in (["", "@one", "/a"], ["", "@one", "/b"])
    child = names[-1]
    assert z.token(f"{z.dst}/t") == "-"
    assert z.where("x:y", f"{z.dst}/t{child}") == ("v", "v", "received")
    assert z.where("readonly", f"{z.dst}/t{child}") == ("on", "-", "inherited from DST/t")
    said = z.pipe(("-w", "-R", f"{z.src}@one"), ("-s", "-u", f"{z.dst}/t"))
    assert said.err == (
        f"cannot receive new filesystem stream: destination '{z.dst}/t' exists\n"
        "must specify -F to overwrite it\n"
    )
    z.copy(("-t", z.token(f"{z.dst}/t{child}")), ("-s", "-u", f"{z.dst}/t{child}"))
    assert z.where("x:y", f"{z.dst}/t{child}") == ("v", "v", "received")
    other = "/b" if child == "/a" else "/a"
    z.copy(("-p", "-w", f"{z.src}{other}@one"), ("-s", "-u", f"{z.dst}/t{other}"))
    assert z.guids(f"{z.dst}/t") == z.guids(z.src)


def case_snapshots_around_a_partial_dataset(z: Zfs) -> None:
    """``snapshot -r`` passes over a dataset that is not whole; a rename keeps its state."""
    token = _cut_full(z)
    z.ok("snapshot", "-r", f"{z.dst}@around")
    assert z.names(z.dst) == ["", "@around", "/t"]
    z.ok("rename", f"{z.dst}/t", f"{z.dst}/moved")
    assert z.token(f"{z.dst}/moved") == token
    z.copy(("-t", token), ("-s", "-u", f"{z.dst}/moved"))
    assert z.guids(f"{z.dst}/moved") == z.guids(z.src)

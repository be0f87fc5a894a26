# SPDX-License-Identifier: GPL-3.0-or-later
"""Encrypted datasets: raw streams, and what cannot be done without a key."""

from __future__ import annotations

from tests.contract.zfs import Zfs


def _create(z: Zfs, name: str) -> None:
    """An encrypted dataset whose key is loaded."""
    z.ok(
        "create",
        "-o",
        "encryption=on",
        "-o",
        "keyformat=passphrase",
        "-o",
        "keylocation=file:///run/contract-key",
        name,
    )


def _encrypted(z: Zfs) -> str:
    name = f"{z.src}/e"
    _create(z, name)
    z.ok("create", f"{name}/k")
    for dataset in (name, f"{name}/k"):
        z.write(dataset, "file", 300_000)
    z.ok("snapshot", "-r", f"{name}@one")
    return name


def case_properties_need_raw(z: Zfs) -> None:
    """``send -R`` or ``-p`` without ``-w`` is refused."""
    name = _encrypted(z)
    for option in ("-R", "-p"):
        piped = z.join([(option, f"{name}@one")], [("-n", f"{z.dst}/x")])
        assert (piped.sends[0].status, piped.size) == (1, 0)
        assert piped.sends[0].err == (
            f"cannot send {name}@one: encrypted dataset {name} may not be sent with properties without "
            f"the raw flag\nwarning: cannot send '{name}@one': backup failed\n"
        )


def case_raw_keeps_it_encrypted(z: Zfs) -> None:
    """The tree arrives encrypted, without its key; the child shares the root's key again."""
    name = _encrypted(z)
    z.copy(("-w", "-R", f"{name}@one"), ("-s", "-u", "-o", "readonly=on", f"{z.dst}/e"))
    for child in ("", "/k"):
        assert z.value("encryption", f"{z.dst}/e{child}") == "aes-256-gcm"
        assert z.value("keystatus", f"{z.dst}/e{child}") == "unavailable"
        assert z.value("encryptionroot", f"{z.dst}/e{child}") == f"{z.dst}/e"
    assert z.where("keylocation", f"{z.dst}/e")[0] == "file:///run/contract-key"
    z.ok("snapshot", "-r", f"{name}@two")
    z.copy(("-w", "-I", "@one", f"{name}/k@two"), ("-s", "-u", f"{z.dst}/e/k"))
    assert z.value("guid", f"{z.dst}/e/k@two") == z.value("guid", f"{name}/k@two")


def case_raw_onto_any_newer_snapshot(z: Zfs) -> None:
    """Raw increments want the base to be the newest snapshot; plain ones do not mind."""
    name = _encrypted(z)
    z.copy(("-w", "-R", f"{name}@one"), ("-u", f"{z.dst}/e"))
    z.write(name, "file", 100_000)
    z.ok("snapshot", "-r", f"{name}@two")
    z.ok("snapshot", f"{z.dst}/e@foreign")
    said = z.pipe(("-w", "-I", "@one", f"{name}@two"), ("-s", "-u", f"{z.dst}/e"))
    assert (said.status, said.err) == (
        1,
        f"cannot receive incremental stream: destination {z.dst}/e has been modified\n"
        "since most recent snapshot\n",
    )
    z.ok("destroy", f"{z.dst}/e@foreign")
    z.copy(("-w", "-I", "@one", f"{name}@two"), ("-s", "-u", f"{z.dst}/e"))


def case_in_clear_and_raw_do_not_mix(z: Zfs) -> None:
    """Sent without ``-w`` it arrives in clear, and no raw increment fits; nor the other way round."""
    name = _encrypted(z)
    z.copy((f"{name}@one",), ("-u", f"{z.dst}/plain"))
    assert z.value("encryption", f"{z.dst}/plain") == "off"
    z.copy(("-w", f"{name}@one"), ("-u", f"{z.dst}/raw"))
    z.ok("snapshot", "-r", f"{name}@two")
    said = z.pipe(("-w", "-I", "@one", f"{name}@two"), ("-s", "-u", f"{z.dst}/plain"))
    assert (said.status, said.err) == (
        1,
        "cannot receive incremental stream: cannot perform raw receive on top of existing "
        "unencrypted dataset\n",
    )
    said = z.pipe(("-I", "@one", f"{name}@two"), ("-s", "-u", f"{z.dst}/raw"))
    assert (said.status, said.err) == (1, "cannot receive incremental stream: inherited key must be loaded\n")


def case_a_cut_raw_stream(z: Zfs) -> None:
    """Its token remembers that it is raw."""
    name = _encrypted(z)
    z.pipe(("-w", f"{name}@one"), ("-s", "-u", f"{z.dst}/e"), cut=0.6)
    token = z.token(f"{z.dst}/e")
    lines = [line.strip() for line in z.lines("send", "-nvt", token)]
    assert {"rawok = 1", "compressok = 1"} <= set(lines)
    assert "embedok = 1" not in lines
    z.copy(("-t", token), ("-s", "-u", f"{z.dst}/e"))
    assert z.value("guid", f"{z.dst}/e@one") == z.value("guid", f"{name}@one")


def case_below_an_encrypted_parent_without_its_key(z: Zfs) -> None:
    """What is in clear cannot be received there; raw it can."""
    name = _encrypted(z)
    z.copy(("-w", f"{name}@one"), ("-u", f"{z.dst}/e"))
    z.ok("create", f"{z.src}/clear")
    z.ok("snapshot", f"{z.src}/clear@one")
    said = z.pipe((f"{z.src}/clear@one",), ("-s", "-u", f"{z.dst}/e/clear"))
    assert (said.status, said.err) == (
        1,
        "cannot receive new filesystem stream: inherited key must be loaded\n",
    )
    # Unless its properties say that it is to stay in clear.
    z.copy(("-w", "-p", f"{z.src}/clear@one"), ("-s", "-u", f"{z.dst}/e/clear"))
    assert z.value("encryption", f"{z.dst}/e/clear") == "off"
    z.copy(("-w", f"{name}/k@one"), ("-s", "-u", f"{z.dst}/e/k"))
    assert z.value("encryptionroot", f"{z.dst}/e/k") == f"{z.dst}/e/k"
    said = z.pipe(("-w", f"{name}@one"), ("-u", "-x", "encryption", f"{z.dst}/x"))
    assert said.err == (
        "cannot receive new filesystem stream: encryption property 'encryption' cannot be "
        "set or excluded for raw streams.\n"
    )


def _clear_below_a_key(z: Zfs) -> str:
    """A child of the source in clear with two snapshots, and an encrypted parent whose key is loaded."""
    z.tree("c", size=300_000)
    z.ok("snapshot", f"{z.src}/c@one")
    z.write(f"{z.src}/c", "more", 100_000)
    z.ok("snapshot", f"{z.src}/c@two")
    parent = f"{z.dst}/e"
    _create(z, parent)
    return parent


_UPGRADE = "kernel modules must be upgraded to receive this stream.\n"
_EMBEDDED = "incompatible embedded data stream feature with encrypted receive.\n"


def case_clear_data_is_encrypted_where_it_comes_without_embedded_blocks(z: Zfs) -> None:
    """``-w`` allows embedded blocks in what is not encrypted, whether there is one or not; ``-L -c`` does
    not. With ``-s`` the reason that libzfs of 2.1 gives is a wrong one."""
    reason = _EMBEDDED if z.newer else _UPGRADE
    there = f"{_clear_below_a_key(z)}/c"
    new = "cannot receive new filesystem stream: "
    said = z.pipe(("-w", f"{z.src}/c@one"), ("-s", "-u", there))
    assert (said.status, said.err) == (1, new + reason)
    said = z.pipe(("-w", f"{z.src}/c@one"), ("-u", there))
    assert (said.status, said.err) == (1, new + _EMBEDDED)
    z.copy(("-L", "-c", f"{z.src}/c@one"), ("-s", "-u", there))
    assert z.value("encryptionroot", there) == f"{z.dst}/e"
    more = "cannot receive incremental stream: "
    for properties in ((), ("-p",)):
        said = z.pipe(("-w", *properties, "-I", "@one", f"{z.src}/c@two"), ("-s", "-u", there))
        assert (said.status, said.err) == (1, more + reason)
    said = z.pipe(("-w", "-I", "@one", f"{z.src}/c@two"), ("-u", there))
    assert (said.status, said.err) == (1, more + _EMBEDDED)
    z.copy(("-L", "-c", "-I", "@one", f"{z.src}/c@two"), ("-s", "-u", there))
    assert z.value("guid", f"{there}@two") == z.value("guid", f"{z.src}/c@two")


def case_a_stream_with_properties_stays_clear_below_an_encrypted_parent(z: Zfs) -> None:
    """Its properties say ``encryption=off``: it needs no key, and what follows is raw or not as it likes.
    Only ``-x encryption`` makes it inherit."""
    parent = _clear_below_a_key(z)
    said = z.pipe(("-w", "-p", f"{z.src}/c@one"), ("-s", "-u", "-x", "encryption", f"{parent}/x"))
    # In 2.3 a raw package that breaks off is followed by a look for its top.
    lines = f"{_EMBEDDED}cannot open '{parent}/x': dataset does not exist\n" if z.newer else _UPGRADE
    assert (said.status, said.err) == (1, f"cannot receive new filesystem stream: {lines}")
    z.copy(("-L", "-c", "-p", f"{z.src}/c@one"), ("-s", "-u", "-x", "encryption", f"{parent}/x"))
    assert z.value("encryptionroot", f"{parent}/x") == parent
    for option, name in (("-p", "p"), ("-R", "r")):
        z.copy(("-w", option, f"{z.src}/c@one"), ("-s", "-u", f"{parent}/{name}"))
        z.copy(("-w", "-I", "@one", f"{z.src}/c@two"), ("-s", "-u", f"{parent}/{name}"))
        assert z.value("encryption", f"{parent}/{name}") == "off"


def case_a_cut_stream_onto_an_encrypted_copy(z: Zfs) -> None:
    """What was sent in clear goes on so, with or without ``-w``: here nobody asks for embedded blocks."""
    there = f"{_clear_below_a_key(z)}/c"
    z.copy(("-L", "-c", f"{z.src}/c@one"), ("-s", "-u", there))
    for name, options in (("two", ("-L", "-c")), ("three", ("-w",))):
        base = z.names(there, "snapshot")[-1]
        if name == "three":
            z.write(f"{z.src}/c", "most", 300_000)
            z.ok("snapshot", f"{z.src}/c@three")
        z.pipe(("-L", "-c", "-I", base, f"{z.src}/c@{name}"), ("-s", "-u", there), cut=0.6)
        z.copy((*options, "-t", z.token(there)), ("-s", "-u", there))
        assert z.value("guid", f"{there}@{name}") == z.value("guid", f"{z.src}/c@{name}")

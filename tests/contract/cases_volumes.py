# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume as the top of a receive: what the options for a copy's root come to there.

``-o`` of a filesystem's property is passed over where the package is recursive (``send -R``) and ends
the receive in every other stream; ``-x`` of one is a warning in both. Measured on 2.1.11.
"""

from __future__ import annotations

from cyber_zfs_backup.zfs import commands
from tests.contract.zfs import Zfs

OWN = "x:own"
NOT_OF_A_VOLUME = ("canmount", "sharenfs", "sharesmb", "quota", "refquota")
"""What the product leaves out of streams and a volume does not have, in its order."""


def _root_options(dataset: str) -> list[str]:
    """The arguments of the product's receive into a copy's root."""
    return commands.receive_root(dataset, [OWN])[2:]


def _warnings(dataset: str) -> str:
    return "".join(
        f"Warning: {dataset}: property '{name}' does not apply to datasets of this type\n"
        for name in NOT_OF_A_VOLUME
    )


def _volume(z: Zfs) -> str:
    """A volume with two snapshots and everything on it that must not travel."""
    source = f"{z.src}/v"
    z.ok("create", "-s", "-V", "8M", source)
    z.ok("set", f"{OWN}=secret", "x:n=plain", "compression=lz4", "readonly=off", "volmode=default", source)
    z.ok("set", "refreservation=8M", source)
    z.ok("snapshot", f"{source}@one")
    z.ok("snapshot", f"{source}@two")
    return source


def _stays_still(z: Zfs, copy: str, reserves: int) -> None:
    """What must hold of a volume's copy, whichever way it came. ``reserves``: see the case of the limits."""
    assert z.value("type", copy) == "volume"
    assert z.value("volsize", copy) == "8388608"
    assert z.where("readonly", copy) == ("on", "off", "local")
    assert z.where("volmode", copy) == ("none", "default", "local")
    assert z.value("refreservation", copy) == str(reserves)
    assert z.value(OWN, copy) == "-"
    assert z.where("x:n", copy) == ("plain", "plain", "received")
    assert z.where("compression", copy) == ("lz4", "lz4", "received")
    assert z.where("mountpoint", copy) == ("-", "-", "-")


def case_a_volume_at_the_top_of_a_package(z: Zfs) -> None:
    """``send -R`` and ``send -R -I``: exit 0, a warning for each ``-x``, nothing said of ``-o``."""
    source, copy = _volume(z), f"{z.dst}/t"
    said = z.pipe(("-w", "-R", f"{source}@one"), _root_options(copy))
    assert (said.status, said.err) == (0, _warnings(copy))
    _stays_still(z, copy, 0)
    said = z.pipe(("-w", "-R", "-I", "@one", f"{source}@two"), _root_options(copy))
    assert (said.status, said.err) == (0, _warnings(copy))
    _stays_still(z, copy, 0 if z.newer else 8 << 20)
    assert z.guids(copy) == z.guids(source)


def case_a_volume_at_the_top_of_a_stream_with_properties(z: Zfs) -> None:
    """``send -p``: refused for the first ``-o`` that a volume does not have; nothing is made."""
    source, copy = _volume(z), f"{z.dst}/t"
    said = z.pipe(("-w", "-p", f"{source}@one"), _root_options(copy))
    # In 2.3 a raw package that breaks off is followed by a look for its top.
    look = f"cannot open '{copy}': dataset does not exist\n" if z.newer else ""
    assert (said.status, said.err) == (
        1,
        "cannot receive new filesystem stream: property 'setuid' does not apply to datasets of this type\n"
        + look,
    )
    assert z.names(z.dst) == [""]


def case_a_volume_at_the_top_of_an_increment_with_properties(z: Zfs) -> None:
    """``send -p -I``: the same, and the copy stays as it was."""
    source, copy = _volume(z), f"{z.dst}/t"
    z.copy(("-w", "-R", f"{source}@one"), _root_options(copy))
    said = z.pipe(("-w", "-p", "-I", "@one", f"{source}@two"), _root_options(copy))
    assert (said.status, said.err) == (
        1,
        "cannot receive incremental stream: property 'setuid' does not apply to datasets of this type\n",
    )
    assert list(z.guids(copy)) == ["@one"]
    _stays_still(z, copy, 0)


def case_a_volume_takes_what_a_volume_has(z: Zfs) -> None:
    """With only those ``-o`` that a volume knows, streams of every kind are taken."""
    source, copy = _volume(z), f"{z.dst}/t"
    options = (
        "-s", "-u", "-o", "readonly=on", "-o", "volmode=none", "-x", "reservation", "-x", "refreservation",
        "-x", OWN, copy,
    )  # fmt: skip
    said = z.pipe(("-w", "-p", f"{source}@one"), options)
    assert (said.status, said.err) == (0, "")
    _stays_still(z, copy, 0)
    said = z.pipe(("-w", "-p", "-I", "@one", f"{source}@two"), options)
    assert (said.status, said.err) == (0, "")
    _stays_still(z, copy, 0 if z.newer else 8 << 20)
    assert z.guids(copy) == z.guids(source)

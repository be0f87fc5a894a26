# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs allow`` and ``unallow``. Measured on 2.1.11."""

from __future__ import annotations

from cyber_zfs_backup.zfs.delegation import allowed
from tests.contract.zfs import Zfs

USER, OTHER = "nobody", "daemon"
"""Users that every Debian has."""


def _section(dataset: str, *lines: str) -> str:
    rows = "".join(f"\t{line}\n" for line in lines)
    return f"---- Permissions on {dataset} ".ljust(70, "-") + f"\nLocal+Descendent permissions:\n{rows}"


def case_allow_tells_what_is_given(z: Zfs) -> None:
    """Of the dataset itself first, then of those above it; of one without any nothing at all."""
    child = f"{z.src}/a"
    z.ok("create", child)
    assert z.ok("allow", child) == ""
    z.ok("allow", "-u", USER, "receive,create,mount", child)
    z.ok("allow", "-u", OTHER, "compression,destroy", child)
    own = _section(child, f"user {OTHER} compression,destroy", f"user {USER} create,mount,receive")
    assert z.ok("allow", child) == own
    assert z.ok("allow", z.src) == ""
    z.ok("allow", "-u", USER, "send", z.src)
    assert z.ok("allow", child) == own + _section(z.src, f"user {USER} send")
    # And that is what our own program reads of it.
    assert allowed(z.ok("allow", child), child).to(USER) == {"create", "mount", "receive"}


def case_allow_adds_and_unallow_takes_away(z: Zfs) -> None:
    """What is not given is taken all the same."""
    for permissions in ("receive", "receive,send"):
        z.ok("allow", "-u", USER, permissions, z.src)
    assert z.ok("allow", z.src) == _section(z.src, f"user {USER} receive,send")
    z.ok("unallow", "-u", USER, "send,hold", z.src)
    z.ok("unallow", "-u", OTHER, "send", z.src)
    assert z.ok("allow", z.src) == _section(z.src, f"user {USER} receive")
    for _ in range(2):
        z.ok("unallow", "-u", USER, z.src)
        assert z.ok("allow", z.src) == ""


def case_allow_goes_with_the_dataset(z: Zfs) -> None:
    """Not with its name."""
    child = f"{z.src}/a"
    z.ok("create", child)
    z.ok("allow", "-u", USER, "send", child)
    z.ok("rename", child, f"{z.src}/b")
    assert z.ok("allow", f"{z.src}/b") == _section(f"{z.src}/b", f"user {USER} send")
    z.ok("create", child)
    assert z.ok("allow", child) == ""


def case_allow_on_nothing(z: Zfs) -> None:
    """Two lines, and a status of its own."""
    gone = f"{z.src}/gone"
    for args in (("allow", gone), ("allow", "-u", USER, "send", gone), ("unallow", "-u", USER, gone)):
        said = z.run(*args)
        lines = f"cannot open '{gone}': dataset does not exist\nFailed to open dataset: {gone}\n"
        assert (said.status, said.out, said.err) == (255, "", lines), args

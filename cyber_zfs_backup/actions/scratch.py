# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill's scratch datasets and mounts: made, and taken away again in every case.

The only datasets that this program ever destroys. Each is destroyed under three conditions: it has the name
that this very run has given it, where nothing was before; it bears the number that this run has drawn, as a
local property; and nothing is below it, nor has another taken its place (by GUID) while its snapshots went.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..hosts.protocol import Finished
from ..zfs import commands
from ..zfs.client import Zfs
from ..zfs.errors import ZfsError


class ScratchError(Exception):
    """A scratch dataset or mount could not be made or taken away; the message says which, and what to do."""


@contextmanager
def scratch_dataset(here: Zfs, name: str, mark: str) -> Iterator[None]:
    """While the context lasts ``name`` may be made; at its end it is gone.

    Raises ``ScratchError`` where it exists before, or is another's at the end.
    """
    if here.exists(name):
        raise ScratchError(
            f"{name} exists, and a drill makes its scratch dataset itself; name another --scratch"
        )
    try:
        yield
    finally:
        _take_away(here, name, mark)


def _take_away(here: Zfs, name: str, mark: str) -> None:
    about = here.tree_properties(name)
    if about is None:
        return
    prop = about[name].get(commands.DRILL_MARK)
    if set(about) != {name} or prop is None or (prop.value, prop.source) != (mark, "local"):
        raise ScratchError(
            f"{name} is not (or no longer) what this drill has made, and is left alone; look at it"
        )
    guid = here.guid_of(name)
    for snapshot in here.snapshots_of(name):
        here.destroy_snapshots(name, [snapshot.name], recursive=False)
    if guid is None or str(guid) != about[name]["guid"].value:
        raise ScratchError(f"{name} has become another dataset meanwhile, and is left alone; look at it")
    here.destroy_scratch(name)


@contextmanager
def mounted(here: Zfs, snapshot: str) -> Iterator[str]:
    """A snapshot's folder while the context lasts: private, and nothing in it can be run or written."""
    folder = tempfile.mkdtemp(prefix="cyber-zfs-backup-drill-")
    try:
        _run(here, commands.mount_snapshot(snapshot, folder))
        yield folder
    finally:
        # Also where a signal came between the mount and the next line. Never more than an empty folder goes.
        if os.path.ismount(folder):
            _run(here, commands.unmount(folder))
        os.rmdir(folder)


def _run(here: Zfs, argv: Sequence[str]) -> Finished:
    finished = here.host.run(argv, timeout=600.0)
    if not finished.ok:
        raise ZfsError(here.label, finished)
    return finished

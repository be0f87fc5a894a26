# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs`` and ``zpool`` as processes, whose world lives in the directory ``$FAKE_ZFS_WORLD``.

Also there, for tests: ``calls`` gets one line of JSON for each command that starts; a file
``slow`` holds the seconds that a send waits after each record; ``$FAKE_ZFS_NOW`` is the clock in
seconds since 1970 (otherwise the machine's).
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.fake.changes import write
from tests.fake.errors import RefusedError, TerminatedError
from tests.fake.front import Streams, run_zfs
from tests.fake.model import World
from tests.fake.store import DirectoryStore
from tests.fake.zpool import run_zpool


class _Clocked(DirectoryStore):
    """A world on disc whose clock is the machine's or the test's."""

    @contextmanager
    def world(self) -> Iterator[World]:
        """The world, with its clock set."""
        with super().world() as world:
            world.now = int(os.environ.get("FAKE_ZFS_NOW") or time.time())
            yield world


class _Input:
    """Standard input, read without a buffer: what follows the stream is for somebody else."""

    def read(self, count: int, /) -> bytes:
        """Exactly ``count`` bytes, or fewer at the end."""
        parts: list[bytes] = []
        while count > 0:
            part = os.read(0, min(count, 1 << 20))
            if not part:
                break
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


def _terminated(number: int, frame: object) -> None:
    raise TerminatedError(number)


def main(name: str, argv: Sequence[str]) -> int:
    """Run ``zfs``, ``zpool`` or ``fake-write`` as a process; answers the exit status."""
    directory = Path(os.environ["FAKE_ZFS_WORLD"])
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "calls", "a") as calls:
        calls.write(json.dumps([name, *argv]) + "\n")
    store = _Clocked(directory)
    if name == "fake-write":
        return _write(store, argv)
    if argv[:1] == ["send"] and os.isatty(1) and "-n" not in argv:
        sys.stderr.write(
            "Error: Stream can not be written to a terminal.\nYou must redirect standard output.\n"
        )
        return 1
    pause = float((directory / "slow").read_text()) if (directory / "slow").exists() else 0.0

    def send_out(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(1, view) :]
        if pause:
            time.sleep(pause)

    streams = Streams(_Input(), send_out)
    for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ending, _terminated)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        status = (run_zpool if name == "zpool" else run_zfs)(store, argv, streams)
    except TerminatedError as ended:
        number = int(ended.args[0])
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return 128 + number
    sys.stderr.write("".join(streams.err))
    sys.stderr.flush()
    os.write(1, "".join(streams.out).encode())
    return status


def _write(store: DirectoryStore, argv: Sequence[str]) -> int:
    """``fake-write DATASET FILE``: standard input becomes a file of a dataset."""
    dataset, name = argv
    try:
        with store.world() as world:
            if world.dataset(dataset) is None:
                raise RefusedError(f"{dataset}: no such dataset")
            write(world, dataset, {name: sys.stdin.buffer.read()})
    except RefusedError as refused:
        sys.stderr.write(refused.text)
        return refused.status
    return 0


def wrap(folder: Path, world: Path, environment: dict[str, str] | None = None) -> None:
    """Put ``zfs``, ``zpool`` and ``fake-write`` into a folder, for the world in another one.

    For commands whose environment cannot be given, as over ssh: the world's path is written into
    them, and ``environment`` too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).parents[2]
    given = {**(environment or {}), "FAKE_ZFS_WORLD": str(world)}
    for name in ("zfs", "zpool", "fake-write"):
        path = folder / name
        path.write_text(
            f"#!{sys.executable} -SE\nimport os, sys\nos.environ.update({given!r})\n"
            f"sys.path.insert(0, {str(root)!r})\nfrom tests.fake.executable import main\n"
            f"sys.exit(main({name!r}, sys.argv[1:]))\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

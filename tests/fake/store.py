# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a world lives while commands run: in this process, or in a directory between processes."""

from __future__ import annotations

import fcntl
import os
import pickle
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from tests.fake.model import Dataset, Partial, World
from tests.fake.stream import ChecksumError, MagicError, Record, TruncatedError, apply, read_record


class Store(Protocol):
    """Gives the world to one command at a time."""

    def world(self) -> AbstractContextManager[World]:
        """The world, locked; what was changed is kept when the block ends without an exception."""

    def journal(self, partial: Partial, item: Record) -> None:
        """Remember a record that a running receive took, in case it is killed."""

    def forget(self, journal: str) -> None:
        """Drop a journal that is needed no more."""

    def receiver(self) -> int:
        """What ``Partial.receiver`` is while this process receives; 0 where nobody else can look."""


class MemoryStore:
    """A world of this process; threads take turns."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.RLock()

    @contextmanager
    def world(self) -> Iterator[World]:
        """The world, locked."""
        with self._lock:
            yield self._world

    def journal(self, partial: Partial, item: Record) -> None:
        """Nothing: nobody can look at a receive before it has ended."""

    def forget(self, journal: str) -> None:
        """Nothing."""

    def receiver(self) -> int:
        """Nobody."""
        return 0


class DirectoryStore:
    """A world in a directory: ``state`` (written anew and renamed) and one journal for each receive."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def world(self) -> Iterator[World]:
        """The world as the last command left it; written back where the block ends well."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with open(self._directory / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            world = self._stored()
            before = pickle.dumps(world)
            spent = self._bury(world)
            try:
                yield world
            finally:
                after = pickle.dumps(world)
                if after != before or not (self._directory / "state").exists():
                    fresh = self._directory / f"state.{os.getpid()}"
                    fresh.write_bytes(after)
                    fresh.replace(self._directory / "state")
                # Only now: until the state says what they said, they are all that says it.
                for journal in spent:
                    self.forget(journal)

    def _stored(self) -> World:
        state = self._directory / "state"
        if not state.exists():
            return World(seed=int.from_bytes(os.urandom(4), "big"))
        world = pickle.loads(state.read_bytes())  # noqa: S301  # written by this class alone
        assert isinstance(world, World)
        return world

    def _bury(self, world: World) -> list[str]:
        """Give each receiver that was killed the partial state that it left; answers their journals."""
        spent = []
        for dataset in list(world.datasets.values()):
            partial = dataset.partial
            if partial is not None and partial.journal and not _alive(partial.receiver):
                spent.append(partial.journal)
                self._replay(world, dataset, partial)
        return spent

    def _replay(self, world: World, dataset: Dataset, partial: Partial) -> None:
        """Bring a partial state up to what its receiver has taken."""
        with open(self._directory / partial.journal, "rb") as journal:
            while True:
                try:
                    item = read_record(journal)
                except (TruncatedError, MagicError, ChecksumError):
                    break
                partial.taken += apply(partial.files, item)
                partial.records += 1
        partial.journal, partial.receiver = "", 0
        if partial.resumable and partial.records:
            return
        if dataset.inconsistent:
            del world.datasets[dataset.name]
        dataset.partial = None

    def journal(self, partial: Partial, item: Record) -> None:
        """Append a record."""
        with open(self._directory / partial.journal, "ab") as journal:
            journal.write(item.raw)

    def forget(self, journal: str) -> None:
        """Remove the file."""
        if journal:
            (self._directory / journal).unlink(missing_ok=True)

    def receiver(self) -> int:
        """This process."""
        return os.getpid()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

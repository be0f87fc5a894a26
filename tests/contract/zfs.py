# SPDX-License-Identifier: GPL-3.0-or-later
"""What a contract case speaks to: a zfs, whichever it is.

A case gets a source dataset and a destination dataset of its own (in two pools) and says what real
ZFS does. The same case runs on the model in process, on the executable, and on OpenZFS in the guest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

Args = Sequence[str]
MARK = "cannot "


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it said. ``status`` is negative for a signal."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The first line of stderr; what follows may be a usage text."""
        return self.err.partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Piped:
    """Sends joined into one stream, and the receives that took it."""

    sends: tuple[Said, ...]
    size: int
    receive: Said


class Zfs(ABC):
    """One zfs with two pools.

    ``src`` is an empty, mounted filesystem in the first pool, ``dst`` one without mountpoint in the
    second; both are this case's alone.
    """

    src: str
    dst: str
    version: tuple[int, int, int]
    """Of OpenZFS, as (major, minor, patch)."""

    @property
    def newer(self) -> bool:
        """Whether 2.3 (measured: 2.3.9) is at work, else 2.1 (measured: 2.1.11).

        A case says what each of the two does; what 2.2 does was not measured.
        """
        return self.version >= (2, 3, 0)

    @abstractmethod
    def run(self, *args: str) -> Said:
        """Run ``zfs`` with these arguments."""

    @abstractmethod
    def write(self, dataset: str, name: str, size: int) -> None:
        """Put a file of ``size`` fresh random bytes into a mounted filesystem, as one transaction."""

    @abstractmethod
    def join(self, sends: Sequence[Args], receives: Sequence[Args], cut: float = 1.0) -> Piped:
        """Feed the joined streams of the sends to the receives, run as ``a && b``.

        ``cut`` is the part of the whole that arrives; the sends themselves run to their ends first.
        """

    @abstractmethod
    def feed(self, data: bytes, *receive: str) -> Said:
        """Run ``zfs receive`` on these bytes."""

    def ok(self, *args: str) -> str:
        """Run ``zfs``, which must end with 0, and answer its stdout."""
        said = self.run(*args)
        assert said.status == 0, (args, said)
        return said.out

    def pipe(self, send: Args, receive: Args, cut: float = 1.0) -> Said:
        """``zfs send ... | zfs receive ...``; the send must end with 0. Answers the receive."""
        piped = self.join([send], [receive], cut)
        assert piped.sends[0].status == 0, (send, piped.sends[0])
        return piped.receive

    def copy(self, send: Args, receive: Args) -> None:
        """``pipe``, where the receive must end with 0 too."""
        said = self.pipe(send, receive)
        assert said.status == 0, (send, receive, said)

    def lines(self, *args: str) -> list[str]:
        """The lines that a command that must succeed prints."""
        return self.ok(*args).splitlines()

    def names(self, root: str, *types: str) -> list[str]:
        """Everything below a dataset, without the root's own name in front, in the order of ``list``."""
        wanted = ",".join(types) or "filesystem,volume,snapshot"
        return [
            name[len(root) :] for name in self.lines("list", "-H", "-r", "-o", "name", "-t", wanted, root)
        ]

    def value(self, prop: str, name: str) -> str:
        """The value of a property, numbers as they are."""
        return self.ok("get", "-Hp", "-o", "value", prop, name).rstrip("\n")

    def where(self, prop: str, name: str) -> tuple[str, str, str]:
        """Value, received value and source of a property, as ``zfs get`` shows them."""
        value, received, source = (
            self.ok("get", "-Hp", "-o", "value,received,source", prop, name).rstrip("\n").split("\t")
        )
        return value, received, source.replace(self.dst, "DST").replace(self.src, "SRC")

    def token(self, name: str) -> str:
        """The resume token of a dataset, ``-`` where it has none."""
        return self.value("receive_resume_token", name)

    def guids(self, root: str) -> dict[str, str]:
        """GUIDs of the snapshots below a dataset, by name without the root's own name."""
        rows = self.lines("list", "-Hp", "-r", "-t", "snapshot", "-o", "name,guid", root)
        return {name[len(root) :]: guid for name, guid in (row.split("\t") for row in rows)}

    def tree(self, *children: str, size: int = 0) -> None:
        """Make children of the source (relative names), each with a file where ``size`` is not 0."""
        for child in children:
            self.ok("create", f"{self.src}/{child}")
        for child in ("", *(f"/{child}" for child in children)) if size else ():
            self.write(self.src + child, "file", size)

    def snap(self, name: str) -> None:
        """Snapshot the whole source tree."""
        self.ok("snapshot", "-r", f"{self.src}@{name}")

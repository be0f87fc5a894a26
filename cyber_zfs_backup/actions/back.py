# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: a copy, this machine, and streams from the one to the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from ..config.job import Destination, SourceHost
from ..hosts.local import LocalHost
from ..hosts.protocol import Link
from ..hosts.stream import ProcessLink
from ..model.trees import Tree
from ..zfs import parse
from ..zfs.client import Zfs
from .attempt import attempt
from .errors import PATIENCE
from .result import ActionResult, RunResult, Surface
from .run import host_of, refuse_bad_configuration

STALL = 900.0
"""Seconds of silence after which a stream is ended, as a push has it by default."""


@dataclass(frozen=True, slots=True)
class Way:
    """One destination's copy, and the way from it to here."""

    destination: Destination
    copy: Zfs
    link: Link


@dataclass(frozen=True, slots=True)
class Back:
    """This machine, and the ways from all destinations. ``clock`` answers the moment, with a time zone."""

    here: Zfs
    ways: tuple[Way, ...]
    surface: Surface
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Copy:
    """What a destination has: its whole tree, and what is known of each dataset."""

    way: Way
    tree: Tree
    about: parse.Properties

    @property
    def label(self) -> str:
        """How messages name it."""
        return self.way.destination.label


@contextmanager
def real_back(destinations: Sequence[Destination], surface: Surface) -> Iterator[Back]:
    """The ways back as real connections; nothing is connected before it is needed.

    Raises ``UsageError`` where the ssh configuration is bad.
    """
    here = LocalHost()
    with ExitStack() as stack:
        stack.callback(here.close)
        ways = []
        for destination in destinations:
            host = host_of(destination)
            stack.callback(host.close)
            refuse_bad_configuration(host)
            link = ProcessLink(host_of(destination), host_of(SourceHost()), stall=STALL, patience=PATIENCE)
            stack.callback(link.stop)
            ways.append(Way(destination, Zfs(host, sudo=destination.use_sudo, timeout=PATIENCE), link))
        yield Back(Zfs(here, timeout=PATIENCE), tuple(ways), surface, lambda: datetime.now(UTC))


def read_copies(back: Back, action: str) -> tuple[list[Copy], list[ActionResult]]:
    """What each destination has, and the trouble of those that did not answer."""
    copies: list[Copy] = []
    troubles: list[ActionResult] = []
    for way in back.ways:
        read = attempt(action, lambda way=way: read_copy(way))  # type: ignore[misc]  # mypy cannot infer it
        if isinstance(read, ActionResult):
            troubles.append(read)
            back.surface.warn(f"{way.destination.label}: {read.summary}")
        elif read is None:
            back.surface.warn(f"{way.destination.label}: there is no such copy")
        else:
            copies.append(read)
    return copies, troubles


def read_copy(way: Way) -> Copy | None:
    """One destination's copy; ``None`` where it is not there."""
    root = way.destination.dataset
    about = way.copy.back_properties(root)
    if about is None:
        return None
    tree = parse.tree(root, about, way.copy.all_snapshots(root), complete=True)
    return Copy(way, tree, about)


def result_of(
    back: Back, dataset: str, do: Callable[[], ActionResult], *, dry_run: bool = False
) -> RunResult:
    """Do it, and put what came of it together as the call's result."""
    started = back.clock()
    done = do()
    return RunResult(
        dataset=dataset,
        destinations=tuple(way.destination.label for way in back.ways),
        started=started,
        seconds=round((back.clock() - started).total_seconds(), 3),
        dry_run=dry_run,
        actions=(done,),
    )

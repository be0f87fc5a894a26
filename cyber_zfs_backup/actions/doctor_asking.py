# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks one end of a way what it can, and tells what it could not.

A question that is not answered takes nothing else with it. It is a failure where a backup asks the same and
would fail as well, and else a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from ..hosts.errors import HostError
from ..model.trees import Tree
from ..plan.doctor_copies import Key
from ..plan.doctor_pools import Side
from ..plan.findings import Finding, fails, warning
from ..zfs import parse
from ..zfs.client import Zfs
from ..zfs.errors import Trouble, ZfsError
from .damaged import Damaged
from .ends import Home

Answer = TypeVar("Answer")

Tell = Callable[[str, str, str, str], Finding]
"""``fails`` or ``warning``."""


class Looking:
    """Asks one end what it can; ``troubles`` are findings of what was not answered."""

    def __init__(self, zfs: Zfs, where: str, home: Home) -> None:
        self.zfs = zfs
        self.where = where
        self.home = home
        self.troubles: list[Finding] = []
        self._gone = False

    def ask(self, question: Callable[[], Answer], matter: str, tell: Tell = warning) -> Answer | None:
        """The answer, or ``None``; ``tell`` says how bad it is where ``matter`` cannot be known."""
        if self._gone:
            return None
        try:
            return question()
        except HostError as error:
            self._gone = True
            self.troubles.append(fails("unreachable", self.where, error.what, error.remedy))
        except ZfsError as error:
            # What a gatekeeper does not answer is its own business, as long as no backup asks for it.
            if tell is fails or error.trouble is not Trouble.REFUSED:
                what = f"{matter} cannot be read: {error.text}"
                self.troubles.append(tell("zfs", self.where, what, error.remedy))
        except parse.GarbledError as error:
            what, _, remedy = str(error).rpartition("; ")
            remedy = remedy if what else "look what zfs get all says there"
            self.troubles.append(
                tell("record", self.where, f"{matter} cannot be read: {what or error}", remedy)
            )
        return None

    def side(self, root: str, *, features: bool = True) -> Side:
        """What is asked of every host; ``root`` is the dataset whose pool it is about."""
        name = root.partition("/")[0]
        version = self.ask(self.zfs.version, "its version of ZFS")
        pool = self.ask(lambda: self.zfs.pool(name), f"the size and health of pool {name}")
        errors = self.ask(lambda: self.zfs.pool_errors(name), f"the status of pool {name}")
        return Side(
            self.where,
            version=version,
            pool=None if pool is None else replace(pool, errors=errors),
            ahead=self.ask(self._ahead, "its clock"),
            features=self.ask(lambda: self.zfs.features(name), f"the features of pool {name}")
            if features
            else None,
        )

    def _ahead(self) -> float:
        before = self.home.clock().timestamp()
        there = self.zfs.clock()
        after = self.home.clock().timestamp()
        # The answer is rounded down.
        return there + 0.5 - (before + after) / 2

    def tree(self, root: str, about: parse.Properties, listing: Callable[[], parse.Listing]) -> Tree | None:
        """A tree with what was listed; where that cannot be read, without it, and not ``complete``."""

        def made(found: parse.Listing, *, complete: bool) -> Tree:
            return parse.tree(root, about, found.snapshots, complete=complete, bookmarks=found.bookmarks)

        bare = self.ask(lambda: made(parse.Listing({}, {}), complete=False), "the list of datasets", fails)
        if bare is None:
            return None
        return self.ask(lambda: made(listing(), complete=True), "the list of snapshots", fails) or bare

    def tell_damaged(self, found: Iterable[Damaged]) -> None:
        """A push refuses the whole tree for each of these."""
        self.troubles += [fails("record", self.where, each.what, each.remedy) for each in found]


def value_of(about: Mapping[str, parse.Property], name: str) -> str:
    """A property's value; empty where it is not set."""
    return about[name].value if name in about else ""


def keys_of(tree: Tree, about: parse.Properties) -> dict[str, Key]:
    """Whose key each dataset of a tree has, by its path; those in clear are left out."""
    found = {}
    for path in tree.datasets:
        each = about[tree.full(path)]
        root = value_of(each, "encryptionroot")
        if root not in ("", "-"):
            found[path] = Key(root, value_of(each, "keystatus"))
    return found

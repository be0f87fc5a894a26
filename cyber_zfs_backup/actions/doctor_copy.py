# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a receiver: the copy, its pool, and what the login may do there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..model.names import relative
from ..plan.doctor_copies import Copy, Still
from ..plan.doctor_pools import Permissions, Side
from ..plan.findings import Finding, fails, warning
from ..zfs import parse, properties
from ..zfs.delegation import RECEIVING
from . import damaged
from .doctor_asking import Looking, keys_of, value_of
from .doctor_options import way_options
from .ends import Ends


@dataclass(frozen=True, slots=True)
class CopySeen:
    """What was seen of a receiver; ``copy`` is ``None`` where there is none, or nobody could be asked."""

    side: Side
    copy: Copy | None
    troubles: tuple[Finding, ...]


class CopyLook(Looking):
    """Looks at a receiver; ``user`` is who logs in there."""

    def __init__(self, ends: Ends, user: str) -> None:
        super().__init__(ends.receiver.plain(), ends.destination.label, ends)
        self.destination = ends.destination
        self.user = user

    def look(self) -> CopySeen:
        """All that is asked of the receiver."""
        root = self.destination.dataset
        # In a tuple: that there is no copy is an answer, too.
        asked = self.ask(lambda: (self.zfs.partial_properties(root),), "the list of datasets", fails)
        about = asked[0] if asked else None
        grants = properties.grants(about, root)
        copy = None if about is None else self._copy(root, about, gatekept=not grants.settings)
        if asked == (None,):
            remedy = "the first push needs --force-non-incremental"
            self.troubles.append(warning("no-copy", self.where, f"there is no {root} yet", remedy))
        side = self.side(root, features=grants.settings)
        if about is not None:
            side = replace(side, permissions=self._permissions(grants))
        return CopySeen(side, copy, tuple(self.troubles))

    def _permissions(self, grants: properties.Grants) -> Permissions | None:
        if self.user == "root" or self.destination.use_sudo:
            return None
        root = self.destination.dataset
        given = self.ask(lambda: self.zfs.granted_to(self.user, root), f"what {self.user} may do")
        if given is None:
            return None
        return Permissions(self.user, root, given, RECEIVING, ("destroy",) if grants.destroys else ())

    def _copy(self, root: str, partial: parse.Properties, *, gatekept: bool) -> Copy | None:
        """``partial`` is what a push asks; more is known of the copy where that is answered as well."""
        question = self.zfs.back_properties if gatekept else self.zfs.tree_properties
        more = self.ask(lambda: question(root), "mount points and keys of the copy")
        found = tuple(damaged.datasets(more or partial))
        self.tell_damaged(found)
        about = damaged.without(more or partial, found)
        tree = self.tree(root, about, lambda: parse.Listing(self.zfs.all_snapshots(root), {}))
        if tree is None:
            return None
        settings = {} if more is None or gatekept else about
        return Copy(
            self.where,
            tree,
            way_options(self.home.job, self.destination),
            still={relative(root, name): _still(each) for name, each in settings.items()},
            keys=None if more is None else keys_of(tree, about),
            damaged=frozenset(relative(root, each.dataset) for each in found),
        )


def _still(about: Mapping[str, parse.Property]) -> Still:
    return Still(*(value_of(about, name) for name in ("mountpoint", "canmount", "readonly")))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties that hold what nobody should have written, found one by one: all else can be used.

A push refuses the whole tree for one of them. Whoever only looks goes on without it, and tells of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..hosts.quoting import as_typed
from ..zfs import parse
from ..zfs.parse import Properties
from ..zfs.properties import BASE_PREFIX
from .ends import keeper_of, record_of
from .errors import DamagedRecordError


@dataclass(frozen=True, slots=True)
class Damaged:
    """A property of a ``dataset`` (full name) that cannot be what its ``name`` says: ``what`` it is instead,
    and what mends it."""

    dataset: str
    name: str
    what: str
    remedy: str


def records(root: str, about: Properties) -> Iterator[Damaged]:
    """Each record of a destination that ``source_facts`` would stumble over."""
    for name, each in about.items():
        for full, prop in each.items():
            tag = full.removeprefix(BASE_PREFIX)
            keeper = keeper_of(name, prop)
            # Of what is inherited, the root's alone is read: once, wherever it stands.
            if tag == full or not (prop.source == "local" or (name == root and keeper != name)):
                continue
            try:
                record_of(keeper, tag, prop.value, root if keeper == name else keeper)
            except DamagedRecordError as error:
                yield Damaged(name, full, error.what, error.remedy)


def datasets(about: Properties) -> Iterator[Damaged]:
    """Each property for which ``parse.tree`` would refuse the whole tree."""
    for dataset, each in about.items():
        for name, what in parse.damaged(each).items():
            remedy = f"look at it with: {as_typed(['zfs', 'get', name, dataset])}"
            yield Damaged(dataset, name, f"{dataset}: {what}", remedy)


def without(about: Properties, damaged: Iterable[Damaged]) -> Properties:
    """The properties that are not damaged, as if the others had never been set."""
    gone: dict[str, set[str]] = {}
    for each in damaged:
        gone.setdefault(each.dataset, set()).add(each.name)
    left = {
        dataset: {name: prop for name, prop in about[dataset].items() if name not in names}
        for dataset, names in gone.items()
    }
    return {**about, **left}

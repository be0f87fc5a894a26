# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be in one configuration: ages in the wrong order, copies that lie in each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..model.names import BadNameError, check_dataset, is_within, overlap, pattern_of
from .ages import as_age
from .best_fit import Effective, base_for, effective
from .declared import Declared
from .faults import Fault
from .toml_lines import Place


def contradictions(declared: Declared, places: Mapping[str, Place], *, ruined: bool) -> list[Fault]:
    """All that contradict each other; ``places`` tells where each entry stands.

    ``ruined``: something is wrong with parts already, so that copies, which hang on all of them, are not
    looked at.
    """
    decided = [effective(declared, name) for name in declared.entries]
    faults = [*_late(decided, places), *_root_excluded(decided, places)]
    return faults if ruined else [*faults, *_copies(declared)]


def _at(each: Effective, name: str, places: Mapping[str, Place]) -> Place:
    """Where a setting that counts for an entry is written."""
    own = each.entry is not None and name in each.entry.own.written
    return (*(places[each.dataset] if own else ("defaults",)), name.replace("_", "-"))


def _late(decided: list[Effective], places: Mapping[str, Place]) -> Iterator[Fault]:
    for each in decided:
        warns, critical = each.settings.warn_after, each.settings.critical_after
        if warns is None or critical is None or warns <= critical:
            continue
        own = each.entry.own.written if each.entry else {}
        # What the entry says itself is wrong beside the defaults, not they.
        at_fault = "critical_after" if "critical_after" in own and "warn_after" not in own else "warn_after"
        what = f"warn-after ({as_age(warns)}) is longer than critical-after ({as_age(critical)})"
        remedy = "write a shorter warn-after, or a longer critical-after"
        yield Fault(_at(each, at_fault, places), f"{what}; {remedy}")


def _root_excluded(decided: list[Effective], places: Mapping[str, Place]) -> Iterator[Fault]:
    for each in decided:
        pattern = pattern_of(each.dataset, "", each.settings.exclude)
        if pattern is not None:
            number = each.settings.exclude.index(pattern)
            what = f"{pattern!r} fits {each.dataset} itself, of which nothing would be left"
            yield Fault(
                (*_at(each, "exclude", places), number),
                f"{what}; write a narrower pattern, or an exclude of its own",
            )


@dataclass(frozen=True, slots=True)
class _Copy:
    """Where an entry's tree goes."""

    dataset: str
    base: str
    receiver: str


def _copies(declared: Declared) -> Iterator[Fault]:
    by_host: dict[str, list[_Copy]] = defaultdict(list)
    for entry in declared.entries.values():
        for name in effective(declared, entry.name).settings.destinations:
            receiver = declared.receivers[name]
            if base_for(declared, entry.name, receiver) != entry:
                continue
            place: Place = ("destination", name, "dataset")
            copy = _Copy(receiver.copy_of(entry.name, declared.hostname), entry.name, name)
            try:
                check_dataset(copy.dataset)
            except BadNameError as error:
                yield Fault(place, f"the copy of {entry.name} cannot be called so: {error}")
                continue
            if "/" not in copy.dataset:
                what = f"the copy of {entry.name} would be the whole pool {copy.dataset}"
                yield Fault(place, f'{what}; write one with a "/", for example "POOL/{{dataset}}"')
                continue
            by_host[receiver.ssh].append(copy)
            within = next((name for name in declared.entries if overlap(name, copy.dataset)), None)
            if not receiver.ssh and within:
                what = f"the copy of {entry.name}, {copy.dataset}, and the source {within} lie in each other"
                yield Fault(
                    place, f"{what}; name a dataset outside of what is backed up, best on another pool"
                )
    for host, copies in by_host.items():
        yield from _in_each_other(host, copies)


def _in_each_other(host: str, copies: list[_Copy]) -> Iterator[Fault]:
    top: _Copy | None = None
    for copy in sorted(copies, key=lambda each: each.dataset.split("/")):
        if top is None or not is_within(top.dataset, copy.dataset):
            top = copy
            continue
        there = f"{host or 'this machine'}:{copy.dataset}"
        if top.receiver != copy.receiver and top.base == copy.base and top.dataset == copy.dataset:
            what = f"is the same as [destination.{top.receiver}]: {copy.base} would go to {there} twice"
            yield Fault(
                ("destination", copy.receiver, "dataset"), f"{what}; name another dataset, or one of them"
            )
        else:
            taken = "where" if top.dataset == copy.dataset else f"in {top.dataset}, where"
            what = f"{copy.base} would go to {there}, {taken} {top.base} goes"
            yield Fault(
                ("destination", copy.receiver, "dataset"),
                f'{what}; tell them apart, for example with dataset = "POOL/{{hostname}}/{{name}}"',
            )

# SPDX-License-Identifier: GPL-3.0-or-later
"""Which settings count for a dataset, and where each of them comes from.

zam's best fit: the nearest entry at or above a dataset decides for it, alone. What that entry does not say
comes from [defaults], never from an entry further up; what neither says is built in. So whoever reads two
tables knows all, and an entry below another takes its dataset out of what the other says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace

from ..model.names import pattern_of, relative
from .declared import Declared, Entry, Layer, Receiver, Settings

BUILT_IN = "built in"


@dataclass(frozen=True, slots=True)
class Effective:
    """What counts for one dataset. ``origins`` tells for each field of ``settings`` where it comes from.

    ``entry`` is the one that decides; ``None``, and then [defaults] counts, where there is none.
    ``left_out`` is why nothing is done for the dataset all the same; empty where it is backed up.
    """

    dataset: str
    entry: Entry | None
    settings: Settings
    origins: Mapping[str, str]
    left_out: str = ""


def effective(declared: Declared, dataset: str) -> Effective:
    """What counts for a dataset (a full name that ZFS accepts)."""
    entry = entry_for(declared, dataset)
    layers = [declared.defaults, *([entry.own] if entry else [])]
    settings, origins = Settings(), {each.name: BUILT_IN for each in fields(Settings)}
    for layer in layers:
        settings = replace(settings, **{name: getattr(layer.settings, name) for name in layer.written})
        origins |= {name: _origin(declared, layer, line) for name, line in layer.written.items()}
    return Effective(dataset, entry, settings, origins, _left_out(entry, settings, dataset))


def entry_for(declared: Declared, dataset: str) -> Entry | None:
    """The nearest entry at or above a dataset."""
    return next((declared.entries[name] for name in _at_and_above(dataset) if name in declared.entries), None)


def base_for(declared: Declared, dataset: str, receiver: Receiver) -> Entry | None:
    """The entry with which a dataset is pushed to a destination; ``None`` where it is not pushed there.

    The topmost at or above it from which on *every* dataset down to it goes there. What is below a gap (an
    entry that goes elsewhere, a pattern of exclude) has a base of its own: no stream of what is above the
    gap could carry it.
    """
    base = None
    for name in _at_and_above(dataset):
        found = effective(declared, name)
        if found.left_out or receiver.name not in found.settings.destinations:
            break
        base = declared.entries.get(name, base)
    return base


def copy_of(declared: Declared, dataset: str, receiver: Receiver) -> str | None:
    """The dataset that holds a dataset's copy at a destination; ``None`` where it is not pushed there."""
    base = base_for(declared, dataset, receiver)
    if base is None:
        return None
    root, below = receiver.copy_of(base.name, declared.hostname), relative(base.name, dataset)
    return f"{root}/{below}" if below else root


def origin(declared: Declared, line: int | None, where: str) -> str:
    """How it is told where something comes from: ``config.toml:12 [[dataset]] tank/home``."""
    return f"{declared.file.rpartition('/')[2]}:{line} {where}" if line else where


def _origin(declared: Declared, layer: Layer, line: int | None) -> str:
    return origin(declared, line or layer.line, layer.where)


def _at_and_above(dataset: str) -> Iterator[str]:
    while dataset:
        yield dataset
        dataset = dataset.rpartition("/")[0]


def _left_out(entry: Entry | None, settings: Settings, dataset: str) -> str:
    if entry is None:
        return "no [[dataset]] is at or above it"
    if entry.name == dataset:
        return ""
    if not settings.recursive:
        return f"[[dataset]] {entry.name} is not recursive"
    path = relative(entry.name, dataset)
    for above in reversed(list(_at_and_above(path))):
        pattern = pattern_of(entry.name, above, settings.exclude)
        if pattern is not None:
            return f"the pattern {pattern!r} of exclude fits {'it' if above == path else above}"
    return ""

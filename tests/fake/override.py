# SPDX-License-Identifier: GPL-3.0-or-later
"""``receive -o`` and ``-x``: how they meet what the stream says and what is set already.

Sources: ``zfs_setup_cmdline_props`` and ``zfs_receive_checkprops`` of libzfs, and what the kernel
does with the two lists (``zfs_ioc_recv_impl``): the stream's properties become *received* ones and
replace all that were received before; ``-o`` sets a *local* one on the top dataset and an explicit
inheritance below it; ``-x`` sets an explicit inheritance, so that the received value stays on
record and is not used. What cannot be inherited is taken out of the stream's list instead. Of the four
limits on space 2.1 does so for a new dataset alone: on one that exists ``-x`` changes sides each time, it
clears a received value and lets one in where there is none (measured on 2.1.11; on 2.3.9 no more).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.fake.errors import RefusedError
from tests.fake.model import Dataset, Kind
from tests.fake.props import ALIASES, NATIVE, READONLY, Nature, is_user, prune, setting


@dataclass(frozen=True, slots=True)
class Override:
    """The ``-o`` and ``-x`` of one command line."""

    values: dict[str, str] = field(default_factory=dict)
    excluded: tuple[str, ...] = ()
    origin: str = ""

    def check(self, newer: bool) -> None:
        """``RefusedError`` where one of them can never be received; ``newer``: see ``World``."""
        words = "cannot receive: " * (2 if newer else 1)
        for name in (*self.values, *self.excluded):
            real = ALIASES.get(name, name)
            if is_user(real):
                continue
            native = NATIVE.get(real)
            if native is None or real in READONLY or real in ("version", "volsize"):
                raise RefusedError(f"{words}invalid property '{name}'")
            if native.nature is Nature.ONCE and real not in ("encryption", "keyformat", "pbkdf2iters"):
                raise RefusedError(f"{words}invalid property '{name}'")

    def judge(self, kind: Kind, raw: bool, recursive: bool, words: str) -> None:
        """``RefusedError`` where one of them does not go with this stream."""
        for name in (*self.values, *self.excluded):
            if raw and name in ("encryption", "keyformat", "keylocation", "pbkdf2iters"):
                raise RefusedError(
                    f"{words}: encryption property '{name}' cannot be set or excluded for raw streams."
                )
        for name in self.values:
            if not _fits(name, kind) and not recursive:
                raise RefusedError(f"{words}: property '{name}' does not apply to datasets of this type")


def _fits(name: str, kind: Kind) -> bool:
    return is_user(name) or kind in NATIVE[name].kinds


def _inheritable(name: str) -> bool:
    return is_user(name) or NATIVE[name].nature is Nature.INHERIT


LIMITS = ("quota", "refquota", "reservation", "refreservation")


def apply_props(
    dataset: Dataset, sent: dict[str, str] | None, override: Override, *, top: bool, limits: bool
) -> str:
    """Set the properties of a dataset that is being received; answers warnings for stderr.

    ``sent`` is ``None`` for a stream without properties: then what was received before stays. ``limits`` is
    whether ``-x`` keeps limits on space off for certain.
    """
    warnings, masks = _exclude(dataset, sent, override, limits)
    values: dict[str, str] = {}
    for name, value in override.values.items():
        if _fits(name, dataset.kind):
            values[name] = value
    if not top:
        masks.extend(name for name in values if _inheritable(name))
        values = {}
    if sent is not None:
        _receive_props(dataset, sent)
    for name, value in values.items():
        cell = setting(dataset.settings, name)
        cell.local, cell.masked = value, False
    for name in masks:
        cell = setting(dataset.settings, name)
        cell.local, cell.masked = None, dataset.has_received
    prune(dataset.settings)
    return warnings


def _exclude(
    dataset: Dataset, sent: dict[str, str] | None, override: Override, limits: bool
) -> tuple[str, list[str]]:
    """Take what ``-x`` names out of ``sent``; answers warnings, and what is masked instead."""
    warnings = ""
    masks: list[str] = []
    for name in override.excluded:
        if not _fits(name, dataset.kind):
            warnings += (
                f"Warning: {dataset.name}: property '{name}' does not apply to datasets of this type\n"
            )
            continue
        cell = dataset.settings.get(name)
        if cell is not None and cell.local is not None:
            continue
        if not _inheritable(name) and sent is not None and name in sent:
            if limits or name not in LIMITS or (cell is not None and cell.received is not None):
                del sent[name]
        elif _inheritable(name):
            masks.append(name)
    return warnings, masks


def _receive_props(dataset: Dataset, sent: dict[str, str]) -> None:
    dataset.has_received = True
    for cell in dataset.settings.values():
        cell.received = None
    for name, value in sent.items():
        if name != "volsize" and (is_user(name) or dataset.kind in NATIVE[name].kinds):
            setting(dataset.settings, name).received = value

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configuration file says, beside what is known elsewhere: its own names, and systemd's calendar."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..model.schedules import parse_schedule
from .declared import DEFAULT_RETENTION
from .faults import meant, shown
from .gathering import Gathering, Table
from .shape import schema
from .toml_lines import Place

Calendars = Callable[[Sequence[str]], Mapping[str, str]]
"""Takes all calendar expressions, and answers those that are none, each with why."""


def compare_names(gathering: Gathering) -> None:
    """Whether what is named as a retention or a destination is there."""
    retentions = {*gathering.table("retention"), DEFAULT_RETENTION}
    for place, table in gathering.layers():
        _compare_retention(gathering, place, table, retentions)
        if not gathering.sound((*place, "destinations")):
            continue
        for number, name in enumerate(table.get("destinations", ())):
            receivers = gathering.table("destination")
            if name not in receivers:
                what = f"there is no [destination.{name}]{meant(name, receivers)}"
                gathering.fault((*place, "destinations", number), what)
    for name, table in gathering.tables("destination"):
        _compare_retention(gathering, ("destination", name), table, retentions)


def _compare_retention(gathering: Gathering, place: Place, table: Table, retentions: set[str]) -> None:
    name = table.get("retention")
    if isinstance(name, str) and name not in retentions:
        gathering.fault((*place, "retention"), f"there is no [retention.{name}]{meant(name, retentions)}")


def compare_calendars(gathering: Gathering, calendars: Calendars) -> None:
    """Whether calendar expressions are some: one question for all of them."""
    asked: dict[str, list[Place]] = {}
    for place, table in gathering.layers():
        for key in ("schedule", "push-schedule"):
            expression = _calendar(table.get(key))
            if expression:
                asked.setdefault(expression, []).append((*place, key))
    hint = schema()["definitions"]["schedule"]["x-write"]
    for expression, why in (calendars(tuple(asked)) if asked else {}).items():
        for at in asked.get(expression, ()):
            gathering.fault(at, f"{shown(expression)} {why}; write {hint}")


def _calendar(value: Any) -> str:
    try:
        return parse_schedule(value).calendar if isinstance(value, str) else ""
    except ValueError:  # gathered already
        return ""

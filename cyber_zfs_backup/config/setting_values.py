# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of a dataset's settings, from what the file has in the right shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from .ages import parse_age
from .declared import Conditions, Hook, OnFailure, Pause, Stage, parse_schedule
from .toml_lines import Place


class PartError(ValueError):
    """A value is wrong in one part of it: ``place`` tells which, from the value on."""

    def __init__(self, what: str, place: Place) -> None:
        super().__init__(what)
        self.place = place


def _hooks(value: Sequence[Mapping[str, Any]]) -> tuple[Hook, ...]:
    return tuple(_hook(number, each) for number, each in enumerate(value))


def _hook(number: int, table: Mapping[str, Any]) -> Hook:
    optional: dict[str, Any] = {}
    if "timeout" in table:
        try:
            optional["timeout"] = parse_age(table["timeout"])
        except ValueError as error:
            raise PartError(str(error), (number, "timeout")) from None
    for name, text in table.get("environment", {}).items():
        if "\0" in text:
            raise PartError("has a NUL in it; write it without", (number, "environment", name))
        optional.setdefault("environment", {})[name] = text
    if "on-failure" in table:
        optional["on_failure"] = OnFailure(table["on-failure"])
    return Hook(Stage(table["when"]), tuple(table["command"]), **optional)


def _conditions(value: Mapping[str, Any]) -> Conditions:
    load = value.get("max-load")
    if load is not None and not 0 < load < float("inf"):
        raise PartError(f"{load} is no load that a machine can have; write a number above 0", ("max-load",))
    return Conditions(
        on_ac_power=value.get("on-ac-power", False),
        max_load=None if load is None else float(load),
        command=tuple(value.get("command", ())),
    )


def _pause(value: bool | str) -> Pause | None:
    if isinstance(value, bool):
        return Pause() if value else None
    try:
        return Pause(date.fromisoformat(value))
    except ValueError:
        raise ValueError(f"{value!r} is no day; write true, false or a day, for example 2026-12-24") from None


SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "recursive": bool,
    "exclude": tuple,
    "honour-auto-snapshot": bool,
    "destinations": tuple,
    "retention": str,
    "schedule": parse_schedule,
    "push-schedule": parse_schedule,
    "pause": _pause,
    "hooks": _hooks,
    "conditions": _conditions,
    "warn-after": parse_age,
    "critical-after": parse_age,
}
"""What makes the value of each key. Raises ``ValueError`` that says what to write, or ``PartError``."""

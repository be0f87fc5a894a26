# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of a dataset's settings and of windows, from what the file has in the right shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, TypeVar

from ..model import ages as calendar_ages
from ..model.schedules import parse_schedule
from ..plan.windows import Window
from .ages import parse_age
from .declared import Conditions, Hook, OnFailure, Pause, Stage
from .faults import Fault

Maker = Callable[[Any], Any]
"""Makes a value from what the file has; raises ``ValueError`` or ``UsageError`` that says what to write."""

Key = TypeVar("Key", str, int)


class PartsError(ValueError):
    """A value is wrong in some of its parts: ``parts`` tell which, each place from the value on."""

    def __init__(self, parts: Iterable[Fault]) -> None:
        super().__init__("some of its parts are wrong")
        self.parts: tuple[Fault, ...] = tuple(parts)

    def under(self, key: str | int) -> list[Fault]:
        """The same, seen from what the value is a part of."""
        return [Fault((key, *part.place), part.what) for part in self.parts]


def all_parts(makers: Iterable[tuple[Key, Callable[[], Any]]]) -> dict[Key, Any]:
    """What all of them make, by their keys. Raises ``PartsError`` with all that is wrong, not the first."""
    made: dict[Key, Any] = {}
    wrong: list[Fault] = []
    for key, make in makers:
        try:
            made[key] = make()
        except PartsError as error:
            wrong += error.under(key)
        except ValueError as error:
            wrong.append(Fault((key,), str(error)))
    if wrong:
        raise PartsError(wrong)
    return made


def settings(command: Maker) -> Mapping[str, Maker]:
    """What makes the value of each setting of a dataset; ``command`` makes that of a command's arguments."""
    hook: Mapping[str, Maker] = {
        "when": Stage,
        "command": command,
        "timeout": parse_age,
        "environment": _environment,
        "on-failure": OnFailure,
    }
    conditions: Mapping[str, Maker] = {"on-ac-power": bool, "max-load": _load, "command": command}
    return {
        "recursive": bool,
        "exclude": tuple,
        "honour-auto-snapshot": bool,
        "destinations": tuple,
        "retention": str,
        "schedule": parse_schedule,
        "push-schedule": parse_schedule,
        "pause": _pause,
        "hooks": partial(_each, lambda table: Hook(**_fields(hook, table))),
        "conditions": lambda table: Conditions(**_fields(conditions, table)),
        "warn-after": parse_age,
        "critical-after": parse_age,
    }


def windows(value: Sequence[Mapping[str, str]]) -> tuple[Window, ...]:
    """The windows of a retention. Raises ``PartsError``."""
    return _each(_window, value)


def _each(make: Maker, value: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(all_parts((number, partial(make, each)) for number, each in enumerate(value)).values())


def _fields(makers: Mapping[str, Maker], table: Mapping[str, Any]) -> dict[str, Any]:
    made = all_parts((key, partial(make, table[key])) for key, make in makers.items() if key in table)
    return {key.replace("-", "_"): value for key, value in made.items()}


def _window(table: Mapping[str, str]) -> Window:
    found = _fields(dict.fromkeys(("max-age", "period"), calendar_ages.parse_age), table)
    most, period = found.get("max_age"), found["period"]
    try:
        return Window(most, period)
    except ValueError:
        what = f"one snapshot every {period} cannot be kept for {most}, which is shorter"
        raise ValueError(f"{what}; write a longer max-age, or a shorter period") from None


def _environment(value: Mapping[str, str]) -> Mapping[str, str]:
    return all_parts((name, partial(without_nul, text)) for name, text in value.items())


def without_nul(text: str) -> str:
    """The same text. Raises ``ValueError`` where no program can be given it."""
    if "\0" in text:
        raise ValueError("has a NUL in it, which no program can be given; write it without")
    return text


def _load(value: float) -> float:
    if not 0 < value < float("inf"):
        raise ValueError(f"{value} is no load that a machine can have; write a number above 0")
    return float(value)


def _pause(value: bool | str) -> Pause | None:
    if isinstance(value, bool):
        return Pause() if value else None
    try:
        return Pause(date.fromisoformat(value))
    except ValueError:
        raise ValueError(f"{value!r} is no day; write true, false or a day, for example 2026-12-24") from None

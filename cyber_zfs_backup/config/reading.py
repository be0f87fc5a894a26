# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration file, from its text to frozen values: all that is wrong is told at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..gatekeeper.policy import Mode
from ..model.ages import parse_age
from ..model.names import check_dataset
from ..plan.cost import SendMode
from ..plan.windows import FOREVER, Window
from . import ages
from .contradictions import contradictions
from .declared import (
    DEFAULT_RETENTION,
    PLACEHOLDERS,
    Declared,
    Entry,
    Layer,
    Notification,
    Receiver,
    Settings,
    Tell,
)
from .faults import ConfigError, Fault, meant, shown, told
from .job import Delivery, RetentionPolicy, UsageError, checked_ssh
from .rates import parse_rate
from .setting_values import SETTINGS, Finding, found_in
from .shape import plain, schema, shape_faults
from .toml_lines import Place, line_at, lines_of


@dataclass(frozen=True, slots=True)
class World:
    """What the file is compared with beyond itself.

    ``hostname`` is this machine's, unqualified. ``calendars`` takes all calendar expressions, and answers
    those that are none, each with why. ``is_there`` tells whether a file is there.
    """

    hostname: str
    calendars: Callable[[Sequence[str]], Mapping[str, str]]
    is_there: Callable[[Path], bool]


def declared_in(text: str, file: str, world: World) -> Declared:
    """What a file's text declares; ``file`` is how messages name it.

    Raises ``ConfigError`` with a line for each thing that is wrong: where the text is no TOML, that alone.
    """
    try:
        values = plain(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_no_toml(str(error), file)]) from None
    except RecursionError:
        raise ConfigError(
            [f"{file}: arrays or tables lie too deep in each other; nothing here needs that"]
        ) from None
    lines = lines_of(text)
    reader = _Reader(values, file, world, lines)
    declared = reader.declared()
    if reader.faults:
        raise ConfigError(told(reader.faults, file, values, lines))
    return declared


def _no_toml(said: str, file: str) -> str:
    found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", said, re.DOTALL)
    if found is None:
        return f"{file}: this is no TOML: {said}"
    return f"{file}:{found[2]}: this is no TOML: {found[1]}, at character {found[3]}"


class _Reader:
    """Makes values of what has the right shape, and gathers what is wrong with either."""

    def __init__(
        self, values: Mapping[str, Any], file: str, world: World, lines: Mapping[Place, int]
    ) -> None:
        self.faults = shape_faults(values)
        self._bad = [fault.place for fault in self.faults]
        self._values = values
        self._file = file
        self._world = world
        self._lines = lines

    def declared(self) -> Declared:
        retentions = {name: self._retention(name, table) for name, table in self._tables("retention")}
        retentions.setdefault(DEFAULT_RETENTION, RetentionPolicy())
        receivers = {name: self._receiver(name, table) for name, table in self._tables("destination")}
        defaults = self._layer(("defaults",), "[defaults]", self._table("defaults"))
        entries = []
        for number, table in enumerate(self._listed("dataset")):
            place: Place = ("dataset", number)
            name = self._found(place, table, "name", self._dataset)
            if name is not None:
                entries.append(Entry(name, self._layer(place, f"[[dataset]] {name}", table)))
        notification = Notification(
            **self._all(("notification",), self._table("notification"), self._notification())
        )
        declared = Declared(
            self._file, self._world.hostname, defaults, tuple(entries), receivers, retentions, notification
        )
        self._compare(declared)
        return declared

    def _compare(self, declared: Declared) -> None:
        """What is right by itself, but not beside the rest. ``declared`` lacks whatever is wrong by itself."""
        self._names(declared)
        self._calendars()
        self.faults += contradictions(declared, self._place_of(declared), ruined=bool(self.faults))

    def _place_of(self, declared: Declared) -> Mapping[str, Place]:
        """The place of each entry, by its name; of two of one name that of the first."""
        places: dict[str, Place] = {}
        for number, table in enumerate(self._listed("dataset")):
            name = self._name(table.get("name"))
            if name in places:
                line = line_at(self._lines, places[name])
                place: Place = ("dataset", number, "name")
                self._fault(place, f"there is an entry of {name} already, in line {line}; write them as one")
            places.setdefault(name, ("dataset", number))
        return places

    def _name(self, value: object) -> str:
        return value.replace("{hostname}", self._world.hostname) if isinstance(value, str) else ""

    # What has the right shape.

    def _fault(self, place: Place, what: str) -> None:
        self.faults.append(Fault(place, what))

    def _sound(self, place: Place) -> bool:
        """Whether the schema has nothing against it, or against what lies in it."""
        size = len(place)
        return not any(bad[:size] == place or bad == place[: len(bad)] for bad in self._bad)

    def _table(self, key: str) -> Mapping[str, Any]:
        value = self._values.get(key)
        return value if isinstance(value, dict) else {}

    def _tables(self, key: str) -> list[tuple[str, Mapping[str, Any]]]:
        return [(name, each) for name, each in self._table(key).items() if isinstance(each, dict)]

    def _listed(self, key: str) -> list[Mapping[str, Any]]:
        value = self._values.get(key)
        return [each if isinstance(each, dict) else {} for each in value] if isinstance(value, list) else []

    def _found(self, place: Place, table: Mapping[str, Any], key: str, how: Callable[[Any], Any]) -> Any:
        """The value of a key; ``None`` where there is none, or it is wrong: then that is gathered."""
        if key not in table or not self._sound((*place, key)):
            return None
        try:
            return how(table[key])
        except Finding as finding:
            self._fault((*place, key, *finding.place), str(finding))
        except (ValueError, UsageError) as error:
            self._fault((*place, key), str(error))
        return None

    def _all(
        self, place: Place, table: Mapping[str, Any], how: Mapping[str, Callable[[Any], Any]]
    ) -> dict[str, Any]:
        """The values of all keys that are there, by the names of their fields."""
        found = {key.replace("-", "_"): self._found(place, table, key, each) for key, each in how.items()}
        return {name: value for name, value in found.items() if value is not None}

    # The tables.

    def _layer(self, place: Place, where: str, table: Mapping[str, Any]) -> Layer:
        how = (
            SETTINGS
            | {"hooks": self._existing(SETTINGS["hooks"])}
            | {"conditions": self._existing(SETTINGS["conditions"])}
        )
        found = self._all(place, table, how)
        # `pause = false` says something, too.
        found |= {"pause": None} if table.get("pause") is False else {}
        written = {name: line_at(self._lines, (*place, name.replace("_", "-"))) for name in found}
        return Layer(where, self._lines.get(place), replace(Settings(), **found), written)

    def _retention(self, name: str, table: Mapping[str, Any]) -> RetentionPolicy:
        counts = {
            "hourly": "hours",
            "daily": "days",
            "weekly": "weeks",
            "monthly": "months",
            "yearly": "years",
        }
        kept: dict[str, Any] = dict.fromkeys(counts.values(), 0)
        place: Place = ("retention", name)
        for key, field in counts.items():
            if key in table and self._sound((*place, key)):
                kept[field] = None if table[key] == FOREVER else table[key]
        rest = {"keep-last": int, "keep-within": parse_age, "windows": _windows}
        found = self._all(place, table, rest)
        kept |= {field.removeprefix("keep_"): value for field, value in found.items()}
        return RetentionPolicy(**kept)

    def _receiver(self, name: str, table: Mapping[str, Any]) -> Receiver:
        place: Place = ("destination", name)
        how = {
            "ssh": lambda value: (checked_ssh("ssh", value), value)[1],
            "dataset": self._template,
            "mode": Mode,
            "retention": str,
            "ssh-config": lambda value: self._file_there(value),
            "use-sudo": bool,
        }
        delivery = {
            "bwlimit": parse_rate,
            "send-mode": SendMode,
            "lanes": int,
            "stall-timeout": int,
            "retries": int,
            "bookmark-base": bool,
        }
        found = {"ssh": name, "dataset": ""} | self._all(place, table, how)
        pace = Delivery(**self._all(place, table, delivery))
        if (
            "retention" in table
            and found.get("mode", Mode.MIRROR) is Mode.MIRROR
            and self._sound((*place, "mode"))
        ):
            self._fault(
                (*place, "retention"),
                'counts for an archive only, a mirror keeps what its source keeps; write mode = "archive", or '
                "leave it out",
            )
        return Receiver(name, **found, delivery=pace, line=self._lines.get(place))

    def _notification(self) -> Mapping[str, Callable[[Any], Any]]:
        return {
            "login": bool,
            "mail": tuple,
            "command": self._command,
            "on": lambda value: tuple(Tell(each) for each in value),
            "repeat": ages.parse_age,
        }

    # Values that are compared with the world.

    def _dataset(self, value: str) -> str:
        return check_dataset(self._name(value))

    def _template(self, value: str) -> str:
        for word in re.findall(r"\{([^{}]*)\}", value):
            if word not in PLACEHOLDERS:
                raise ValueError(
                    f"{shown(value)} has the unknown placeholder {{{word}}}{meant(word, PLACEHOLDERS)}"
                )
        receiver = Receiver("", "", value)
        if "/" not in check_dataset(receiver.copy_of("pool/dataset", self._world.hostname)):
            raise ValueError(
                f'{shown(value)} is a whole pool; write POOL/DATASET, for example "{value}/{{hostname}}"'
            )
        return value

    def _file_there(self, value: str) -> Path:
        if not value.startswith("/"):
            raise ValueError(f"{shown(value)} is no whole path; write it from / on")
        if not self._world.is_there(Path(value)):
            raise ValueError(f"there is no file {value}; make it, or name another")
        return Path(value)

    def _command(self, value: Sequence[str]) -> tuple[str, ...]:
        self._file_there(value[0])
        if any("\0" in each for each in value):
            raise ValueError("an argument has a NUL in it, which no program can be given; write it without")
        return tuple(value)

    def _existing(self, how: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The same, and each ``command`` in it names a file that is there."""

        def check(value: Any) -> Any:
            for place, command in found_in(value, "command"):
                try:
                    self._command(command)
                except ValueError as error:
                    raise Finding(str(error), place) from None
            return how(value)

        return check

    # Beside the rest.

    def _names(self, declared: Declared) -> None:
        retentions = {*(name for name, _ in self._tables("retention")), DEFAULT_RETENTION}
        receivers = set(self._table("destination"))
        tables: list[tuple[Place, Mapping[str, Any]]] = [(("defaults",), self._table("defaults"))]
        tables += [(("dataset", number), each) for number, each in enumerate(self._listed("dataset"))]
        tables += [(("destination", name), each) for name, each in self._tables("destination")]
        for place, table in tables:
            name = table.get("retention")
            if isinstance(name, str) and name not in retentions:
                self._fault((*place, "retention"), f"there is no [retention.{name}]{meant(name, retentions)}")
            if place[0] != "destination" and self._sound((*place, "destinations")):
                for number, each in enumerate(table.get("destinations", ())):
                    if each not in receivers:
                        what = f"there is no [destination.{each}]{meant(each, receivers)}"
                        self._fault((*place, "destinations", number), what)

    def _calendars(self) -> None:
        """One question for all calendar expressions."""
        asked: dict[str, list[Place]] = {}
        tables: list[tuple[Place, Mapping[str, Any]]] = [(("defaults",), self._table("defaults"))]
        tables += [(("dataset", number), each) for number, each in enumerate(self._listed("dataset"))]
        for place, table in tables:
            for key in ("schedule", "push-schedule"):
                schedule = self._quiet(table.get(key), SETTINGS[key])
                if schedule is not None and schedule.calendar:
                    asked.setdefault(schedule.calendar, []).append((*place, key))
        for expression, why in self._world.calendars(tuple(asked)).items() if asked else ():
            for at in asked.get(expression, ()):
                self._fault(
                    at, f"{shown(expression)} {why}; write {schema()['definitions']['schedule']['x-write']}"
                )

    @staticmethod
    def _quiet(value: object, how: Callable[[Any], Any]) -> Any:
        try:
            return how(value) if isinstance(value, str) else None
        except ValueError:
            return None


def _windows(value: Sequence[Mapping[str, str]]) -> tuple[Window, ...]:
    windows = []
    for number, each in enumerate(value):
        ages_of = {}
        for key in ("max-age", "period"):
            try:
                ages_of[key] = parse_age(each[key]) if key in each else None
            except ValueError as error:
                raise Finding(str(error), (number, key)) from None
        period = ages_of["period"]
        assert period is not None  # noqa: S101 - the schema requires it
        try:
            windows.append(Window(ages_of["max-age"], period))
        except ValueError:
            raise Finding(
                f"one snapshot every {period} cannot be kept for {ages_of['max-age']}, which is shorter; write "
                "a longer max-age, or a shorter period",
                (number,),
            ) from None
    return tuple(windows)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration file, from its text to frozen values: all that is wrong is told at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..gatekeeper.policy import Mode
from ..model.ages import parse_age
from ..model.names import BadNameError, check_dataset
from ..plan.cost import SendMode
from ..plan.windows import FOREVER
from . import ages
from .comparing import Calendars, compare_calendars, compare_names
from .contradictions import contradictions
from .declared import (
    BUCKETS,
    DEFAULT_RETENTION,
    PLACEHOLDERS,
    Declared,
    Entry,
    Layer,
    Monitoring,
    Notification,
    Receiver,
    Retention,
    Settings,
    Tell,
)
from .faults import ConfigError, Fault, meant, shown, told
from .gathering import Gathering, Table
from .job import Delivery, RetentionPolicy, checked_metrics, checked_ssh
from .rates import parse_rate
from .setting_values import Maker, settings, windows, without_nul
from .shape import plain
from .toml_lines import Place, line_at, lines_of
from .webhooks import checked_webhook


@dataclass(frozen=True, slots=True)
class World:
    """What the file is compared with beyond itself: ``hostname`` is this machine's, unqualified;
    ``is_there`` tells whether a file is there. ``known_good``: this very text was found to fit the schema."""

    hostname: str
    calendars: Calendars
    is_there: Callable[[Path], bool]
    known_good: bool = False


def declared_in(text: str, file: str, world: World) -> Declared:
    """What a file's text declares; ``file`` is how messages name it.

    Raises ``ConfigError`` with a line for each thing that is wrong: where the text is no TOML, that alone.
    """
    try:
        values = plain(tomllib.loads(text))
        # Alone: a number that is too big even to be shown would break what looks for all else.
        too_big = [Fault(place, _TOO_BIG) for place in _too_big(values)]
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_no_toml(str(error), file)]) from None
    except ValueError:  # Python reads no integer of thousands of digits, and does not tell where it is
        raise ConfigError([f"{file}: a whole number in it {_TOO_BIG}"]) from None
    except RecursionError:
        raise ConfigError([f"{file}: arrays or tables lie too deep in each other; make them flat"]) from None
    lines = lines_of(text)
    if too_big:
        raise ConfigError(told(too_big, file, values, lines))
    gathering = Gathering(values, known_good=world.known_good)
    declared = _Reader(gathering, file, world, lines).declared()
    compare_names(gathering)
    compare_calendars(gathering, world.calendars)
    places = {name: place for name, place in _names(gathering, world.hostname) if name in declared.entries}
    gathering.faults += contradictions(declared, places, ruined=bool(gathering.faults))
    if gathering.faults:
        raise ConfigError(told(gathering.faults, file, values, lines))
    return declared


def notification_in(text: str, file: str, world: World) -> Notification | None:
    """Who is told by a file that cannot be used as a whole; ``None`` where that is among what is wrong."""
    try:
        values = plain(tomllib.loads(text))
    except (ValueError, RecursionError):
        return None
    gathering = Gathering({key: values[key] for key in ("notification",) if key in values})
    found = _Reader(gathering, file, world, lines_of(text)).notification()
    return None if gathering.faults else found


_TOO_BIG = "is beyond what TOML knows (64 bits); write a smaller one"


def _too_big(value: object, place: Place = ()) -> Iterator[Place]:
    """Where there are whole numbers that TOML does not know: tomllib takes them all the same."""
    parts: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield place
    for key, part in parts:
        yield from _too_big(part, (*place, key))


def _no_toml(said: str, file: str) -> str:
    found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", said, re.DOTALL)
    if found is None:
        return f"{file}: this is no TOML: {said}"
    return f"{file}:{found[2]}: this is no TOML: {found[1]}, at character {found[3]}"


def _expanded(name: str, hostname: str) -> str:
    return name.replace("{hostname}", hostname)


def _names(gathering: Gathering, hostname: str) -> Iterator[tuple[str, Place]]:
    """Each entry's name and place, from the last to the first."""
    for place, table in reversed(list(gathering.layers())):
        if isinstance(table.get("name"), str):
            yield _expanded(table["name"], hostname), place


class _Reader:
    def __init__(self, gathering: Gathering, file: str, world: World, lines: Mapping[Place, int]) -> None:
        self._from = gathering
        self._file = file
        self._world = world
        self._lines = lines

    def declared(self) -> Declared:
        """All that is right by itself; what is not, is gathered."""
        retentions = {name: self._retention(name, table) for name, table in self._from.tables("retention")}
        retentions.setdefault(DEFAULT_RETENTION, Retention())
        receivers = {name: self._receiver(name, table) for name, table in self._from.tables("destination")}
        (place, table), *rest = self._from.layers()
        return Declared(
            self._file,
            self._world.hostname,
            self._layer(place, "[defaults]", table),
            self._entries(rest),
            receivers,
            retentions,
            self.notification(),
            self._monitoring(),
        )

    def _entries(self, layers: Sequence[tuple[Place, Table]]) -> Mapping[str, Entry]:
        entries: dict[str, Entry] = {}
        for place, table in layers:
            name = self._from.found(place, table, "name", self._dataset)
            layer = self._layer(place, f"[[dataset]] {name}", table)
            if name in entries:
                line = entries[name].own.line
                what = f"there is a [[dataset]] of that name already, in line {line}; make them one"
                self._from.fault((*place, "name"), what)
            elif name is not None:
                entries[name] = Entry(name, layer)
        return entries

    def _layer(self, place: Place, where: str, table: Table) -> Layer:
        found = self._from.all_of(place, table, settings(self._command))
        # `pause = false` says something, too.
        found |= {"pause": None} if table.get("pause") is False else {}
        written = {name: line_at(self._lines, (*place, name.replace("_", "-"))) for name in found}
        return Layer(where, self._lines.get(place), replace(Settings(), **found), written)

    def _retention(self, name: str, table: Table) -> Retention:
        place: Place = ("retention", name)
        kept: dict[str, Any] = dict.fromkeys(BUCKETS.values(), 0)
        for key, field in BUCKETS.items():
            if key in table and self._from.sound((*place, key)):
                kept[field] = None if table[key] == FOREVER else table[key]
        makers: Mapping[str, Maker] = {"keep-last": int, "keep-within": parse_age, "windows": windows}
        so_far = len(self._from.faults)
        found = self._from.all_of(place, table, makers)
        kept |= {key.removeprefix("keep_"): value for key, value in found.items()}
        policy = RetentionPolicy(**kept)
        if policy.keeps_nothing and self._from.sound(place) and len(self._from.faults) == so_far:
            what = "keeps nothing; write how many of at least one kind, for example daily = 31"
            self._from.fault(place, what)
        return Retention(policy, self._lines.get(place))

    def _receiver(self, name: str, table: Table) -> Receiver:
        place: Place = ("destination", name)
        makers: Mapping[str, Maker] = {
            "ssh": _ssh,
            "dataset": self._template,
            "mode": Mode,
            "retention": str,
            "ssh-config": self._file_there,
            "use-sudo": bool,
        }
        pace: Mapping[str, Maker] = {
            "bwlimit": parse_rate,
            "send-mode": SendMode,
            "lanes": int,
            "stall-timeout": int,
            "retries": int,
            "bookmark-base": bool,
        }
        found = {"ssh": name, "dataset": ""} | self._from.all_of(place, table, makers)
        if "retention" in table and table.get("mode", Mode.MIRROR.value) == Mode.MIRROR.value:
            what = (
                'counts for an archive only, a mirror keeps what its source keeps; write mode = "archive" too'
            )
            self._from.fault((*place, "retention"), what)
        delivery = Delivery(**self._from.all_of(place, table, pace))
        return Receiver(
            name, **found, delivery=delivery, line=self._lines.get(place), written=self._written(place, table)
        )

    def _written(self, place: Place, table: Table) -> Mapping[str, int | None]:
        return {key: line_at(self._lines, (*place, key)) for key in table}

    def notification(self) -> Notification:
        """Who is told."""
        makers: Mapping[str, Maker] = {
            "login": bool,
            "mail": tuple,
            "command": self._command,
            "webhook": lambda value: tuple(map(checked_webhook, value)),
            "on": lambda value: tuple(Tell(each) for each in value),
            "repeat": ages.parse_age,
        }
        place, table = ("notification",), self._from.table("notification")
        return Notification(**self._from.all_of(place, table, makers), written=self._written(place, table))

    def _monitoring(self) -> Monitoring:
        place, table = ("monitoring",), self._from.table("monitoring")
        found = self._from.all_of(place, table, {"metrics": _metrics})
        return Monitoring(**found, written=self._written(place, table))

    def _dataset(self, value: str) -> str:
        return _named(_expanded(value, self._world.hostname))

    def _template(self, value: str) -> str:
        for word in re.findall(r"\{([^{}]*)\}", value):
            if word not in PLACEHOLDERS:
                near = meant(word, PLACEHOLDERS)
                raise ValueError(f"{shown(value)} has the unknown placeholder {{{word}}}{near}")
        # Of a dataset that is no pool; what becomes of the entries that there are is looked at later.
        if "/" not in _named(Receiver("", "", value).copy_of("x/x", self._world.hostname)):
            raise ValueError(
                f'{shown(value)} is a whole pool; write "{value}/{{hostname}}", or another dataset'
            )
        return value

    def _file_there(self, value: str) -> Path:
        path = _whole(value)
        if "\0" in value or not self._world.is_there(path):
            raise ValueError(f"there is no file {shown(value)}; make it, or name another")
        return path

    def _command(self, value: Sequence[str]) -> tuple[str, ...]:
        self._file_there(value[0])
        return tuple(map(without_nul, value))


def _named(dataset: str) -> str:
    try:
        return check_dataset(dataset)
    except BadNameError as error:
        raise ValueError(f"{error}; write a name as zfs list shows it, for example tank/home") from None


def _whole(value: str) -> Path:
    if not value.startswith("/"):
        raise ValueError(f"{shown(value)} is no whole path; write it from / on")
    return Path(value)


def _metrics(value: str) -> Path:
    path = _whole(value)
    checked_metrics("", path)
    return path


def _ssh(value: str) -> str:
    checked_ssh("ssh", value)
    return value

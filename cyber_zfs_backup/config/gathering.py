# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes values out of the configuration file, and gathers what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .faults import Fault
from .job import UsageError
from .setting_values import Maker, PartsError
from .shape import shape_faults
from .toml_lines import Place

Table = Mapping[str, Any]


class Gathering:
    """The values of a file (made ``shape.plain``), and in ``faults`` all that is wrong so far.

    Whatever the schema has something against is left alone: its shape can be anything. What is ``known_good``
    was found to fit the schema earlier.
    """

    def __init__(self, values: Table, *, known_good: bool = False) -> None:
        self.values = values
        self.faults = [] if known_good else shape_faults(values)
        self._bad = [fault.place for fault in self.faults]

    def fault(self, place: Place, what: str) -> None:
        """Something is wrong."""
        self.faults.append(Fault(place, what))

    def table(self, key: str) -> Table:
        """A table at the top; empty where there is none."""
        value = self.values.get(key)
        return value if isinstance(value, dict) else {}

    def tables(self, key: str) -> Iterator[tuple[str, Table]]:
        """The tables of a table at the top, by their names."""
        return ((name, each) for name, each in self.table(key).items() if isinstance(each, dict))

    def layers(self) -> Iterator[tuple[Place, Table]]:
        """The tables with settings of datasets, each with its place: the defaults, and each dataset's."""
        yield ("defaults",), self.table("defaults")
        entries = self.values.get("dataset")
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            yield ("dataset", number), entry if isinstance(entry, dict) else {}

    def sound(self, place: Place) -> bool:
        """Whether the schema has nothing against it, nor against what lies in it or what it lies in."""
        size = len(place)
        return not any(bad[:size] == place or bad == place[: len(bad)] for bad in self._bad)

    def found(self, place: Place, table: Table, key: str, make: Maker) -> Any:
        """The value of a key; ``None`` where there is none, or where it is wrong, which is gathered."""
        if key not in table or not self.sound((*place, key)):
            return None
        try:
            return make(table[key])
        except PartsError as error:
            for part in error.parts:
                self.fault((*place, key, *part.place), part.what)
        except (ValueError, UsageError) as error:
            self.fault((*place, key), str(error))
        return None

    def all_of(self, place: Place, table: Table, makers: Mapping[str, Maker]) -> dict[str, Any]:
        """The values of all these keys that are there and right, by the names of their fields."""
        found = {key.replace("-", "_"): self.found(place, table, key, make) for key, make in makers.items()}
        return {name: value for name, value in found.items() if value is not None}

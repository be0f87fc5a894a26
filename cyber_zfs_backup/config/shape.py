# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the configuration file has the shape that its JSON Schema tells, in words of our own.

The schema (``config.schema.json``) is draft-07, which editors understand. Two keywords are ours:
``x-write`` says what to write, ``x-default`` what counts where nothing is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import Any

from .faults import Fault, meant, shown
from .toml_lines import Place

SCHEMA = Path(__file__).with_name("config.schema.json")


@lru_cache(maxsize=1)
def schema() -> Mapping[str, Any]:
    """The schema, as JSON has it."""
    read: Mapping[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return read


def plain(value: object) -> Any:
    """The same with texts in the place of days and times, which JSON does not know."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.isoformat() if isinstance(value, date | datetime | time) else value


def shape_faults(values: Mapping[str, object]) -> list[Fault]:
    """All that does not fit the schema, in values that are ``plain``."""
    return [fault for error in _validator().iter_errors(values) for fault in _faults(error)]


@lru_cache(maxsize=1)
def _validator() -> Any:
    # A fifth of a second to import: only who has a configuration file pays for it.
    from jsonschema import Draft7Validator, validators  # noqa: PLC0415 - see above

    # JSON takes 3.0 for a whole number; TOML, and we, do not.
    checker = Draft7Validator.TYPE_CHECKER.redefine("integer", lambda _checker, each: type(each) is int)
    strict: Any = validators.extend(Draft7Validator, type_checker=checker)  # type: ignore[no-untyped-call]
    return strict(schema())


def _faults(error: Any) -> Iterator[Fault]:
    place: Place = tuple(error.absolute_path)
    kind, value = error.validator, error.instance
    if "propertyNames" in error.absolute_schema_path:
        yield Fault((*place, value), f"{shown(value)} is no name for it; write {error.schema['x-write']}")
    elif kind == "additionalProperties":
        known = error.schema["properties"]
        for key in value:
            if key not in known:
                yield Fault((*place, key), f"unknown key{_belongs(key, known) or meant(key, known)}")
    elif kind == "required":
        for key in error.validator_value:
            if key not in value:
                # What the file as a whole needs is told apart from its keys.
                known = error.schema.get("properties", schema()["properties"])
                yield Fault((*place, key), f"is missing; write {_hint(known[key])}")
    elif kind == "uniqueItems":
        yield Fault(place, f"something is written twice in {shown(value)}; write it once")
    elif kind == "minProperties":
        yield Fault(place, f"nothing is said; write {error.schema['x-write']}")
    else:
        words = error.schema.get("enum", ())
        near = meant(value, words) if isinstance(value, str) and words else ""
        hint = near if near.startswith("; did") else f"; write {_hint(error.schema)}"
        yield Fault(place, f"{shown(value)} cannot be used{hint}")


def _hint(said: Mapping[str, Any]) -> str:
    hint: str = said["x-write"]
    return hint


def _belongs(key: str, here: Mapping[str, Any]) -> str:
    """Where a key belongs that is known, but not here."""
    whole = schema()["properties"]
    tables = {
        "[defaults]": whole["defaults"],
        "[[dataset]]": whole["dataset"]["items"],
        "[destination.NAME]": whole["destination"]["additionalProperties"],
        "[retention.NAME]": whole["retention"]["additionalProperties"],
        "[notification]": whole["notification"],
        "[monitoring]": whole["monitoring"],
    }
    fit = [
        table
        for table, said in tables.items()
        if key in said["properties"] and said["properties"] is not here
    ]
    return f" here; it belongs below {' or '.join(fit)}" if fit else ""

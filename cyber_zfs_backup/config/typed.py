# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings as values for programs: numbers, booleans, texts, lists and tables, as the file has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import timedelta
from enum import Enum
from typing import Any

from ..plan.windows import FOREVER, Window
from .ages import as_age
from .declared import BUCKETS, Conditions, Hook, Pause
from .job import RetentionPolicy


def typed(value: object) -> Any:
    """The value as JSON takes it; ``None`` where there is none that could be written.

    Ages, schedules, days and files are texts that the file may have again, words of ours as well. A number of
    seconds or of bytes a second is a number.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return [typed(each) for each in value]
    if isinstance(value, Mapping):
        return {key: typed(each) for key, each in value.items()}
    return next((make(value) for kind, make in _BY_KIND if isinstance(value, kind)), str(value))


def _table(value: Hook | Conditions | Window) -> Mapping[str, Any]:
    """What the file could have of it, and what is built in beside that; without what is none."""
    made = ((each.name.replace("_", "-"), typed(getattr(value, each.name))) for each in fields(value))
    return {key: each for key, each in made if each is not None and each != []}


def _kept(policy: RetentionPolicy) -> Mapping[str, Any]:
    counts = {key: getattr(policy, field) for key, field in BUCKETS.items()}
    kept = {key: FOREVER if count is None else count for key, count in counts.items() if count != 0}
    others = {"keep-last": policy.last, "keep-within": policy.within, "windows": policy.windows}
    return kept | {key: typed(value) for key, value in others.items() if value}


_BY_KIND: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (Enum, lambda each: each.value),
    (timedelta, as_age),
    (Pause, lambda pause: str(pause.until) if pause.until else True),
    (Hook, _table),
    (Conditions, _table),
    (Window, _table),
    (RetentionPolicy, _kept),
)

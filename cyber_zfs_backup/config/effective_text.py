# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts, as rows for people and programs: of what, which setting, its value, and where it is from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import Enum
from typing import Any

from ..model.places import HERE
from .ages import as_age
from .best_fit import BUILT_IN, Effective, copy_of, effective, origin
from .declared import BUCKETS, Conditions, Declared, Hook, Receiver, Retention, Settings
from .job import Delivery, RetentionPolicy
from .typed import typed
from .webhooks import without_secret


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: of what, its key, its value in words, where that comes from; and it for programs."""

    of: str
    setting: str
    value: str
    origin: str
    typed: object

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """What people see."""
        return self.of, self.setting, self.value, self.origin


_NONE = {
    "push_schedule": "after each snapshot",
    "ssh_config": "ssh's own",
    "bwlimit": "as fast as it goes",
    "pause": "no",
    "warn_after": "the longest gap of the schedule and 2h",
    "critical_after": "two such gaps and 2h",
}
"""What it means that a setting is ``None``; others are none."""


def dataset_rows(declared: Declared, dataset: str) -> tuple[list[Row], str]:
    """What counts for a dataset, and why it is left out (empty where it is backed up)."""
    found = effective(declared, dataset)
    rows = [
        Row(dataset, _key(name), _text(name, value), found.origins[name], _typed(name, value))
        for name, value in ((each.name, _setting(found, each.name)) for each in fields(Settings))
    ]
    kept = declared.retentions[found.settings.retention]
    where = _of_retention(declared, found.settings.retention, kept)
    rows.append(Row(dataset, "keeps", kept_text(kept.policy), where, typed(kept.policy)))
    for name in found.settings.destinations:
        receiver = declared.receivers[name]
        copy = copy_of(declared, dataset, receiver)
        if copy is not None:
            where = origin(declared, receiver.line, f"[destination.{name}]")
            there = f"{receiver.ssh or HERE}:{copy}"
            rows.append(Row(dataset, f"copy at {name}", there, where, there))
    return rows, found.left_out


def receiver_rows(declared: Declared) -> list[Row]:
    """What counts for each destination."""
    return [row for receiver in declared.receivers.values() for row in _receiver(declared, receiver)]


def _receiver(declared: Declared, receiver: Receiver) -> list[Row]:
    table = f"[destination.{receiver.name}]"
    values = {each.name: getattr(receiver, each.name) for each in fields(Receiver)}
    values |= {each.name: getattr(receiver.delivery, each.name) for each in fields(Delivery)}
    for name in ("name", "delivery", "line", "written"):
        del values[name]
    if "retention" not in receiver.written:
        del values["retention"]
    return _rows(declared, table, receiver.written, values)


def notification_rows(declared: Declared) -> list[Row]:
    """What counts for the notification."""
    table, notification = "[notification]", declared.notification
    values = {each.name: getattr(notification, each.name) for each in fields(notification)}
    del values["written"]
    return _rows(declared, table, notification.written, values)


def monitoring_rows(declared: Declared) -> list[Row]:
    """What counts for monitoring systems."""
    monitoring = declared.monitoring
    return _rows(declared, "[monitoring]", monitoring.written, {"metrics": monitoring.metrics})


def _rows(
    declared: Declared, table: str, written: Mapping[str, int | None], values: Mapping[str, object]
) -> list[Row]:
    return [
        Row(
            table,
            _key(name),
            _text(name, value),
            _written(declared, table, written, _key(name)),
            _typed(name, value),
        )
        for name, value in values.items()
    ]


def kept_text(policy: RetentionPolicy) -> str:
    """What a retention keeps, in a few words."""
    counts = ((getattr(policy, field), kind) for kind, field in BUCKETS.items())
    parts = [f"{'all' if count is None else count} {kind}" for count, kind in counts if count != 0]
    parts += [f"the last {policy.last}"] if policy.last else []
    parts += [f"all within {policy.within}"] if policy.within else []
    parts += [
        f"one every {window.period} {'for ever' if window.max_age is None else f'up to {window.max_age}'}"
        for window in policy.windows
    ]
    return ", ".join(parts) or "the newest"


def _of_retention(declared: Declared, name: str, kept: Retention) -> str:
    return origin(declared, kept.line, f"[retention.{name}]") if kept.line else BUILT_IN


def _written(declared: Declared, table: str, written: Mapping[str, int | None], key: str) -> str:
    return origin(declared, written[key], table) if key in written else BUILT_IN


def _setting(found: Effective, name: str) -> object:
    return getattr(found.settings, name)


def _typed(name: str, value: Any) -> object:
    if name == "webhook":
        return [without_secret(url) for url in value]
    return False if name == "pause" and value is None else typed(value)


def _key(name: str) -> str:
    return name.replace("_", "-")


def _text(name: str, value: object) -> str:
    if value is None:
        return _NONE.get(name, "none")
    if name in _BY_NAME:
        return _BY_NAME[name](value)
    if isinstance(value, tuple):
        return ", ".join(_text("", each) for each in value) or "none"
    return next((write(value) for kind, write in _BY_KIND if isinstance(value, kind)), str(value))


def _hook(hook: Hook) -> str:
    names = f", with {', '.join(hook.environment)}" if hook.environment else ""
    limits = f"{as_age(hook.timeout)}, {hook.on_failure.value}{names}"
    return f"{hook.when.value}: {' '.join(hook.command)} ({limits})"


def _conditions(conditions: Conditions) -> str:
    parts = ["on AC power"] if conditions.on_ac_power else []
    parts += [f"load up to {conditions.max_load:g}"] if conditions.max_load is not None else []
    parts += [f"where {' '.join(conditions.command)} ends with 0"] if conditions.command else []
    return ", ".join(parts) or "none"


_BY_NAME: Mapping[str, Callable[[Any], str]] = {
    "ssh": lambda host: host or HERE,
    "command": lambda words: " ".join(words) or "none",
    "webhook": lambda urls: ", ".join(map(without_secret, urls)) or "none",
    "hooks": lambda hooks: "; ".join(map(_hook, hooks)) or "none",
    "conditions": _conditions,
    "pause": lambda pause: f"until {pause.until}" if pause.until else "yes",
}
_BY_KIND: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (bool, lambda flag: "true" if flag else "false"),
    (Enum, lambda each: str(each.value)),
    (timedelta, as_age),
)

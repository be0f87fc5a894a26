# SPDX-License-Identifier: GPL-3.0-or-later
"""What one client may do, from a file that the receiver's root has written (TOML), or from options."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum

from ..model.names import check_dataset
from ..plan.floors import Keep

_FLOORS, _ARCHIVE = Keep(7, 4, 12), Keep(31, 12, 36)


class PolicyError(Exception):
    """The policy cannot be used; the message says what is wrong with which key, in one line."""


class Mode(Enum):
    """Who expires: the receiver by its own retention, or the sender within limits."""

    ARCHIVE = "archive"
    MIRROR = "mirror"


@dataclass(frozen=True, slots=True)
class Policy:
    """One client's policy. ``quota``: bytes a day, or ``None``; ``destroy_percent`` is a day's too."""

    root: str
    mode: Mode = Mode.ARCHIVE
    keep_at_least: Keep = _FLOORS
    retention: Keep = _ARCHIVE
    destroy_percent: int = 20
    quota: int | None = None
    receives: int = 4
    restore: bool = False

    @property
    def told(self) -> str:
        """What the sender is told."""
        return f"{self.mode.value},restore" if self.restore else self.mode.value


def load(path: str) -> dict[str, object]:
    """The values of a policy's file. Raises ``PolicyError``, also where others than root can write it."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != 0 or status.st_mode & 0o022:
                raise PolicyError(f"{path} can be written by others than root: chown root, chmod 0644")
            return tomllib.load(file)
    except (OSError, ValueError) as error:  # also of TOML and of its encoding
        raise PolicyError(f"{path}: {error}") from None


def understood(values: Mapping[str, object]) -> Policy:
    """The policy of a file's values. Raises ``PolicyError``."""
    names = {each.name.replace("_", "-"): each.name for each in fields(Policy)}
    found: dict[str, object] = {}
    for key, value in values.items():
        if key not in _KEYS:
            raise PolicyError(f"unknown key {key!r}: write one of {', '.join(_KEYS)}")
        check, hint = _KEYS[key]
        try:
            found[names[key]] = check(value)
        except (ValueError, TypeError, AttributeError, KeyError):
            raise PolicyError(f"{key} = {value!r}: write {hint}") from None
    if "root" not in found:
        raise PolicyError("root is missing: the dataset at or below which the client's copies lie")
    return Policy(**found)  # type: ignore[arg-type]  # each was made by its check


def _number(least: int, most: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError
        return value

    return check


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _bytes(value: object) -> int:
    number, unit = re.fullmatch(r"([0-9]{1,12})([kMGT]?)", value).groups()  # type: ignore
    return int(number) << 10 * " kMGT".index(unit or " ")


def _keep(value: object) -> Keep:
    return Keep(**{name: _number(0, 10000)(count) for name, count in value.items()})  # type: ignore


_KEYS: dict[str, tuple[Callable[..., object], str]] = {
    "root": (check_dataset, 'a dataset, "offsite/zippy"'),
    "mode": (Mode, '"archive" or "mirror"'),
    "keep-at-least": (_keep, "{ days = 7, weeks = 4, months = 12 }"),
    "retention": (_keep, "{ days = 31, weeks = 12, months = 36 }"),
    "destroy-percent": (_number(0, 100), "a number from 0 to 100"),
    "quota": (_bytes, 'bytes a day, "500M" or "20G"'),
    "receives": (_number(1, 64), "a number from 1 to 64"),
    "restore": (_flag, "true or false"),
}

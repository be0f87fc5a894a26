# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say what is kept: of every command that expires, or tells what an expire would do."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

from ..config.job import RetentionPolicy
from ..model.ages import parse_age
from ..plan.windows import FOREVER, parse_window
from .options import whole_number

Value = TypeVar("Value")


def add_retention(group: argparse._ArgumentGroup) -> None:
    """What is kept."""
    group.add_argument(
        "--retention-policy",
        nargs=3,
        type=_count,
        default=(31, 12, 36),
        metavar=("DAYS", "WEEKS", "MONTHS"),
        help="how many daily, weekly and monthly snapshots to keep (default: 31 12 36); 0 leaves a kind out, "
        f"'{FOREVER}' keeps all of a kind and none of the next; one a year is kept for ever",
    )
    group.add_argument(
        "--hourlies",
        type=_count,
        default=0,
        metavar="N",
        help="how many hourly snapshots to keep, before the dailies begin (default: 0)",
    )
    group.add_argument(
        "--yearlies",
        type=_count,
        metavar="N",
        help=f"how many yearly snapshots to keep, after the monthlies (default: {FOREVER}); with 0, and "
        "--retention-policy 0 0 0, only what the next three options keep",
    )
    group.add_argument(
        "--keep-last",
        type=whole_number,
        default=0,
        metavar="N",
        help="keep the newest N too, however old they are (default: 1)",
    )
    group.add_argument(
        "--keep-within",
        type=as_type(parse_age),
        metavar="AGE",
        help="keep all that are not older, too: 36h, 14d, '3 months' (s, min, h, d, w, months, y; months are "
        "the calendar's)",
    )
    group.add_argument(
        "--window",
        type=as_type(parse_window),
        action="append",
        default=[],
        metavar="AGE/PERIOD",
        help="keep the first snapshot of each period up to that age, too: 7d/1h, '6 months/1d', "
        f"{FOREVER}/1y; may be given several times. Periods are the calendar's, in UTC",
    )


def retention_of(options: argparse.Namespace) -> RetentionPolicy:
    """What was asked for of ``add_retention``. Raises ``UsageError``."""
    days, weeks, months = options.retention_policy
    return RetentionPolicy(
        days=days,
        weeks=weeks,
        months=months,
        hours=options.hourlies,
        years=options.yearlies,
        last=options.keep_last,
        within=options.keep_within,
        windows=tuple(options.window),
    )


def _count(text: str) -> int | None:
    """A whole number, or ``None`` for the word that says that there is no end."""
    if text.lower() == FOREVER:
        return None
    try:
        return whole_number(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, nor the word '{FOREVER}'") from None


def as_type(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """The same, as argparse wants its errors."""

    def parsed(text: str) -> Value:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed

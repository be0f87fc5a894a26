# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say what is kept, and the grammar of ``retention``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

from ..config.job import Force, RetentionPolicy, UsageError
from ..config.retaining import Explain, Simulate
from ..model.ages import parse_age
from ..model.names import relative
from ..plan.windows import FOREVER, parse_window
from . import helptext
from .options import (
    PROGRAM,
    add_dataset,
    add_exclude,
    add_show,
    add_source,
    dataset_of,
    exclude_of,
    show_of,
    source_of,
    whole_number,
)
from .request import Lines, Request
from .restoring import MakeParser

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
        type=_of(parse_age),
        metavar="AGE",
        help="keep all that are not older, too: 36h, 14d, '3 months' (s, min, h, d, w, months, y; months are "
        "the calendar's)",
    )
    group.add_argument(
        "--window",
        type=_of(parse_window),
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


def _of(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """The same, as argparse wants its errors."""

    def parsed(text: str) -> Value:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


def retention_parser(make: MakeParser) -> argparse.ArgumentParser:
    """All that ``retention`` takes, in one, for the manual and the shells."""
    parser = make(f"{PROGRAM} retention", helptext.RETENTION, helptext.RETENTION_EXAMPLES)
    parser.add_argument(
        "what",
        nargs="+",
        metavar="WHAT",
        help="'simulate': which snapshots would exist; or 'explain [DATASET]': what becomes of each that "
        "exists now, of that dataset and all below it (default: the whole tree)",
    )
    add_retention(parser.add_argument_group("what is kept"))
    _add_simulate(parser.add_argument_group("simulate"))
    explain = parser.add_argument_group("explain")
    add_dataset(explain)
    add_exclude(explain)
    explain.add_argument("--no-recursive", action="store_true", help="that one dataset alone")
    explain.add_argument(
        "--force-destroy-lots", action="store_true", help="as if the expire were given the same"
    )
    add_source(parser.add_argument_group("where the tree is, if not on this machine"), config=True)
    add_show(parser)
    return parser


def _add_simulate(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--from",
        dest="begin",
        type=_of(_day),
        metavar="DATE",
        help="the first day, as 2026-11-23 (default: so that the last one is today)",
    )
    group.add_argument(
        "--years", type=whole_number, metavar="N", help="for so many years (default: 3; at most 100)"
    )
    group.add_argument(
        "--snapshots-per-day",
        type=whole_number,
        metavar="N",
        help="so many a day, the first at midnight (UTC; default: 1); what is kept is decided after each",
    )
    group.add_argument(
        "--on",
        type=_of(_day),
        metavar="DATE",
        help="show what exists at the end of that day (default: the last)",
    )
    group.add_argument("--output", metavar="FILE", help="draw it into that file too, as SVG")


def _day(text: str) -> date:
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no day: {error}; write one as 2026-11-23") from None
    raise ValueError(f"{text!r} is no day; write one as 2026-11-23")


def understand(make: MakeParser, argv: Sequence[str], host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    options = retention_parser(make).parse_args(argv)
    first, *rest = options.what
    show = replace(show_of(options), lines=Lines.ALL)
    if first == "simulate":
        _refuse(options, first, ("dataset", "exclude", "no_recursive", "force_destroy_lots", *_SOURCE))
        if rest:
            raise UsageError(f"retention simulate: it needs no dataset; {rest[0]!r} is one word too many")
        return Request(_simulate(options), show)
    if first == "explain":
        _refuse(options, first, ("begin", "years", "snapshots_per_day", "on", "output"))
        if len(rest) > 1:
            raise UsageError(f"retention explain: one dataset at a time; {rest[1]!r} is one too many")
        return Request(_explain(options, rest, host), show)
    raise UsageError(f"retention: {first!r} is nothing that it does; write simulate or explain")


_SOURCE = ("source_ssh_destination", "source_use_sudo", "ssh_config")


def _refuse(options: argparse.Namespace, word: str, names: Sequence[str]) -> None:
    for name in names:
        if getattr(options, name) not in (None, False, "", []):
            option = "from" if name == "begin" else name.replace("_", "-")
            raise UsageError(f"retention {word}: --{option} does not belong to it")


def _simulate(options: argparse.Namespace) -> Simulate:
    years = 3 if options.years is None else options.years
    begin = options.begin or Simulate.begin_for(datetime.now(UTC).date(), years)
    return Simulate(
        retention=retention_of(options),
        begin=begin,
        years=years,
        per_day=1 if options.snapshots_per_day is None else options.snapshots_per_day,
        on=options.on,
        output=None if options.output is None else Path(options.output),
    )


def _explain(options: argparse.Namespace, rest: Sequence[str], host: str) -> Explain:
    wanted = rest[0] if rest else dataset_of(options, host)
    return Explain(
        dataset=_tree_of(options, wanted, host),
        wanted=wanted,
        retention=retention_of(options),
        source=source_of(options),
        exclude=exclude_of(options),
        force=Force(destroy_lots=options.force_destroy_lots),
        recursive=not options.no_recursive,
    )


def _tree_of(options: argparse.Namespace, wanted: str, host: str) -> str:
    """The tree that a dataset is in: the one that was named, else the default one, else its own."""
    if options.dataset is not None:
        return str(options.dataset)
    try:
        default = dataset_of(options, host)
        relative(default, wanted)
    except (UsageError, ValueError):
        return wanted
    return default

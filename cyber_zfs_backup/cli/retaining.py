# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of ``retention``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from ..config.job import Force, UsageError
from ..config.retaining import Explain, Simulate
from ..model.names import relative
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
from .plain_parser import PlainParser
from .request import Lines, Request
from .retention_options import add_retention, as_type, retention_of


def retention_parser() -> argparse.ArgumentParser:
    """All that ``retention`` takes, in one, for the manual and the shells."""
    parser = PlainParser(f"{PROGRAM} retention", helptext.RETENTION, helptext.RETENTION_EXAMPLES)
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
        type=as_type(_day),
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
        type=as_type(_day),
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


def understand(argv: Sequence[str], host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    options = retention_parser().parse_args(argv)
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

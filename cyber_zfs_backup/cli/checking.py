# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of ``check``, for monitoring systems."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from ..config.ages import parse_age
from ..config.job import RetentionPolicy, UsageError
from ..config.requests import Check
from . import helptext
from .options import (
    PROGRAM,
    add_dataset,
    add_exclude,
    add_retention,
    add_show,
    dataset_of,
    exclude_of,
    show_of,
)
from .request import Lines, Request
from .restoring import MakeParser

WARNING, CRITICAL = timedelta(hours=26), timedelta(hours=50)
"""For a nightly backup: one night that took its time, and one that is missing."""


def check_parser(make: MakeParser) -> argparse.ArgumentParser:
    """All that ``check`` takes."""
    parser = make(f"{PROGRAM} check", helptext.CHECK, None)
    what = parser.add_argument_group("what to check")
    add_dataset(what)
    what.add_argument(
        "--receiver",
        metavar="ROOT",
        help="check instead, on the receiver, that backups arrive at or below this dataset",
    )
    what.add_argument(
        "--local",
        action="store_true",
        help="the tree is pushed nowhere: check its snapshots and their expiry alone",
    )
    add_exclude(what)
    add_retention(what)
    when = parser.add_argument_group("what is late")
    when.add_argument(
        "--warning",
        type=_age,
        metavar="AGE",
        help="warn where the newest is older: 90min, 36h, 14d or 2w (default: 26h, or what --critical says)",
    )
    when.add_argument(
        "--critical",
        "--max-age",
        dest="critical",
        type=_age,
        default=CRITICAL,
        metavar="AGE",
        help="from which age on it is critical (default: 50h)",
    )
    add_show(parser)
    return parser


def understand(make: MakeParser, argv: Sequence[str], host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    options = check_parser(make).parse_args(argv)
    if options.receiver and (options.local or options.dataset):
        raise UsageError(
            "--receiver looks at what arrives, --dataset and --local at what is sent: choose one"
        )
    work = Check(
        dataset=options.receiver or dataset_of(options, host),
        warning=options.warning or min(WARNING, options.critical),
        critical=options.critical,
        receiver=bool(options.receiver),
        local=options.local,
        exclude=exclude_of(options),
        retention=RetentionPolicy(*options.retention_policy),
    )
    shown = show_of(options)
    # One line and nothing else, as monitoring systems want it.
    return Request(work, shown if shown.json else replace(shown, lines=Lines.SCRIPT))


def _age(text: str) -> timedelta:
    try:
        return parse_age(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None

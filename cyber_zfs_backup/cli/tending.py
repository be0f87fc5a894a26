# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of ``forget``, ``quarantine``, ``verify`` and ``receiver``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..config.requests import ExpireReceived, Forget, Quarantine, Verify, destination_named
from . import helptext
from .options import (
    PROGRAM,
    add_dataset,
    add_destination,
    add_dry_run,
    add_exclude,
    add_receive_dataset,
    add_show,
    add_source,
    dataset_of,
    destinations_of,
    exclude_of,
    receive_dataset_of,
    show_of,
    source_of,
)
from .plain_parser import PlainParser
from .request import Request


def forget_parser() -> argparse.ArgumentParser:
    """The grammar of ``forget``."""
    parser = PlainParser(f"{PROGRAM} forget", helptext.FORGET)
    parser.add_argument(
        "destination",
        metavar="DESTINATION",
        help="HOST:POOL/DATASET as messages name it, or HOST alone (then --zfs-receive-dataset counts), or "
        "the 16 digits that its property's name ends with",
    )
    what = parser.add_argument_group("what to do")
    add_dataset(what)
    add_receive_dataset(what)
    add_dry_run(what)
    add_source(parser.add_argument_group("where the tree is, if not on this machine"), config=True)
    add_show(parser)
    return parser


def forget(argv: Sequence[str], host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    options = forget_parser().parse_args(argv)
    destination = destination_named(
        options.destination, receive_dataset_of(options.zfs_receive_dataset, host)
    )
    work = Forget(dataset_of(options, host), destination, source_of(options), options.dry_run)
    return Request(work, show_of(options))


def quarantine_parser() -> argparse.ArgumentParser:
    """The grammar of ``quarantine``."""
    parser = PlainParser(f"{PROGRAM} quarantine", helptext.QUARANTINE)
    parser.add_argument(
        "snapshots",
        nargs="+",
        metavar="SNAPSHOT",
        help="a name as 2037-01-01T00:00:00Z (on the whole tree), or DATASET@NAME (on that dataset and all "
        "below it)",
    )
    what = parser.add_argument_group("what to do")
    add_dataset(what)
    add_dry_run(what)
    add_destination(parser.add_argument_group("where the copy is"))
    add_source(parser.add_argument_group("where the tree is, if not on this machine"))
    add_show(parser)
    return parser


def quarantine(argv: Sequence[str], host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    options = quarantine_parser().parse_args(argv)
    dataset = dataset_of(options, host)
    snapshots = tuple(name if "@" in name else f"{dataset}@{name}" for name in options.snapshots)
    (destination,) = destinations_of(options, host)
    work = Quarantine(dataset, snapshots, destination, source_of(options), options.dry_run)
    return Request(work, show_of(options))


def verify_parser() -> argparse.ArgumentParser:
    """The grammar of ``verify``."""
    parser = PlainParser(f"{PROGRAM} verify", helptext.VERIFY)
    what = parser.add_argument_group("what to compare")
    add_dataset(what)
    add_exclude(what)
    add_destination(parser.add_argument_group("where the copies are"), many=True)
    add_source(parser.add_argument_group("where the tree is, if not on this machine"))
    add_show(parser)
    return parser


def verify(argv: Sequence[str], host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    options = verify_parser().parse_args(argv)
    exclude = exclude_of(options)
    work = Verify(dataset_of(options, host), destinations_of(options, host), source_of(options), exclude)
    return Request(work, show_of(options))


def receiver_parser() -> argparse.ArgumentParser:
    """The grammar of ``receiver``, whose one action is ``expire``."""
    parser = PlainParser(f"{PROGRAM} receiver", helptext.RECEIVER)
    parser.add_argument("what", choices=["expire"], metavar="expire", help="the only thing to do so far")
    what = parser.add_argument_group("what to do")
    add_dry_run(what)
    what.add_argument(
        "--force-destroy-lots",
        action="store_true",
        help="also where more than a quarter of a dataset's snapshots, and more than 10, would go",
    )
    add_show(parser)
    return parser


def receiver(argv: Sequence[str], _host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    options = receiver_parser().parse_args(argv)
    work = ExpireReceived(force_lots=options.force_destroy_lots, dry_run=options.dry_run)
    return Request(work, show_of(options))

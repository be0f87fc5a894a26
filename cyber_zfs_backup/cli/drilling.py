# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of ``drill``."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Sequence

from ..config.drilling import Drill
from . import helptext
from .options import (
    PROGRAM,
    add_dataset,
    add_destination,
    add_dry_run,
    add_show,
    dataset_of,
    destinations_of,
    show_of,
    whole_number,
)
from .plain_parser import PlainParser
from .request import Request


def drill_parser() -> argparse.ArgumentParser:
    """All that ``drill`` takes."""
    parser = PlainParser(f"{PROGRAM} drill", helptext.DRILL)
    what = parser.add_argument_group("what to do")
    what.add_argument(
        "--sample",
        type=whole_number,
        default=0,
        metavar="N",
        help="restore so many of the datasets, chosen at random (default: all, one after the other)",
    )
    what.add_argument(
        "--files",
        type=whole_number,
        default=200,
        metavar="N",
        help="read so many files (of a volume: blocks) of each dataset on both sides; names, sizes, times "
        "and modes are compared of all (default: 200)",
    )
    what.add_argument(
        "--seed",
        type=whole_number,
        metavar="N",
        help="what decides at random; the one that a drill has told does the same again (default: another "
        "each time)",
    )
    what.add_argument(
        "--scratch",
        metavar="POOL/DATASET",
        help="the dataset that is made for it, and destroyed again; it must not exist (default: "
        "POOL/cyber-zfs-backup-drill, POOL being the tree's)",
    )
    add_dry_run(what)
    add_dataset(parser.add_argument_group("which tree"))
    add_destination(parser.add_argument_group("where the copy is"))
    add_show(parser)
    # What comes back comes here.
    parser.set_defaults(source_ssh_destination="")
    return parser


def understand(argv: Sequence[str], host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    options = drill_parser().parse_args(argv)
    dataset = dataset_of(options, host)
    (destination,) = destinations_of(options, host)
    work = Drill(
        dataset=dataset,
        destination=destination,
        scratch=options.scratch or f"{dataset.partition('/')[0]}/cyber-zfs-backup-drill",
        seed=secrets.randbelow(10**6) if options.seed is None else options.seed,
        sample=options.sample,
        files=options.files,
        dry_run=options.dry_run,
    )
    return Request(work, show_of(options))

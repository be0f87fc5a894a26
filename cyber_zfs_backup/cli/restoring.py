# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of ``restore``: its three forms, told apart by their first word."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ..config.job import UsageError
from ..config.restoring import Restore, RestoreFile, RestoreList
from ..model.names import BadNameError, check_snapshot, own_time
from ..plan.restore import At, Extent
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
)
from .plain_parser import PlainParser
from .request import Request


def restore_parser() -> argparse.ArgumentParser:
    """All that ``restore`` takes, in one, for the manual and the shells."""
    parser = PlainParser(f"{PROGRAM} restore", helptext.RESTORE, helptext.RESTORE_EXAMPLES)
    parser.add_argument(
        "what",
        nargs="+",
        metavar="WHAT",
        help="DATASET[@DATE]: a dataset of the tree, as it is or was called on the source, and from when; or "
        "'list [DATASET]': what can be had; or 'file PATH': where that file can be had",
    )
    _add_how(parser.add_argument_group("how"))
    add_dry_run(parser.add_argument_group("what to do"))
    add_dataset(parser.add_argument_group("which tree"))
    add_destination(parser.add_argument_group("where the copies are"), many=True)
    add_show(parser)
    # What comes back comes here.
    parser.set_defaults(source_ssh_destination="")
    return parser


def _add_how(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--to",
        metavar="POOL/DATASET",
        help="the new dataset on this machine; it must not exist. Where it is the dataset's own name, mount "
        "points come back too",
    )
    group.add_argument(
        "--at",
        metavar="DATE",
        help="with 'file', or in place of @DATE: as it was then. A snapshot's name, or a date as people "
        "write it, in this machine's zone unless it names one; a day without an hour means its end "
        "(default: the newest)",
    )
    group.add_argument(
        "--no-recursive",
        action="store_true",
        help="that one dataset alone (default: all below it too)",
    )
    group.add_argument(
        "--no-history",
        action="store_true",
        help="that one snapshot alone (default: all before it too, so that the next push can go on from it)",
    )
    group.add_argument(
        "--keep-mountpoints",
        action="store_true",
        help="bring mount points and shares back also where --to is another name (default: only where it is "
        "the dataset's own, since two datasets would mount in one place)",
    )


def understand(argv: Sequence[str], host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    options = restore_parser().parse_args(argv)
    first, *rest = options.what
    show = show_of(options)
    if first == "list":
        _refuse(options, "list", ("to", "at", "no_recursive", "no_history", "keep_mountpoints"))
        return Request(_list(options, rest, host), show)
    if first == "file":
        _refuse(options, "file", ("to", "no_recursive", "no_history", "keep_mountpoints"))
        return Request(_file(options, rest, host), show)
    return Request(_restore(options, first, rest, host), show)


def _refuse(options: argparse.Namespace, word: str, names: Sequence[str]) -> None:
    for name in names:
        if getattr(options, name):
            raise UsageError(f"restore {word}: --{name.replace('_', '-')} does not belong to it")


def _list(options: argparse.Namespace, rest: Sequence[str], host: str) -> RestoreList:
    if len(rest) > 1:
        raise UsageError(f"restore list: one dataset at a time; {rest[1]!r} is one too many")
    dataset = dataset_of(options, host)
    return RestoreList(dataset, rest[0] if rest else dataset, destinations_of(options, host))


def _file(options: argparse.Namespace, rest: Sequence[str], host: str) -> RestoreFile:
    if len(rest) != 1:
        raise UsageError(
            f"restore file: write one path: {PROGRAM} restore file /home/me/letter --at yesterday"
        )
    at, why = at_of(options.at or "")
    if why:
        raise UsageError(why)
    return RestoreFile(dataset_of(options, host), Path(rest[0]), at, destinations_of(options, host))


def _restore(options: argparse.Namespace, first: str, rest: Sequence[str], host: str) -> Restore:
    if rest:
        raise UsageError(
            f"restore: {rest[0]!r} is one word too many; a date with a space in it wants quotes: "
            f"'{first} {' '.join(rest)}'"
        )
    if options.to is None:
        raise UsageError(
            f"restore: name the new dataset with --to POOL/DATASET; to see what there is: {PROGRAM} restore "
            "list"
        )
    wanted, sign, date = first.partition("@")
    if sign and options.at:
        raise UsageError(f"restore: {first!r} and --at both name a date; write one of them")
    if sign and not date:
        raise UsageError(f"restore: {first!r} has nothing behind its '@'; write a date, or leave the '@' out")
    at, why = at_of(date or options.at or "")
    return Restore(
        dataset=dataset_of(options, host),
        wanted=wanted,
        at=at,
        to=options.to,
        destinations=destinations_of(options, host),
        extent=Extent(recursive=not options.no_recursive, history=not options.no_history),
        keep_mountpoints=options.keep_mountpoints,
        why_no_date=why,
        dry_run=options.dry_run,
    )


def at_of(words: str) -> tuple[At, str]:
    """When the words mean; and why they are no date, where they are none (a snapshot may be called so)."""
    if not words:
        return At(), ""
    exact = own_time(words)
    if exact is not None:
        return At(words, exact), ""
    # Imported here, so that no other command pays for it.
    from ..config.dates import moment_of  # noqa: PLC0415 - see above

    try:
        return At(words, moment_of(words, datetime.now(UTC))), ""
    except UsageError as error:
        if not _may_name_a_snapshot(words):
            raise
        return At(words), str(error)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "dateutil":
            raise
        raise UsageError("python3-dateutil is missing: apt install python3-dateutil") from None


def _may_name_a_snapshot(words: str) -> bool:
    try:
        check_snapshot(f"pool@{words}")
    except BadNameError:
        return False
    return True

# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line's grammar: arguments in, a frozen ``Request`` out, nothing run.

Only the standard library is needed. Every mistake is a ``UsageError`` whose message names the option and
what to write instead.
"""

from __future__ import annotations

import argparse
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from .. import __version__
from ..config.job import (
    Action,
    Delivery,
    Destination,
    Force,
    Job,
    RetentionPolicy,
    SourceHost,
    UsageError,
)
from ..config.requests import Forget, Quarantine, destination_named
from ..model.names import BadNameError, check_dataset
from ..plan.cost import SendMode
from . import helptext
from .request import Request, Show
from .show import emit

PROGRAM = "cyber-zfs-backup"
_COMMANDS = ("forget", "quarantine")


def parse(argv: Sequence[str], *, hostname: str | None = None) -> Request:
    """Understand the arguments (without the program's name).

    ``hostname`` (default: this machine's) gives the default datasets. Raises ``UsageError``; raises
    ``SystemExit(0)`` after --help or --version, ``OSError`` where stdout cannot take them.
    """
    _refuse_undecodable(argv)
    host = _unqualified(os.uname().nodename if hostname is None else hostname)
    if argv and argv[0] == "forget":
        return _forget(argv[1:], host)
    if argv and argv[0] == "quarantine":
        return _quarantine(argv[1:], host)
    return _run(argv, host)


class _Parser(argparse.ArgumentParser):
    """An argparse parser that raises ``UsageError`` instead of leaving the process."""

    def __init__(self, prog: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)

    def _print_message(self, message: str, file: object = None) -> None:  # noqa: ARG002 - argparse's shape
        # What --help and --version print. argparse's own fails where stdout is closed or its reader has gone.
        emit(message)


def run_parser() -> argparse.ArgumentParser:
    """The grammar of the plain run; it has no command word."""
    parser = _Parser(PROGRAM, helptext.DESCRIPTION, helptext.EPILOG)
    what = parser.add_argument_group("what to do")
    what.add_argument(
        "--action",
        nargs="+",
        action="extend",
        choices=[action.value for action in Action],
        metavar="ACTION",
        help="any of snapshot, expire, push (default: all three). Always done in the order snapshot, push, "
        "expire, whatever order they are written in; without push no network is touched",
    )
    _add_dataset(what)
    what.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="DATASET-PATTERN",
        help="leave out the datasets that the pattern fits, and all below them; may be given several times. "
        "A shell pattern (* ? [...]; * fits '/' too) that is compared with the path below the tree's root "
        "and with the full name",
    )
    what.add_argument(
        "--retention-policy",
        nargs=3,
        type=_count,
        default=(31, 12, 36),
        metavar=("DAYS", "WEEKS", "MONTHS"),
        help="how many daily, weekly and monthly snapshots to keep (default: 31 12 36); 0 leaves a kind out; "
        "one a year is kept for ever",
    )
    _add_dry_run(what)
    force = parser.add_argument_group("what needs a yes, this once")
    force.add_argument(
        "--force-destroy-lots",
        action="store_true",
        help="expire even where more than a quarter of a dataset's snapshots, and more than 10, would go "
        "(default: refuse)",
    )
    force.add_argument(
        "--force-non-incremental",
        action="store_true",
        help="send everything where the receiver has nothing yet, as the first push must (default: refuse)",
    )
    _add_destination(parser.add_argument_group("where to push"), many=True)
    _add_source(parser.add_argument_group("where from, if not from this machine (a pull)"))
    _add_delivery(parser.add_argument_group("how to push"))
    _add_show(parser)
    return parser


def _add_delivery(push: argparse._ArgumentGroup) -> None:
    push.add_argument(
        "--send-mode",
        choices=[mode.value for mode in SendMode],
        default=SendMode.AUTO.value,
        help="the form of an incremental: one package for the tree (replicate), one stream for each dataset "
        "(level), or whichever is cheaper (auto, the default)",
    )
    push.add_argument(
        "--lanes",
        type=_count,
        default=2,
        metavar="N",
        help="how many data connections at a time at most, from 1 to 16, to each destination (default: 2)",
    )
    push.add_argument(
        "--stall-timeout",
        type=_count,
        default=Delivery().stall_timeout,
        metavar="SECONDS",
        help="end a stream on both sides once no byte has moved for so long (default: 900; 0: never)",
    )
    push.add_argument(
        "--retries",
        type=_count,
        default=Delivery().retries,
        metavar="N",
        help="how often to try again where the network or a stream broke, each time after asking both sides "
        "anew and after a longer wait (default: 2; 0: never). What needs a person is never tried again",
    )
    push.add_argument(
        "--bookmark-base",
        action="store_true",
        help="keep each base as a bookmark, so that its snapshot may expire while a destination is away for "
        "long (default: hold the snapshot)",
    )


def _run(argv: Sequence[str], host: str) -> Request:
    parser = run_parser()
    options, rest = parser.parse_known_args(argv)
    if rest:
        _refuse_rest(rest)
    if any(not pattern for pattern in options.exclude):
        raise UsageError("--exclude: an empty pattern fits nothing; write a dataset's path, or a pattern")
    job = Job(
        dataset=_dataset(options, host),
        actions=frozenset(Action(name) for name in options.action) if options.action else frozenset(Action),
        destinations=_destinations(options, host),
        source=_source(options),
        retention=RetentionPolicy(*options.retention_policy),
        force=Force(destroy_lots=options.force_destroy_lots, non_incremental=options.force_non_incremental),
        exclude=tuple(options.exclude),
        delivery=Delivery(
            send_mode=SendMode(options.send_mode),
            lanes=options.lanes,
            stall_timeout=options.stall_timeout,
            retries=options.retries,
            bookmark_base=options.bookmark_base,
        ),
        dry_run=options.dry_run,
    )
    return Request(job, _show(options))


def _forget(argv: Sequence[str], host: str) -> Request:
    parser = _Parser(f"{PROGRAM} forget", helptext.FORGET)
    parser.add_argument(
        "destination",
        metavar="DESTINATION",
        help="HOST:POOL/DATASET as messages name it, or HOST alone (then --zfs-receive-dataset counts), or "
        "the 16 digits that its property's name ends with",
    )
    what = parser.add_argument_group("what to do")
    _add_dataset(what)
    _add_receive_dataset(what)
    _add_dry_run(what)
    _add_source(parser.add_argument_group("where the tree is, if not on this machine"), config=True)
    _add_show(parser)
    options = parser.parse_args(argv)
    destination = destination_named(options.destination, _receive_dataset(options.zfs_receive_dataset, host))
    work = Forget(_dataset(options, host), destination, _source(options), options.dry_run)
    return Request(work, _show(options))


def _quarantine(argv: Sequence[str], host: str) -> Request:
    parser = _Parser(f"{PROGRAM} quarantine", helptext.QUARANTINE)
    parser.add_argument(
        "snapshots",
        nargs="+",
        metavar="SNAPSHOT",
        help="a name as 2037-01-01T00:00:00Z (on the whole tree), or DATASET@NAME (on that dataset and all "
        "below it)",
    )
    what = parser.add_argument_group("what to do")
    _add_dataset(what)
    _add_dry_run(what)
    _add_destination(parser.add_argument_group("where the copy is"))
    _add_source(parser.add_argument_group("where the tree is, if not on this machine"))
    _add_show(parser)
    options = parser.parse_args(argv)
    dataset = _dataset(options, host)
    snapshots = tuple(name if "@" in name else f"{dataset}@{name}" for name in options.snapshots)
    (destination,) = _destinations(options, host)
    work = Quarantine(dataset, snapshots, destination, _source(options), options.dry_run)
    return Request(work, _show(options))


def _add_dataset(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--pool",
        "--dataset",
        dest="dataset",
        metavar="POOL/DATASET",
        help="the root of the tree to work on (default: HOSTNAME/HOSTNAME, unqualified)",
    )


def _add_dry_run(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--dry-run",
        "--no-act",
        "-n",
        action="store_true",
        help="read and plan, show the plan, and change nothing on either side; -v adds each reason "
        "(default: do it)",
    )


def _add_receive_dataset(group: argparse._ArgumentGroup, *, many: bool = False) -> None:
    group.add_argument(
        "--zfs-receive-dataset",
        action="append" if many else "store",
        metavar="POOL/DATASET",
        help="the dataset on the receiver that holds the copy of the tree (default: offsite/HOSTNAME)",
    )


def _add_destination(group: argparse._ArgumentGroup, *, many: bool = False) -> None:
    more = ". Repeat it, each with a --zfs-receive-dataset of its own, for more receivers" if many else ""
    group.add_argument(
        "--ssh-destination",
        action="append" if many else "store",
        metavar="[USER@]HOST",
        help=f"the receiver, as ssh knows it; '' is this machine, without ssh (default: offsite){more}",
    )
    _add_receive_dataset(group, many=many)
    _add_ssh_config(group)
    group.add_argument(
        "--use-sudo",
        action="store_true",
        help="run zfs through sudo on the receiver (default: run zfs as the user that ssh logs in as)",
    )


def _add_ssh_config(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--ssh-config",
        metavar="FILE",
        help="the ssh configuration to use (default: ssh's own, ~/.ssh/config and /etc/ssh/ssh_config)",
    )


def _add_source(group: argparse._ArgumentGroup, *, config: bool = False) -> None:
    group.add_argument(
        "--source-ssh-destination",
        default="",
        metavar="[USER@]HOST",
        help="the host that has the tree, as ssh knows it (default: '', this machine)",
    )
    group.add_argument(
        "--source-use-sudo",
        action="store_true",
        help="run zfs through sudo on that host (default: run zfs as the user that ssh logs in as)",
    )
    if config:
        _add_ssh_config(group)


def _add_show(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to show")
    group.add_argument(
        "--verbose",
        "-v",
        action="count",
        default=0,
        help="show the plan and each reason; twice: the commands too (default: one summary line an action)",
    )
    group.add_argument(
        "--debug", action="store_true", help="as -vv, and show a traceback where something breaks"
    )
    group.add_argument("--quiet", "-q", action="store_true", help="show errors only")
    group.add_argument(
        "--json",
        action="store_true",
        help=f"print the result as one JSON document on stdout ('{PROGRAM} --help' ends with its shape); "
        "messages still go to stderr",
    )
    progress = group.add_mutually_exclusive_group()
    progress.add_argument(
        "--progress",
        dest="progress",
        action="store_const",
        const=True,
        help="show the progress of transfers, also with --quiet (default: a bar on a terminal, elsewhere one "
        "line a minute)",
    )
    progress.add_argument(
        "--no-progress",
        dest="progress",
        action="store_const",
        const=False,
        help="show no progress",
    )
    group.add_argument(
        "--version", action="version", version=f"{PROGRAM} {__version__}", help="print the version and exit"
    )


def _show(options: argparse.Namespace) -> Show:
    if options.quiet and (options.verbose or options.debug):
        other = "--debug" if options.debug else "--verbose"
        raise UsageError(f"--quiet and {other} contradict each other; write one of them")
    return Show(
        verbosity=max(options.verbose, 2 if options.debug else 0),
        quiet=options.quiet,
        json=options.json,
        progress=options.progress,
        debug=options.debug,
    )


def _dataset(options: argparse.Namespace, host: str) -> str:
    if options.dataset is not None:
        return str(options.dataset)
    default = f"{host}/{host}"
    try:
        return check_dataset(default)
    except BadNameError as error:
        raise UsageError(
            f"this machine's host name {host!r} cannot be a pool's name ({error}), so there is no default "
            "tree; name it with --dataset POOL/DATASET"
        ) from None


def _receive_dataset(given: str | None, host: str) -> str:
    if given is not None:
        return given
    default = f"offsite/{host}"
    try:
        return check_dataset(default)
    except BadNameError as error:
        raise UsageError(
            f"this machine's host name {host!r} cannot be a dataset's name ({error}), so there is no default "
            "for the receiver; name it with --zfs-receive-dataset POOL/DATASET"
        ) from None


def _destinations(options: argparse.Namespace, host: str) -> tuple[Destination, ...]:
    """The receivers: each ssh destination with the dataset that was written for it, in the same order."""
    hosts, datasets = _listed(options.ssh_destination), _listed(options.zfs_receive_dataset)
    if hosts and datasets and len(hosts) != len(datasets):
        raise UsageError(
            f"--ssh-destination is given {_times(hosts)} and --zfs-receive-dataset {_times(datasets)}; "
            "write one of each for every receiver, in the same order"
        )
    count = max(len(hosts), len(datasets), 1)
    nowhere: list[str | None] = [None] * count
    pairs = zip(hosts or ["offsite"] * count, datasets or nowhere, strict=True)
    config = _ssh_config(options.ssh_config)
    # On a source that is pulled from, this machine is one of several perhaps.
    known_as = host if options.source_ssh_destination else ""
    return tuple(
        Destination(ssh, _receive_dataset(dataset, host), config, options.use_sudo, "" if ssh else known_as)
        for ssh, dataset in pairs
    )


def _listed(given: str | list[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else given or []


def _times(given: Sequence[str]) -> str:
    return "once" if len(given) == 1 else f"{len(given)} times"


def _source(options: argparse.Namespace) -> SourceHost:
    config = _ssh_config(options.ssh_config)
    return SourceHost(options.source_ssh_destination, config, options.source_use_sudo)


def _ssh_config(name: str | None) -> Path | None:
    """The absolute path of a configuration file that is there and can be read.

    Absolute because ssh reads the word ``none`` as no file at all.
    """
    if name is None:
        return None
    try:
        mode = os.stat(name).st_mode
    except OSError as error:
        raise UsageError(f"--ssh-config {name!r}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"--ssh-config {name!r}: {error}") from None
    if stat.S_ISDIR(mode):
        raise UsageError(f"--ssh-config {name!r} is a directory; name a file")
    if not os.access(name, os.R_OK):
        raise UsageError(f"--ssh-config {name!r} cannot be read by this user")
    return Path(os.path.abspath(name))


def _count(text: str) -> int:
    # int() alone would take '1_000', ' 3' and digits of other scripts.
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _unqualified(hostname: str) -> str:
    return hostname.partition(".")[0]


def _refuse_rest(rest: Sequence[str]) -> NoReturn:
    for word in rest:
        if word in _COMMANDS:
            raise UsageError(f"the command {word!r} must be the first word: {PROGRAM} {word} ...")
    raise UsageError(f"unrecognized arguments: {' '.join(rest)}")


def _refuse_undecodable(argv: Sequence[str]) -> None:
    for word in argv:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UsageError(f"argument {word!a} is not valid text (UTF-8)") from None

# SPDX-License-Identifier: GPL-3.0-or-later
"""The groups of options that several commands have in common: their grammar, and the values they give."""

from __future__ import annotations

import argparse
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..config.job import Action, Delivery, Destination, Exclude, SourceHost, UsageError
from ..config.rates import parse_rate
from ..model.names import BadNameError, check_dataset
from ..plan.cost import SendMode
from .request import Show

PROGRAM = "cyber-zfs-backup"


def add_delivery(push: argparse._ArgumentGroup) -> None:
    """How a push goes about its work."""
    push.add_argument(
        "--send-mode",
        choices=[mode.value for mode in SendMode],
        default=SendMode.AUTO.value,
        help="the form of an incremental: one package for the tree (replicate), one stream for each dataset "
        "(level), or whichever is cheaper (auto, the default)",
    )
    push.add_argument(
        "--lanes",
        type=whole_number,
        default=2,
        metavar="N",
        help="how many data connections at a time at most, from 1 to 16, to each destination (default: 2)",
    )
    push.add_argument(
        "--stall-timeout",
        type=whole_number,
        default=Delivery().stall_timeout,
        metavar="SECONDS",
        help="end a stream on both sides once no byte has moved for so long (default: 900; 0: never)",
    )
    push.add_argument(
        "--retries",
        type=whole_number,
        default=Delivery().retries,
        metavar="N",
        help="how often to try again where the network or a stream broke, each time after asking both sides "
        "anew and after a longer wait (default: 2; 0: never). What needs a person is never tried again",
    )
    push.add_argument(
        "--bwlimit",
        type=_rate,
        metavar="RATE",
        help="move so many bytes a second at most, all streams of the run together: 500k, 20M, 1.5MiB/s "
        "(k, M and G are powers of 1024; default: as fast as it goes)",
    )
    push.add_argument(
        "--bookmark-base",
        action="store_true",
        help="keep each base as a bookmark, so that its snapshot may expire while a destination is away for "
        "long (default: hold the snapshot)",
    )


def add_dataset(group: argparse._ArgumentGroup) -> None:
    """The tree."""
    group.add_argument(
        "--pool",
        "--dataset",
        dest="dataset",
        metavar="POOL/DATASET",
        help="the root of the tree to work on (default: HOSTNAME/HOSTNAME, unqualified)",
    )


def add_action(group: argparse._ArgumentGroup, more: str = "") -> None:
    """What to do; ``more`` goes behind the help's first words."""
    group.add_argument(
        "--action",
        nargs="+",
        action="extend",
        choices=[action.value for action in Action],
        default=[],
        metavar="ACTION",
        help=f"any of snapshot, expire, push (default: all three){more}",
    )


def actions_of(options: argparse.Namespace) -> frozenset[Action]:
    """What ``add_action`` has."""
    return frozenset(map(Action, options.action)) or frozenset(Action)


def add_exclude(group: argparse._ArgumentGroup) -> None:
    """What is left out."""
    group.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="DATASET-PATTERN",
        help="leave out the datasets that the pattern fits, and all below them; may be given several times. "
        "A shell pattern (* ? [...]; * fits '/' too) that is compared with the path below the tree's root "
        "and with the full name",
    )
    group.add_argument(
        "--honour-auto-snapshot",
        action="store_true",
        help="leave out, too, where com.sun:auto-snapshot is false; cyber-zfs-backup:exclude=on always does",
    )


def exclude_of(options: argparse.Namespace) -> Exclude:
    """What ``add_exclude`` has. Raises ``UsageError``."""
    if any(not pattern for pattern in options.exclude):
        raise UsageError("--exclude: an empty pattern fits nothing; write a dataset's path, or a pattern")
    return Exclude(tuple(options.exclude), options.honour_auto_snapshot)


def add_dry_run(group: argparse._ArgumentGroup) -> None:
    """Whether to change anything."""
    group.add_argument(
        "--dry-run",
        "--no-act",
        "-n",
        action="store_true",
        help="read and plan, show the plan, and change nothing on either side; -v adds each reason "
        "(default: do it)",
    )


def add_receive_dataset(group: argparse._ArgumentGroup, *, many: bool = False) -> None:
    """The copy on the receiver."""
    group.add_argument(
        "--zfs-receive-dataset",
        action="append" if many else "store",
        metavar="POOL/DATASET",
        help="the dataset on the receiver that holds the copy of the tree (default: offsite/HOSTNAME)",
    )


def add_destination(group: argparse._ArgumentGroup, *, many: bool = False) -> None:
    """Where the copies are; ``many`` allows several."""
    more = ". Repeat it, each with a --zfs-receive-dataset of its own, for more receivers" if many else ""
    group.add_argument(
        "--ssh-destination",
        action="append" if many else "store",
        metavar="[USER@]HOST",
        help=f"the receiver, as ssh knows it; '' is this machine, without ssh (default: offsite){more}",
    )
    add_receive_dataset(group, many=many)
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


def add_source(group: argparse._ArgumentGroup, *, config: bool = False) -> None:
    """Where the tree is; ``config`` adds the ssh configuration where nothing else does."""
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


def add_show(parser: argparse.ArgumentParser) -> None:
    """What to show, and how."""
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


def show_of(options: argparse.Namespace) -> Show:
    """What was asked for of ``add_show``. Raises ``UsageError``."""
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


def dataset_of(options: argparse.Namespace, host: str) -> str:
    """The tree's root; by default from the host's name."""
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


def receive_dataset_of(given: str | None, host: str) -> str:
    """The copy's root, as ``given`` or by default from the host's name."""
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


def destinations_of(options: argparse.Namespace, host: str) -> tuple[Destination, ...]:
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
        Destination(ssh, receive_dataset_of(dataset, host), config, options.use_sudo, "" if ssh else known_as)
        for ssh, dataset in pairs
    )


def _listed(given: str | list[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else given or []


def _times(given: Sequence[str]) -> str:
    return "once" if len(given) == 1 else f"{len(given)} times"


def source_of(options: argparse.Namespace) -> SourceHost:
    """Where the source is."""
    config = _ssh_config(options.ssh_config)
    return SourceHost(options.source_ssh_destination, config, options.source_use_sudo)


def file_of(option: str, name: str) -> Path:
    """A file's name that can be one. Raises ``UsageError``."""
    if not name or "\0" in name:
        raise UsageError(f"{option} {name!r}: write a file's name after it")
    return Path(name)


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


def _rate(text: str) -> int:
    try:
        return parse_rate(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def whole_number(text: str) -> int:
    """A whole number; for argparse's ``type``."""
    # int() alone would take '1_000', ' 3' and digits of other scripts.
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line's grammar: arguments in, a frozen ``Request`` out, nothing run.

Only the standard library is needed. Every mistake is a ``UsageError`` whose message names the option and
what to write instead.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from ..config.job import (
    TEXTFILE,
    Delivery,
    Force,
    Job,
    UsageError,
)
from ..config.requests import ExpireReceived, Forget, Quarantine, Verify, destination_named
from ..plan.cost import SendMode
from . import checking, configuring, drilling, helptext, restoring, retaining
from .options import (
    PROGRAM,
    actions_of,
    add_action,
    add_dataset,
    add_delivery,
    add_destination,
    add_dry_run,
    add_exclude,
    add_receive_dataset,
    add_show,
    add_source,
    dataset_of,
    destinations_of,
    exclude_of,
    file_of,
    receive_dataset_of,
    show_of,
    source_of,
)
from .plain_parser import PlainParser as _Parser
from .request import Request
from .retention_options import add_retention, retention_of
from .setup_options import setup_parser, understand_setup


def parse(argv: Sequence[str], *, hostname: str | None = None) -> Request:
    """Understand the arguments (without the program's name).

    ``hostname`` (default: this machine's) gives the default datasets. Raises ``UsageError``; raises
    ``SystemExit(0)`` after --help or --version, ``OSError`` where stdout cannot take them.
    """
    _refuse_undecodable(argv)
    host = _unqualified(os.uname().nodename if hostname is None else hostname)
    if argv and argv[0] in _COMMANDS:
        return _COMMANDS[argv[0]].understand(argv[1:], host)
    return _run(argv, host)


def run_parser() -> argparse.ArgumentParser:
    """The grammar of the plain run; it has no command word."""
    parser = _Parser(PROGRAM, helptext.DESCRIPTION, helptext.EPILOG)
    what = parser.add_argument_group("what to do")
    add_action(
        what,
        ". Always done in the order snapshot, push, expire, whatever order they are written in; without push "
        "no network is touched",
    )
    add_dataset(what)
    add_exclude(what)
    add_retention(what)
    add_dry_run(what)
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
    add_destination(parser.add_argument_group("where to push"), many=True)
    add_source(parser.add_argument_group("where from, if not from this machine (a pull)"))
    add_delivery(parser.add_argument_group("how to push"))
    parser.add_argument_group("for monitoring").add_argument(
        "--metrics",
        metavar="FILE",
        help="write metrics into this file afterwards, for Prometheus's node_exporter, which reads what ends "
        f"with .prom: {TEXTFILE} on Debian (default: none). Each tree needs a file of its own; one that "
        "cannot be written is a warning",
    )
    add_show(parser)
    return parser


def _run(argv: Sequence[str], host: str) -> Request:
    parser = run_parser()
    options, rest = parser.parse_known_args(argv)
    if rest:
        _refuse_rest(rest)
    job = Job(
        dataset=dataset_of(options, host),
        actions=actions_of(options),
        destinations=destinations_of(options, host),
        source=source_of(options),
        retention=retention_of(options),
        force=Force(destroy_lots=options.force_destroy_lots, non_incremental=options.force_non_incremental),
        exclude=exclude_of(options),
        delivery=Delivery(
            send_mode=SendMode(options.send_mode),
            lanes=options.lanes,
            stall_timeout=options.stall_timeout,
            retries=options.retries,
            bwlimit=options.bwlimit,
            bookmark_base=options.bookmark_base,
        ),
        dry_run=options.dry_run,
        metrics=None if options.metrics is None else file_of("--metrics", options.metrics),
    )
    return Request(job, show_of(options))


def forget_parser() -> argparse.ArgumentParser:
    """The grammar of ``forget``."""
    parser = _Parser(f"{PROGRAM} forget", helptext.FORGET)
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


def _forget(argv: Sequence[str], host: str) -> Request:
    options = forget_parser().parse_args(argv)
    destination = destination_named(
        options.destination, receive_dataset_of(options.zfs_receive_dataset, host)
    )
    work = Forget(dataset_of(options, host), destination, source_of(options), options.dry_run)
    return Request(work, show_of(options))


def quarantine_parser() -> argparse.ArgumentParser:
    """The grammar of ``quarantine``."""
    parser = _Parser(f"{PROGRAM} quarantine", helptext.QUARANTINE)
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


def _quarantine(argv: Sequence[str], host: str) -> Request:
    options = quarantine_parser().parse_args(argv)
    dataset = dataset_of(options, host)
    snapshots = tuple(name if "@" in name else f"{dataset}@{name}" for name in options.snapshots)
    (destination,) = destinations_of(options, host)
    work = Quarantine(dataset, snapshots, destination, source_of(options), options.dry_run)
    return Request(work, show_of(options))


def verify_parser() -> argparse.ArgumentParser:
    """The grammar of ``verify``."""
    parser = _Parser(f"{PROGRAM} verify", helptext.VERIFY)
    what = parser.add_argument_group("what to compare")
    add_dataset(what)
    add_exclude(what)
    add_destination(parser.add_argument_group("where the copies are"), many=True)
    add_source(parser.add_argument_group("where the tree is, if not on this machine"))
    add_show(parser)
    return parser


def _verify(argv: Sequence[str], host: str) -> Request:
    options = verify_parser().parse_args(argv)
    exclude = exclude_of(options)
    work = Verify(dataset_of(options, host), destinations_of(options, host), source_of(options), exclude)
    return Request(work, show_of(options))


def doctor_parser() -> argparse.ArgumentParser:
    """The grammar of ``doctor``."""
    return checking.doctor_parser(_Parser)


def _doctor(argv: Sequence[str], host: str) -> Request:
    return checking.doctor(_Parser, argv, host)


def status_parser() -> argparse.ArgumentParser:
    """The grammar of ``status``."""
    return checking.status_parser(_Parser)


def _status(argv: Sequence[str], host: str) -> Request:
    return checking.status(_Parser, argv, host)


def report_parser() -> argparse.ArgumentParser:
    """The grammar of ``report``."""
    return checking.report_parser(_Parser)


def _report(argv: Sequence[str], host: str) -> Request:
    return checking.report(_Parser, argv, host)


def receiver_parser() -> argparse.ArgumentParser:
    """The grammar of ``receiver``, whose one action is ``expire``."""
    parser = _Parser(f"{PROGRAM} receiver", helptext.RECEIVER)
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


def _receiver(argv: Sequence[str], _host: str) -> Request:
    options = receiver_parser().parse_args(argv)
    work = ExpireReceived(force_lots=options.force_destroy_lots, dry_run=options.dry_run)
    return Request(work, show_of(options))


def restore_parser() -> argparse.ArgumentParser:
    """The grammar of ``restore``."""
    return restoring.restore_parser(_Parser)


def _restore(argv: Sequence[str], host: str) -> Request:
    return restoring.understand(_Parser, argv, host)


def drill_parser() -> argparse.ArgumentParser:
    """The grammar of ``drill``."""
    return drilling.drill_parser(_Parser)


def _drill(argv: Sequence[str], host: str) -> Request:
    return drilling.understand(_Parser, argv, host)


def retention_parser() -> argparse.ArgumentParser:
    """The grammar of ``retention``."""
    return retaining.retention_parser(_Parser)


def _retention(argv: Sequence[str], host: str) -> Request:
    return retaining.understand(_Parser, argv, host)


def config_parser() -> argparse.ArgumentParser:
    """The grammar of ``config``."""
    return configuring.config_parser(_Parser)


def _config(argv: Sequence[str], _host: str) -> Request:
    return configuring.understand(_Parser, argv)


def due_parser() -> argparse.ArgumentParser:
    """The grammar of ``run``."""
    return configuring.run_parser(_Parser)


def _due(argv: Sequence[str], _host: str) -> Request:
    return configuring.run(_Parser, argv)


def check_parser() -> argparse.ArgumentParser:
    """The grammar of ``check``."""
    return checking.check_parser(_Parser)


def _check(argv: Sequence[str], host: str) -> Request:
    return checking.check(_Parser, argv, host)


def metrics_parser() -> argparse.ArgumentParser:
    """The grammar of ``metrics``."""
    return checking.metrics_parser(_Parser)


def _metrics(argv: Sequence[str], host: str) -> Request:
    return checking.metrics(_Parser, argv, host)


def notify_parser() -> argparse.ArgumentParser:
    """The grammar of ``notify``."""
    return checking.notify_parser(_Parser)


def _notify(argv: Sequence[str], host: str) -> Request:
    return checking.notify(_Parser, argv, host)


@dataclass(frozen=True, slots=True)
class _Command:
    """A word that comes first instead of an option."""

    parser: Callable[[], argparse.ArgumentParser]
    understand: Callable[[Sequence[str], str], Request]


_COMMANDS = {
    "forget": _Command(forget_parser, _forget),
    "verify": _Command(verify_parser, _verify),
    "doctor": _Command(doctor_parser, _doctor),
    "status": _Command(status_parser, _status),
    "report": _Command(report_parser, _report),
    "check": _Command(check_parser, _check),
    "monitor": _Command(check_parser, _check),
    "metrics": _Command(metrics_parser, _metrics),
    "notify": _Command(notify_parser, _notify),
    "quarantine": _Command(quarantine_parser, _quarantine),
    "receiver": _Command(receiver_parser, _receiver),
    "setup": _Command(setup_parser, understand_setup),
    "restore": _Command(restore_parser, _restore),
    "drill": _Command(drill_parser, _drill),
    "config": _Command(config_parser, _config),
    "run": _Command(due_parser, _due),
    "retention": _Command(retention_parser, _retention),
}


def whole_parser() -> argparse.ArgumentParser:
    """The plain run's grammar and each command's below it, for the shells' completions.

    Not what ``parse`` uses: a command word is one only in the first place.
    """
    parser = run_parser()
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=argparse.ArgumentParser)
    for name, command in _COMMANDS.items():
        commands.add_parser(name, parents=[command.parser()], add_help=False, help=helptext.ABOUT[name])
    return parser


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

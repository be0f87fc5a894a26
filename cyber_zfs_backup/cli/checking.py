# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of what looks and changes nothing: doctor, status, report, check; and of who tells it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from ..config.ages import parse_age
from ..config.declared import CONFIG, CRITICAL, WARNING
from ..config.declared_requests import Look, LookDeclared
from ..config.job import UsageError
from ..config.requests import Check, Doctor, Metrics, Notify, Report, Status
from . import helptext
from .configuring import add_config, config_of
from .options import (
    PROGRAM,
    add_dataset,
    add_destination,
    add_dry_run,
    add_exclude,
    add_show,
    add_source,
    dataset_of,
    destinations_of,
    exclude_of,
    file_of,
    show_of,
    source_of,
)
from .plain_parser import PlainParser
from .request import Lines, Request
from .retention_options import add_retention, retention_of

Tree = TypeVar("Tree", Check, Doctor, Metrics, Report, Status)

_OF_THE_CALL = {
    *("config", "offline", "here", "doctor", "output"),
    *("verbose", "debug", "quiet", "json", "progress"),
}
"""Options that say nothing of one tree."""


def doctor_parser() -> argparse.ArgumentParser:
    """All that ``doctor`` takes."""
    parser = PlainParser(f"{PROGRAM} doctor", helptext.DOCTOR)
    _add_declared(parser)
    _add_both_ends(parser, "--here", "look at the tree and at this machine alone, and at no receiver")
    return parser


def doctor(argv: Sequence[str], host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    parser = doctor_parser()
    options = parser.parse_args(argv)

    def tree() -> Doctor:
        destinations = () if options.here else destinations_of(options, host)
        return Doctor(dataset_of(options, host), destinations, source_of(options), exclude_of(options))

    declared = LookDeclared(Look.DOCTOR, CONFIG, online=not options.here)
    return Request(_meant(parser, options, declared, tree), show_of(options))


def status_parser() -> argparse.ArgumentParser:
    """All that ``status`` takes."""
    parser = PlainParser(f"{PROGRAM} status", helptext.STATUS)
    _add_declared(parser)
    _add_both_ends(
        parser, "--offline", "ask no receiver: tell what the source's own records say of all of them"
    )
    return parser


def status(argv: Sequence[str], host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    parser = status_parser()
    options = parser.parse_args(argv)

    def tree() -> Status:
        return Status(
            dataset_of(options, host),
            destinations_of(options, host),
            source_of(options),
            exclude_of(options),
            offline=options.offline,
        )

    declared = LookDeclared(Look.STATUS, CONFIG, online=not options.offline)
    return Request(_meant(parser, options, declared, tree), show_of(options))


def report_parser() -> argparse.ArgumentParser:
    """All that ``report`` takes."""
    parser = PlainParser(f"{PROGRAM} report", helptext.REPORT)
    _add_declared(parser)
    parser.add_argument(
        "--output",
        required=True,
        metavar="DIR",
        help="write index.html into this folder, which is made where it is missing; a former one is replaced",
    )
    _add_both_ends(
        parser,
        "--doctor",
        "have the doctor look at the receivers, too (default: at the tree and this machine alone)",
    )
    return parser


def report(argv: Sequence[str], host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    parser = report_parser()
    options = parser.parse_args(argv)
    if not options.output:
        raise UsageError("--output: an empty name; write the folder that index.html goes into, or '.'")
    output = Path(options.output)

    def tree() -> Report:
        return Report(
            dataset_of(options, host),
            output,
            destinations_of(options, host) if options.doctor else (),
            source_of(options),
            exclude_of(options),
        )

    declared = LookDeclared(Look.REPORT, CONFIG, online=options.doctor, output=output)
    return Request(_meant(parser, options, declared, tree), show_of(options))


def _add_both_ends(parser: argparse.ArgumentParser, switch: str, what_it_means: str) -> None:
    what = parser.add_argument_group("what to look at")
    add_dataset(what)
    add_exclude(what)
    what.add_argument(switch, action="store_true", help=what_it_means)
    add_destination(parser.add_argument_group("where the copies are"), many=True)
    add_source(parser.add_argument_group("where the tree is, if not on this machine"))
    add_show(parser)


def metrics_parser() -> argparse.ArgumentParser:
    """All that ``metrics`` takes."""
    parser = PlainParser(f"{PROGRAM} metrics", helptext.METRICS, helptext.METRICS_EXAMPLES)
    _add_declared(parser)
    what = parser.add_argument_group("what to tell of, and to whom")
    add_dataset(what)
    add_exclude(what)
    what.add_argument(
        "--output",
        metavar="FILE",
        help="write them into this file, whole, and readable by all (default: to stdout)",
    )
    add_source(parser.add_argument_group("where the tree is, if not on this machine"), config=True)
    add_show(parser)
    return parser


def metrics(argv: Sequence[str], host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    parser = metrics_parser()
    options = parser.parse_args(argv)
    output = None if options.output is None else file_of("--output", options.output)

    def tree() -> Metrics:
        return Metrics(dataset_of(options, host), source_of(options), exclude_of(options), output)

    work = _meant(parser, options, LookDeclared(Look.METRICS, CONFIG, output=output), tree)
    shown = show_of(options)
    # The metrics and nothing else, as Prometheus reads them.
    return Request(work, shown if shown.json or output else replace(shown, lines=Lines.SCRIPT))


def check_parser() -> argparse.ArgumentParser:
    """All that ``check`` takes."""
    parser = PlainParser(f"{PROGRAM} check", helptext.CHECK)
    _add_declared(parser)
    _add_check(parser, parser.add_argument_group("what to check"))
    add_show(parser)
    return parser


def _add_check(parser: argparse.ArgumentParser, what: argparse._ArgumentGroup) -> None:
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


def check(argv: Sequence[str], host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    parser = check_parser()
    options = parser.parse_args(argv)
    work = _meant(parser, options, LookDeclared(Look.CHECK, CONFIG), lambda: _check_of(options, host))
    shown = show_of(options)
    # One line and nothing else, as monitoring systems want it.
    return Request(work, shown if shown.json else replace(shown, lines=Lines.SCRIPT))


def _check_of(options: argparse.Namespace, host: str) -> Check:
    if options.receiver and (options.local or options.dataset):
        raise UsageError(
            "--receiver looks at what arrives, --dataset and --local at what is sent: choose one"
        )
    return Check(
        dataset=options.receiver or dataset_of(options, host),
        warning=options.warning or min(WARNING, options.critical),
        critical=options.critical,
        receiver=bool(options.receiver),
        local=options.local,
        exclude=exclude_of(options),
        retention=retention_of(options),
    )


def notify_parser() -> argparse.ArgumentParser:
    """All that ``notify`` takes."""
    parser = PlainParser(f"{PROGRAM} notify", helptext.NOTIFY, helptext.NOTIFY_EXAMPLES)
    what = parser.add_argument_group("what to do")
    what.add_argument(
        "--test",
        action="store_true",
        help="send a message that says that it is a test on every channel, and say how each went",
    )
    add_dry_run(what)
    add_config(what)
    look = parser.add_argument_group("what to look at, instead of what the configuration file declares")
    _add_check(parser, look)
    add_show(parser)
    return parser


def notify(argv: Sequence[str], host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    options = notify_parser().parse_args(argv)
    file = config_of(options)
    try:
        found = _check_of(options, host)
    except UsageError:
        if options.dataset or options.receiver:
            raise
        # A host name that is no pool's name: then there is no tree to be guessed, and no reason to fail.
        found = None
    named = found if options.dataset or options.receiver else None
    guess = found.dataset if found is not None else ""
    if named is None and found is not None and found != Check(guess, WARNING, CRITICAL):
        raise UsageError(
            "what to leave out, to keep and to call late counts for one tree: name it with --dataset or "
            "--receiver; else the configuration file says it"
        )
    work = Notify(file, named, guess, options.test, options.dry_run)
    return Request(work, show_of(options))


def _add_declared(parser: argparse.ArgumentParser) -> None:
    what = "what to look at: all that a configuration file declares, where there is one"
    add_config(parser.add_argument_group(what))


def _meant(
    parser: argparse.ArgumentParser,
    options: argparse.Namespace,
    declared: LookDeclared,
    tree: Callable[[], Tree],
) -> Tree | LookDeclared:
    """All that the file declares, unless the command line says anything of one tree."""
    named = options.config != str(CONFIG)
    given = {name: value for name, value in vars(options).items() if name not in _OF_THE_CALL}
    if any(value != parser.get_default(name) for name, value in given.items()):
        if named:
            raise UsageError(
                "--config looks at all that a file declares, the other options at one tree: choose one"
            )
        return tree()
    if named:
        return replace(declared, file=config_of(options))
    try:
        return replace(declared, instead=tree())
    except UsageError as error:
        # A host name that is no pool's name; where there is a file, nobody needs it.
        return replace(declared, refusal=str(error))


def _age(text: str) -> timedelta:
    try:
        return parse_age(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None

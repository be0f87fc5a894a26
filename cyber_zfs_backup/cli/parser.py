# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line's grammar: arguments in, a frozen ``Request`` out, nothing run.

Only the standard library is needed. Every mistake is a ``UsageError`` whose message names the option and
what to write instead.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import NoReturn

from ..config.job import (
    TEXTFILE,
    Delivery,
    Force,
    Job,
    UsageError,
)
from ..plan.cost import SendMode
from . import helptext
from .options import (
    PROGRAM,
    actions_of,
    add_action,
    add_dataset,
    add_delivery,
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
from .request import Request
from .retention_options import add_retention, retention_of


def parse(argv: Sequence[str], *, hostname: str | None = None) -> Request:
    """Understand the arguments (without the program's name).

    ``hostname`` (default: this machine's) gives the default datasets. Raises ``UsageError``; raises
    ``SystemExit(0)`` after --help or --version, ``OSError`` where stdout cannot take them.
    """
    _refuse_undecodable(argv)
    host = _unqualified(os.uname().nodename if hostname is None else hostname)
    if argv and argv[0] in _COMMANDS:
        return _COMMANDS[argv[0]].request(argv[1:], host)
    return _run(argv, host)


def run_parser() -> argparse.ArgumentParser:
    """The grammar of the plain run; it has no command word."""
    parser = PlainParser(PROGRAM, helptext.DESCRIPTION, helptext.EPILOG)
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


@dataclass(frozen=True, slots=True)
class _Command:
    """A word that comes first instead of an option: which module of this folder knows it, and by which names
    its grammar and its understanding go there. It is imported when it is asked for."""

    module: str
    grammar: str
    understand: str

    def parser(self) -> argparse.ArgumentParser:
        """All that it takes."""
        made: argparse.ArgumentParser = getattr(self._module, self.grammar)()
        return made

    def request(self, argv: Sequence[str], host: str) -> Request:
        """What the arguments after it ask for."""
        asked: Request = getattr(self._module, self.understand)(argv, host)
        return asked

    @property
    def _module(self) -> ModuleType:
        return importlib.import_module(f".{self.module}", __package__)


_COMMANDS = {
    "forget": _Command("tending", "forget_parser", "forget"),
    "verify": _Command("tending", "verify_parser", "verify"),
    "doctor": _Command("checking", "doctor_parser", "doctor"),
    "status": _Command("checking", "status_parser", "status"),
    "report": _Command("checking", "report_parser", "report"),
    "check": _Command("checking", "check_parser", "check"),
    "monitor": _Command("checking", "check_parser", "check"),
    "metrics": _Command("checking", "metrics_parser", "metrics"),
    "notify": _Command("checking", "notify_parser", "notify"),
    "quarantine": _Command("tending", "quarantine_parser", "quarantine"),
    "receiver": _Command("tending", "receiver_parser", "receiver"),
    "setup": _Command("setup_options", "setup_parser", "understand_setup"),
    "restore": _Command("restoring", "restore_parser", "understand"),
    "drill": _Command("drilling", "drill_parser", "understand"),
    "config": _Command("configuring", "config_parser", "understand"),
    "run": _Command("configuring", "run_parser", "run"),
    "retention": _Command("retaining", "retention_parser", "understand"),
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

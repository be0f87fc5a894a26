# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of what goes by the configuration file: ``config`` and ``run``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..config.declared import CONFIG
from ..config.declared_requests import ConfigCheck, ConfigShow, RunDue
from ..config.job import UsageError
from . import helptext
from .options import PROGRAM, actions_of, add_action, add_dry_run, add_show, show_of
from .plain_parser import PlainParser
from .request import Request


def add_config(group: argparse._ArgumentGroup) -> None:
    """Which configuration file."""
    group.add_argument(
        "--config",
        metavar="FILE",
        default=str(CONFIG),
        help=f"the configuration file (default: {CONFIG})",
    )


def config_parser() -> argparse.ArgumentParser:
    """All that ``config`` takes."""
    parser = PlainParser(f"{PROGRAM} config", helptext.CONFIG, helptext.CONFIG_EXAMPLES)
    parser.add_argument(
        "what",
        nargs="+",
        metavar="WHAT",
        help="'check': what is wrong in the file; or 'show [DATASET]': what counts for that dataset "
        "(default: for each [[dataset]])",
    )
    add_config(parser.add_argument_group("which file"))
    add_show(parser)
    return parser


def understand(argv: Sequence[str], _host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    options = config_parser().parse_intermixed_args(argv)
    first, *rest = options.what
    file, show = config_of(options), show_of(options)
    if first == "check":
        if rest:
            raise UsageError(f"config check: {rest[0]!r} is one word too many; a file is named with --config")
        return Request(ConfigCheck(file), show)
    if first == "show":
        if len(rest) > 1:
            raise UsageError(f"config show: one dataset at a time; {rest[1]!r} is one too many")
        return Request(ConfigShow(file, rest[0] if rest else ""), show)
    raise UsageError(f"config: write check or show after it, not {first!r}")


def run_parser() -> argparse.ArgumentParser:
    """All that ``run`` takes."""
    parser = PlainParser(f"{PROGRAM} run", helptext.RUN, helptext.RUN_EXAMPLES)
    parser.add_argument(
        "datasets",
        nargs="*",
        metavar="DATASET",
        help="the name of a [[dataset]] of the file (default: all of them)",
    )
    what = parser.add_argument_group("what to do")
    add_action(what)
    what.add_argument(
        "--now", action="store_true", help="do it whether it is due or not; what is paused stays so"
    )
    add_dry_run(what)
    add_config(parser.add_argument_group("which file"))
    add_show(parser)
    return parser


def run(argv: Sequence[str], _host: str) -> Request:
    """What the arguments ask for. Raises ``UsageError``."""
    options = run_parser().parse_intermixed_args(argv)
    work = RunDue(
        config_of(options),
        actions_of(options),
        tuple(dict.fromkeys(options.datasets)),
        now=options.now,
        dry_run=options.dry_run,
    )
    return Request(work, show_of(options))


def config_of(options: argparse.Namespace) -> Path:
    """The configuration file that is meant. Raises ``UsageError``."""
    if not options.config:
        raise UsageError("--config: write a file's name after it")
    return Path(options.config)

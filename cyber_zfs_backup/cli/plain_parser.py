# SPDX-License-Identifier: GPL-3.0-or-later
"""The parser that every command's grammar is made with."""

from __future__ import annotations

import argparse
from typing import NoReturn

from ..config.job import UsageError
from .show import emit


class PlainParser(argparse.ArgumentParser):
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

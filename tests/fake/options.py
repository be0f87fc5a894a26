# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines as getopt(3) reads them: options, their values, then operands."""

from __future__ import annotations

import getopt
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.fake.errors import UsageError


@dataclass(slots=True)
class Options:
    """A parsed command line: ``given`` in the order of the command line."""

    command: str
    given: list[tuple[str, str]]
    operands: list[str]
    flags: set[str] = field(default_factory=set)

    def has(self, letter: str) -> bool:
        """True where the option was given at least once."""
        return letter in self.flags

    def count(self, letter: str) -> int:
        """How often the option was given."""
        return sum(1 for name, _ in self.given if name == letter)

    def value(self, letter: str) -> str | None:
        """The last value of an option."""
        return next((value for name, value in reversed(self.given) if name == letter), None)

    def values(self, letter: str) -> list[str]:
        """All values of an option, in order."""
        return [value for name, value in self.given if name == letter]

    def need(self, least: int, most: int | None, missing: str) -> None:
        """Check the number of operands as zfs does."""
        if len(self.operands) < least:
            raise UsageError(self.command, missing)
        if most is not None and len(self.operands) > most:
            raise UsageError(self.command, "too many arguments")


def parse(command: str, spec: str, argv: Sequence[str], long: Sequence[str] = ()) -> Options:
    """Read ``argv`` by the getopt ``spec``; options may follow operands, as with GNU's getopt."""
    try:
        given, operands = getopt.gnu_getopt(list(argv), spec, list(long))
    except getopt.GetoptError as error:
        what = error.opt or ""
        if "requires argument" in str(error):
            raise UsageError(command, f"missing argument for '{what}' option") from None
        raise UsageError(command, f"invalid option '{what}'") from None
    short = [(name.lstrip("-"), value) for name, value in given]
    return Options(command, short, operands, {name for name, _ in short})

# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that set a machine up: one description gives what is run and what is printed to be pasted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..hosts.quoting import command_line


@dataclass(frozen=True, slots=True)
class Run:
    """Run a command; it must succeed."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """Put a file there whole, in place of what it was: written beside it, then renamed."""

    path: str
    text: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is to be so: what, why, and what makes it so (nothing, where it is so already)."""

    what: str
    why: str
    do: tuple[Run | Write, ...] = ()

    @property
    def already(self) -> bool:
        """True where nothing is left to do."""
        return not self.do


def run(*argv: str) -> Run:
    """A command, word by word."""
    return Run(argv)


def shell(steps: Sequence[Step]) -> Iterator[str]:
    """The steps as lines for a POSIX shell, each with its reason above it."""
    for step in steps:
        if step.already:
            yield f"# already so: {step.what}"
            continue
        yield f"# {step.what}: {step.why}"
        for each in step.do:
            yield from [command_line(each.argv)] if isinstance(each, Run) else _written(each)


def _written(file: Write) -> Iterator[str]:
    lines = file.text.splitlines()
    end = "END"
    while end in lines:
        end += "_"
    beside = f"{file.path}.new"
    yield f"{command_line(['cat'])} > {command_line([beside])} << '{end}'"
    yield from lines
    yield end
    made = command_line(["chmod", f"{file.mode:04o}", beside])
    yield f"{made} && {command_line(['mv', '-f', '--', beside, file.path])}"

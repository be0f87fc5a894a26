# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads README.rst: its sections, and the literal blocks in them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

README = (Path(__file__).parents[1] / "README.rst").read_text()


def section(title: str) -> str:
    """The text of one section, by its title."""
    found = re.search(
        rf"^{re.escape(title)}\n=+\n(.*?)(?=^[^\n]+\n=+\n|\Z)", README, re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"README.rst has no section {title!r}"
    return found[1]


def blocks(text: str) -> list[str]:
    """The literal blocks of a text, in their order, without their indentation."""
    lines = text.splitlines()
    found: list[str] = []
    for number, line in enumerate(lines):
        if line.endswith("::"):
            outer = len(line) - len(line.lstrip())
            rest = lines[number + 1 :]
            end = next(
                (at for at, text in enumerate(rest) if text and len(text) - len(text.lstrip()) <= outer),
                len(rest),
            )
            found.append(textwrap.dedent("\n".join(rest[:end])).strip())
    return found

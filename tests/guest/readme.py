# SPDX-License-Identifier: GPL-3.0-or-later
"""What README.rst tells people to type, taken out of it and typed."""

from __future__ import annotations

import re
import textwrap

from .channel import Result
from .conftest import CHECKOUT
from .installed import Installed

README = (CHECKOUT / "README.rst").read_text()


def section(title: str) -> str:
    """The text of one section, by its title."""
    found = re.search(
        rf"^{re.escape(title)}\n=+\n(.*?)(?=^[^\n]+\n=+\n|\Z)", README, re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"README.rst has no section {title!r}"
    return found[1]


def blocks(title: str) -> list[str]:
    """The literal blocks of a section, in their order."""
    lines = section(title).splitlines()
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


class Typist:
    """Types blocks into the guest; ``instead`` replaces what stands for something of the reader's own."""

    def __init__(self, machine: Installed, instead: dict[str, str]) -> None:
        self.machine = machine
        self.instead = instead
        self.typed = 0

    def type(self, block: str) -> list[Result]:
        """Type a block, command by command; the first that fails fails the test."""
        for word, real in self.instead.items():
            block = block.replace(word, real)
        self.typed += 1
        if (edit := re.match(r"systemctl edit (\S+)\n", block)) is not None:
            self.machine.edit(edit[1], block[edit.end() :])
            return []
        return [self._line(line) for line in block.replace("\\\n", " ").splitlines()]

    def _line(self, line: str) -> Result:
        guest = self.machine.guest
        if (opened := re.match(r"editor (\S+)", line)) is not None:
            # Step 3: the name that is there is the right one here, so it is only saved.
            return self.machine.typing("", f"editor {opened[1]}").check()
        if "BatchMode=no" in line:
            guest.put(b"#!/bin/sh\necho yes\n", "/usr/local/bin/yes-yes", mode=0o755)
            line = f"SSH_ASKPASS=/usr/local/bin/yes-yes SSH_ASKPASS_REQUIRE=force {line}"
        done = guest.run(["bash", "-o", "pipefail", "-euc", line], timeout=600)
        # systemctl status says 3 of what does not run at the moment.
        return done if line.startswith("systemctl status") and done.status == 3 else done.check()

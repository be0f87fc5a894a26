# SPDX-License-Identifier: GPL-3.0-or-later
"""Types what README.rst tells people to type."""

from __future__ import annotations

import re

from .channel import Result
from .installed import Installed
from .lab import saying_yes


class Typist:
    """Types blocks into the guest; ``instead`` replaces what stands for something of the reader's own."""

    def __init__(self, machine: Installed, instead: dict[str, str]) -> None:
        self.machine = machine
        self.instead = instead

    def type(self, block: str) -> list[Result]:
        """Type a block, command by command; the first that fails fails the test."""
        for word, real in self.instead.items():
            block = block.replace(word, real)
        if (edit := re.match(r"systemctl edit (\S+)\n", block)) is not None:
            self.machine.edit(edit[1], block[edit.end() :])
            return []
        return [self._line(line) for line in block.replace("\\\n", " ").splitlines()]

    def _line(self, line: str) -> Result:
        guest, env = self.machine.guest, {}
        if (opened := re.match(r"editor (\S+)", line)) is not None:
            # Step 3: the name that is there is the right one here, so it is only saved.
            return self.machine.typing("", f"editor {opened[1]}").check()
        if "BatchMode=no" in line:
            env = saying_yes(guest)
        done = guest.run(["bash", "-o", "pipefail", "-euc", line], env=env, timeout=600)
        # systemctl status says 3 of what does not run at the moment.
        return done if line.startswith("systemctl status") and done.status == 3 else done.check()

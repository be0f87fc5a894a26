# SPDX-License-Identifier: GPL-3.0-or-later
"""How a fake command says no."""

from __future__ import annotations

NO_DATASET = "dataset does not exist"


class RefusedError(Exception):
    """The command ends here: ``text`` goes to stderr as it is, ``status`` is the exit status.

    ``stdout`` is what was said before it failed.
    """

    def __init__(self, text: str, status: int = 1, stdout: str = "") -> None:
        super().__init__(text)
        self.stdout = stdout
        self.text = text if not text or text.endswith("\n") else text + "\n"
        self.status = status


class UsageError(RefusedError):
    """A command line that zfs does not understand; exit status 2."""

    def __init__(self, command: str, text: str) -> None:
        usage = f"usage:\n\t{command} ...\n\nFor the property list, run: zfs set|get\n"
        super().__init__(f"{text}\n{usage}" if text else usage, status=2)


class Killed(BaseException):
    """Our own process died here; raised by fault hooks only, never caught by the code under test."""


class TerminatedError(Exception):
    """The fake process was told to end (SIGTERM) while it streamed."""

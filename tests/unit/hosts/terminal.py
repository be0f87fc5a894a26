# SPDX-License-Identifier: GPL-3.0-or-later
"""Types a command into a terminal, as a person would who follows an error's remedy."""

from __future__ import annotations

import subprocess
import sys

_TYPIST = """
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", sys.argv[1]])
said = b""
answered = False
while True:
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    said += data
    if not answered and b"(yes/no" in said:
        answered = True
        os.write(terminal, b"yes\\n")
sys.stdout.buffer.write(said)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def typed(command: str) -> tuple[int, str]:
    """Run ``command`` in a terminal, answer yes where it asks; answers its status and what it showed."""
    argv = [sys.executable, "-c", _TYPIST, command]
    finished = subprocess.run(
        argv, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False
    )
    return finished.returncode, finished.stdout

# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands and files in a guest, over a channel to its agent."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .channel import SLACK, Channel, Result, Running
from .inside.wire import Kind

LONGEST_SCRIPT = 100_000
"""Bytes: a single argument of a process may not be longer than 128 KiB."""


class Guest:
    """A running guest. All methods may be called from several threads at once.

    ``record`` gets every command that has ended, for reports.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.record: list[Result] = []

    @property
    def channel(self) -> Channel:
        """The connection to the agent."""
        return self._channel

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/root",
        timeout: float = 600.0,
    ) -> Running:
        """Start a command as root and answer at once; its standard input stays open until fed the end."""
        order = {"argv": list(argv), "env": dict(env or {}), "cwd": cwd, "timeout": timeout}
        return self._channel.start(Kind.RUN, order, argv)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: str = "/root",
        timeout: float = 120.0,
    ) -> Result:
        """Run a command as root to its end.

        ``env`` is added to a small clean environment. After ``timeout`` seconds its process group is
        killed and the result says ``timed_out``. A command that fails is a result; GuestError is
        raised where it could not be started or the guest is lost.
        """
        running = self.start(argv, env=env, cwd=cwd, timeout=timeout)
        running.feed(stdin, end=True)
        result = running.wait(timeout + SLACK)
        self.record.append(result)
        return result

    def script(self, text: str, *, env: Mapping[str, str] | None = None, timeout: float = 120.0) -> Result:
        """Run a sh script (-eu) in one call; GuestError with its output where it fails."""
        return self.try_script(text, env=env, timeout=timeout).check()

    def try_script(
        self, text: str, *, env: Mapping[str, str] | None = None, timeout: float = 120.0
    ) -> Result:
        """As ``script``, but a failure is a result."""
        if len(text.encode()) < LONGEST_SCRIPT:
            return self.run(["sh", "-euc", text], env=env, timeout=timeout)
        path = f"/run/script-{time.monotonic_ns()}"
        self.put(text.encode(), path)
        return self.run(["sh", "-eu", path], env=env, timeout=timeout)

    def python(self, source: str, *, env: Mapping[str, str] | None = None, timeout: float = 120.0) -> Result:
        """Run Python source in the guest's python3; GuestError with the traceback where it fails."""
        return self.run(["python3", "-"], stdin=source.encode(), env=env, timeout=timeout).check()

    def put(self, data: bytes | Path, path: str, mode: int = 0o644) -> None:
        """Write a file in the guest, with the folders above it; an existing one is replaced at once."""
        running = self._channel.start(Kind.WRITE, {"path": path, "mode": mode}, ("write", path))
        running.feed(data if isinstance(data, bytes) else data.read_bytes(), end=True)
        running.wait(600).check()

    def get(self, path: str) -> bytes:
        """Read a file in the guest; GuestError where it cannot be read."""
        return self._channel.start(Kind.READ, {"path": path}, ("read", path)).wait(600).check().stdout

    def put_tree(self, folder: Path, path: str) -> None:
        """Make ``path`` in the guest a copy of a folder (without __pycache__); what was there goes."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
            tar.add(folder, arcname=".", filter=_as_root)
        unpack = 'rm -rf -- "$0" && mkdir -p -- "$0" && exec tar -xf - -C "$0"'
        self.run(["sh", "-c", unpack, path], stdin=packed.getvalue(), timeout=300).check()

    def get_tree(self, path: str, folder: Path) -> None:
        """Copy a folder of the guest to ``folder`` outside, which is made."""
        packed = self.run(["tar", "-cf", "-", "-C", path, "."], timeout=300).check().stdout
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-xf", "-", "--no-same-owner", "-C", str(folder)], input=packed, check=True)

    def set_clock(self) -> None:
        """Give the guest this machine's time (UTC) and fresh randomness."""
        order = {"time": time.time(), "seed": os.urandom(64).hex()}
        self._channel.start(Kind.CLOCK, order, ("set-clock",)).wait(60)

    def reset(self) -> None:
        """Pull the plug and boot again: what was not on stable storage is lost, processes are gone.

        Takes as long as a first boot. The lab's hosts are made anew, with other keys.
        """
        self.order_keeper("reset")

    def order_keeper(self, order: str) -> None:
        """Give the keeper of a shared guest an order (``reset``, ``quit``) and wait until it is done."""
        self._channel.start(Kind.KEEPER, {"order": order}, ("keeper", order)).wait(1800)

    def close(self) -> None:
        """End the connection. May be called twice."""
        self._channel.close()


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if "__pycache__" in entry.name:
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry

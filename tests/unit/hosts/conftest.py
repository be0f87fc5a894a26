# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose processes carry a mark, so that each test can show that it left none behind."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cyber_zfs_backup.hosts.local import LocalHost
from cyber_zfs_backup.hosts.ssh import SshHost
from tests.sshd.fixture import new_sshd, sshd

__all__ = ["Hosts", "hosts", "new_sshd", "sshd"]

_MARK = "CYBER_ZFS_BACKUP_TEST"


class Hosts:
    """Makes hosts for one test, and finds the processes that they started, wherever those went."""

    def __init__(self) -> None:
        self.env = {_MARK: uuid.uuid4().hex}
        self._made: list[LocalHost | SshHost] = []

    def local(self) -> LocalHost:
        host = LocalHost(extra_env=self.env)
        self._made.append(host)
        return host

    def far(self, config: Path, destination: str = "scratch", **env: str) -> SshHost:
        host = SshHost(destination, str(config), extra_env={**self.env, **env})
        self._made.append(host)
        return host

    def close(self) -> None:
        for host in self._made:
            host.close()

    def processes(self) -> list[str]:
        """Answer the command lines of all processes with this test's mark."""
        mark = f"{_MARK}={self.env[_MARK]}".encode()
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (place / "environ").read_bytes().split(b"\0"):
                    found.append((place / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return found

    def gone(self, patience: float = 3.0) -> list[str]:
        """Wait a moment for the processes to go; answers those that did not."""
        limit = time.monotonic() + patience
        while (left := self.processes()) and time.monotonic() < limit:
            time.sleep(0.05)
        return left


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """Hosts that are closed after the test, which fails where a process of theirs is left."""
    made = Hosts()
    yield made
    made.close()
    assert made.gone() == []

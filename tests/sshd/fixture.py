# SPDX-License-Identifier: GPL-3.0-or-later
"""The scratch sshd as pytest fixtures; a conftest.py imports those that its tests use.

``sshd`` is one server that a module's tests share; ``new_sshd`` starts one with options of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.sshd.server import ScratchSshd


class NewSshd(Protocol):
    """Starts a scratch sshd that ends with the test; takes what ``ScratchSshd`` takes but the folder."""

    def __call__(
        self, *options: str, host_key_types: tuple[str, ...] = ("ed25519",), identity: Path | None = None
    ) -> ScratchSshd: ...


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScratchSshd]:
    """One server for the tests of a module. Do not change its files: make other client files."""
    server = ScratchSshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture
def new_sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewSshd]:
    """A way to start servers that end with the test."""
    started: list[ScratchSshd] = []

    def start(
        *options: str, host_key_types: tuple[str, ...] = ("ed25519",), identity: Path | None = None
    ) -> ScratchSshd:
        server = ScratchSshd(
            tmp_path_factory.mktemp("sshd"), options=options, host_key_types=host_key_types, identity=identity
        )
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for all tests: ``room`` and ``built``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.guest.cache import locked
from tests.guest.conftest import reporter, the_suite

from . import builds
from .room import Room
from .room import room as unpacked


@pytest.fixture(scope="session")
def room(pytestconfig: pytest.Config) -> Iterator[Room]:
    """A room of the guest's Debian to build in, one for the whole session."""
    with unpacked(the_suite(), reporter(pytestconfig)) as made:
        yield made


@pytest.fixture(scope="session")
def built(room: Room, tmp_path_factory: pytest.TempPathFactory) -> builds.Built:
    """This checkout's package, built once in a session."""
    return _once(tmp_path_factory, "built", lambda folder: builds.build(room, folder))


@pytest.fixture(scope="session")
def previous(room: Room, tmp_path_factory: pytest.TempPathFactory) -> builds.Built:
    """The package as it was before: an earlier version with another conffile."""
    older = builds.older("0.0.9")
    return _once(tmp_path_factory, "previous", lambda folder: builds.build(room, folder, change=older))


def _once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], builds.Built]) -> builds.Built:
    """Build it, or take what another worker of this session has built."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, log = shared / name, shared / f"{name}.log"
    with locked(folder):
        if not log.exists():
            log.write_text(build(folder).log)
    return builds.Built(folder, log.read_text())

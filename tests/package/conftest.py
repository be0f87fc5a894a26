# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: ``room``, ``built``."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.guest.conftest import reporter
from tests.guest.recipe import Suite

from . import builds
from .room import Room
from .room import room as unpacked


@pytest.fixture(scope="session")
def suite() -> Suite:
    """Which Debian the package is built in: the guest's."""
    return Suite(os.environ.get("CYBER_ZFS_BACKUP_SUITE", Suite.BOOKWORM.value))


@pytest.fixture(scope="session")
def room(pytestconfig: pytest.Config, suite: Suite) -> Iterator[Room]:
    """A room to build in, one for the whole session."""
    with unpacked(suite, reporter(pytestconfig)) as made:
        yield made


@pytest.fixture(scope="session")
def built(room: Room, tmp_path_factory: pytest.TempPathFactory) -> builds.Built:
    """This checkout's package, built once in a session."""
    return builds.build(room, tmp_path_factory.mktemp("built"))

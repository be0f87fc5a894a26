# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for all tests: ``room`` and ``built``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
    return builds.build(room, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="session")
def previous(room: Room, tmp_path_factory: pytest.TempPathFactory) -> builds.Built:
    """The package as it was before: an earlier version with another conffile."""
    return builds.build(room, tmp_path_factory.mktemp("previous"), change=builds.older("0.0.9"))

# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.package.fixture import built, previous, room

__all__ = ["built", "previous", "room"]

# How long an example takes is the machine's affair: a busy one must not fail a test (DESIGN: no timed tests).
# The same examples each time: a change is to be told from bad luck. Others with CYBER_ZFS_BACKUP_RANDOM=1.
CHANCE = os.environ.get("CYBER_ZFS_BACKUP_RANDOM") == "1"
settings.register_profile("unhurried", deadline=None, derandomize=not CHANCE)
settings.load_profile("unhurried")


@pytest.fixture(scope="session", autouse=True)
def records_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the program puts on record in tests is not put among this machine's own."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATE_DIRECTORY", str(folder))
        yield folder


TOLD = pytest.StashKey[dict[str, list[str]]]()
"""Lines by title that are shown at the session's end."""


@pytest.fixture(scope="session")
def tell(pytestconfig: pytest.Config) -> Callable[[str, str], None]:
    """Says a line, under a title, at the session's end: what was measured, which no assertion shows."""
    told = pytestconfig.stash.setdefault(TOLD, {})
    return lambda title, line: told.setdefault(title, []).append(line)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what a worker's tests have told to the process that sums up."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["told"] = session.config.stash.get(TOLD, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker's tests have told."""
    told = node.config.stash.setdefault(TOLD, {})
    for title, lines in getattr(node, "workeroutput", {}).get("told", {}).items():
        told.setdefault(title, []).extend(lines)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show what tests have told."""
    for title, lines in config.stash.get(TOLD, {}).items():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.line(line)

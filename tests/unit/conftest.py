# SPDX-License-Identifier: GPL-3.0-or-later
"""What one test has done to logging is undone before the next: the program configures it for its process."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from cyber_zfs_backup.cli import logs


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Restore the loggers that ``cli.logs.configure`` changes."""
    loggers = [logging.getLogger(name) for name in (logs.ROOT, "paramiko")]
    before = [(each.level, list(each.handlers), each.propagate) for each in loggers]
    raises = logging.raiseExceptions
    yield
    logging.raiseExceptions = raises
    for each, (level, handlers, propagate) in zip(loggers, before, strict=True):
        each.setLevel(level)
        each.handlers[:] = handlers
        each.propagate = propagate

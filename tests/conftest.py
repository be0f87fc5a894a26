# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

from tests.package.fixture import built, previous, room

__all__ = ["built", "previous", "room"]

# How long an example takes is the machine's affair: a busy one must not fail a test (DESIGN: no timed tests).
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

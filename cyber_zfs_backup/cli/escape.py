# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command line shows is made safe as messages are; see ``model.escape``."""

from __future__ import annotations

from ..model.escape import escape

__all__ = ["escape"]

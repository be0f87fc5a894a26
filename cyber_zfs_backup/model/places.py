# SPDX-License-Identifier: GPL-3.0-or-later
"""How labels and messages name the machine that runs this program."""

from __future__ import annotations

HERE = "this machine"
"""No ssh destination has a space in it."""

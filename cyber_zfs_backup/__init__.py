# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots, pushes and expires ZFS datasets, so that the only copy is never the only copy."""

__version__ = "0.1.0"

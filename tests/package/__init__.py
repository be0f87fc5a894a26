# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian package: its units and scripts as files, its build, and (in tests/guest) its life on a machine."""

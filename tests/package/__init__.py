# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian package: its units and scripts as files, and its build; its life is in tests/guest."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""A real sshd on loopback, for tests: ``server`` starts one, ``fixture`` offers it to pytest."""

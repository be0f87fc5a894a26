# SPDX-License-Identifier: GPL-3.0-or-later
"""Real OpenZFS for the tests: a Debian guest in QEMU, built, booted and driven from here."""

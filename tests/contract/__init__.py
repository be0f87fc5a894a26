# SPDX-License-Identifier: GPL-3.0-or-later
"""The same facts, asserted of the fake zfs and of real OpenZFS."""

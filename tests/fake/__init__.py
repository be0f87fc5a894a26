# SPDX-License-Identifier: GPL-3.0-or-later
"""A model of ZFS for tests, behind the Host protocol and as an executable."""

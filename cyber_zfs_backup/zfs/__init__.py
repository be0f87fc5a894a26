# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that knows the zfs command line: argument vectors, parsers, typed errors."""

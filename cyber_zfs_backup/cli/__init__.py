# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: parse, show, exit code. It decides nothing."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command, and move streams between two hosts: local processes, and ssh."""

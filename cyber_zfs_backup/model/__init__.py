# SPDX-License-Identifier: GPL-3.0-or-later
"""Pure values: names, times and trees. Nothing here reads, writes, waits or logs."""

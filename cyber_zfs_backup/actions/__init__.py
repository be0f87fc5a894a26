# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place with effects in sequence: read, plan, show, execute."""

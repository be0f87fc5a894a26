# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiver's forced command. An audit reads this folder, ``plan/floors.py`` and ``model/names.py``."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiver's forced command. To audit it read grammar, policy, book and main here, and below them
``plan/floors.py`` and ``model/names.py``: it uses nothing else of ours, and only the standard library.
"""

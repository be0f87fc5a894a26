# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: the main job, played for people on scratch pools, and checked on the way."""

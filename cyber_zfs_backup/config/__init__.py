# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is asked to do, as frozen values that are checked before anything runs."""

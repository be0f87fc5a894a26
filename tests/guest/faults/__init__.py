# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault campaign: pushes that are struck at a random moment, and the one run that must heal each."""

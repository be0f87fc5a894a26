# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements, each against something that anybody can run; README.rst says what and why."""

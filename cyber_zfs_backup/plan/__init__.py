# SPDX-License-Identifier: GPL-3.0-or-later
"""Pure decisions: values in, values out. No input or output, no clock, no logging."""

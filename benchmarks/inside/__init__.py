# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs inside the guest: the runner that measures, and the two other ways to push."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs inside the guest; the outside packs these files onto a small disk of their own."""

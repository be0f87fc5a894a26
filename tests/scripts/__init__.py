# SPDX-License-Identifier: GPL-3.0-or-later
"""What run-tests and run-demo are made of beside the tests and the demo."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The checkout is clean for ruff and for mypy --strict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def clean(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy() -> None:
    clean("mypy", "--strict", "--no-color-output")


def test_ruff_check() -> None:
    clean("ruff", "check", "--output-format=concise")


def test_ruff_format() -> None:
    clean("ruff", "format", "--check")

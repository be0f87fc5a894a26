# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of these tests take their lock in a folder of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyber_zfs_backup.actions import lock


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lock, "lock_folder", lambda: tmp_path / "locks")
    return tmp_path / "locks"

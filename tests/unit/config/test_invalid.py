# SPDX-License-Identifier: GPL-3.0-or-later
"""Each file in ``invalid/`` is refused with the very messages that stand beside it.

To write them anew after a change: ``python3 -m tests.unit.config.test_invalid``; then read them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cyber_zfs_backup.config.faults import ConfigError
from cyber_zfs_backup.config.reading import declared_in

from .worlds import ZIPPY

FILES = sorted((Path(__file__).parent / "invalid").glob("*.toml"))


def said(file: Path) -> str:
    """What is said of a file, line by line."""
    try:
        declared_in(file.read_text(), file.name, ZIPPY)
    except ConfigError as error:
        return "".join(f"{line}\n" for line in error.lines)
    return ""


def test_there_are_files() -> None:
    assert len(FILES) >= 25
    assert [file for file in (FILES[0].parent).glob("*.txt") if not file.with_suffix(".toml").exists()] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_said(file: Path) -> None:
    wanted = file.with_suffix(".txt").read_text()
    assert wanted
    assert said(file) == wanted


if __name__ == "__main__":
    for each in FILES:
        each.with_suffix(".txt").write_text(said(each))

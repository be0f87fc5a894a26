# SPDX-License-Identifier: GPL-3.0-or-later
"""What README.rst says of the configuration file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cyber_zfs_backup.config.best_fit import effective
from cyber_zfs_backup.config.declared import EXAMPLE
from cyber_zfs_backup.config.faults import ConfigError
from cyber_zfs_backup.config.reading import declared_in
from tests.readme import blocks, section

from .worlds import ZIPPY

HERE = replace(ZIPPY, is_there=lambda path: True)
BEGIN, TEXT, SAID = blocks(section("A configuration file"))


def test_the_example_is_one() -> None:
    found = effective(declared_in(TEXT, "config.toml", HERE), "tank/home/me")
    assert (found.settings.retention, found.origins["retention"]) == (
        "windows",
        "config.toml:18 [[dataset]] tank/home",
    )


def test_what_is_said_of_mistakes() -> None:
    wrong = (
        TEXT.replace("exclude", "exlude").replace("dataset =", "ssh-config =").replace('"offsite/{', '"/{')
    )
    with pytest.raises(ConfigError) as caught:
        declared_in(wrong, "config.toml", HERE)
    lines = [line for line in caught.value.lines if "ssh-config" not in line]
    assert " ".join(lines) == " ".join(SAID.split("\n"))


def test_how_to_begin() -> None:
    assert str(EXAMPLE) in BEGIN

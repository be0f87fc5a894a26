# SPDX-License-Identifier: GPL-3.0-or-later
"""A client's policy: what may stand in it, and what is said of what may not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cyber_zfs_backup.gatekeeper.policy import Mode, Policy, PolicyError, load, understood
from cyber_zfs_backup.plan.floors import Keep


def test_what_is_not_said_is_an_archive_with_floors() -> None:
    assert understood({"root": "offsite/zippy"}) == Policy(
        "offsite/zippy", Mode.ARCHIVE, Keep(7, 4, 12), Keep(31, 12, 36), 20, None, 4, restore=False
    )


def test_all_keys() -> None:
    values = {
        "root": "offsite/zippy",
        "mode": "mirror",
        "keep-at-least": {"days": 1, "weeks": 2, "months": 3},
        "retention": {"days": 4, "weeks": 5, "months": 6},
        "destroy-percent": 7,
        "quota": "8G",
        "receives": 9,
        "restore": True,
    }
    policy = understood(values)
    assert policy == Policy(
        "offsite/zippy", Mode.MIRROR, Keep(1, 2, 3), Keep(4, 5, 6), 7, 8 << 30, 9, restore=True
    )
    assert policy.told == "mirror,restore"


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("root", "offsite/../x", 'write a dataset, "offsite/zippy"'),
        ("root", 5, "write a dataset"),
        ("mode", "both", 'write "archive" or "mirror"'),
        ("mode", 1, 'write "archive" or "mirror"'),
        ("keep-at-least", {"days": 1}, "write { days = 7, weeks = 4, months = 12 }"),
        ("keep-at-least", {"days": 1, "weeks": 2, "months": -3}, "write { days"),
        ("keep-at-least", {"days": 1, "weeks": 2, "months": 3, "years": 4}, "write { days"),
        ("retention", 31, "write { days"),
        ("destroy-percent", 101, "write a number from 0 to 100"),
        ("destroy-percent", True, "write a number from 0 to 100"),
        ("quota", 500, "write bytes a day"),
        ("quota", "5 G", "write bytes a day"),
        ("receives", 0, "write a number from 1 to 64"),
        ("restore", "yes", "write true or false"),
        ("restore", 1, "write true or false"),
        ("quotta", "5G", "unknown key 'quotta': write one of root, mode, keep-at-least"),
    ],
)
def test_what_cannot_be_used(key: str, value: object, hint: str) -> None:
    with pytest.raises(PolicyError) as caught:
        understood({"root": "offsite/zippy"} | {key: value})
    assert hint in str(caught.value)
    assert key in str(caught.value)


def test_a_policy_without_a_root() -> None:
    with pytest.raises(PolicyError, match="root is missing"):
        understood({"mode": "mirror"})


def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "zippy.toml"
    path.write_text('root = "offsite/zippy"\nkeep-at-least = { days = 1, weeks = 2, months = 3 }\n')
    real = os.fstat

    def owned(uid: int, mode: int) -> None:
        def fstat(fd: int) -> os.stat_result:
            return os.stat_result((mode, 0, 0, 1, uid, *tuple(real(fd))[5:]))

        monkeypatch.setattr(os, "fstat", fstat)

    owned(0, 0o100644)
    assert understood(load(str(path))).keep_at_least == Keep(1, 2, 3)
    for uid, mode in ((0, 0o100664), (0, 0o100646), (1000, 0o100644)):
        owned(uid, mode)
        with pytest.raises(PolicyError, match="can be written by others than root"):
            load(str(path))
    owned(0, 0o100644)
    path.write_text("root = offsite\n")
    with pytest.raises(PolicyError, match=r"zippy\.toml: Invalid value \(at line 1"):
        load(str(path))
    path.write_bytes(b"root = '\xff'\n")
    with pytest.raises(PolicyError, match=r"zippy\.toml"):
        load(str(path))
    with pytest.raises(PolicyError, match="No such file"):
        load(str(tmp_path / "gone.toml"))

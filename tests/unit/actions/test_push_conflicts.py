# SPDX-License-Identifier: GPL-3.0-or-later
"""Pushes on the fake zfs that need a person: what is said, and what is left alone."""

from __future__ import annotations

from cyber_zfs_backup.config.job import Force
from tests.unit.actions.rig import (
    LEVEL,
    ONLY_PUSH,
    ROOT,
    THERE,
    Rig,
    kinds,
    problems,
)


def test_a_receiver_that_diverged_under_the_base_is_told_with_both_sides() -> None:
    rig = Rig("a")
    rig.first()
    name = rig.snap()
    rig.receiver.zfs("snapshot", f"{THERE}/a@{name}")
    result = rig.run(actions=ONLY_PUSH)
    assert (result.exit_code, kinds(result)) == (3, ["diverged"])
    assert f"@{name} guid" in problems(result)[0]
    assert rig.names_there("")[-1] == name


def test_a_renamed_child_is_a_conflict_that_names_the_remedy_and_keeps_its_base() -> None:
    rig = Rig("old")
    rig.first()
    base = rig.names()[0]
    rig.source.zfs("rename", f"{ROOT}/old", f"{ROOT}/new")
    for _ in range(2):
        result = rig.night()
        assert (result.exit_code, kinds(result)) == (3, ["renamed"])
        assert f"zfs rename '{THERE}/old' '{THERE}/new'" in problems(result)[0]
    # What the receiver has under the old name stays held, however long it takes.
    assert base in rig.held()["new"]
    rig.receiver.zfs("rename", f"{THERE}/old", f"{THERE}/new")
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there
    assert rig.held() == rig.named()


def test_a_child_created_anew_under_its_old_name_is_a_conflict() -> None:
    rig = Rig("a", "b")
    rig.first()
    rig.source.zfs("release", "-r", f"cyber-zfs-backup:{rig.tag}", f"{ROOT}/a@{rig.names()[0]}")
    rig.source.zfs("destroy", "-r", f"{ROOT}/a")
    rig.source.zfs("create", f"{ROOT}/a")
    result = rig.night()
    assert (result.exit_code, kinds(result)) == (3, ["recreated"])
    assert len(rig.names_there("a")) == 1
    assert len(rig.names_there("b")) == 2


def test_an_encrypted_dataset_refuses_any_snapshot_above_its_base() -> None:
    rig = Rig("a")
    rig.source.zfs("create", "-o", "encryption=on", "-o", "keyformat=passphrase", f"{ROOT}/secret")
    rig.first()
    rig.receiver.zfs("snapshot", f"{THERE}/secret@theirs")
    result = rig.night(send_mode=LEVEL)
    assert (result.exit_code, kinds(result)) == (3, ["diverged"])
    assert rig.names_there("a")[-1] == rig.names("a")[-1]


def test_a_conflict_of_the_root_stops_everything() -> None:
    rig = Rig("a")
    rig.first()
    name = rig.snap()
    rig.receiver.zfs("snapshot", f"{THERE}@{name}")
    before = rig.state(rig.receiver)
    result = rig.run(actions=ONLY_PUSH, force=Force(True, True))
    assert (result.exit_code, kinds(result)) == (65, ["diverged"])
    assert rig.state(rig.receiver) == before

# SPDX-License-Identifier: GPL-3.0-or-later
"""Pushes on the fake zfs that need a person: what is said, and what is left alone."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.config.job import Action, Destination, Force
from cyber_zfs_backup.plan.cost import SendMode
from tests.unit.actions.rig import (
    HARSH,
    LEVEL,
    ONLY_PUSH,
    REPLICATE,
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


def test_a_renamed_child_that_may_not_be_renamed_there_is_a_conflict_and_keeps_its_base() -> None:
    rig = Rig("old")
    rig.first()
    rig.receiver.faults.denied = frozenset({"rename"})
    base = rig.names()[0]
    rig.source.zfs("rename", f"{ROOT}/old", f"{ROOT}/new")
    for _ in range(2):
        result = rig.night()
        assert (result.exit_code, kinds(result)) == (3, ["renamed"])
        assert f"zfs rename '{THERE}/old' '{THERE}/new'" in problems(result)[0]
        assert "permission denied" in problems(result)[0]
    # What the receiver has under the old name stays held, however long it takes.
    assert base in rig.held()["new"]
    rig.receiver.zfs("rename", f"{THERE}/old", f"{THERE}/new")
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there
    assert rig.held() == rig.named()


def test_a_child_created_anew_whose_copy_may_not_be_renamed_is_a_conflict() -> None:
    rig = Rig("a", "b")
    rig.first()
    rig.receiver.faults.denied = frozenset({"rename"})
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


@pytest.mark.parametrize("mode", [LEVEL, REPLICATE])
def test_a_copy_that_another_tool_made_below_an_encrypted_parent_is_brought_up(mode: SendMode) -> None:
    """It is encrypted there with the parent's key, and refuses what may hold embedded blocks."""
    rig = Rig("a")
    rig.receiver.zfs("create", "-o", "encryption=on", "-o", "keyformat=passphrase", "vault/safe")
    place = Destination("offsite", "vault/safe/copy")
    base = rig.snap()
    for path in ("", "/a"):
        send = [["zfs", "send", f"{ROOT}{path}@{base}"]]
        receive = [["zfs", "receive", "-u", f"{place.dataset}{path}"]]
        assert rig.link.transfer(send, receive, on_bytes=lambda _: None).ok
    for _ in range(2):
        result = rig.night(send_mode=mode, destination=place)
        assert result.exit_code == 0, problems(result)
    assert rig.own(rig.receiver, place.dataset).keys() == {"", "a"}
    assert all(names == rig.own(rig.receiver, place.dataset)[path] for path, names in rig.here.items())
    assert {d.encryption_root for d in rig.receiver.world.tree(place.dataset)} == {"vault/safe"}


def test_roots_that_share_no_snapshot_stop_everything() -> None:
    """It may be the wrong receiver; also where a child would fit."""
    rig = Rig("a")
    rig.first()
    rig.receiver.zfs("rename", f"{THERE}/a", "vault/a")
    rig.receiver.zfs("rename", THERE, "vault/aside")
    rig.receiver.zfs("create", THERE)
    rig.receiver.zfs("snapshot", f"{THERE}@{rig.snap()}")
    rig.receiver.zfs("rename", "vault/a", f"{THERE}/a")
    before = rig.state(rig.receiver)
    for dry_run in (True, False):
        result = rig.run(actions=ONLY_PUSH, force=Force(True, True), dry_run=dry_run)
        assert (result.exit_code, kinds(result)) == (65, ["no-common"])
    assert rig.state(rig.receiver) == before


def test_a_root_that_diverged_stops_itself_alone() -> None:
    rig = Rig("a")
    rig.first()
    base = rig.names()[0]
    name = rig.snap()
    rig.receiver.zfs("snapshot", f"{THERE}@{name}")
    result = rig.run(actions=ONLY_PUSH)
    assert (result.exit_code, kinds(result)) == (3, ["diverged"])
    assert rig.names_there("a")[-1] == name
    # What each of them builds on is held, night after night, and a harsh expire spares it.
    for _ in range(2):
        assert rig.night(retention=HARSH, force=Force(destroy_lots=True)).exit_code == 3
        assert base in rig.held()[""]
        assert rig.names("a")[-1] in rig.held()["a"]
        assert rig.names_there("a")[-1] == rig.names("a")[-1]
    rig.receiver.zfs("destroy", f"{THERE}@{name}")
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert [rig.names_there(path)[-1] for path in ("", "a")] == [rig.names()[-1]] * 2
    assert rig.held() == rig.named()


@pytest.mark.parametrize("mode", [LEVEL, REPLICATE])
@pytest.mark.parametrize("children", [(), ("a", "b")], ids=["alone", "with children"])
def test_a_copy_that_something_has_written_to_is_diverged(mode: SendMode, children: tuple[str, ...]) -> None:
    """No list of snapshots shows it; the refused receive does."""
    rig = Rig(*children)
    rig.first()
    base = rig.names()[0]
    rig.receiver.zfs("set", "readonly=off", THERE)
    rig.receiver.write(THERE, {"foreign": b"data"})
    for _ in range(2):
        result = rig.night(send_mode=mode, actions=frozenset({Action.SNAPSHOT, Action.PUSH}))
        assert (result.exit_code, kinds(result)) == (3 if children else 65, ["diverged"])
        said = problems(result)[0]
        assert f"zfs rollback '{THERE}@{base}'" in said
        assert f"receiver: @{base} guid" in said
        assert all(rig.names_there(child)[-1] == rig.names()[-1] for child in children)
    rig.receiver.zfs("rollback", f"{THERE}@{base}")
    result = rig.night(send_mode=mode)
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there
    assert rig.held() == rig.named()


def test_a_foreign_snapshot_taken_anew_under_its_old_name_each_night() -> None:
    """Asked by name, nothing shows it; the refused receive does. The remedy, done once, is enough for that
    night, and nothing of any night is lost."""
    rig = Rig("vm", "b")
    rig.first()
    rig.source.zfs("snapshot", f"{ROOT}/vm@vzdump")
    assert rig.night(send_mode=LEVEL).exit_code == 0
    for aside in ("vzdump.old", "vzdump.old1"):
        rig.source.zfs("destroy", f"{ROOT}/vm@vzdump")
        rig.source.zfs("snapshot", f"{ROOT}/vm@vzdump")
        for _ in range(2):
            result = rig.night(send_mode=LEVEL)
            assert (result.exit_code, kinds(result)) == (3, ["diverged"])
            remedy = f"zfs rename '{THERE}/vm@vzdump' '{THERE}/vm@{aside}'"
            assert remedy in problems(result)[0]
            assert {rig.names_there(path)[-1] for path in ("", "b")} == {rig.names()[-1]}
            # What the next push of it builds on is held.
            assert set(rig.names_there("vm")) & rig.held()["vm"]
        rig.receiver.zfs("rename", f"{THERE}/vm@vzdump", f"{THERE}/vm@{aside}")
        result = rig.night(send_mode=LEVEL)
        assert result.exit_code == 0, problems(result)
        assert rig.here == rig.there
    assert [name for name in rig.names_there("vm") if "vzdump" in name] == [
        "vzdump.old",
        "vzdump.old1",
        "vzdump",
    ]


def test_the_way_back_of_a_copy_with_snapshots_that_were_taken_there() -> None:
    """What the remedy says can be done, and is enough."""
    rig = Rig("a")
    rig.first()
    base = rig.names()[0]
    rig.receiver.zfs("snapshot", f"{THERE}/a@theirs")
    rig.receiver.write(f"{THERE}/a", {"foreign": b"data"})
    result = rig.night(send_mode=LEVEL)
    assert (result.exit_code, kinds(result)) == (3, ["diverged"])
    assert f"zfs rollback -r '{THERE}/a@{base}', which destroys @theirs there" in problems(result)[0]
    rig.receiver.zfs("rollback", "-r", f"{THERE}/a@{base}")
    result = rig.night(send_mode=LEVEL)
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there


def test_a_dry_run_has_the_exit_code_of_the_run() -> None:
    rig = Rig("a", "b")
    rig.first()
    rig.receiver.zfs("snapshot", f"{THERE}/a@{rig.snap()}")
    assert rig.run(actions=ONLY_PUSH, dry_run=True).exit_code == 3
    assert rig.run(actions=ONLY_PUSH).exit_code == 3


def test_many_datasets_that_fail_keep_no_other_back() -> None:
    """Every second copy was written to: all of those are named, all others pushed, every night."""
    children = [f"c{number:02}" for number in range(40)]
    rig = Rig(*children)
    rig.first()
    for child in children[::2]:
        rig.receiver.write(f"{THERE}/{child}", {"foreign": b"data"})
    for _ in range(2):
        result = rig.night(send_mode=LEVEL)
        newest = rig.names()[-1]
        assert result.exit_code == 3
        assert [child for child in children if newest in rig.names_there(child)] == children[1::2]
        assert kinds(result) == ["diverged"] * 20


def test_of_a_package_that_breaks_off_the_dataset_is_blamed_that_the_message_names() -> None:
    rig = Rig("a", "vm")
    rig.source.zfs("snapshot", f"{ROOT}/vm@vzdump")
    rig.first()
    rig.source.zfs("destroy", f"{ROOT}/vm@vzdump")
    rig.write("vm")
    rig.source.zfs("snapshot", f"{ROOT}/vm@vzdump")
    rig.receiver.zfs("rename", f"{THERE}/a", f"{THERE}/zz")
    rig.source.zfs("rename", f"{ROOT}/a", f"{ROOT}/zz")
    result = rig.night(send_mode=REPLICATE)
    assert (result.exit_code, kinds(result)) == (3, ["diverged"]), problems(result)
    assert f"{ROOT}/vm" in problems(result)[0]
    assert rig.names_there("zz")[-1] == rig.names("zz")[-1]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Pushes on the fake zfs: what arrives, what is refused, and what is said."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.config.job import Exclude, UsageError
from cyber_zfs_backup.plan.cost import SendMode
from tests.unit.actions.rig import (
    AUTO,
    FORCED,
    LEVEL,
    ONLY_PUSH,
    REPLICATE,
    ROOT,
    THERE,
    Rig,
    action,
    actions,
    kinds,
    mutations,
    problems,
)

MODES = pytest.mark.parametrize("mode", [LEVEL, REPLICATE, AUTO], ids=lambda mode: mode.value)


def test_a_first_push_needs_the_flag_and_sends_nothing_without() -> None:
    rig = Rig("a")
    result = rig.night()
    assert result.exit_code == 65
    assert actions(result) == {"snapshot": "done", "push": "conflict", "expire": "nothing"}
    assert "--force-non-incremental" in problems(result)[0]
    assert rig.link.transfers == []
    assert mutations(rig.receiver.calls) == []


@MODES
def test_a_first_push_brings_the_whole_tree_with_all_its_snapshots(mode: SendMode) -> None:
    rig = Rig("a", "a/b", "c")
    rig.snap()
    rig.source.zfs("snapshot", f"{ROOT}/a@foreign")
    rig.first(send_mode=mode)
    assert rig.snapshots(rig.source, ROOT) == rig.snapshots(rig.receiver, THERE)
    assert rig.held() == rig.named()
    assert rig.held()["a/b"] == {rig.names("a/b")[-1]}


@MODES
def test_nothing_is_received_by_force_and_everything_stays_unmounted(mode: SendMode) -> None:
    rig = Rig("a")
    rig.first(send_mode=mode)
    rig.night(send_mode=mode)
    receives = [receive for moved in rig.link.transfers for receive in moved.receives]
    assert receives
    for receive in receives:
        assert receive[:4] == ("zfs", "receive", "-s", "-u")
        assert "-F" not in receive
    sends = [send for moved in rig.link.transfers for send in moved.sends]
    assert all("-w" in send for send in sends)
    for path in ("", "/a"):
        got = rig.receiver.zfs("get", "-Hp", "-o", "value", "readonly,canmount,mountpoint", THERE + path)
        assert got.split()[0] == "on"
        assert got.split()[2] == "none"


@MODES
def test_an_incremental_push_brings_what_is_new(mode: SendMode) -> None:
    rig = Rig("a", "b")
    rig.first()
    rig.snap()
    result = rig.night(send_mode=mode)
    assert result.exit_code == 0
    assert rig.here == rig.there
    assert len(rig.names()) == 3
    assert "3 of 3 datasets" in action(result, "push").summary


def test_a_push_with_nothing_new_says_so_and_opens_no_data_connection() -> None:
    rig = Rig("a")
    rig.first()
    before = len(rig.link.transfers)
    result = rig.run(actions=ONLY_PUSH)
    assert (result.exit_code, actions(result)) == (0, {"push": "nothing"})
    assert action(result, "push").summary.startswith("nothing new")
    assert len(rig.link.transfers) == before


def test_a_push_without_a_snapshot_sends_the_newest_own_one() -> None:
    rig = Rig("a")
    rig.first()
    name = rig.snap()
    rig.source.zfs("snapshot", "-r", f"{ROOT}@by-hand")
    result = rig.run(actions=ONLY_PUSH)
    assert action(result, "push").figures["target"] == name
    assert rig.names_there("a")[-1] == name


def test_without_any_own_snapshot_there_is_nothing_to_push() -> None:
    rig = Rig()
    rig.source.zfs("snapshot", f"{ROOT}@by-hand")
    result = rig.run(actions=ONLY_PUSH, force=FORCED)
    assert (result.exit_code, kinds(result)) == (1, ["no-snapshot"])
    assert rig.link.transfers == []


def test_no_common_snapshot_is_a_conflict_and_nothing_is_sent() -> None:
    rig = Rig("a")
    rig.receiver.zfs("create", THERE)
    rig.receiver.zfs("snapshot", f"{THERE}@2026-01-01T00:00:00Z")
    before = rig.state(rig.receiver)
    result = rig.night(force=FORCED)
    assert (result.exit_code, kinds(result)) == (65, ["no-common"])
    assert rig.link.transfers == []
    assert rig.state(rig.receiver) == before


def test_the_same_names_with_other_guids_are_never_common() -> None:
    rig = Rig()
    rig.receiver.zfs("create", THERE)
    name = rig.snap()
    rig.receiver.zfs("snapshot", f"{THERE}@{name}")
    result = rig.run(actions=ONLY_PUSH)
    assert (result.exit_code, kinds(result)) == (65, ["no-common"])
    assert rig.names_there() == [name]


@MODES
def test_a_new_child_arrives_with_its_properties(mode: SendMode) -> None:
    rig = Rig("a")
    rig.first()
    rig.source.zfs("create", "-o", "compression=zstd", "-o", "site:note=mine", f"{ROOT}/a/new")
    result = rig.night(send_mode=mode)
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there
    got = rig.receiver.zfs("get", "-Hp", "-o", "value", "compression,site:note,mountpoint", f"{THERE}/a/new")
    assert got.split() == ["zstd", "mine", "none"]


@MODES
def test_changed_properties_arrive_with_the_next_snapshot(mode: SendMode) -> None:
    rig = Rig("a", "b")
    rig.first()
    rig.source.zfs("set", "compression=gzip", f"{ROOT}/a")
    rig.night(send_mode=mode)
    assert rig.receiver.zfs("get", "-Hp", "-o", "value", "compression", f"{THERE}/a").strip() == "gzip"
    rig.link.transfers.clear()
    rig.night(send_mode=LEVEL)
    assert all("-p" not in send for moved in rig.link.transfers for send in moved.sends)


@MODES
def test_our_own_properties_never_arrive(mode: SendMode) -> None:
    rig = Rig("a", "b")
    rig.first(send_mode=mode)
    rig.link.break_next(0)
    rig.night(send_mode=mode)
    rig.source.zfs("set", "compression=gzip", f"{ROOT}/a")
    rig.source.zfs("create", f"{ROOT}/b/new")
    rig.night(send_mode=mode)
    rig.night(send_mode=mode)
    for name, dataset in rig.receiver.world.datasets.items():
        ours = {key: value for key, value in dataset.settings.items() if key.startswith("cyber-zfs-backup:")}
        assert all(value.effective is None for value in ours.values()), name


def test_a_destroyed_child_is_kept_there_and_told_as_an_orphan() -> None:
    rig = Rig("a", "b")
    rig.first()
    rig.source.zfs("release", "-r", f"cyber-zfs-backup:{rig.tag}", f"{ROOT}/b@{rig.names()[0]}")
    rig.source.zfs("destroy", "-r", f"{ROOT}/b")
    result = rig.night()
    assert result.exit_code == 0
    assert action(result, "push").figures["orphans"] == 1
    assert any(f"{THERE}/b is not on the source" in line for line in action(result, "push").lines)
    assert len(rig.names_there("b")) == 1
    rig.night()
    assert len(rig.names_there("b")) == 1


def test_a_laggard_is_brought_up_from_its_own_base() -> None:
    rig = Rig("a", "b", "c")
    rig.first()
    # By hand, everything but b is brought to the next snapshot.
    name, base = rig.snap(), rig.names()[0]
    for path in ("", "a", "c"):
        rig.link.transfer(
            [["zfs", "send", "-w", "-I", f"@{base}", f"{rig.full(path)}@{name}"]],
            [["zfs", "receive", "-u", rig.full(path, THERE)]],
        )
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there
    assert rig.held() == rig.named()


def test_a_failing_child_pins_only_itself() -> None:
    rig = Rig("a", "b")
    rig.first()
    first = rig.names()[0]
    # Something wrote to the receiver's copy of a.
    rig.receiver.zfs("set", "readonly=off", f"{THERE}/a")
    rig.receiver.write(f"{THERE}/a", {"foreign": b"data"})
    result = rig.night(send_mode=LEVEL)
    assert result.exit_code == 3
    assert kinds(result) == ["diverged"]
    assert problems(result)[0].split(": ")[2] == f"{ROOT}/a"
    second = rig.names()[-1]
    # (The root's base is held on the whole tree by one command; it goes from there with the next.)
    assert rig.held() == {"": {second}, "a": {first, second}, "b": {second}}
    ledger = rig.ledger()
    assert ledger is not None
    assert ledger.of("a").base == first
    assert ledger.root.base == second
    # It stays so night after night, and does not grow.
    result = rig.night(send_mode=LEVEL)
    assert result.exit_code == 3
    assert rig.held()["a"] == {first, rig.names()[-1]}
    # Once it is mended, it is brought up like the others.
    rig.receiver.zfs("rollback", f"{THERE}/a@{first}")
    result = rig.night(send_mode=LEVEL)
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there
    assert rig.held() == rig.named()
    assert rig.ledger().lagging == {}  # type: ignore[union-attr]  # it was there just now


def test_a_child_that_the_receiver_lost_is_sent_anew() -> None:
    rig = Rig("a", "b")
    rig.first()
    rig.night()
    rig.receiver.zfs("destroy", "-r", f"{THERE}/b")
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there


def test_a_child_without_the_target_is_brought_to_its_own_newest() -> None:
    rig = Rig("a", "b")
    rig.first()
    name = rig.snap()
    rig.source.zfs("destroy", f"{ROOT}/b@{name}")
    result = rig.run(actions=ONLY_PUSH)
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there
    assert rig.held() == rig.named()


@pytest.mark.parametrize("mode", [LEVEL, REPLICATE], ids=lambda mode: mode.value)
def test_a_token_is_resumed(mode: SendMode) -> None:
    rig = Rig("a")
    rig.first()
    rig.size = 200_000
    rig.wait()
    rig.write("a")
    rig.write("")
    rig.link.break_next(100_000)
    assert rig.run(send_mode=mode).exit_code == 75
    assert len(rig.tokens()) == 1
    rig.link.transfers.clear()
    rig.wait()
    result = rig.run(send_mode=mode)
    assert result.exit_code == 0, problems(result)
    assert rig.link.transfers[0].sends[0][:4] == ("zfs", "send", "-w", "-t")
    assert rig.link.transfers[0].bytes_moved < 150_000
    assert rig.here == rig.there
    assert rig.held() == rig.named()


def test_a_token_that_the_source_cannot_continue_is_aborted() -> None:
    rig = Rig("a")
    rig.first()
    rig.size = 200_000
    name = rig.snap()
    rig.link.break_next(100_000)
    rig.run(actions=ONLY_PUSH)
    assert rig.tokens()
    (path,) = rig.tokens()
    rig.source.zfs("release", f"cyber-zfs-backup:{rig.tag}", f"{rig.full(path)}@{name}")
    rig.source.zfs("destroy", f"{rig.full(path)}@{name}")
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert len(rig.receiver.called("receive", "-A")) == 1
    assert rig.here == rig.there


@MODES
def test_excluded_datasets_are_neither_snapshotted_nor_pushed_nor_touched(mode: SendMode) -> None:
    rig = Rig("a", "a/tmp", "a/tmp/deep", "b")
    rig.first()
    copies = rig.names_there("a/tmp")
    rig.source.calls.clear()
    result = rig.night(exclude=Exclude(("*/tmp",)), send_mode=mode)
    assert result.exit_code == 0, problems(result)
    name = rig.names()[-1]
    assert rig.source.called("snapshot") == [
        ("zfs", "snapshot", f"{ROOT}@{name}", f"{ROOT}/a@{name}", f"{ROOT}/b@{name}")
    ]
    assert rig.names("a/tmp") == rig.names_there("a/tmp") == rig.names_there("a/tmp/deep") == copies
    assert rig.names_there("b")[-1] == name
    assert action(result, "push").figures["orphans"] == 0
    # Taken in again later, they catch up.
    assert rig.night(send_mode=mode).exit_code == 0
    assert rig.here == rig.there


@MODES
def test_what_opts_out_by_its_property_is_left_alone_with_all_below(mode: SendMode) -> None:
    rig = Rig("a", "a/deep", "b", "c")
    rig.first()
    rig.source.zfs("set", "cyber-zfs-backup:exclude=on", rig.full("a"))
    rig.source.zfs("set", "com.sun:auto-snapshot=FALSE", rig.full("b"))
    rig.source.calls.clear()
    assert rig.night(send_mode=mode).exit_code == 0
    assert rig.source.called("snapshot")[0][2:] == tuple(
        f"{rig.full(path)}@{rig.names()[-1]}" for path in ("", "b", "c")
    )
    assert rig.night(exclude=Exclude(honour_auto_snapshot=True), send_mode=mode).exit_code == 0
    assert rig.names("b")[-1] == rig.names_there("b")[-1] == rig.names()[-2]
    # A dataset below one that opts out has no place without it, whatever it says itself.
    rig.source.zfs("set", "cyber-zfs-backup:exclude=off", rig.full("a/deep"))
    assert rig.night(send_mode=mode).exit_code == 0
    assert len(rig.names("a/deep")) == len(rig.names_there("a/deep")) == 1
    assert rig.receiver.zfs("get", "-H", "-o", "value", "cyber-zfs-backup:exclude", f"{THERE}/c") == "-\n"
    # It comes back with what it missed.
    rig.source.zfs("inherit", "-r", "cyber-zfs-backup:exclude", rig.full("a"))
    assert rig.night(send_mode=mode).exit_code == 0
    assert rig.here == rig.there


def test_a_tree_whose_root_opts_out_is_a_usage_error() -> None:
    rig = Rig("a")
    rig.source.zfs("set", "cyber-zfs-backup:exclude=on", ROOT)
    with pytest.raises(UsageError, match=r"cyber-zfs-backup:exclude=on: .* itself would be excluded"):
        rig.night()
    assert rig.source.called("snapshot") == []


def test_a_dataset_of_another_job_is_left_alone() -> None:
    rig = Rig("a", "a/below", "ab")
    assert rig.first(exclude=Exclude(apart=(rig.full("a"),))).exit_code == 0
    assert rig.names("a") == rig.names("a/below") == []
    assert rig.names_there("ab") == rig.names_there() != []


def test_an_exclude_pattern_that_hits_the_root_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="itself would be excluded"):
        Rig().run(exclude=Exclude(("*",)))


def test_a_broken_stream_of_foreign_and_own_snapshots_goes_on_in_the_next_run() -> None:
    """The receiver's newest common snapshot is a foreign one that no record names."""
    rig = Rig("a")
    rig.first()
    rig.size = 100_000
    rig.wait()
    rig.write("")
    rig.source.zfs("snapshot", f"{ROOT}@by-hand")
    rig.write("")
    rig.link.break_next(150_000)
    assert rig.run(send_mode=LEVEL).exit_code != 0
    assert rig.names_there()[-1] == "by-hand"
    result = rig.night(send_mode=LEVEL)
    assert result.exit_code == 0, problems(result)
    assert rig.snapshots(rig.source, ROOT) == rig.snapshots(rig.receiver, THERE)


def test_a_foreign_snapshot_sent_by_hand_is_no_trouble() -> None:
    """The receiver got ahead of the record: the level step from the named base is refused, and the push
    goes on from what is really there."""
    rig = Rig("a")
    rig.first()
    base = rig.names()[0]
    rig.write("a")
    rig.source.zfs("snapshot", f"{ROOT}/a@by-hand")
    rig.link.transfer(
        [["zfs", "send", "-w", "-i", f"@{base}", f"{ROOT}/a@by-hand"]],
        [["zfs", "receive", "-u", f"{THERE}/a"]],
    )
    result = rig.night(send_mode=LEVEL)
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there
    assert rig.held() == rig.named()


def test_the_base_survives_a_receiver_that_is_gone_for_weeks() -> None:
    rig = Rig("a")
    rig.first()
    base = rig.names()[0]
    rig.receiver.faults.unreachable = True
    for _ in range(40):
        assert rig.night().exit_code == 75
    assert rig.held() == {"": {base}, "a": {base}}
    assert len(rig.names()) == 34
    rig.calm()
    assert rig.night().exit_code == 0
    assert rig.here == rig.there


def test_a_changed_property_travels_with_its_own_dataset_alone() -> None:
    """Other tools mark a dataset every night: that must not slow down all others."""
    rig = Rig("a", "b", "c")
    rig.first()
    for number in range(3):
        rig.source.zfs("set", f"other:mark={number}", f"{ROOT}/b")
        rig.link.transfers.clear()
        assert rig.night(send_mode=LEVEL).exit_code == 0
        carried = [send for moved in rig.link.transfers for send in moved.sends if "-p" in send]
        assert [send[-1].partition("@")[0] for send in carried] == [f"{ROOT}/b"]
        assert rig.receiver.zfs("get", "-H", "-o", "value", "other:mark", f"{THERE}/b").strip() == str(number)
    rig.link.transfers.clear()
    assert rig.night(send_mode=LEVEL).exit_code == 0
    assert not any("-p" in send for moved in rig.link.transfers for send in moved.sends)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input and bad days: a clear error, nothing lost, nothing half-destroyed."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cyber_zfs_backup.actions.lock import push_lock
from cyber_zfs_backup.config.job import Destination, RetentionPolicy, UsageError
from cyber_zfs_backup.hosts.protocol import Finished, Transfer
from tests.fake.host import cut_in_listing, garbage
from tests.unit.actions.rig import (
    FORCED,
    HARSH,
    LEVEL,
    NO_NETWORK,
    ONLY_PUSH,
    ROOT,
    THERE,
    Rig,
    action,
    actions,
    kinds,
    mutations,
    problems,
)


def test_snapshot_and_expire_touch_no_network() -> None:
    rig = Rig("a")
    rig.first()
    rig.receiver.calls.clear()
    rig.link.transfers.clear()
    rig.receiver.faults.unreachable = True
    result = rig.night(actions=NO_NETWORK)
    assert (result.exit_code, actions(result)) == (0, {"snapshot": "done", "expire": "nothing"})
    assert rig.receiver.calls == []
    assert rig.link.transfers == []


def test_a_source_that_does_not_exist_is_a_usage_error_before_anything_is_touched() -> None:
    rig = Rig()
    with pytest.raises(UsageError, match="tank/nowhere: there is no such dataset"):
        rig.run(dataset="tank/nowhere")
    assert mutations(rig.source.calls) == []
    assert mutations(rig.receiver.calls) == []


@pytest.mark.parametrize("policy", [(-1, 0, 0), (0, -1, 0), (0, 0, -1)])
def test_a_negative_retention_count_is_a_usage_error(policy: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match="0 or more"):
        RetentionPolicy(*policy)


def test_a_receiver_dataset_without_a_pool_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="whole pool"):
        Destination("offsite", "vault")


def test_a_receiver_without_the_dataset_above_is_told_so_before_a_byte_moves() -> None:
    rig = Rig()
    result = rig.night(destination=Destination("offsite", "vault/not/there"), force=FORCED)
    assert (result.exit_code, kinds(result)) == (1, ["no-parent"])
    assert "zfs create -o mountpoint=none -o canmount=off 'vault/not'" in problems(result)[0]
    assert rig.link.transfers == []
    assert rig.held() == {}


def test_a_receiver_pool_that_is_not_there() -> None:
    rig = Rig()
    result = rig.night(destination=Destination("offsite", "nopool/x"), force=FORCED)
    assert (result.exit_code, kinds(result)) == (1, ["no-parent"])
    assert "create or import the pool nopool" in problems(result)[0]


@pytest.mark.parametrize("garble", [garbage(), cut_in_listing()], ids=["garbage", "cut off"])
@pytest.mark.parametrize("whole", [False, True], ids=["by name", "whole lists"])
def test_a_receiver_that_cannot_be_trusted_gets_nothing_and_loses_nothing(
    garble: object, whole: bool
) -> None:
    rig = Rig("a", "b")
    rig.first()
    if whole:
        rig.source.zfs("create", f"{ROOT}/new")
    held, there = rig.held(), rig.state(rig.receiver)
    moved = len(rig.link.transfers)
    rig.receiver.faults.garble = garble  # type: ignore[assignment]  # pytest's parameters have no types
    result = rig.night()
    assert result.exit_code in (1, 75)
    assert actions(result)["snapshot"] == "done"
    assert actions(result)["expire"] == "nothing"
    assert actions(result)["push"] in ("failed", "passing")
    assert rig.state(rig.receiver) == there
    assert len(rig.link.transfers) == moved
    assert {path: names & held.get(path, set()) for path, names in rig.held().items()} == held
    rig.receiver.faults.garble = lambda finished: finished
    assert rig.night().exit_code == 0
    assert rig.here == rig.there


def test_a_source_that_answers_garbage_destroys_nothing() -> None:
    rig = Rig("a")
    for _ in range(3):
        rig.snap()
    before = rig.here
    rig.source.faults.garble = garbage()
    result = rig.run(actions=NO_NETWORK, retention=HARSH)
    assert result.exit_code == 1
    assert {path: dict(list(names.items())[:3]) for path, names in rig.here.items()} == before


def test_an_unreachable_receiver_is_worth_another_try_and_the_rest_is_done() -> None:
    rig = Rig("a")
    rig.first()
    rig.receiver.faults.unreachable = True
    result = rig.night(retention=HARSH)
    assert result.exit_code == 75
    assert actions(result) == {"snapshot": "done", "push": "passing", "expire": "nothing"}
    assert kinds(result) == ["unreachable"]
    assert len(rig.names()) == 2


def test_a_receiver_lost_in_the_middle_of_the_push() -> None:
    rig = Rig("a", "b", "c")
    rig.first()
    rig.receiver.faults.refuse_after = 3
    result = rig.night(send_mode=LEVEL)
    assert result.exit_code == 75, problems(result)
    assert actions(result)["expire"] == "nothing"
    rig.receiver.faults.refuse_after = None
    rig.calm()
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there
    assert rig.held() == rig.named()


def test_a_full_receiver_pool_is_told_and_what_arrived_is_kept() -> None:
    rig = Rig("a", "b", capacity=200_000)
    rig.first()
    rig.size = 60_000
    result = rig.night()
    assert kinds(result)[0] == "no-space"
    assert result.exit_code in (1, 3)
    assert "free or add space" in problems(result)[0]
    there = rig.there
    rig.receiver.world.pools["vault"].capacity = None
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there
    assert all(guid in rig.there[path] for path, guids in there.items() for guid in guids)


def test_a_dataset_destroyed_between_planning_and_sending_stops_no_other() -> None:
    rig = Rig("a", "b", "c")
    rig.first()

    def destroy(moment: str, argv: tuple[str, ...]) -> None:
        if moment == "before" and argv[0] == "transfer" and f"{ROOT}/b" in rig.source.world.datasets:
            for name in rig.names("b"):
                rig.source.zfs("release", f"cyber-zfs-backup:{rig.tag}", f"{ROOT}/b@{name}")
            rig.source.zfs("destroy", "-r", f"{ROOT}/b")

    rig.source.faults.hook = destroy
    result = rig.night(send_mode=LEVEL)
    assert result.exit_code == 3, problems(result)
    assert [line.split(": ")[2] for line in problems(result)] == [f"{ROOT}/b"]
    for path in ("", "a", "c"):
        assert rig.names_there(path) == rig.names(path)
    rig.calm()
    assert rig.night().exit_code == 0


def test_two_runs_at_once_the_second_still_snapshots_and_expires() -> None:
    rig = Rig("a")
    rig.first()
    rig.link.transfers.clear()
    rig.receiver.calls.clear()
    with push_lock(ROOT, Destination("offsite", THERE)) as free:
        assert free
        result = rig.night()
    assert result.exit_code == 4
    assert actions(result) == {"snapshot": "done", "push": "locked", "expire": "nothing"}
    assert f"(process {os.getpid()} since 2" in problems(result)[0]
    assert rig.link.transfers == []
    assert rig.receiver.calls == []
    assert len(rig.names()) == 2
    assert rig.night().exit_code == 0


def test_whoever_finds_the_lock_taken_is_told_by_which_process_and_since_when() -> None:
    """So that a person finds a run that hangs."""
    offsite = Destination("offsite", THERE)
    before = datetime.now(UTC).replace(microsecond=0)
    with push_lock(ROOT, offsite), push_lock(ROOT, offsite) as second:
        found = re.fullmatch(r"process (\d+) since (\S+)", second.holder or "")
    assert found is not None, second
    assert int(found[1]) == os.getpid()
    assert before <= datetime.fromisoformat(found[2]) <= datetime.now(UTC)
    assert not second


def test_a_lock_that_was_let_go_names_nobody(locks: Path) -> None:
    offsite = Destination("offsite", THERE)
    with suppress(RuntimeError), push_lock(ROOT, offsite):
        (file,) = locks.iterdir()
        assert file.read_text().startswith(f"process {os.getpid()} since ")
        raise RuntimeError
    assert file.read_text() == ""


def test_what_a_run_left_that_was_killed_is_written_over(locks: Path) -> None:
    offsite = Destination("offsite", THERE)
    with push_lock(ROOT, offsite):
        (file,) = locks.iterdir()
    file.write_text("process 4194304 since a very long time ago, and some more words")
    with push_lock(ROOT, offsite) as free, push_lock(ROOT, offsite) as second:
        assert free
        assert (second.holder or "").startswith(f"process {os.getpid()} since 2")
        assert "ago" not in file.read_text()


def test_another_destination_is_not_locked_out() -> None:
    rig = Rig()
    with push_lock(ROOT, Destination("elsewhere", THERE)):
        assert rig.night(force=FORCED).exit_code == 0


def test_a_lock_that_cannot_be_made_fails_the_push_alone(locks: Path) -> None:
    locks.write_text("a file stands where the folder should be")
    rig = Rig()
    result = rig.night(force=FORCED)
    assert (result.exit_code, kinds(result)) == (1, ["lock"])
    assert actions(result)["snapshot"] == "done"
    assert str(locks) in problems(result)[0]


def test_a_snapshot_of_that_very_second_is_an_error() -> None:
    rig = Rig("a")
    rig.snap()
    result = rig.run(actions=NO_NETWORK)
    assert (result.exit_code, kinds(result)) == (1, ["exists"])
    assert len(rig.names()) == 1


def test_a_snapshot_that_only_a_child_has_is_an_error_and_none_is_taken() -> None:
    rig = Rig("a")
    name = rig.snap()
    rig.source.zfs("destroy", f"{ROOT}@{name}")
    result = rig.run(actions=NO_NETWORK)
    assert (result.exit_code, kinds(result)) == (1, ["exists"])
    assert rig.names() == []


def test_a_clock_behind_the_newest_own_snapshot_takes_none() -> None:
    rig = Rig("a")
    name = rig.snap()
    rig.wait(-3600)
    result = rig.run(actions=NO_NETWORK)
    assert result.exit_code == 1
    assert kinds(result) == ["clock", "future"]
    assert f"@{name}" in problems(result)[0]
    assert rig.names() == [name]


def test_a_damaged_record_stops_push_and_expire_with_the_way_out() -> None:
    rig = Rig("a")
    rig.first()
    rig.source.zfs("set", f"cyber-zfs-backup:base.{rig.tag}=rubbish", ROOT)
    before = rig.there
    result = rig.night(retention=HARSH)
    assert result.exit_code == 1
    assert kinds(result) == ["damaged-record", "damaged-record"]
    assert "cyber-zfs-backup forget" in problems(result)[0]
    assert rig.there == before


def test_an_error_of_one_action_does_not_stop_the_others() -> None:
    rig = Rig("a")
    rig.first()
    rig.source.zfs("snapshot", "-r", f"{ROOT}@2030-01-01T00:00:00Z")
    result = rig.night()
    assert actions(result)["snapshot"] == "failed"
    assert actions(result)["expire"] == "failed"
    assert action(result, "push").outcome.value in ("done", "nothing")
    assert result.exit_code == 1


@pytest.mark.parametrize("first", [True, False], ids=["first push", "incremental"])
def test_a_dry_run_touches_neither_side(first: bool) -> None:
    rig = Rig("a", "b")
    for _ in range(3):
        rig.snap()
    if not first:
        rig.first()
        rig.source.zfs("create", f"{ROOT}/new")
    rig.wait()
    before = rig.states()
    rig.source.calls.clear()
    rig.receiver.calls.clear()
    rig.link.transfers.clear()
    result = rig.run(dry_run=True, retention=HARSH, force=FORCED)
    assert result.exit_code == 0, problems(result)
    assert rig.states() == before
    assert mutations(rig.source.calls) == []
    assert mutations(rig.receiver.calls) == []
    assert rig.link.transfers == []
    assert "would take" in action(result, "snapshot").summary
    assert any("with properties" in line for line in action(result, "push").lines)
    assert "would destroy" in action(result, "expire").summary
    assert "free" in action(result, "expire").summary
    assert any("newest" in line for line in action(result, "expire").lines)


@pytest.mark.parametrize("nights", [1, 3], ids=["pushed last night", "not for three nights"])
def test_a_dry_run_shows_what_the_mirror_would_destroy(nights: int) -> None:
    """Also of snapshots that its own push would bring first and its own expire would take."""
    rig = Rig("a", "b")
    rig.first()
    for _ in range(3):
        rig.night()
    for _ in range(nights):
        rig.snap()
    rig.wait()
    before = rig.states()
    rig.receiver.calls.clear()
    dry = rig.run(dry_run=True, retention=HARSH)
    assert rig.states() == before
    foreseen = action(dry, "mirror")
    assert foreseen.figures["bytes_freed"] > 0  # type: ignore[operator]  # a count of bytes
    assert mutations(rig.receiver.calls) == []
    base = rig.names()[-nights - 1]
    real = rig.run(retention=HARSH)
    assert actions(dry) == actions(real)
    # What was destroyed and not foreseen is the base, which stays one for as long as nothing is pushed.
    missed = set(action(real, "mirror").lines) - set(foreseen.lines)
    assert {line.partition(": ")[0] for line in missed if line.startswith("destroy")} == {
        f"destroy {rig.full(path, THERE)}@{base}" for path in rig.paths()
    }
    foretold = {line for line in foreseen.lines if line.startswith("destroy")}
    assert foretold
    assert foretold <= set(action(real, "mirror").lines)


@pytest.mark.parametrize("status", [0, 1, 255])
def test_damaged_data_stop_their_dataset_alone(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """``zfs send -I`` of them ends with 0, a resumed stream with 255 as a lost connection does."""
    rig = Rig("a", "b", "c")
    rig.first()
    whole = rig.link.transfer
    said = f"warning: cannot send '{ROOT}/b@x': Input/output error\n"
    cut = "cannot receive incremental stream: checksum mismatch or incomplete stream.\n"

    def damaged(sends: list[list[str]], receives: list[list[str]], **watched: Any) -> Transfer:
        at = next((n for n, send in enumerate(sends) if send[-1].startswith(f"{ROOT}/b@")), None)
        if at is None:
            return whole(sends, receives, **watched)
        before = whole(sends[:at], receives[:at], **watched).sends if at else ()
        # Where it ended with 0, the next was begun.
        after = [Finished(tuple(send), None, "", "") for send in sends[at + 1 : at + 2] if status == 0]
        broken = Finished(tuple(sends[at]), status, "", said)
        return Transfer((*before, broken, *after), Finished(("zfs", "receive"), 1, "", cut), 0)

    monkeypatch.setattr(rig.link, "transfer", damaged)
    result = rig.night(send_mode=LEVEL, lanes=1)
    assert (result.exit_code, kinds(result)) == (3, ["damaged"])
    assert f"{ROOT}/b" in problems(result)[0]
    for path in ("", "a", "c"):
        assert rig.names_there(path) == rig.names(path)
    assert rig.names_there("b") == rig.names("b")[:-1]


def test_a_quota_on_one_copy_stops_that_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig("a", "b", "c")
    rig.first()
    whole = rig.link.transfer
    full = f"cannot receive incremental stream: destination {THERE}/b space quota exceeded.\n"

    def over(sends: list[list[str]], receives: list[list[str]], **watched: Any) -> Transfer:
        at = next((n for n, words in enumerate(receives) if words[-1] == f"{THERE}/b"), None)
        if at is None:
            return whole(sends, receives, **watched)
        before = whole(sends[:at], receives[:at], **watched).sends if at else ()
        broken = Finished(tuple(sends[at]), None, "", "warning: cannot send: signal received\n")
        return Transfer((*before, broken), Finished(("zfs", "receive"), 1, "", full), 0)

    monkeypatch.setattr(rig.link, "transfer", over)
    result = rig.night(send_mode=LEVEL, lanes=1)
    assert (result.exit_code, kinds(result)) == (3, ["over-quota"])
    for path in ("", "a", "c"):
        assert rig.names_there(path) == rig.names(path)


def test_a_connection_that_is_lost_while_the_mirror_destroys_is_passing_trouble() -> None:
    rig = Rig("a", "b")
    rig.first()
    rig.night()

    def lose(finished: Finished) -> Finished:
        return Finished(finished.argv, None, "", "lost") if "destroy" in finished.argv else finished

    rig.receiver.faults.garble = lose
    result = rig.night(retention=HARSH)
    assert (result.exit_code, action(result, "mirror").outcome.value) == (75, "passing")
    assert kinds(result) == ["link-lost"]
    rig.receiver.faults.garble = lambda finished: finished
    assert rig.night(retention=HARSH).exit_code == 0
    assert rig.here == rig.there


def test_a_dry_run_of_a_push_to_an_unreachable_receiver_fails_like_the_run() -> None:
    rig = Rig()
    rig.receiver.faults.unreachable = True
    assert rig.night(dry_run=True, actions=ONLY_PUSH).exit_code in (1, 75)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Expire and mirror on the fake zfs: what goes, by which commands, and what never does."""

from __future__ import annotations

from cyber_zfs_backup.config.job import Exclude, Force, RetentionPolicy
from tests.unit.actions.rig import (
    FORCED,
    HARSH,
    NO_NETWORK,
    ONLY_EXPIRE,
    ONLY_PUSH,
    ROOT,
    THERE,
    Rig,
    action,
    actions,
    kinds,
    problems,
)

TWO_DAYS = RetentionPolicy(2, 0, 0)
LOTS = Force(destroy_lots=True)


def test_a_tree_of_one_mind_expires_by_one_command() -> None:
    rig = Rig("a", "a/b", "c")
    names = [rig.snap() for _ in range(6)]
    result = rig.run(actions=ONLY_EXPIRE, retention=TWO_DAYS)
    assert result.exit_code == 0
    assert rig.source.called("destroy") == [("zfs", "destroy", "-r", f"{ROOT}@{','.join(names[:3])}")]
    assert all(rig.names(path) == names[3:] for path in rig.paths())
    assert any("daily 1 of 2" in line for line in action(result, "expire").lines)


def test_a_child_with_fewer_snapshots_does_not_cost_the_one_command() -> None:
    rig = Rig("a")
    rig.snap()
    rig.source.zfs("create", f"{ROOT}/new")
    for _ in range(5):
        rig.snap()
    rig.run(actions=ONLY_EXPIRE, retention=TWO_DAYS)
    assert len(rig.source.called("destroy")) == 1


def test_what_is_held_cloned_or_foreign_stays() -> None:
    rig = Rig("a", "b")
    names = [rig.snap() for _ in range(5)]
    rig.source.zfs("hold", "mine", f"{ROOT}/a@{names[0]}")
    rig.source.zfs("clone", f"{ROOT}/b@{names[1]}", "tank/clone")
    rig.source.zfs("snapshot", "-r", f"{ROOT}@by-hand")
    result = rig.run(actions=ONLY_EXPIRE, retention=HARSH, force=LOTS)
    assert result.exit_code == 0, problems(result)
    assert rig.names() == [names[4], "by-hand"]
    assert rig.names("a") == [names[0], names[4], "by-hand"]
    assert rig.names("b") == [names[1], names[4], "by-hand"]
    lines = action(result, "expire").lines
    assert any("held by mine" in line for line in lines)
    assert any("has clones: tank/clone" in line for line in lines)


def test_lots_at_once_need_the_flag() -> None:
    rig = Rig("a")
    for _ in range(13):
        rig.snap()
    result = rig.run(actions=ONLY_EXPIRE, retention=HARSH)
    assert (result.exit_code, kinds(result)) == (1, ["lots", "lots"])
    assert "--force-destroy-lots" in problems(result)[0]
    assert len(rig.names()) == 13
    assert rig.run(actions=ONLY_EXPIRE, retention=HARSH, force=LOTS).exit_code == 0
    assert len(rig.names()) == 1


def test_a_snapshot_of_the_future_stops_expire_and_names_quarantine() -> None:
    rig = Rig("a")
    for _ in range(4):
        rig.snap()
    rig.source.zfs("snapshot", f"{ROOT}/a@2030-01-01T00:00:00Z")
    result = rig.run(actions=ONLY_EXPIRE, retention=HARSH)
    assert (result.exit_code, kinds(result)) == (1, ["future"])
    assert "quarantine tank/src/a@2030-01-01T00:00:00Z" in problems(result)[0]
    assert len(rig.names()) == 4


def test_excluded_datasets_do_not_expire() -> None:
    rig = Rig("a", "tmp")
    names = [rig.snap() for _ in range(4)]
    rig.run(actions=ONLY_EXPIRE, retention=HARSH, exclude=Exclude(("tmp",)))
    assert rig.names("tmp") == names
    assert rig.names("a") == rig.names() == names[-1:]


def test_what_any_destination_needs_stays_whatever_the_rule() -> None:
    rig = Rig("a")
    rig.first()
    base = rig.names()[0]
    for _ in range(4):
        rig.snap()
    # The job at hand is for another destination; and even with the hold gone, the name protects.
    rig.source.zfs("release", "-r", f"cyber-zfs-backup:{rig.tag}", f"{ROOT}@{base}")
    from cyber_zfs_backup.config.job import Destination

    result = rig.run(
        actions=ONLY_EXPIRE, retention=HARSH, force=LOTS, destination=Destination("elsewhere", "x/y")
    )
    assert rig.names() == [base, rig.names()[-1]]
    assert any("base of offsite:vault/copy" in line for line in action(result, "expire").lines)


def test_an_interrupted_push_protects_all_that_it_may_have_brought() -> None:
    rig = Rig("a")
    rig.first()
    for _ in range(3):
        rig.snap()
    held = rig.names()
    rig.receiver.faults.refuse_after = 2
    rig.run(actions=ONLY_PUSH)
    rig.calm()
    result = rig.run(actions=ONLY_EXPIRE, retention=HARSH, force=LOTS)
    assert rig.names() == rig.names("a") == held
    assert any("may have arrived at offsite:vault/copy" in line for line in action(result, "expire").lines)


# Mirror


def test_after_an_ordinary_run_both_sides_hold_the_same() -> None:
    rig = Rig("a", "b")
    rig.first(retention=TWO_DAYS)
    for _ in range(6):
        result = rig.night(retention=TWO_DAYS)
        assert result.exit_code == 0, problems(result)
        assert rig.here == rig.there
        assert rig.held() == rig.named()
        assert not rig.mirror_due()
    assert len(rig.names()) == 3
    assert actions(result)["mirror"] == "done"
    for call in rig.receiver.called("destroy"):
        assert call[2] == "-r"
        assert call[3].startswith(f"{THERE}@")


def test_expiry_without_network_is_mirrored_by_the_next_push() -> None:
    rig = Rig("a")
    rig.first()
    for _ in range(3):
        rig.night()
    rig.run(actions=ONLY_EXPIRE, retention=TWO_DAYS)
    for _ in range(3):
        rig.night(actions=NO_NETWORK, retention=TWO_DAYS)
    assert rig.mirror_due()
    rig.wait()
    assert rig.night(retention=TWO_DAYS).exit_code == 0
    assert rig.here == rig.there
    assert not rig.mirror_due()


def test_a_push_that_did_not_reach_all_leaves_the_mirror_due() -> None:
    rig = Rig("a", "b")
    rig.first()
    rig.receiver.zfs("set", "readonly=off", f"{THERE}/a")
    rig.receiver.write(f"{THERE}/a", {"foreign": b"data"})
    before = rig.names_there("a")
    for _ in range(4):
        result = rig.night(retention=HARSH)
    assert result.exit_code == 3
    assert rig.names_there("b") == rig.names("b")
    assert rig.names_there("a") == before
    assert rig.mirror_due()


def test_a_source_thinned_by_hand_takes_nothing_from_the_receiver() -> None:
    rig = Rig("a")
    rig.first()
    for _ in range(8):
        rig.night()
    names = rig.names_there()
    rig.source.zfs("destroy", "-r", f"{ROOT}@{','.join(names[2:6])}")
    # An expire marks the mirror as due; the rule on the receiver's own list still wants them.
    rig.source.zfs("set", f"cyber-zfs-backup:mirror.{rig.tag}=due", ROOT)
    assert rig.night().exit_code == 0
    assert rig.names_there()[:-1] == names


def test_a_source_rolled_back_takes_nothing_from_the_receiver() -> None:
    rig = Rig()
    rig.first()
    for _ in range(4):
        rig.night()
    names = rig.names_there()
    rig.source.zfs("release", f"cyber-zfs-backup:{rig.tag}", f"{ROOT}@{names[-1]}")
    rig.source.zfs("rollback", "-r", f"{ROOT}@{names[1]}")
    rig.source.zfs("set", f"cyber-zfs-backup:mirror.{rig.tag}=due", ROOT)
    result = rig.night(retention=HARSH, force=LOTS)
    assert result.exit_code != 0
    assert rig.names_there() == names


def test_a_source_restored_from_the_receiver_takes_nothing_from_it() -> None:
    """The restored tree has other datasets, other records and only the newest snapshot."""
    rig = Rig()
    rig.first()
    for _ in range(4):
        rig.night()
    names = rig.names_there()
    rig.source.zfs("release", "-r", f"cyber-zfs-backup:{rig.tag}", f"{ROOT}@{names[-1]}")
    rig.source.zfs("destroy", "-r", ROOT)
    back = rig.link.__class__(rig.receiver, rig.source)
    back.transfer([["zfs", "send", f"{THERE}@{names[-1]}"]], [["zfs", "receive", "-u", ROOT]])
    assert rig.names() == names[-1:]
    for _ in range(2):
        rig.source.zfs("set", f"cyber-zfs-backup:mirror.{rig.tag}=due", ROOT)
        result = rig.night()
        assert result.exit_code == 0, problems(result)
        assert set(names) <= set(rig.names_there())
    assert not rig.mirror_due()


def test_foreign_snapshots_and_orphans_of_the_receiver_are_left_alone() -> None:
    rig = Rig("a", "b")
    rig.first()
    rig.receiver.zfs("snapshot", "-r", f"{THERE}@theirs")
    rig.source.zfs("release", "-r", f"cyber-zfs-backup:{rig.tag}", f"{ROOT}/b@{rig.names()[0]}")
    rig.source.zfs("destroy", "-r", f"{ROOT}/b")
    for _ in range(4):
        assert rig.night(retention=HARSH, force=LOTS).exit_code == 0
    assert "theirs" in rig.names_there("a")
    assert len(rig.names_there("b")) == 2


def test_a_receivers_snapshot_in_use_stays_and_the_others_go() -> None:
    rig = Rig("a")
    rig.first()
    held = rig.names()[0]
    rig.receiver.zfs("hold", "theirs", f"{THERE}/a@{held}")
    for _ in range(3):
        assert rig.night(retention=HARSH, force=LOTS).exit_code == 0
    assert rig.names_there("a")[0] == held
    assert held not in rig.names_there()


def test_the_first_push_of_an_excluded_dataset_later_is_no_orphan_of_the_mirror() -> None:
    rig = Rig("a", "tmp")
    rig.first()
    copies = rig.names_there("tmp")
    for _ in range(4):
        assert rig.night(retention=HARSH, force=FORCED, exclude=Exclude(("tmp",))).exit_code == 0
    assert rig.names_there("tmp") == copies

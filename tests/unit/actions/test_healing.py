# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the planner's table that heal without a person: names, clones, and bookmarks as a base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cyber_zfs_backup.hosts.protocol import Finished, Transfer
from cyber_zfs_backup.model.names import own_time
from cyber_zfs_backup.plan.cost import SendMode
from tests.fake.errors import Killed
from tests.unit.actions.rig import HARSH, LEVEL, ONLY_PUSH, REPLICATE, ROOT, THERE, Rig, problems


def rename(rig: Rig, old: str, new: str) -> None:
    rig.source.zfs("rename", f"{ROOT}/{old}", f"{ROOT}/{new}")


def exchange(rig: Rig) -> None:
    for old, new in (("a", "x"), ("b", "a"), ("x", "b")):
        rename(rig, old, new)


def anew(rig: Rig, path: str) -> None:
    """Destroy a dataset with all that an administrator must release first, and create it again."""
    for name in rig.held().get(path, ()):
        rig.source.zfs("release", f"cyber-zfs-backup:{rig.tag}", f"{ROOT}/{path}@{name}")
    rig.source.zfs("destroy", "-r", f"{ROOT}/{path}")
    rig.source.zfs("create", f"{ROOT}/{path}")


def below_a_new_one(rig: Rig) -> None:
    rig.source.zfs("create", f"{ROOT}/new")
    rename(rig, "a", "new/a")


def renamed_and_another_in_its_place(rig: Rig) -> None:
    rename(rig, "a", "z")
    rig.source.zfs("create", f"{ROOT}/a")


CHANGES: dict[str, tuple[Callable[[Rig], None], set[str]]] = {
    "a child": (lambda rig: rename(rig, "a/n", "a/m"), set()),
    "a parent with its children": (lambda rig: rename(rig, "a", "z"), set()),
    "exchanged": (exchange, set()),
    "below a new one": (below_a_new_one, set()),
    "created anew": (lambda rig: anew(rig, "b"), {"b.old"}),
    "another in its place": (renamed_and_another_in_its_place, set()),
}


@pytest.mark.parametrize("mode", [LEVEL, REPLICATE], ids=lambda mode: mode.value)
@pytest.mark.parametrize("change", CHANGES)
def test_names_follow_the_source_and_nothing_is_sent_twice(change: str, mode: SendMode) -> None:
    do, aside = CHANGES[change]
    rig = Rig("a", "a/n", "b")
    rig.always = {"send_mode": mode}
    rig.size = 40_000
    rig.first()
    rig.night()
    known = {guid for snapshots in rig.there.values() for guid in snapshots}
    do(rig)
    result = rig.night()
    assert result.exit_code == 0, (problems(result), rig.said.details)
    assert {path: rig.there[path] for path in rig.here} == rig.here
    assert set(rig.there) - set(rig.here) == aside
    assert known <= {guid for snapshots in rig.there.values() for guid in snapshots}
    assert rig.held() == rig.named()
    rig.receiver.calls.clear()
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    # The cheap question settles it again.
    assert not [call for call in rig.receiver.called("list") if "-r" in call]


@pytest.mark.parametrize("change", ["exchanged", "below a new one", "another in its place", "created anew"])
def test_a_run_killed_between_two_renames_is_taken_up_by_the_next(change: str) -> None:
    do, aside = CHANGES[change]
    rig = Rig("a", "a/n", "b")
    rig.first()
    do(rig)
    rig.snap()
    count = rig.copy()
    seen = count.crash(None).seen
    assert count.run(actions=ONLY_PUSH).exit_code == 0
    moments = [number for number, (_, argv) in enumerate(seen) if argv[1] == "rename"]
    assert len(moments) >= 2
    for moment in moments:
        killed = rig.copy()
        killed.crash(moment)
        with pytest.raises(Killed):
            killed.run(actions=ONLY_PUSH)
        killed.calm()
        result = killed.run(actions=ONLY_PUSH)
        assert result.exit_code == 0, problems(result)
        assert {path: killed.there[path] for path in killed.here} == killed.here
        assert set(killed.there) - set(killed.here) == aside
        assert killed.held() == killed.named()


def test_a_partial_receive_goes_on_under_its_datasets_new_name() -> None:
    rig = Rig("a")
    rig.always = {"send_mode": LEVEL}
    rig.first()
    rig.size = 60_000
    rig.link.break_next(None, 40_000)
    rig.night()
    assert set(rig.tokens()) == {"a"}
    rename(rig, "a", "z")
    rig.link.transfers.clear()
    result = rig.run(actions=ONLY_PUSH)
    assert result.exit_code == 0, problems(result)
    assert any(send[1:4] == ("send", "-w", "-t") for moved in rig.link.transfers for send in moved.sends)
    assert rig.here == rig.there


def origin_of(rig: Rig, path: str) -> str:
    return rig.receiver.zfs("get", "-H", "-o", "value", "origin", f"{THERE}/{path}").strip()


@pytest.mark.parametrize("mode", [LEVEL, REPLICATE], ids=lambda mode: mode.value)
def test_a_clone_stays_a_clone_of_its_origin_on_the_receiver(mode: SendMode) -> None:
    """Of a snapshot that the receiver has, and of one that comes with the same push."""
    rig = Rig("a")
    rig.always = {"send_mode": mode}
    rig.first()
    rig.source.zfs("clone", f"{ROOT}/a@{rig.names('a')[-1]}", f"{ROOT}/c")
    old = rig.names("a")[-1]
    rig.wait()
    rig.write("a")
    rig.source.zfs("snapshot", f"{ROOT}/a@fresh")
    rig.source.zfs("clone", f"{ROOT}/a@fresh", f"{ROOT}/b")
    result = rig.night()
    assert result.exit_code == 0, (problems(result), rig.said.details)
    assert rig.here == rig.there
    assert origin_of(rig, "c") == f"{THERE}/a@{old}"
    assert origin_of(rig, "b") == f"{THERE}/a@fresh"


def test_a_clone_whose_origin_the_receiver_cannot_have_is_sent_in_full() -> None:
    rig = Rig("a")
    rig.always = {"send_mode": LEVEL}
    rig.source.zfs("create", "tank/elsewhere")
    rig.source.zfs("snapshot", "tank/elsewhere@there")
    rig.first()
    rig.source.zfs("clone", "tank/elsewhere@there", f"{ROOT}/c")
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert (rig.here, origin_of(rig, "c")) == (rig.there, "-")


def test_where_only_a_bookmark_of_the_base_is_left_the_push_goes_on_from_it() -> None:
    rig = Rig("a")
    rig.first()
    base = rig.names("a")[-1]
    rig.source.zfs("bookmark", f"{ROOT}/a@{base}", f"{ROOT}/a#kept-by-hand")
    rig.source.zfs("release", f"cyber-zfs-backup:{rig.tag}", f"{ROOT}/a@{base}")
    rig.source.zfs("destroy", f"{ROOT}/a@{base}")
    rig.snap()
    rig.link.transfers.clear()
    result = rig.night()
    assert result.exit_code == 0, (problems(result), rig.said.details)
    sends = [send for moved in rig.link.transfers for send in moved.sends]
    assert sum("#kept-by-hand" in send for send in sends) == 1
    assert not any("-R" in send for send in sends)
    assert rig.names_there("a") == [base, *rig.names("a")]
    assert all(own_time(name) for name in rig.names_there("a"))
    assert rig.held() == rig.named()
    rig.link.transfers.clear()
    assert rig.night().exit_code == 0
    assert not any("#kept-by-hand" in send for moved in rig.link.transfers for send in moved.sends)


def test_a_bookmark_is_of_no_use_where_the_receiver_does_not_end_with_its_snapshot() -> None:
    """Another tool's bookmark, say: of a snapshot that the receiver never had."""
    rig = Rig("a")
    rig.first()
    rig.source.zfs("snapshot", f"{ROOT}/a@foreign")
    rig.source.zfs("bookmark", f"{ROOT}/a@foreign", f"{ROOT}/a#foreign")
    rig.source.zfs("destroy", f"{ROOT}/a@foreign")
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there


def test_the_base_of_a_copy_whose_new_parent_is_refused_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then the copy stands under its old name, where nobody looks for it."""
    rig = Rig("a", "b")
    rig.always = {"send_mode": LEVEL, "retention": HARSH}
    rig.first()
    base = rig.names("a")[-1]
    rig.source.zfs("create", f"{ROOT}/new")
    rename(rig, "a", "new/z")
    transfer = rig.link.transfer

    def broken(sends: Sequence[Sequence[str]], receives: Sequence[Sequence[str]], **how: Any) -> Transfer:
        if receives[0][-1].endswith("/new"):
            said = "cannot receive new filesystem stream: permission denied\n"
            return Transfer((), Finished(tuple(receives[0]), 1, "", said), 0)
        return transfer(sends, receives, **how)

    monkeypatch.setattr(rig.link, "transfer", broken)
    assert rig.night().exit_code == 3
    assert rig.there[""] == rig.here[""]
    assert base in rig.names("new/z")
    monkeypatch.setattr(rig.link, "transfer", transfer)
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there


@pytest.mark.parametrize("mode", [LEVEL, REPLICATE], ids=lambda mode: mode.value)
def test_a_clone_below_which_its_own_origin_was_moved_is_sent_in_full(mode: SendMode) -> None:
    """Each would wait for the other: the one for its origin, the other for its parent."""
    rig = Rig("a")
    rig.always = {"send_mode": mode}
    rig.snap()
    rig.source.zfs("clone", f"{ROOT}/a@{rig.names('a')[0]}", f"{ROOT}/c")
    rename(rig, "a", "c/a")
    rig.first()
    assert rig.here == rig.there


def test_no_package_is_sent_for_a_tree_that_could_not_be_renamed() -> None:
    """It fails half way, or renames by itself what must not be renamed."""
    rig = Rig("a", "b")
    rig.always = {"send_mode": REPLICATE}
    rig.first()
    rename(rig, "a", "z")
    rig.receiver.faults.denied = frozenset({"rename"})
    rig.link.transfers.clear()
    result = rig.night()
    assert result.exit_code == 3
    assert not any("-R" in send for moved in rig.link.transfers for send in moved.sends)
    assert set(rig.there) == {"", "a", "b"}
    assert rig.there["b"] == rig.here["b"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore on the fake zfs: what comes back, what is refused, and how a cut one goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cyber_zfs_backup.actions.back import Back, Way
from cyber_zfs_backup.actions.restore import restore_on
from cyber_zfs_backup.actions.restore_list import restore_list_on
from cyber_zfs_backup.actions.result import RunResult
from cyber_zfs_backup.config.job import Destination, UsageError
from cyber_zfs_backup.config.restoring import Restore, RestoreList
from cyber_zfs_backup.model.names import own_time
from cyber_zfs_backup.plan.restore import At, Extent
from cyber_zfs_backup.zfs.client import Zfs
from cyber_zfs_backup.zfs.commands import RESTORE_MARK
from tests.fake.host import FakeLink
from tests.unit.actions.rig import ROOT, THERE, Rig, action, kinds, problems

OFFSITE = Destination("offsite", THERE)
ELSEWHERE = "tank/back"
NEWEST = At()


def at(name: str) -> At:
    return At(name, own_time(name))


def back(rig: Rig, *others: Way) -> Back:
    link = FakeLink(rig.receiver, rig.source)
    way = Way(OFFSITE, Zfs(rig.receiver), link)
    return Back(Zfs(rig.source), (*others, way), rig.said, lambda: rig.now)


def restore(
    rig: Rig, to: str = ELSEWHERE, *, when: At = NEWEST, wanted: str = ROOT, **changes: Any
) -> RunResult:
    request = Restore(ROOT, wanted, when, to, (OFFSITE,))
    return restore_on(replace(request, **changes), back(rig))


def pushed(*children: str) -> Rig:
    rig = Rig(*children)
    rig.first()
    rig.night()
    rig.night()
    return rig


def whole_size(rig: Rig) -> int:
    """The bytes of a whole restore."""
    other = rig.copy()
    made = back(other)
    assert restore_on(Restore(ROOT, ROOT, At(), ELSEWHERE, (OFFSITE,)), made).exit_code == 0
    assert isinstance(made.ways[0].link, FakeLink)
    return sum(moved.bytes_moved for moved in made.ways[0].link.transfers)


def gone(rig: Rig) -> None:
    """The source's tree is lost."""
    for dataset in [each.name for each in rig.source.world.tree(ROOT)]:
        del rig.source.world.datasets[dataset]


def marks(rig: Rig) -> set[str]:
    """What the restored datasets have of a restore's mark."""
    said = rig.source.zfs(
        "get", "-H", "-r", "-t", "filesystem,volume", "-o", "value", RESTORE_MARK, ELSEWHERE
    )
    return set(said.split())


def equal(rig: Rig, to: str = ELSEWHERE, path: str = "") -> bool:
    there = f"{THERE}/{path}" if path else THERE
    return rig.snapshots(rig.source, to) == rig.snapshots(rig.receiver, there)


def test_a_tree_comes_back_beside_its_source_with_all_snapshots() -> None:
    rig = pushed("a", "a/b")
    before = rig.state(rig.receiver)
    result = restore(rig)
    assert result.exit_code == 0, problems(result)
    assert rig.snapshots(rig.source, ELSEWHERE) == rig.snapshots(rig.receiver, THERE)
    assert rig.state(rig.receiver) == before
    datasets = rig.source.world.tree(ELSEWHERE)
    assert not any(each.mounted for each in datasets)
    assert marks(rig) == {"-"}


def test_the_properties_of_the_source_come_back_and_those_of_the_copy_do_not() -> None:
    rig = Rig("a")
    rig.source.zfs("set", "compression=lz4", ROOT)
    rig.source.zfs("set", "atime=off", f"{ROOT}/a")
    rig.source.zfs("set", "org.example:note=a b", f"{ROOT}/a")
    rig.first()
    assert restore(rig).exit_code == 0

    def get(name: str, prop: str) -> str:
        return rig.source.zfs("get", "-Hp", "-o", "value,source", prop, name).strip()

    assert get(ELSEWHERE, "compression") == "lz4\tlocal"
    assert get(f"{ELSEWHERE}/a", "atime") == "off\tlocal"
    assert get(f"{ELSEWHERE}/a", "org.example:note") == "a b\tlocal"
    assert get(ELSEWHERE, "readonly").startswith("off")
    assert get(ELSEWHERE, "mountpoint") == "none\tlocal"
    assert get(ELSEWHERE, "canmount") == "noauto\tlocal"


def test_a_date_takes_the_newest_that_is_not_younger_and_says_so() -> None:
    rig = pushed("a")
    first, second, _third = rig.names()
    moment = own_time(second)
    assert moment is not None
    result = restore(rig, when=At("then", moment.replace(hour=(moment.hour + 1) % 24)))
    assert result.exit_code == 0, problems(result)
    assert list(rig.snapshots(rig.source, ELSEWHERE)[""].values())[-1] in (first, second)
    assert any("not younger than 'then'" in note for note in rig.said.notes)


def test_one_snapshot_of_one_dataset() -> None:
    rig = pushed("a", "a/b")
    name = rig.names()[1]
    extent = Extent(recursive=False, history=False)
    result = restore(rig, wanted=f"{ROOT}/a", when=at(name), extent=extent)
    assert result.exit_code == 0, problems(result)
    assert [list(found.values()) for found in rig.snapshots(rig.source, ELSEWHERE).values()] == [[name]]


@pytest.mark.parametrize("to", [ELSEWHERE, ROOT])
def test_nothing_that_exists_is_overwritten(to: str) -> None:
    rig = pushed("a")
    if to == ELSEWHERE:
        rig.source.zfs("create", ELSEWHERE)
    before = rig.states()
    result = restore(rig, to)
    assert (result.exit_code, kinds(result)) == (65, ["refused"])
    assert "never overwrites" in problems(result)[0]
    assert rig.states() == before


@pytest.mark.parametrize("percent", [2, 40, 55, 70, 85, 95])
def test_a_cut_restore_goes_on_when_the_same_is_asked_again(percent: int) -> None:
    rig = pushed("a", "b")
    cut = whole_size(rig) * percent // 100
    made = back(rig)
    link = made.ways[0].link
    assert isinstance(link, FakeLink)
    link.break_next(cut)
    request = Restore(ROOT, ROOT, At(), ELSEWHERE, (OFFSITE,))
    first = restore_on(request, made)
    assert first.exit_code in (1, 75), problems(first)
    # The newest is another by now: it is what was begun that goes on.
    begun = ELSEWHERE in rig.source.world.datasets
    assert begun == (percent > 2)
    wanted = rig.names()
    rig.night()
    again = restore_on(request, back(rig))
    assert again.exit_code == 0, problems(again)
    have = list(rig.snapshots(rig.source, ELSEWHERE)[""].values())
    assert have == (wanted if begun else rig.names())
    assert marks(rig) == {"-"}


def test_another_restore_than_the_one_that_was_begun_is_refused() -> None:
    rig = pushed("a", "b")
    made = back(rig)
    assert isinstance(made.ways[0].link, FakeLink)
    made.ways[0].link.break_next(whole_size(rig) * 3 // 4)
    assert restore_on(Restore(ROOT, ROOT, At(), ELSEWHERE, (OFFSITE,)), made).exit_code != 0
    assert ELSEWHERE in rig.source.world.datasets
    before = rig.states()
    result = restore(rig, when=at(rig.names()[0]))
    assert (result.exit_code, kinds(result)) == (65, ["refused"])
    assert "another restore" in problems(result)[0]
    assert rig.states() == before


def test_a_date_before_the_first_snapshot_names_the_oldest() -> None:
    rig = pushed("a")
    oldest = rig.names()[0]
    moment = own_time(oldest)
    assert moment is not None
    result = restore(rig, when=At("1999", moment.replace(year=1999)))
    assert (result.exit_code, kinds(result)) == (65, ["refused"])
    assert f"{ROOT}@{oldest}" in problems(result)[0]
    assert ELSEWHERE not in rig.source.world.datasets


def test_words_that_are_neither_a_date_nor_a_name_are_usage() -> None:
    rig = pushed("a")
    with pytest.raises(UsageError, match="is called 'nonsense', and 'nonsense' is no date"):
        restore(rig, when=At("nonsense"), why_no_date="'nonsense' is no date")


def test_a_foreign_snapshot_is_found_by_its_name() -> None:
    rig = Rig("a")
    rig.source.zfs("snapshot", "-r", f"{ROOT}@before-upgrade")
    rig.first()
    result = restore(rig, when=At("before-upgrade"), why_no_date="no date")
    assert result.exit_code == 0, problems(result)
    assert list(rig.snapshots(rig.source, ELSEWHERE)["a"].values()) == ["before-upgrade"]


def test_a_pool_too_small_is_refused_with_both_numbers() -> None:
    rig = pushed("a")
    rig.size = 100_000
    rig.night()
    rig.source.world.pools["tank"].capacity = 300_000
    result = restore(rig)
    assert (result.exit_code, kinds(result)) == (65, ["no-space"])
    assert problems(result)[0].count(" bytes)") == 2
    assert ELSEWHERE not in rig.source.world.datasets


def test_after_a_whole_restore_in_place_the_next_push_goes_on() -> None:
    rig = pushed("a", "a/b")
    gone(rig)
    result = restore(rig, ROOT)
    assert result.exit_code == 0, problems(result)
    assert "no new full one" in "\n".join(action(result, "restore").answer)
    night = rig.night()
    assert night.exit_code == 0, problems(night)
    assert rig.here == rig.there
    assert rig.held()
    ledger = rig.ledger()
    assert ledger is not None
    assert ledger.root.base == rig.names()[-1]


def test_the_dataset_that_is_gone_here_is_restored_by_its_former_name() -> None:
    rig = pushed("a", "b")
    rig.source.zfs("release", "-r", f"cyber-zfs-backup:{rig.tag}", f"{ROOT}@{rig.names()[-1]}")
    rig.source.zfs("destroy", "-r", f"{ROOT}/b")
    result = restore(rig, f"{ROOT}/b", wanted=f"{ROOT}/b")
    assert result.exit_code == 0, problems(result)
    assert equal(rig, f"{ROOT}/b", "b")


def test_a_dry_run_changes_nothing() -> None:
    rig = pushed("a")
    before = rig.states()
    result = restore(rig, dry_run=True)
    assert result.exit_code == 0
    assert action(result, "restore").lines
    assert rig.states() == before


def test_the_list_has_every_date_with_its_destination() -> None:
    rig = pushed("a")
    result = restore_list_on(RestoreList(ROOT, f"{ROOT}/a", (OFFSITE,)), back(rig))
    said = action(result, "restore list").answer
    assert [line.split("  ")[1] for line in said] == [f"{ROOT}/a@{name}" for name in rig.names("a")]
    assert all(line.endswith("offsite:vault/copy") for line in said)


def test_a_receiver_out_of_reach() -> None:
    rig = pushed("a")
    made = back(rig)
    rig.receiver.faults.unreachable = True
    result = restore_on(Restore(ROOT, ROOT, At(), ELSEWHERE, (OFFSITE,)), made)
    assert (result.exit_code, kinds(result)) == (75, ["unreachable"])


def test_a_copy_without_the_sources_properties_says_so() -> None:
    rig = pushed("a")
    for dataset in rig.receiver.world.tree(THERE):
        for setting in dataset.settings.values():
            setting.received = None
    result = restore(rig)
    assert result.exit_code == 0
    assert action(result, "restore").answer[0].startswith("ATTENTION")


def test_of_several_destinations_the_nearest_counts_and_one_that_is_down_is_told() -> None:
    rig = pushed("a")
    behind = rig.copy()
    rig.night()
    other = Destination("nas", THERE)
    first = Way(other, Zfs(behind.receiver), FakeLink(behind.receiver, rig.source))
    request = Restore(ROOT, ROOT, At(), ELSEWHERE, (other, OFFSITE))
    assert restore_on(request, back(rig, first)).exit_code == 0
    assert equal(rig)
    assert any("from offsite:vault/copy" in note for note in rig.said.notes)
    # The other has that date too, and comes first; then it is down.
    dated = replace(request, at=at(behind.names()[-1]), to="tank/second")
    assert restore_on(dated, back(rig, first)).exit_code == 0
    assert any("from nas:vault/copy" in note for note in rig.said.notes)
    behind.receiver.faults.unreachable = True
    assert restore_on(replace(dated, to="tank/third"), back(rig, first)).exit_code == 0
    assert any("nas:vault/copy" in warning for warning in rig.said.warnings)


@pytest.mark.parametrize("trusted", [True, False])
def test_keys_that_were_inherited_are_joined_again_where_the_copy_does_not_tell(trusted: bool) -> None:
    rig = Rig("a")
    for name in ("secret", "secret/below", "secret/below/deep"):
        new = ("-o", "encryption=on", "-o", "keyformat=passphrase") if name == "secret" else ()
        rig.source.zfs("create", *new, f"{ROOT}/{name}")
    rig.first()
    if not trusted:  # A user who may not change keys receives each with a key of its own.
        for each in rig.receiver.world.tree(f"{THERE}/secret"):
            each.encryption_root = each.name
    result = restore(rig)
    assert result.exit_code == 0, problems(result)
    told = result.actions[0].answer
    joined = [line for line in told if "change-key" in line]
    below = [] if trusted else [f"{ELSEWHERE}/secret/below", f"{ELSEWHERE}/secret/below/deep"]
    assert joined == [f"  zfs change-key -i {name}" for name in below]
    opened = [line.split()[-1] for line in told if "load-key" in line]
    assert opened == [f"{ELSEWHERE}/secret", *below]

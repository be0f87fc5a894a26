# SPDX-License-Identifier: GPL-3.0-or-later
"""``--bookmark-base``: a bookmark keeps each base, its snapshot may expire, and no base is ever lost."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.actions.forget import forget_on
from cyber_zfs_backup.config.job import Destination, Exclude
from cyber_zfs_backup.config.requests import Forget
from cyber_zfs_backup.plan.ledger import bookmark_prefix
from cyber_zfs_backup.zfs.client import Zfs
from tests.fake.errors import Killed
from tests.unit.actions.rig import (
    HARSH,
    LEVEL,
    ONLY_EXPIRE,
    ONLY_PUSH,
    REPLICATE,
    ROOT,
    THERE,
    Rig,
    kinds,
    mutations,
    problems,
)

WITH = {"bookmark_base": True, "retention": HARSH}


def marks(rig: Rig, path: str = "") -> list[str]:
    """The snapshot names of our bookmarks of a dataset."""
    prefix = bookmark_prefix(rig.tag)
    dataset = rig.source.world.datasets[rig.full(path)]
    return [mark.name.removeprefix(prefix) for mark in dataset.bookmarks if mark.name.startswith(prefix)]


def with_bookmarks(*children: str) -> Rig:
    rig = Rig(*children)
    rig.always = dict(WITH)
    rig.first()
    return rig


def test_each_base_has_one_bookmark_and_no_hold() -> None:
    rig = with_bookmarks("a", "b")
    for _ in range(3):
        result = rig.night()
        assert result.exit_code == 0, problems(result)
        newest = rig.names()[-1]
        assert [marks(rig, path) for path in ("", "a", "b")] == [[newest]] * 3
        assert rig.held() == {}
    assert rig.here == rig.there


def test_a_push_with_nothing_new_changes_nothing() -> None:
    rig = with_bookmarks("a")
    rig.night()
    rig.source.calls.clear()
    result = rig.run(actions=ONLY_PUSH)
    assert result.exit_code == 0, problems(result)
    assert mutations(rig.source.calls) == []


@pytest.mark.parametrize("mode", [LEVEL, REPLICATE], ids=lambda mode: mode.value)
def test_the_base_may_expire_while_the_destination_is_away(mode: object) -> None:
    rig = with_bookmarks("a", "b")
    rig.always["send_mode"] = mode
    base = rig.names()[-1]
    rig.receiver.faults.unreachable = True
    for _ in range(10):
        assert rig.night().exit_code == 75
    assert base not in rig.names()
    assert base not in rig.names("a")
    assert marks(rig) == marks(rig, "a") == [base]
    rig.receiver.faults.unreachable = False
    result = rig.night()
    assert result.exit_code == 0, (problems(result), rig.said.details)
    for path in ("", "a", "b"):
        assert rig.here[path].items() <= rig.there[path].items()
        assert marks(rig, path) == [rig.names()[-1]]
    assert rig.held() == {}
    # And it is an ordinary night again.
    assert rig.night().exit_code == 0


def test_a_push_that_breaks_on_its_way_from_a_bookmark_keeps_it() -> None:
    rig = with_bookmarks("a", "b")
    rig.always["send_mode"] = LEVEL
    base = rig.names()[-1]
    rig.receiver.faults.unreachable = True
    for _ in range(3):
        rig.night()
    rig.receiver.faults.unreachable = False
    rig.size = 60_000
    rig.link.break_next(0, 30_000)
    assert rig.night().exit_code == 75
    for _ in range(3):
        rig.receiver.faults.unreachable = True
        rig.night()
    kept = {path: [*marks(rig, path), *rig.names(path)] for path in ("", "a", "b")}
    for path, guids in rig.snapshots(rig.receiver, THERE).items():
        assert list(guids.values())[-1] in kept[path], path
    assert base in [*marks(rig), *marks(rig, "a"), *marks(rig, "b")]
    rig.receiver.faults.unreachable = False
    result = rig.night()
    assert result.exit_code == 0, (problems(result), rig.said.details)
    for path in ("", "a", "b"):
        assert rig.here[path].items() <= rig.there[path].items()


def test_one_that_lags_keeps_its_own() -> None:
    rig = with_bookmarks("a", "b")
    base = rig.names("a")[-1]
    rig.receiver.write(f"{THERE}/a", {"foreign": b"data"})
    for _ in range(4):
        result = rig.night()
        assert (result.exit_code, kinds(result)) == (3, ["diverged"])
    assert marks(rig, "a") == [base]
    assert marks(rig, "b") == [rig.names("b")[-1]]
    assert base not in rig.names("a")
    rig.receiver.zfs("rollback", f"{THERE}/a@{rig.names_there('a')[-1]}")
    result = rig.night()
    assert result.exit_code == 0, (problems(result), rig.said.details)
    assert marks(rig, "a") == [rig.names("a")[-1]]


def test_killed_at_any_moment_no_base_is_without_its_bookmark_or_snapshot() -> None:
    start = with_bookmarks("a")
    start.snap()
    start.wait()
    count = start.copy()
    seen = count.crash(None).seen
    count.run()
    assert len(seen) > 20
    for moment in range(len(seen)):
        rig = start.copy()
        rig.crash(moment)
        with pytest.raises(Killed):
            rig.run()
        rig.calm()
        rig.wait()
        # An expire that would take all it may.
        for _ in range(2):
            rig.snap()
            rig.wait()
        rig.run(actions=ONLY_EXPIRE)
        for path, guids in rig.snapshots(rig.receiver, THERE).items():
            dataset = rig.source.world.datasets[rig.full(path)]
            known = {s.guid for s in dataset.snapshots} | {mark.guid for mark in dataset.bookmarks}
            assert list(guids)[-1] in known, (moment, path)
        result = rig.night()
        assert result.exit_code == 0, (moment, problems(result))
        for path in rig.here:
            assert rig.here[path].items() <= rig.there[path].items()
        assert rig.held() == {}
        assert [marks(rig, path) for path in ("", "a")] == [[rig.names()[-1]]] * 2


def test_the_way_back_to_holds() -> None:
    rig = with_bookmarks("a")
    rig.always.pop("bookmark_base")
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert marks(rig) == marks(rig, "a") == []
    assert rig.held() == rig.named() == {"": {rig.names()[-1]}, "a": {rig.names("a")[-1]}}


def test_on_the_way_back_nothing_new_is_needed() -> None:
    rig = with_bookmarks("a")
    rig.always.pop("bookmark_base")
    result = rig.run(actions=ONLY_PUSH)
    assert result.exit_code == 0, problems(result)
    assert marks(rig) == marks(rig, "a") == []
    assert rig.held() == rig.named() == {"": {rig.names()[-1]}, "a": {rig.names("a")[-1]}}


def test_forget_removes_them_too() -> None:
    rig = with_bookmarks("a")
    rig.source.zfs("bookmark", f"{ROOT}/a@{rig.names('a')[-1]}", f"{ROOT}/a#by-hand")
    done = forget_on(Zfs(rig.source), Forget(ROOT, Destination("offsite", THERE)), rig.said)
    assert "2 bookmarks" in done.summary
    assert marks(rig) == marks(rig, "a") == []
    assert [mark.name for mark in rig.source.world.datasets[f"{ROOT}/a"].bookmarks] == ["by-hand"]


def test_a_base_that_a_bookmark_keeps_is_not_held_for_the_sake_of_a_dataset_that_lags() -> None:
    """Nobody would release it before the next base."""
    rig = with_bookmarks("a", "b")
    rig.receiver.write(rig.full("a", THERE), {"foreign": b"data"})
    assert rig.night().exit_code == 3
    for _ in range(2):
        assert rig.run(actions=ONLY_PUSH).exit_code == 3
        assert rig.held().keys() == {"a"}


def test_without_bookmarks_again_one_run_without_a_dataset_forgets_nothing_of_it() -> None:
    """Of its base only the bookmark is left, and nobody asked about it."""
    rig = with_bookmarks("a")
    base = rig.names("a")[-1]
    rig.snap()
    rig.wait()
    rig.run(actions=ONLY_EXPIRE)
    assert base not in rig.names("a")
    result = rig.night(exclude=Exclude(("a",)), bookmark_base=False)
    assert result.exit_code == 0, problems(result)
    assert marks(rig, "a") == [base]
    result = rig.night(bookmark_base=False)
    assert result.exit_code == 0, problems(result)
    assert rig.here["a"].items() <= rig.there["a"].items()

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a push brings, how fast a tree grows, and whether there is room: both sides of each limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.model.trees import Dataset, Snapshot, Tree
from cyber_zfs_backup.plan.doctor_pools import Growth, Pool, Side
from cyber_zfs_backup.plan.doctor_room import Sizes, examine_room, growth, unsent
from cyber_zfs_backup.plan.findings import Severity

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
POOL = Pool("vault", 1000, 400, 600, "ONLINE")
SIDE = Side("offsite:vault/copy", pool=POOL, root="vault/copy")


def day(ago: float) -> str:
    return own_name(NOW - timedelta(days=ago))


def tree(root: str, datasets: Mapping[str, tuple[tuple[str, int], ...]]) -> Tree:
    """Paths to snapshots, as name and GUID, oldest first."""
    return Tree(
        root,
        {
            path: Dataset(path, tuple(Snapshot(name, guid, guid) for name, guid in snapshots))
            for path, snapshots in datasets.items()
        },
    )


HERE = tree("tank", {"": ((day(3), 1), ("by-hand", 2), (day(1), 3)), "a": ((day(3), 11), (day(1), 13))})
SIZES = Sizes(
    {
        f"tank@{day(3)}": 100,
        "tank@by-hand": 20,
        f"tank@{day(1)}": 3,
        f"tank/a@{day(3)}": 1000,
        f"tank/a@{day(1)}": 30,
    },
    {"": 5, "a": 50},
    {"": 128, "a": 1080},
)


@pytest.mark.parametrize(
    ("there", "coming"),
    [
        (None, 128 + 1080),
        ({"": ((day(1), 3),), "a": ((day(1), 13),)}, 5 + 50),
        ({"": ((day(3), 1),), "a": ((day(1), 13),)}, 5 + 3 + 20 + 50),
        ({"": (("by-hand", 2),), "a": ((day(3), 11),)}, 5 + 3 + 50 + 30),
        # The copy has something newer of its own: what is common counts.
        ({"": ((day(3), 1), ("other", 99)), "a": ((day(1), 13),)}, 5 + 3 + 20 + 50),
        # One name, another snapshot: nothing in common.
        ({"": ((day(1), 77),), "a": ((day(1), 13),)}, 128 + 50),
        ({"": ((day(1), 3),)}, 5 + 1080),
        # Renamed since: it is moved there, and not sent anew.
        ({"": ((day(1), 3),), "old-name": ((day(1), 13),)}, 5 + 50),
    ],
)
def test_what_is_to_come(there: Mapping[str, tuple[tuple[str, int], ...]] | None, coming: int) -> None:
    assert unsent(HERE, SIZES, None if there is None else tree("vault/copy", there)) == coming


@pytest.mark.parametrize(
    ("free", "room", "severity"),
    [
        (1208, None, Severity.GOOD),
        (1207, None, Severity.FAILS),
        (9999, 1208, Severity.GOOD),
        # A quota, or ZFS's own reserve.
        (9999, 1207, Severity.FAILS),
        # As where a dataset of zpools with parity counts otherwise than its pool: the smaller is believed.
        (1207, 9999, Severity.FAILS),
    ],
)
def test_room(free: int, room: int | None, severity: Severity) -> None:
    (found,) = examine_room(HERE, SIZES, replace(SIDE, pool=replace(POOL, free=free), room=room), None)
    assert (found.severity, "about 1.2 KiB" in found.what) == (severity, True)
    if severity is Severity.FAILS:
        assert "as root there: zfs get -t filesystem quota,refquota,available vault/copy" in found.remedy


def test_of_a_pool_that_nobody_told_of_nothing_is_said() -> None:
    assert list(examine_room(HERE, SIZES, Side("offsite:vault/copy"), None)) == []


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        # What the oldest has is no growth; a foreign snapshot's part belongs to the next own one.
        ((3, 1), Growth((20 + 3 + 30) / 2, 2)),
        ((2, 1), Growth(20 + 3 + 30, 1)),
        # Less than a day tells nothing.
        ((1.9, 1), None),
        # Older than the window, or dated in the future: not looked at.
        ((30, 1), Growth((20 + 3 + 30) / 29, 29)),
        ((30.1, 1), None),
        ((3, -1), None),
    ],
)
def test_growth(ages: tuple[float, float], expected: Growth | None) -> None:
    first, last = (day(age) for age in ages)
    here = tree("tank", {"": ((first, 1), ("by-hand", 2), (last, 3)), "a": ((first, 11), (last, 13))})
    written = {
        f"tank@{first}": 100,
        "tank@by-hand": 20,
        f"tank@{last}": 3,
        f"tank/a@{first}": 1000,
        f"tank/a@{last}": 30,
    }
    assert growth(here, Sizes(written), NOW) == expected


def test_a_tree_without_own_snapshots_has_no_growth() -> None:
    assert growth(tree("tank", {"": (("by-hand", 1),)}), SIZES, NOW) is None

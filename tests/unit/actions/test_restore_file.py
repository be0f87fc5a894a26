# SPDX-License-Identifier: GPL-3.0-or-later
"""``restore file``: the snapshots of this machine first, then the destinations; nothing is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyber_zfs_backup.actions.back import Back, Way
from cyber_zfs_backup.actions.restore_list import mounts_of, place_of, restore_file_on
from cyber_zfs_backup.config.job import Destination
from cyber_zfs_backup.config.restoring import RestoreFile
from cyber_zfs_backup.model.names import own_time
from cyber_zfs_backup.plan.restore import At
from cyber_zfs_backup.zfs.client import Zfs
from tests.fake.host import FakeLink
from tests.unit.actions.rig import ROOT, THERE, Rig, action, kinds

OFFSITE = Destination("offsite", THERE)
MOUNTS = f"""\
/dev/sda1 / ext4 rw 0 0
{ROOT} /nowhere/tree zfs rw,xattr 0 0
{ROOT}/a /nowhere/tree/a\\040b zfs rw,xattr 0 0
tmpfs /nowhere/tree/tmp tmpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("file", "dataset", "inside"),
    [
        ("/nowhere/tree/x/y", ROOT, "x/y"),
        ("/nowhere/tree/a b/y", f"{ROOT}/a", "y"),
        ("/nowhere/tree/a/y", ROOT, "a/y"),
    ],
)
def test_the_dataset_that_holds_a_file(file: str, dataset: str, inside: str) -> None:
    place = place_of(Path(file), mounts_of(MOUNTS))
    assert place is not None
    assert (place.dataset, str(place.inside)) == (dataset, inside)


def test_what_lies_on_no_zfs() -> None:
    assert place_of(Path("/elsewhere/file"), mounts_of(MOUNTS)) is None


def asked(rig: Rig, at: At, *there: str) -> tuple[int, tuple[str, ...], list[str]]:
    way = Way(OFFSITE, Zfs(rig.receiver), FakeLink(rig.receiver, rig.source))
    back = Back(Zfs(rig.source), (way,), rig.said, lambda: rig.now)
    request = RestoreFile(ROOT, Path("/nowhere/tree/a b/letter"), at, (OFFSITE,))
    before = rig.states()
    result = restore_file_on(request, back, mounts_of(MOUNTS), lambda path: str(path) in there)
    assert rig.states() == before
    return result.exit_code, action(result, "restore file").answer, kinds(result)


def old(name: str) -> str:
    return f"/nowhere/tree/a b/.zfs/snapshot/{name}/letter"


def test_the_newest_snapshot_here_that_has_it() -> None:
    rig = Rig("a")
    names = [rig.snap() for _ in range(3)]
    assert asked(rig, At(), *map(old, names[:2]))[1] == (
        old(names[1]),
        "to have it beside the present one:",
        f"  cp -a -n -- '{old(names[1])}' '/nowhere/tree/a b/letter.{names[1]}'",
    )
    dated = At(names[0], own_time(names[0]))
    assert asked(rig, dated, *map(old, names))[1][0] == old(names[0])


def test_else_the_destination_and_the_command() -> None:
    rig = Rig("a")
    rig.first()
    code, answer, _ = asked(rig, At())
    assert code == 0
    command = (
        f"cyber-zfs-backup restore {ROOT}/a@{rig.names_there('a')[-1]} --to tank/restored --no-recursive "
        f"--no-history --dataset {ROOT} --ssh-destination offsite --zfs-receive-dataset {THERE}"
    )
    assert f"  {command}" in answer


def test_nowhere() -> None:
    rig = Rig("a")
    rig.snap()
    code, answer, problems = asked(rig, At())
    assert (code, answer, problems) == (65, (), ["not-there"])

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a broken push costs to repair: no byte twice that has arrived, and no dataset but the broken one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .faults import striker
from .faults.plan import Kind, Phase
from .ground import RECEIVER, SOURCE, Ground
from .lab import FOLDER, Lab, Product

MEBI = 1 << 20
SIZE = 200 * MEBI
CUT_AT = 0.6
SENT_AGAIN = 0.45
"""Of all bytes, in the second run: 40 percent are left, and a little was on its way."""

DAMAGE = """
import mmap, sys
pool, file = sys.argv[1:]
with open(file, "rb") as data:
    data.seek(1 << 20)
    wanted = data.read(4096)
with open(pool, "r+b") as device, mmap.mmap(device.fileno(), 0) as disk:
    at = disk.find(wanted)
    assert at > 0
    disk[at : at + 4096] = bytes(4096)
"""
"""Spoils one block in the middle of a file where it lies on the pool's device. Its argument is the file."""


@pytest.fixture
def ground(lab: Lab, product: Product) -> Ground:
    return Ground(lab, product)


@pytest.mark.nightly
@pytest.mark.parametrize(
    "first",
    [pytest.param(True, id="first", marks=pytest.mark.nightly), pytest.param(False, id="incremental")],
)
def test_a_push_that_was_cut_at_60_percent_sends_only_the_rest(
    ground: Ground, tell: Callable[[str, str], None], first: bool
) -> None:
    ground.sh(f"zfs create {SOURCE}")
    if not first:
        ground.push_first()
    ground.sh(f"head -c {SIZE} /dev/urandom > /{SOURCE}/bulk; zpool sync tank")
    force = ["--force-non-incremental"] if first else []
    order = {
        "kind": Kind.SESSION.value,
        "phase": Phase.STREAM.value,
        "bytes": int(SIZE * CUT_AT),
    }
    ground.guest.put(Path(striker.__file__), "/run/striker.py")
    striking = ground.guest.start(["python3", "/run/striker.py", json.dumps(order)])
    striking.feed(b"", end=True)
    striking.wait_for(b"ready")
    broken = ground.ran(ground.start("--action", "snapshot", "push", *force).wait(300))
    struck = json.loads(striking.wait(60).check().text.splitlines()[-1])
    assert struck["hit"], struck
    assert broken.status == 75, broken.errors
    assert SIZE * CUT_AT <= struck["arrived"] <= SIZE * 0.75
    ground.sh("for i in $(seq 60); do pgrep -f '^zfs receive' || break; sleep 1; done")

    again = ground.run("--action", "push", *force)
    assert again.status == 0, again.errors
    moved = again.action("push")["figures"]["bytes"]
    push = "first push" if first else "incremental"
    tell(
        "repair",
        f"{push} of {SIZE / MEBI:.0f} MiB, cut after {struck['arrived'] / MEBI:.1f} MiB: "
        f"{moved / MEBI:.1f} MiB ({moved / SIZE:.1%}) in the second run",
    )
    assert SIZE * 0.2 < moved <= SIZE * SENT_AGAIN
    here, there = ground.both()
    assert here == there

    ground.sh(f"echo more > /{SOURCE}/file; sleep 1")
    ordinary = ground.run("--action", "snapshot", "push")
    assert ordinary.status == 0, ordinary.errors
    assert "asking both sides for all" not in ordinary.errors
    assert ordinary.action("push")["figures"]["bytes"] < MEBI


@pytest.mark.nightly
def test_a_fault_in_one_dataset_does_not_stop_the_others(ground: Ground) -> None:
    """A damaged block stops the stream of its dataset, night after night; the rest is pushed each time."""
    names = ("a", "b", "c", "d")
    ground.sh("\n".join(f"zfs create {SOURCE}{path}" for path in ("", *(f"/{name}" for name in names))))
    ground.push_first()
    ground.sh("\n".join(f"head -c 3M /dev/urandom > /{SOURCE}/{name}/bulk" for name in names))
    ground.guest.put(DAMAGE.encode(), "/run/damage.py")
    # Out and in again, so that nothing of it stays in memory.
    ground.sh(
        f"""
        zpool sync tank; python3 /run/damage.py {FOLDER}/pools/tank /{SOURCE}/b/bulk
        zpool export tank; zpool import -d {FOLDER}/pools -o cachefile=none tank
        """
    )
    for _night in range(2):
        ran = ground.run("--action", "snapshot", "push", "--send-mode", "level", "--lanes", "2")
        assert ran.status == 3, ran.errors
        problems = ran.action("push")["problems"]
        assert [(p["where"], p["kind"]) for p in problems] == [(f"{SOURCE}/b", "damaged")], problems
        assert "zpool status" in ran.errors
        target = ran.action("push")["figures"]["target"]
        there = ground.snapshots(RECEIVER)
        assert {f"@{target}", f"/a@{target}", f"/c@{target}", f"/d@{target}"} <= set(there)
        assert f"/b@{target}" not in there
        # The others' base has moved; the broken one's own is still held.
        held = {name for name, tag in ground.holds().items()}
        assert {f"{SOURCE}@{target}", f"{SOURCE}/a@{target}"} <= held
        assert {name for name in held if name.startswith(f"{SOURCE}/a@")} == {f"{SOURCE}/a@{target}"}
        common = next(name for name in there if name.startswith("/b@"))
        assert f"{SOURCE}{common}" in held
        ground.sh(f"echo more > /{SOURCE}/c/file; sleep 1")
    # A quota on one copy is that copy's trouble alone as well.
    ground.sh(f"zfs set quota=4M {RECEIVER}/c; head -c 12M /dev/urandom > /{SOURCE}/c/bulk")
    ran = ground.run("--action", "snapshot", "push", "--send-mode", "level", "--lanes", "2")
    problems = ran.action("push")["problems"]
    wanted = {(f"{SOURCE}/b", "damaged"), (f"{SOURCE}/c", "over-quota")}
    assert {(p["where"], p["kind"]) for p in problems} == wanted, problems
    assert ran.status == 3, ran.errors
    target = ran.action("push")["figures"]["target"]
    assert {f"@{target}", f"/a@{target}", f"/d@{target}"} <= set(ground.snapshots(RECEIVER))

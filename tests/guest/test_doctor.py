# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor on real pools: content with a healthy pair, and each remedy that it names mends what it
found."""

from __future__ import annotations

import pytest

from .ground import RECEIVER, SOURCE, Ground
from .lab import CLIENT_KEY, KNOWN_HOSTS, Lab, Product

LATER = "2037-01-01T00:00:00Z"
OLD = "2026-01-02T00:00:00Z"
NOBODY = "c" * 16
GONE = "d" * 16


@pytest.fixture
def ground(lab: Lab, product: Product) -> Ground:
    made = Ground(lab, product)
    made.sh(f"zfs create {SOURCE}; for i in a b; do zfs create {SOURCE}/$i; done")
    return made


def doctor(ground: Ground) -> tuple[int, dict[str, list[dict[str, str]]]]:
    """The exit code, and the findings that are not good, by their kinds; timers are not this test's."""
    where = ("--ssh-destination", ground.host.name, "--zfs-receive-dataset", RECEIVER)
    ran = ground.call("doctor", "--dataset", SOURCE, *where)
    found: dict[str, list[dict[str, str]]] = {}
    for each in ran.action("doctor")["findings"]:
        if each["severity"] != "good" and each["kind"] not in ("timer", "last-run", "service"):
            found.setdefault(each["kind"], []).append(each)
    return ran.status, found


def test_what_it_finds_is_mended_by_what_it_says(ground: Ground) -> None:
    status, found = doctor(ground)
    assert (status, list(found)) == (2, ["no-copy"])
    ground.push_first()
    # A guest may have no timer of ours: that is its only warning.
    status, found = doctor(ground)
    assert (status in (0, 1), found) == (True, {})

    pool = RECEIVER.partition("/")[0]
    ground.sh(f"""
        name=$(zfs list -H -o name -t snapshot {SOURCE}/a | tail -n 1)
        zfs hold cyber-zfs-backup:{NOBODY} $name
        zfs bookmark $name {SOURCE}/a#cyber-zfs-backup.{GONE}.2026-01-01T00:00:00Z
        zfs snapshot -r {SOURCE}@{LATER}
        zfs set mountpoint=/{SOURCE}/a {RECEIVER}/a
        zfs set canmount=on {RECEIVER}/a
        zfs set readonly=off {RECEIVER}
        truncate -s 512M /run/lab/second
        zpool attach -f {pool} /run/lab/pools/{pool} /run/lab/second
        zpool wait -t resilver {pool}
        zpool offline {pool} /run/lab/second
        base=$(zfs list -H -o name -t snapshot {SOURCE}/b | grep -v {LATER} | tail -n 1)
        mount | grep -q " /{SOURCE}/b " || zfs mount {SOURCE}/b
        head -c 8M /dev/urandom > /{SOURCE}/b/some
        zfs snapshot {SOURCE}/b@{OLD}
        zfs send -w -i "$base" {SOURCE}/b@{OLD} | head -c 4M | zfs receive -s -u {RECEIVER}/b || :
        chmod 644 {CLIENT_KEY}
        mv {KNOWN_HOSTS} /run/known
    """)
    status, found = doctor(ground)
    assert status == 2
    told = {kind: len(each) for kind, each in found.items()}
    # Without a known host key nothing of the receiver can be asked.
    assert told == {"future": 1, "leaked": 2, "key": 1, "known-hosts": 1, "unreachable": 1}
    ground.sh(f"mv /run/known {KNOWN_HOSTS}")
    ground.sh(found["key"][0]["remedy"])
    remedies = [each["remedy"] for kind in ("leaked", "future") for each in found[kind]]
    status, found = doctor(ground)
    assert {kind: len(each) for kind, each in found.items()} == {
        "future": 1,
        "leaked": 2,
        "mount": 2,
        "pool-health": 1,
        "token": 1,
    }
    assert any("where the source's own data are mounted" in each["what"] for each in found["mount"])
    # Typed as they stand.
    program = f"env PYTHONPATH={ground.product.folder} python3 -m cyber_zfs_backup"
    remedies += [each["remedy"].removeprefix("as root there: ") for each in found["mount"]]
    for remedy in remedies:
        ground.sh(remedy.replace("cyber-zfs-backup", program, 1) if remedy.startswith("cyber-") else remedy)
    (health,) = found["pool-health"]
    assert health["remedy"] == f"as root there: zpool online {pool} /run/lab/second"
    ground.sh(health["remedy"].removeprefix("as root there: "))
    (token,) = found["token"]
    assert f"@{OLD}" in token["what"]
    ground.sh(token["remedy"].rpartition("as root there: ")[2])
    ground.sh(f"zpool wait -t resilver {pool}; zpool detach {pool} /run/lab/second; rm /run/lab/second")
    status, found = doctor(ground)
    assert (status in (0, 1), found) == (True, {})
    ran = ground.run("--action", "snapshot", "push")
    assert ran.status == 0, ran.errors
    here, there = ground.both()
    assert here == there

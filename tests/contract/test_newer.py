# SPDX-License-Identifier: GPL-3.0-or-later
"""What a world that imitates OpenZFS 2.2 knows beyond 2.1."""

from __future__ import annotations

from tests.fake.front import Streams
from tests.fake.host import FakeHost, pipe
from tests.fake.model import World


def _host(*version: int) -> FakeHost:
    world = World(version=(version[0], version[1], version[2]))
    world.add_pool("tank")
    host = FakeHost(world)
    for name in ("src", "src/a", "src/a/deep", "src/b"):
        host.zfs("create", f"tank/{name}")
    host.zfs("snapshot", "-r", "tank/src@one")
    return host


def test_exclude() -> None:
    """``send -X`` leaves a dataset and all below it out of a package."""
    host = _host(2, 2, 0)
    assert pipe(host, ["-R", "-X", "tank/src/a", "tank/src@one"], host, ["-u", "tank/copy"]).ok
    assert host.zfs("list", "-H", "-r", "-o", "name", "tank/copy").split() == ["tank/copy", "tank/copy/b"]
    assert pipe(
        host, ["-R", "--exclude", "tank/src/b,tank/src/a/deep", "tank/src@one"], host, ["-u", "tank/other"]
    ).ok
    assert host.zfs("list", "-H", "-r", "-o", "name", "tank/other").split() == ["tank/other", "tank/other/a"]


def test_exclude_is_not_known_before() -> None:
    """Exit 2."""
    host = _host(2, 1, 11)
    status, streams = host.execute(("zfs", "send", "-R", "-X", "tank/src/a", "tank/src@one"), Streams())
    assert status == 2
    assert "".join(streams.err).startswith("invalid option 'X'\n")


def test_when_snapshots_changed() -> None:
    """``snapshots_changed`` is a property of 2.2, in seconds with ``-p``; 2.1 does not know it."""
    host = _host(2, 2, 0)
    host.world.now += 1000
    host.zfs("snapshot", "tank/src/a@two")
    rows = host.zfs("list", "-Hp", "-o", "name,snapshots_changed", "tank/src", "tank/src/a").splitlines()
    now = host.world.now
    assert rows == [f"tank/src\t{now - 1000}", f"tank/src/a\t{now}"]
    said = _host(2, 1, 11).run(["zfs", "list", "-H", "-o", "snapshots_changed", "tank"])
    assert said.status == 2
    assert said.stderr.startswith("bad property list: invalid property 'snapshots_changed'\n")

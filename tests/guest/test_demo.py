# SPDX-License-Identifier: GPL-3.0-or-later
"""``./run-demo --here`` on real ZFS: it plays to its end, and leaves nothing behind however it ends."""

from __future__ import annotations

import signal
import time

import pytest

from tests.demo.in_guest import INSIDE

from .channel import Running
from .conftest import CHECKOUT
from .guest import Guest


@pytest.fixture
def demo(guest: Guest) -> None:
    """The demo, brought into the guest."""
    for name in ("cyber_zfs_backup", "tests"):
        guest.put_tree(CHECKOUT / name, f"{INSIDE}/{name}")


def play(guest: Guest) -> Running:
    running = guest.start(
        ["python3", "-u", "-m", "tests.demo", "--here"],
        env={"TMPDIR": "/run/lab", "LC_ALL": "C.UTF-8"},
        cwd=INSIDE,
        timeout=900,
    )
    running.feed(b"", end=True)
    return running


def left_behind(guest: Guest) -> str:
    """Pools, processes and files of a demo."""
    return guest.script(
        "zpool list -H -o name; pgrep -af '[t]ests.demo|[/]run/lab/cyber-' || true; "
        "find /run/lab -maxdepth 1 -name 'cyber-zfs-backup-*'"
    ).text


def test_it_plays_to_its_end(guest: Guest, demo: None) -> None:
    before = left_behind(guest)
    result = play(guest).wait()
    assert result.status == 0, result.text
    assert "All as it should be" in result.text
    assert left_behind(guest) == before


def test_interrupted_it_cleans_up(guest: Guest, demo: None) -> None:
    before = left_behind(guest)
    running = play(guest)
    limit = time.monotonic() + 300
    while len(guest.script("zpool list -H -o name").text.split()) < 2:
        assert time.monotonic() < limit
        time.sleep(0.5)
    time.sleep(8)
    running.signal(signal.SIGINT)
    result = running.wait()
    assert result.status == 130, result.text
    assert "Interrupted; cleaned up." in result.text
    assert left_behind(guest) == before

# SPDX-License-Identifier: GPL-3.0-or-later
"""A peer, a link or a pool that says nothing any more keeps no run for ever."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from cyber_zfs_backup.actions.run import real_ends
from cyber_zfs_backup.hosts.local import LocalHost
from cyber_zfs_backup.hosts.protocol import Transfer
from cyber_zfs_backup.hosts.ssh import SshHost
from cyber_zfs_backup.hosts.stream import ProcessLink
from tests.unit.actions.rig import Rig, Said, problems


def test_a_stall_is_passing_trouble_and_nothing_else_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig("a", "b")
    rig.first()
    base = rig.names()[0]
    moved = rig.link.transfer

    def stalls(
        sends: Sequence[Sequence[str]], receives: Sequence[Sequence[str]], **how: Callable[[int], None]
    ) -> Transfer:
        rig.link.break_next(200)
        return replace(moved(sends, receives, **how), stalled=True)

    monkeypatch.setattr(rig.link, "transfer", stalls)
    before = len(rig.link.transfers)
    result = rig.night(lanes=1)
    assert result.exit_code == 75, problems(result)
    assert "no byte has moved" in problems(result)[0]
    assert len(rig.link.transfers) == before + 1
    assert base in rig.held()[""]
    monkeypatch.undo()
    assert rig.night().exit_code == 0


def test_a_real_run_has_limits_on_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float | None] = []
    monkeypatch.setattr(LocalHost, "run", lambda self, argv, *, timeout=None: seen.append(timeout))
    monkeypatch.setattr(SshHost, "run", lambda self, argv, *, timeout=None: seen.append(timeout))
    job = Rig().job()
    with real_ends(job, Said()) as ends:
        for side in (ends.source, ends.receiver):
            with contextlib.suppress(AttributeError):
                side.exists("tank")
        assert isinstance(ends.link, ProcessLink)
        assert ends.link._stall == 15 * 60
    assert seen == [6 * 3600, 6 * 3600]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens to trees, connections and our own process: undisturbed runs bring both sides together."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from cyber_zfs_backup.actions import lock
from cyber_zfs_backup.config.job import Force, RetentionPolicy
from cyber_zfs_backup.plan.cost import SendMode
from tests.fake.errors import Killed
from tests.unit.actions.rig import ROOT, THERE, Rig, action, problems

FORCE = Force(destroy_lots=True, non_incremental=True)
Event = tuple[str, int]

happenings = st.one_of(
    st.tuples(st.sampled_from(["write", "create", "nest", "destroy", "set", "foreign"]), st.integers(0, 3)),
    st.tuples(st.just("snapshot"), st.just(0)),
)
troubles = st.one_of(
    st.none(),
    st.tuples(st.just("kill"), st.integers(0, 45)),
    st.tuples(st.just("break"), st.sampled_from([0, 200, 1500, 9000, 40_000])),
    st.tuples(st.just("unreachable"), st.integers(0, 8)),
)
histories = st.lists(
    st.tuples(st.lists(happenings, max_size=3), st.sampled_from(list(SendMode)), troubles),
    min_size=1,
    max_size=4,
)


def happen(rig: Rig, event: Event, number: int) -> None:
    kind, which = event
    paths = rig.paths()
    path = paths[which % len(paths)]
    if kind == "write":
        rig.write(path)
    elif kind == "snapshot":
        rig.snap()
    elif kind == "create":
        rig.source.zfs("create", rig.full(f"n{number}"))
    elif kind == "nest":
        rig.source.zfs("create", f"{rig.full(path)}/n{number}")
    elif kind == "set":
        rig.source.zfs("set", f"site:note={number}", rig.full(path))
    elif kind == "foreign":
        rig.source.zfs("snapshot", f"{rig.full(path)}@foreign{number}")
    elif path:
        for name in [
            snapshot
            for dataset in paths
            if f"{dataset}/".startswith(f"{path}/")
            for snapshot in (f"{rig.full(dataset)}@{one}" for one in rig.held().get(dataset, ()))
        ]:
            rig.source.zfs("release", f"cyber-zfs-backup:{rig.tag}", name)
        rig.source.zfs("destroy", "-r", rig.full(path))


def disturbed(rig: Rig, mode: SendMode, trouble: Event | None, policy: RetentionPolicy) -> None:
    kind, number = trouble or ("none", 0)
    if kind == "kill":
        rig.crash(number)
    elif kind == "break":
        rig.link.break_next(number)
    elif kind == "unreachable":
        rig.receiver.faults.refuse_after = number
    rig.wait()
    for path in rig.paths():
        rig.write(path)
    try:
        rig.run(send_mode=mode, force=FORCE, retention=policy)
    except Killed:
        for thread in threading.enumerate():
            if thread.name == "ask":
                thread.join()
    rig.receiver.faults.refuse_after = None
    rig.link.breaks.clear()
    rig.calm()


@settings(max_examples=120, deadline=None)
@given(histories, st.sampled_from([RetentionPolicy(0, 0, 0), RetentionPolicy(2, 0, 0), RetentionPolicy()]))
def test_undisturbed_runs_bring_both_sides_together(
    history: list[tuple[list[Event], SendMode, Event | None]], policy: RetentionPolicy
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(lock, "lock_folder", return_value=Path(folder)),
    ):
        rig = Rig("a", "b")
        rig.size = 20_000
        number = 0
        for events, mode, trouble in history:
            for event in events:
                number += 1
                happen(rig, event, number)
            disturbed(rig, mode, trouble, policy)
        for _ in range(2):
            result = rig.night(force=FORCE, retention=policy)
        assert result.exit_code == 0, (problems(result), rig.said.details)
        there = {path: guids for path, guids in rig.there.items() if path in rig.here}
        assert there == rig.here
        assert action(result, "push").figures["orphans"] == len(rig.there) - len(rig.here)
        assert rig.held() == rig.named()
        # What an orphan has of a stream stays, as everything of an orphan.
        assert not rig.tokens().keys() & rig.here.keys()
        assert set(rig.snapshots(rig.source, ROOT)) <= set(rig.snapshots(rig.receiver, THERE))

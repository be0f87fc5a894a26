# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits on space never stand on a copy, and a tree may be one volume. On real OpenZFS: tests/guest."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.plan.cost import SendMode
from tests.unit.actions.rig import FORCED, LEVEL, ONLY_PUSH, REPLICATE, ROOT, THERE, Rig, problems

MODES = pytest.mark.parametrize("mode", [LEVEL, REPLICATE], ids=lambda mode: mode.value)


def limits(rig: Rig) -> dict[str, str]:
    """Every limit that stands on a copy."""
    shown = rig.receiver.zfs(
        "get", "-Hp", "-r", "-t", "filesystem,volume", "-o", "name,property,value",
        "quota,refquota,reservation,refreservation", THERE,
    )  # fmt: skip
    rows = (line.split("\t") for line in shown.splitlines())
    return {f"{name} {limit}": value for name, limit, value in rows if value not in ("0", "-")}


def sets(rig: Rig) -> list[str]:
    """What was set on the receiver since this was asked last."""
    found = [" ".join(call[2:]) for call in rig.receiver.calls if call[1] == "set"]
    rig.receiver.calls.clear()
    return found


@MODES
def test_no_limit_ever_stands_on_a_copy(mode: SendMode) -> None:
    rig = Rig("a", "b")
    rig.source.zfs("create", "-V", "8M", f"{ROOT}/disk")
    rig.source.zfs("set", "quota=20M", "reservation=1M", f"{ROOT}/a")
    result = rig.night(send_mode=mode, force=FORCED)
    assert result.exit_code == 0, problems(result)
    assert limits(rig) == {}
    assert sets(rig) == [
        f"quota=none {THERE}/a", f"reservation=none {THERE}/a", f"refreservation=none {THERE}/disk",
    ]  # fmt: skip
    # Where nothing changes it costs nothing; of a limit that is new it costs one command.
    for _ in range(3):
        assert rig.night(send_mode=mode).exit_code == 0
        assert limits(rig) == {}
        rig.source.zfs("set", "quota=30M", f"{ROOT}/a")
    assert sets(rig) == []
    rig.source.zfs("set", "refquota=20M", f"{ROOT}/b")
    for _ in range(3):
        assert rig.night(send_mode=mode).exit_code == 0
        assert limits(rig) == {}
        rig.source.zfs("set", "atime=off", f"{ROOT}/b")
    assert f"refquota=none {THERE}/b" in sets(rig)
    # A copy that was lost comes anew.
    rig.receiver.zfs("destroy", "-r", f"{THERE}/a")
    for _ in range(3):
        assert rig.night(send_mode=mode).exit_code == 0
        assert limits(rig) == {}


@MODES
def test_a_tree_that_is_one_volume(mode: SendMode) -> None:
    rig = Rig()
    rig.source.zfs("destroy", "-r", ROOT)
    rig.source.zfs("create", "-V", "8M", ROOT)
    result = rig.night(send_mode=mode, force=FORCED)
    assert result.exit_code == 0, problems(result)
    for name, value in (("compression", "lz4"), ("x:y", "z")):
        rig.source.zfs("set", f"{name}={value}", ROOT)
        result = rig.night(send_mode=mode)
        assert result.exit_code == 0, problems(result)
        assert rig.receiver.zfs("get", "-H", "-o", "value", name, THERE).strip() == value
    assert rig.here == rig.there
    assert limits(rig) == {}
    assert rig.run(actions=ONLY_PUSH).exit_code == 0

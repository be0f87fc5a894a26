# SPDX-License-Identifier: GPL-3.0-or-later
"""A receive that says all went well and keeps nothing: only what the receiver shows afterwards counts."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest

from cyber_zfs_backup.actions.result import RunResult
from cyber_zfs_backup.config.job import Force
from cyber_zfs_backup.plan.cost import SendMode
from tests.fake.front import Streams
from tests.fake.host import FakeHost, FakeLink
from tests.fake.model import Dataset
from tests.unit.actions.rig import (
    FORCED,
    HARSH,
    LEVEL,
    ONLY_EXPIRE,
    ONLY_PUSH,
    REPLICATE,
    ROOT,
    THERE,
    Rig,
    kinds,
    problems,
)

MODES = pytest.mark.parametrize("mode", [LEVEL, REPLICATE], ids=lambda mode: mode.value)
PATHS = pytest.mark.parametrize("path", ["", "a", "a/b"], ids=["root", "child", "grandchild"])
LOTS = Force(destroy_lots=True)


class Liar(FakeHost):
    """A receiver that takes the streams of some datasets, answers 0, and has nothing of them afterwards."""

    lies: frozenset[str] = frozenset()
    """Full names of these datasets."""
    package = False
    """Whether the streams are packages, whose receive names the root alone."""

    def execute(self, command: Sequence[str], streams: Streams | None = None) -> tuple[int, Streams]:
        """As every host, but for what it lies about."""
        if tuple(command[:2]) != ("zfs", "receive") or "-A" in command:
            return super().execute(command, streams)
        reached = self.lies if self.package else self.lies & {command[-1]}
        before = {name: copy.deepcopy(self.world.datasets.get(name)) for name in reached}
        answer = super().execute(command, streams)
        for name, dataset in before.items():
            self.restore(name, dataset)
        return answer

    def restore(self, name: str, dataset: Dataset | None) -> None:
        """Put a dataset back as it was before the receive."""
        if dataset is None:
            self.world.datasets.pop(name, None)
        else:
            self.world.datasets[name] = dataset


class Forger(Liar):
    """A liar who makes a snapshot of the expected name, which holds something else."""

    def restore(self, name: str, dataset: Dataset | None) -> None:
        """Put it back, and snapshot it under the name that should have come."""
        came = self.world.datasets[name].snapshots[-1].name
        super().restore(name, dataset)
        self.zfs("snapshot", f"{name}@{came}")


def lying(rig: Rig, mode: SendMode, *paths: str, how: type[Liar] = Liar) -> Liar:
    """Let the receiver lie about these paths from now on."""
    liar = how(rig.receiver.world, rig.receiver.label)
    liar.package = mode is REPLICATE
    liar.lies = frozenset(rig.full(path, THERE) for path in paths)
    rig.receiver = liar
    rig.link = FakeLink(rig.source, liar)
    return liar


def blamed(result: RunResult) -> list[str]:
    """The datasets that the problems name."""
    return [problem.where for action in result.actions for problem in action.problems]


@MODES
@PATHS
def test_a_receive_that_lies_is_found_out_and_the_base_stays(path: str, mode: SendMode) -> None:
    rig = Rig("a", "a/b", "c")
    rig.first()
    base = rig.names()[0]
    liar = lying(rig, mode, path)
    result = rig.night(send_mode=mode, retention=HARSH)
    assert (result.exit_code, blamed(result)) == (3, [rig.full(path)]), problems(result)
    assert "is not there" in problems(result)[0]
    assert kinds(result) == ["not-arrived"]
    # The base is named and held, so it outlives every rule; of the others the new one is confirmed.
    target = rig.names()[-1]
    assert rig.names_there(path) == [base]
    assert all(rig.names_there(other)[-1] == target for other in rig.paths() if other != path)
    ledger = rig.ledger()
    assert ledger is not None
    assert base in ledger.of(path).names
    assert base in rig.held()[path]
    rig.run(actions=ONLY_EXPIRE, retention=HARSH, force=LOTS)
    assert rig.names(path) == [base, target]
    # It is not tried a second time in the same run.
    tried = [
        receive
        for moved in rig.link.transfers
        for receive in moved.receives
        if receive[-1] == rig.full(path, THERE)
    ]
    assert len(tried) <= 1
    liar.lies = frozenset()
    result = rig.run(actions=ONLY_PUSH, send_mode=mode)
    assert result.exit_code == 0, problems(result)
    assert {p: list(s)[-1] for p, s in rig.here.items()} == {p: list(s)[-1] for p, s in rig.there.items()}
    assert rig.held() == rig.named() == {each: {target} for each in rig.paths()}


@MODES
def test_a_first_push_that_lies_about_a_child_goes_on_in_the_next_run(mode: SendMode) -> None:
    rig = Rig("a", "c")
    rig.snap()
    liar = lying(rig, mode, "a")
    result = rig.night(send_mode=mode, force=FORCED)
    assert (result.exit_code, blamed(result)) == (3, [f"{ROOT}/a"]), problems(result)
    assert set(rig.there) == {"", "c"}
    liar.lies = frozenset()
    result = rig.night(send_mode=mode)
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there
    assert rig.held() == rig.named()


@MODES
def test_a_receiver_that_lies_about_everything_moves_no_base(mode: SendMode) -> None:
    rig = Rig("a", "b")
    rig.first()
    base = rig.names()[0]
    liar = lying(rig, mode, *rig.paths())
    for _ in range(3):
        result = rig.night(send_mode=mode, retention=HARSH)
        assert result.exit_code == 1, problems(result)
        assert set(blamed(result)) == {ROOT, f"{ROOT}/a", f"{ROOT}/b"}
        ledger = rig.ledger()
        assert ledger is not None
        assert ledger.root.base == base
        assert all(base in names for names in rig.held().values())
    liar.lies = frozenset()
    result = rig.night(send_mode=mode)
    assert result.exit_code == 0, problems(result)
    assert {p: list(s)[-1] for p, s in rig.here.items()} == {p: list(s)[-1] for p, s in rig.there.items()}
    assert rig.held() == rig.named()


def test_a_snapshot_of_the_right_name_and_the_wrong_guid_proves_nothing() -> None:
    rig = Rig("a", "b")
    rig.first()
    base = rig.names()[0]
    forger = lying(rig, LEVEL, "a", how=Forger)
    result = rig.night(send_mode=LEVEL)
    target = rig.names()[-1]
    assert (result.exit_code, kinds(result), blamed(result)) == (3, ["diverged"], [f"{ROOT}/a"])
    assert rig.names_there("a") == [base, target]
    ledger = rig.ledger()
    assert ledger is not None
    assert ledger.of("a").base == base
    assert base in rig.held()["a"]
    assert ledger.of("b").base == target
    forger.lies = frozenset()
    rig.receiver.zfs("destroy", f"{THERE}/a@{target}")
    result = rig.run(actions=ONLY_PUSH)
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there
    assert rig.held() == rig.named()

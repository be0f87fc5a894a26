# SPDX-License-Identifier: GPL-3.0-or-later
"""Both sides are asked at the same time: what one waits for costs nothing while the other waits too.

Each question blocks before it runs until the other side's is about to run as well. Where one is only
asked after the other was answered, the first waits in vain and the run breaks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.fake.host import FakeHost
from tests.unit.actions.rig import HARSH, ONLY_EXPIRE, ONLY_PUSH, ROOT, THERE, Rig, actions, problems

PATIENCE = 20.0
"""Seconds until a question that is alone gives up; nobody waits so long where all is well."""

Command = tuple[str, ...]


def meet(
    rig: Rig, here: Callable[[Command], bool], there: Callable[[Command], bool]
) -> Callable[[], list[str]]:
    """Let the first command that fits on either side wait for the other side's.

    Answers a function that tells which sides have met.
    """
    barrier = threading.Barrier(2, timeout=PATIENCE)
    met: list[str] = []

    def watch(host: FakeHost, fits: Callable[[Command], bool]) -> None:
        seen: list[Command] = []

        def hook(moment: str, argv: Command) -> None:
            if moment == "before" and not seen and fits(argv):
                seen.append(argv)
                barrier.wait()
                met.append(host.label)

        host.faults.hook = hook

    watch(rig.source, here)
    watch(rig.receiver, there)
    return lambda: sorted(met)


def by_name(argv: Command) -> bool:
    """A question for snapshots by their names."""
    return argv[1] == "list" and "@" in argv[-1]


def whole_of(root: str) -> Callable[[Command], bool]:
    """The question for every snapshot of a tree."""
    return lambda argv: argv[1] == "list" and argv[-2:] == ("-r", root)


def test_the_cheap_question() -> None:
    rig = Rig("a", "b")
    rig.first()
    rig.snap()
    rig.source.calls.clear()
    met = meet(rig, by_name, by_name)
    result = rig.run(actions=ONLY_PUSH)
    assert result.exit_code == 0, problems(result)
    assert met() == ["offsite", "this machine"]
    assert not any(whole_of(ROOT)(call) for call in rig.source.calls), "the whole question was asked too"


def test_the_whole_question() -> None:
    rig = Rig("a", "b")
    rig.first()
    rig.source.zfs("create", f"{ROOT}/new")
    rig.snap()
    met = meet(rig, whole_of(ROOT), whole_of(THERE))
    result = rig.run(actions=ONLY_PUSH)
    assert result.exit_code == 0, problems(result)
    assert met() == ["offsite", "this machine"]


def test_the_mirrors_question() -> None:
    rig = Rig("a", "b")
    rig.snap()
    rig.first()
    rig.run(actions=ONLY_EXPIRE, retention=HARSH)
    met = meet(rig, whole_of(ROOT), whole_of(THERE))
    result = rig.run(actions=ONLY_PUSH, retention=HARSH)
    assert result.exit_code == 0, problems(result)
    assert actions(result)["mirror"] == "done"
    assert met() == ["offsite", "this machine"]


def test_the_receiver_is_connected_while_the_snapshot_is_taken() -> None:
    rig = Rig("a", "b")
    rig.first()
    met = meet(rig, lambda argv: argv[1] == "snapshot", lambda argv: argv[1] == "get")
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert met() == ["offsite", "this machine"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""The push in one line, and what of a plan is a repair."""

from __future__ import annotations

from typing import Any

import pytest

from cyber_zfs_backup.actions.execute import Executed
from cyber_zfs_backup.actions.report import push_summary, repairs
from tests.unit.plan.drawn import day, tree
from tests.unit.plan.two_sides import plan, usable, with_token

from .rig import Rig

SOURCE = """
        01 02 03
  .     x  x  x
  a     x  x  x
  a/b   x  x  x
"""
LEVEL_WITH = """
        01 02
  .     x  x
  a     x  x
  a/b   x  x
"""
TARGET = day("03")


def executed(moved: int = 0, connections: int = 0, streams: int = 0, **more: Any) -> Executed:
    return Executed(bytes_moved=moved, connections=connections, streams=streams, **more)


AT = f"datasets of offsite:vault/copy are at @{TARGET}:"
NOTHING = f"nothing new: offsite:vault/copy holds @{TARGET} of all 3 datasets"


@pytest.mark.parametrize(
    ("done", "confirmed", "said"),
    [
        (
            *(executed(5 << 20, 2, 3, seconds=4.0), 3),
            f"3 of 3 {AT} 5.0 MiB in 4.0 s (1.2 MiB/s) in 3 streams on 2 connections (level)",
        ),
        (
            *(executed(5 << 20, 1, 1, seconds=0.5, repaired={"a"}), 2),
            f"2 of 3 {AT} 5.0 MiB in 0.5 s (10.0 MiB/s) in 1 stream on 1 connection (level), 1 repaired",
        ),
        (
            *(executed(0, 1, 1, seconds=0.0), 0),
            f"0 of 3 {AT} 0 B in 0.0 s in 1 stream on 1 connection (level)",
        ),
        (*(executed(5 << 20, 1, 1), 3), f"3 of 3 {AT} 5.0 MiB in 1 stream on 1 connection (level)"),
        (executed(seconds=1.0), 3, NOTHING),
        (executed(seconds=1.0, repaired={"", "a"}), 3, f"{NOTHING}, 2 datasets repaired"),
    ],
)
def test_the_push_in_one_line(done: Executed, confirmed: int, said: str) -> None:
    assert push_summary(Rig().ends(), plan(SOURCE, LEVEL_WITH, "03"), done, confirmed, TARGET) == said


def test_a_dry_run_in_one_line() -> None:
    ends = Rig().ends(dry_run=True)
    said = push_summary(ends, plan(SOURCE, LEVEL_WITH, "03"), executed(repaired={"a"}), 3, TARGET)
    assert said == f"would take 3 steps to bring offsite:vault/copy to @{TARGET}"


@pytest.mark.parametrize(
    ("receiver", "repaired"),
    [
        (LEVEL_WITH, set()),
        # One lags behind the root.
        ("   01 02\n . x x\n a x .\n a/b x x", {"a"}),
        # The root is at its target already, the others never came.
        ("   01 02 03\n . x x x\n a x x .\n a/b x . .", {"a", "a/b"}),
        # One is missing, though the source had it at the last push.
        ("   01 02\n . x x\n a x x", {"a/b"}),
        ("   01 02\n . x x", {"a", "a/b"}),
        # A first push.
        (None, set()),
    ],
)
def test_what_lags_or_is_missing_is_repaired(receiver: str | None, repaired: set[str]) -> None:
    found = plan(SOURCE, receiver, "03", allow_full=True)
    assert repairs(found, tree(SOURCE)) == repaired


def test_a_new_dataset_is_no_repair() -> None:
    source = "   01 02\n . x x\n new . x"
    found = plan(source, "   01\n . x", "02")
    assert found.steps
    assert repairs(found, tree(source)) == set()


def test_a_partial_receive_is_repaired_once() -> None:
    receiver = with_token(tree(LEVEL_WITH, "vault/copy"), "a", "a/b")
    tokens = {"a": usable("a", "03")}
    found = plan(SOURCE, receiver, "03", tokens=tokens)
    kinds = {(step.kind.value, step.path) for step in found.steps}
    assert {("resume", "a"), ("abort", "a/b"), ("level", "a/b")} <= kinds
    assert repairs(found, tree(SOURCE)) == {"a", "a/b"}

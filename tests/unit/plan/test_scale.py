# SPDX-License-Identifier: GPL-3.0-or-later
"""From a listing's text to the plan for large trees: the right plan, and no more work than the tree is large.

Work is counted in lines of Python executed, which is the same on every machine; wall time and memory are
measured by benchmarks/planning.py.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from types import FrameType
from typing import Any

import pytest

from benchmarks import listings, retention
from cyber_zfs_backup.model.trees import Tree
from cyber_zfs_backup.plan import destroy
from cyber_zfs_backup.plan.cost import Form
from cyber_zfs_backup.plan.push import PushPlan, PushQuestion, plan_push
from cyber_zfs_backup.plan.retention import Buckets
from cyber_zfs_backup.plan.steps import StepKind
from cyber_zfs_backup.zfs import parse


class Texts:
    """What zfs would print of both sides; the receiver lacks the newest ``lacking`` snapshots."""

    def __init__(self, datasets: int, snapshots: int, lacking: int = 1) -> None:
        shape = listings.Shape(datasets, snapshots)
        self.newest = shape.names[-1]
        self.source = "".join(listings.snapshots(shape, "zippy/zippy", first_txg=1000))
        self.source_about = "".join(listings.all_properties(shape, "zippy/zippy"))
        receiver = listings.snapshots(shape, "offsite/zippy", first_txg=500, lacking=lacking)
        self.receiver = "".join(receiver)
        self.receiver_about = "".join(listings.partial_properties(shape, "offsite/zippy"))

    def source_tree(self) -> Tree:
        """The source's tree from its text."""
        return _tree("zippy/zippy", self.source_about, self.source)

    def push_plan(self) -> PushPlan:
        """The push's plan from both texts."""
        receiver = _tree("offsite/zippy", self.receiver_about, self.receiver)
        plan = plan_push(PushQuestion(self.source_tree(), receiver, self.newest))
        assert isinstance(plan, PushPlan)
        return plan

    def expire_plan(self) -> destroy.DestroyPlan:
        """The expiry's plan with the default rule."""
        terms = destroy.Terms(Buckets(31, 12, 36), listings.NEWEST + timedelta(hours=1), force_lots=True)
        return destroy.finish(destroy.candidates(self.source_tree(), terms), {})


def _tree(root: str, about: str, listed: str) -> Tree:
    return parse.tree(root, parse.properties(about), parse.snapshots(listed), complete=True)


def _lines_executed(work: Any) -> int:
    """How many lines of Python a call executes, all that it calls included."""
    count = 0

    def tracer(frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def test_every_dataset_of_a_large_tree_gets_its_one_level_step() -> None:
    texts = Texts(300, 60)
    plan = texts.push_plan()
    assert plan.choice.form is Form.LEVEL
    assert {step.kind for step in plan.steps} == {StepKind.LEVEL}
    assert len({step.path for step in plan.steps}) == len(plan.steps) == 300
    assert {step.target for step in plan.steps} == {texts.newest}
    assert not plan.conflicts
    assert not plan.orphans


def test_a_large_tree_expires_by_one_recursive_command() -> None:
    plan = Texts(300, 60).expire_plan()
    assert [(command.dataset, command.recursive) for command in plan.commands] == [("zippy/zippy", True)]
    assert plan.count == 300 * len(plan.commands[0].names) > 0


def test_a_name_that_repeats_on_every_dataset_is_kept_once() -> None:
    tree = Texts(30, 20).source_tree()
    kept = {id(snapshot.name) for dataset in tree.datasets.values() for snapshot in dataset.snapshots}
    assert len(kept) == 20


@pytest.mark.parametrize("plan", [Texts.push_plan, Texts.expire_plan])
@pytest.mark.parametrize(("datasets", "snapshots"), [(80, 30), (40, 60)])
def test_a_tree_twice_as_large_takes_twice_the_work(plan: Any, datasets: int, snapshots: int) -> None:
    small, large = Texts(40, 30), Texts(datasets, snapshots)
    plan(small)  # whatever is cached is cached
    plan(large)
    assert _lines_executed(lambda: plan(large)) <= 2.2 * _lines_executed(lambda: plan(small))


@pytest.mark.parametrize("kind", sorted(retention.rules()))
def test_twice_as_many_snapshots_take_a_rule_twice_the_work(kind: str) -> None:
    rule = retention.rules()[kind]
    small, large = retention.names(1000), retention.names(2000)
    rule.judge(large)  # whatever is cached is cached
    assert _lines_executed(lambda: rule.judge(large)) <= 2.2 * _lines_executed(lambda: rule.judge(small))


def test_a_receiver_far_behind_costs_no_more_than_the_tree_is_large() -> None:
    small, large = Texts(20, 60, lacking=50), Texts(20, 120, lacking=100)
    small.push_plan()
    large.push_plan()
    assert _lines_executed(large.push_plan) <= 2.2 * _lines_executed(small.push_plan)

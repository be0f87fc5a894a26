# SPDX-License-Identifier: GPL-3.0-or-later
"""Both sides of a push drawn as in ``drawn``, and the plan in one short line for each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cyber_zfs_backup.model.trees import Tree
from cyber_zfs_backup.plan.compare import Seen, Token
from cyber_zfs_backup.plan.push import PushPlan, PushQuestion, Unsettled, plan_push
from cyber_zfs_backup.plan.steps import Step
from tests.unit.plan.drawn import day, guid_of, tree

TOKEN = "1-abc-def"


def encrypted(of: Tree, *paths: str) -> Tree:
    return _changed(of, {path: {"encrypted": True} for path in paths})


def with_token(of: Tree, *paths: str) -> Tree:
    return _changed(of, {path: {"resume_token": TOKEN} for path in paths})


def renamed(of: Tree, old: str, new: str) -> Tree:
    """The tree after ``zfs rename``: the same snapshots under another path."""
    datasets = {new if path == old else path: dataset for path, dataset in of.datasets.items()}
    datasets[new] = replace(datasets[new], path=new)
    return replace(of, datasets=dict(sorted(datasets.items())))


def swapped(of: Tree, one: str, other: str) -> Tree:
    datasets = dict(of.datasets)
    datasets[one] = replace(of.datasets[other], path=one)
    datasets[other] = replace(of.datasets[one], path=other)
    return replace(of, datasets=datasets)


def named_only(of: Tree, labels: str) -> Tree:
    """What the cheap question knows: only the snapshots of these labels."""
    names = {day(label) for label in labels.split()}
    datasets = {
        path: replace(dataset, snapshots=tuple(s for s in dataset.snapshots if s.name in names))
        for path, dataset in of.datasets.items()
    }
    return Tree(of.root, datasets, complete=False)


def _changed(of: Tree, changes: Mapping[str, Mapping[str, Any]]) -> Tree:
    datasets = {path: replace(dataset, **changes.get(path, {})) for path, dataset in of.datasets.items()}
    return replace(of, datasets=datasets)


def usable(path: str, label: str, mark: str = "x") -> Token:
    """A token that the source can go on from."""
    return Token(TOKEN, day(label), guid_of(path, label, mark), usable=True)


def ask(source: str | Tree, receiver: str | Tree | None, target: str, **more: Any) -> PushPlan | Unsettled:
    """Plan a push of one picture to another."""
    mine = tree(source) if isinstance(source, str) else source
    theirs = tree(receiver, "vault/copy") if isinstance(receiver, str) else receiver
    known = {name: more.pop(name) for name in ("tokens", "excluded", "changed", "refused") if name in more}
    return plan_push(PushQuestion(mine, theirs, day(target), seen=Seen(**known), **more))


def plan(source: str | Tree, receiver: str | Tree | None, target: str, **more: Any) -> PushPlan:
    found = ask(source, receiver, target, **more)
    assert isinstance(found, PushPlan), found
    return found


def steps(found: PushPlan) -> list[str]:
    """Each step in short: ``level a 01..02``; ``+p`` with properties, ``new`` where it creates."""
    return [_short(step) for step in found.steps]


def _short(step: Step) -> str:
    words = [step.kind.value, step.path or "."]
    if step.target:
        words.append(f"{_label(step.base)}..{_label(step.target)}" if step.base else _label(step.target))
    words += ["+p"] if step.properties else []
    words += ["new"] if step.creates else []
    return " ".join(words)


def _label(name: str) -> str:
    return name[8:10] if name.startswith("2026-11-") else name


def conflicts(found: PushPlan) -> dict[str, str]:
    """Path of the source to the kind of its conflict."""
    return {
        c.source.removeprefix("tank").removeprefix("/") or ".": c.kind.name.lower() for c in found.conflicts
    }

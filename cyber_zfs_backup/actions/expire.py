# SPDX-License-Identifier: GPL-3.0-or-later
"""Expire: retention on the source. Needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..model.names import is_within
from ..model.trees import Tree
from ..plan import destroy
from ..plan.ledger import kept_names
from ..zfs import parse
from ..zfs.properties import MIRROR_PREFIX
from .destroying import carry_out, finish
from .ends import Home, Neighbour, SourceFacts, read_source
from .result import ActionResult


@dataclass(frozen=True, slots=True)
class Expired:
    """An expire that ended, and the tags of the destinations whose mirror is due since.

    ``gone`` are the names that it destroyed, by path (in a dry run: that it would have destroyed).
    """

    result: ActionResult
    mirror_due: frozenset[str]
    gone: Mapping[str, tuple[str, ...]]


def expire(ends: Home, imagined: str | None = None) -> Expired:
    """Destroy what the rule gives up, on every dataset that takes part.

    ``imagined`` is the snapshot that a dry run would have taken. Before anything is destroyed, each
    destination's mirror is noted as due, so that no receiver keeps for ever what is gone here.
    Raises ``ZfsError``, ``GarbledError``, ``UsageError``.
    """
    facts, plan = planned(ends, imagined if ends.job.dry_run else None)
    due = facts.mirror_due
    gone = {}
    if plan.commands:
        if not ends.job.dry_run:
            for tag in sorted(facts.ledgers.keys() - due):
                ends.source.set_property(f"{MIRROR_PREFIX}{tag}", "due", [facts.root])
        due |= facts.ledgers.keys()
        gone = {each.path: each.destroy for each in plan.datasets if each.destroy}
    return Expired(carry_out("expire", ends.source, plan, ends), due, gone)


def planned(ends: Home, imagined: str | None = None) -> tuple[SourceFacts, destroy.DestroyPlan]:
    """What an expire would destroy now; reads only. ``imagined`` is a snapshot that is taken for there.

    Raises as ``expire`` does.
    """
    facts = read_source(ends)
    tree = source_tree(ends, facts)
    if imagined is not None:
        tree = tree.with_snapshot(imagined)
    terms = terms_of(ends, facts)
    return facts, finish(ends.source, destroy.candidates(tree, terms, protected(facts, tree)))


def source_tree(ends: Home, facts: SourceFacts) -> Tree:
    """Every snapshot of the source, excluded datasets too: a recursive destroy would reach them."""
    ledgers = [*(each.ledger for each in facts.neighbours), *facts.ledgers.values()]
    if not any(ledger.marked for ledger in ledgers):
        return parse.tree(facts.root, facts.about, ends.source.all_snapshots(facts.root), complete=True)
    found = ends.source.snapshots_and_bookmarks(facts.root)
    return parse.tree(facts.root, facts.about, found.snapshots, complete=True, bookmarks=found.bookmarks)


def terms_of(ends: Home, facts: SourceFacts) -> destroy.Terms:
    """The job's retention, now."""
    now = ends.clock()
    return destroy.Terms(
        rule=ends.job.retention.rule(now),
        now=now,
        force_lots=ends.job.force.destroy_lots,
        excluded=facts.excluded,
    )


def protected(facts: SourceFacts, tree: Tree) -> Mapping[str, Mapping[str, str]]:
    """What no rule may destroy, by path and snapshot name, with the reason: all that a destination has
    as base, and all that may have arrived there."""
    found: dict[str, dict[str, str]] = {}
    ours = (Neighbour("", tag, ledger) for tag, ledger in facts.ledgers.items())
    for each in (*ours, *facts.neighbours):
        for path, dataset in tree.datasets.items():
            if not is_within(each.begins, path):
                continue
            into = found.setdefault(path, {})
            record = each.ledger.of(path)
            for name in kept_names(each.ledger, dataset, each.tag):
                why = "base of" if name == record.base else "may have arrived at"
                into[name] = f"{why} {record.to}"
    return found

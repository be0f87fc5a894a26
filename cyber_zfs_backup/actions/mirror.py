# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirror, the push's last step: what has expired on the source expires on the receiver too.

Only where an expire has noted that it is due, so that an ordinary push reads no whole list. Only by
explicit destroys of own-named snapshots under three conditions (see ``plan/mirror.py``), never by a
forced receive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..model.trees import Tree
from ..plan import destroy, mirror
from ..zfs import parse
from ..zfs.properties import MIRROR_PREFIX
from .ask import ask_receiver, both
from .destroying import carry_out, finish
from .ends import Ends, read_for_push
from .expire import source_tree, terms_of
from .result import ActionResult, Outcome


@dataclass(frozen=True, slots=True)
class Imagined:
    """What a dry run would have done before the mirror: the snapshot taken, and what expired, by path."""

    taken: str | None = None
    gone: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def mirror_receiver(
    ends: Ends, confirmed: Mapping[str, str], imagined: Imagined | None = None
) -> ActionResult:
    """Destroy on the receiver what has expired on the source. To be called only where it is due.

    ``confirmed`` maps the paths that this run's push saw on the receiver to the snapshot's name: their
    bases. A dry run tells what it has ``imagined``. Raises ``HostError``, ``ZfsError``, ``GarbledError``.
    """
    facts = read_for_push(ends)
    root = ends.destination.dataset

    def theirs() -> Tree | None:
        about = ask_receiver(ends)
        if about is None:
            return None
        return parse.tree(root, about, ends.receiver.all_snapshots(root), complete=True)

    source, receiver = both(lambda: source_tree(ends, facts), theirs)
    if receiver is None:
        return ActionResult("mirror", Outcome.SKIPPED, f"{ends.destination.label} is not there")
    coming: frozenset[str] = frozenset()
    if imagined is not None:
        source = source.with_snapshot(imagined.taken) if imagined.taken else source
        after = mirror.after_push(receiver, source, confirmed)
        coming = _added(receiver, after)
        source, receiver = source.less(imagined.gone), after
    bases = {
        path: base.guid
        for path, name in confirmed.items()
        if path in source.datasets and (base := source.datasets[path].named(name)) is not None
    }
    terms = terms_of(ends, facts)
    if ends.destination.retention is not None:
        terms = replace(terms, rule=ends.destination.retention.rule(terms.now))
    found = mirror.candidates(source, receiver, bases, terms)
    plan: destroy.DestroyPlan = finish(ends.receiver, found, coming)
    result = carry_out("mirror", ends.receiver, plan, ends, coming)
    done = result.outcome in (Outcome.DONE, Outcome.NOTHING)
    if done and not ends.job.dry_run and set(facts.paths) <= set(confirmed):
        ends.source.inherit(f"{MIRROR_PREFIX}{facts.tag}", [facts.root])
    return result


def _added(before: Tree, after: Tree) -> frozenset[str]:
    """The full names of the snapshots that only ``after`` has."""
    return frozenset(
        f"{after.full(path)}@{snapshot.name}"
        for path, dataset in after.datasets.items()
        for snapshot in dataset.snapshots[len(before.datasets[path].snapshots) :]
    )

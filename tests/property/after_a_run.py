# SPDX-License-Identifier: GPL-3.0-or-later
"""What an undisturbed run must have brought about."""

from __future__ import annotations

from typing import ClassVar

from cyber_zfs_backup.actions.result import Outcome, RunResult
from cyber_zfs_backup.config.job import Exclude, Force
from cyber_zfs_backup.model.names import own_time, relative
from cyber_zfs_backup.plan.cost import SendMode
from tests.property.table import Expected, Tree, below_any, expected, tree
from tests.property.two_copies import TwoCopies
from tests.property.world_laws import Laws, unwanted_by
from tests.unit.actions.rig import ONLY_PUSH, ROOT, THERE, action, mutations, problems


class Undisturbed:
    """One undisturbed run to the destination that the rig was turned to, and a push after it."""

    force: ClassVar[Force] = Force(destroy_lots=True, non_incremental=True)

    def __init__(self, rig: TwoCopies, laws: Laws) -> None:
        self.rig = rig
        self.laws = laws
        self.left_out = laws.excluded
        self.renames = "rename" not in rig.receiver.faults.denied
        self.table = Expected()

    def check(self, mode: SendMode, marks: bool) -> None:
        """Run, and look."""
        rig = self.rig
        self.table = expected(rig.source.world, rig.receiver.world, self.left_out, renames=self.renames)
        changes = {
            "exclude": Exclude(tuple(self.left_out)),
            "send_mode": mode,
            "force": self.force,
            "bookmark_base": marks,
        }
        result = rig.run(retention=self.laws.policy, **changes)
        self.laws.nothing_vanished_unexplained()
        self.laws.remember()
        self._conflicts(result)
        self._equal(result)
        self._holds()
        self._nothing_more(changes)

    def _told(self, result: RunResult) -> dict[str, str]:
        return {
            relative(ROOT, problem.where): problem.kind
            for each in result.actions
            for problem in each.problems
        }

    def _conflicts(self, result: RunResult) -> None:
        """Exactly what the table says, and nothing else went wrong."""
        told, meant = self._told(result), self.table.conflicts
        if not self.renames:
            # Whether what cannot be put aside is older is told after the roots have gone on: words alone.
            told, meant = (
                {path: "no-common" if kind == "recreated" else kind for path, kind in each.items()}
                for each in (told, meant)
            )
        assert told == meant, (told, meant, problems(result), self.rig.said)
        assert result.exit_code == (3 if told else 0), (result.exit_code, problems(result))
        here, there = tree(self.rig.source.world, ROOT), tree(self.rig.receiver.world, THERE)
        orphans = set(there) - set(here)
        assert action(result, "push").figures["orphans"] == len(orphans), orphans
        ours = {
            snapshot.guid
            for path, dataset in here.items()
            if self.renames and not below_any(path, self.left_out)
            for snapshot in dataset.snapshots
        }
        # Where its dataset was destroyed meanwhile, it stays as the orphan that it is; where the receiver
        # refuses to rename, as the conflict that was compared above.
        left = [copy for path, copy in there.items() if ".moving" in path]
        assert not any(snapshot.guid in ours for copy in left for snapshot in copy.snapshots), (
            "left on its way"
        )

    def _equal(self, result: RunResult) -> None:
        here, there = tree(self.rig.source.world, ROOT), tree(self.rig.receiver.world, THERE)
        for path in here:
            if path in self.table.conflicts or below_any(path, self.left_out):
                continue
            assert path in there, f"{path or 'the root'} is not on the receiver"
            assert there[path].partial is None, f"{path or 'the root'}: a partial receive is left"
            self._alike(path, here, there)

    def _alike(self, path: str, here: Tree, there: Tree) -> None:
        mine = {snapshot.guid: snapshot.name for snapshot in here[path].snapshots}
        theirs = {snapshot.guid: snapshot.name for snapshot in there[path].snapshots}
        missing = set(mine) - set(theirs)
        assert not missing, f"{path or 'the root'}: {[mine[guid] for guid in missing]} did not arrive"
        # What is there and no longer here stays for as long as the rule wants it there.
        extra = {name for guid, name in theirs.items() if guid not in mine and own_time(name)}
        if not self.rig.mirror_due() and not self.table.conflicts and not self.left_out:
            world, copy = self.rig.receiver.world, there[path]
            cloned = {name for name in extra if world.clones_of(f"{copy.name}@{name}")}
            stale = (extra - cloned) & unwanted_by(self.laws.policy, self.rig.now, copy)
            assert not stale or not self._expired(), f"{path or 'the root'}: {stale} should be mirrored"

    def _expired(self) -> bool:
        """Whether the source's expire gave the mirror a reason to look."""
        return any(line.startswith("expire: destroy ") for line in self.rig.said.details)

    def _holds(self) -> None:
        """What a record names is held and nothing else; the root's counts for a dataset that lags, too."""
        ledger, held = self.rig.ledger(), self.rig.held()
        assert ledger is not None
        for path, guids in self.rig.snapshots(self.rig.source, ROOT).items():
            found, existing = held.get(path, set()), set(guids.values())
            record = ledger.of(path)
            least, most = set(record.names), set(ledger.names_for(path))
            if record.marked:
                # A bookmark keeps it.
                least -= {record.base}
            if below_any(path, self.left_out) or path in self.table.conflicts:
                # A run that died may have named what it did not come to hold, nor to send.
                least = set()
            assert least & existing <= found <= most, f"{path or 'the root'}: {found} are held, not {least}"

    def _nothing_more(self, changes: dict[str, object]) -> None:
        """A further push finds nothing to do, and does nothing."""
        rig = self.rig
        rig.forget_calls()
        table = expected(rig.source.world, rig.receiver.world, self.left_out, renames=self.renames)
        before = rig.states()
        result = rig.run(actions=ONLY_PUSH, **changes)
        assert self._told(result) == table.conflicts, problems(result)
        done = [mutations(host.calls) for host in (rig.source, rig.receiver)]
        assert rig.states() == before, f"a push with nothing new changes something: {done}"
        if not table.conflicts:
            assert action(result, "push").outcome is Outcome.NOTHING, problems(result)
            assert done == [[], []], f"a push with nothing new runs commands that could change: {done}"
            assert not rig.link.transfers


def arrived(rig: TwoCopies) -> bool:
    """Whether some datasets have what the source's root has as its newest, and others do not."""
    here, there = tree(rig.source.world, ROOT), tree(rig.receiver.world, THERE)
    newest = [s.name for s in here[""].snapshots if own_time(s.name)][-1:]
    has = [
        path in there and {s.guid for s in dataset.snapshots if s.name in newest} <= _guids(there, path)
        for path, dataset in here.items()
    ]
    return bool(newest) and any(has) and not all(has)


def _guids(there: Tree, path: str) -> set[int]:
    return {snapshot.guid for snapshot in there[path].snapshots}

# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that does to a source whatever administrators and programs do to it, in any order, while runs
to two destinations are disturbed and undisturbed; the laws are checked after every step.

Everything it does follows from what Hypothesis draws: no clock, no thread, no chance of its own.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cyber_zfs_backup.config.job import Action, Exclude, RetentionPolicy
from cyber_zfs_backup.model.ages import parse_age
from cyber_zfs_backup.model.names import join, own_name
from cyber_zfs_backup.plan.cost import SendMode
from cyber_zfs_backup.plan.windows import parse_window
from tests.fake.errors import Killed
from tests.fake.model import Dataset
from tests.property.after_a_run import Undisturbed, arrived
from tests.property.trouble import Trouble, troubles
from tests.property.two_copies import TwoCopies
from tests.property.world_laws import Laws
from tests.unit.actions.rig import ALL, HARSH, ONLY_EXPIRE, ONLY_PUSH, ROOT, THERE

DEEPEST, MOST = 3, 6
"""Levels below the root, and datasets: enough for each kind of accident, and cheap."""

happened: Counter[str] = Counter()
"""What came about in all machines of this process: a machine in which nothing happens proves nothing."""

picks = st.integers(0, 23)
names = st.sampled_from(["a", "b", "c"])
destinations = st.integers(0, 1)
WINDOWS = RetentionPolicy(
    0,
    0,
    0,
    years=0,
    last=2,
    within=parse_age("1d"),
    windows=(parse_window("6d/2d"), parse_window("forever/1w")),
)
policies = st.sampled_from(
    [HARSH, RetentionPolicy(2, 0, 0), RetentionPolicy(1, 1, 1), RetentionPolicy(), WINDOWS]
)
excludes = st.one_of(st.none(), st.none(), st.none(), picks)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run is asked for. ``exclude`` picks a dataset; an undisturbed run does everything there is."""

    to: int
    policy: RetentionPolicy = HARSH
    mode: SendMode = SendMode.AUTO
    exclude: int | None = None
    does: frozenset[Action] = ALL
    lanes: int = 2
    both: bool = False
    retries: int = 0


runs = st.builds(
    Run,
    destinations,
    policies,
    st.sampled_from(list(SendMode)),
    excludes,
    st.sampled_from([ALL, ALL, ALL - {Action.EXPIRE}, ONLY_PUSH, ONLY_PUSH | {Action.EXPIRE}]),
    st.integers(1, 2),
    st.booleans(),
    st.integers(0, 1),
)


def tell(what: str) -> None:
    """Count what came about, for the statistics and for the test."""
    happened[what] += 1
    event(what)


class Machine(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = TwoCopies("a", "b")
        self.laws = Laws(self.rig)
        self.count = 0
        self.marks = [False, False]

    def zfs(self, *args: str) -> None:
        """The administrator's own hand."""
        self.rig.source.zfs(*args)

    def pick(self, which: int, *, root: bool = False) -> str | None:
        """A dataset's relative path; ``None`` where there is none."""
        paths = [path for path in self.rig.paths() if path or root]
        return paths[which % len(paths)] if paths else None

    def new_number(self) -> int:
        self.count += 1
        return self.count

    # What happens on the source

    @rule(days=st.sampled_from([1, 1, 1, 40, 400]), which=picks)
    def snapshot(self, days: int, which: int) -> None:
        """Own snapshots of everything, some data being new."""
        self.rig.wait(days * 86400)
        self.write(which)
        self.zfs("snapshot", "-r", f"{ROOT}@{own_name(self.rig.now)}")
        self.laws.remember()

    @rule(which=picks)
    def write(self, which: int) -> None:
        path = self.pick(which, root=True)
        assert path is not None
        self.rig.write(path)

    @rule(which=picks, what=st.sampled_from(["foreign", "foreign -r", "set", "compression"]))
    def touch(self, which: int, what: str) -> None:
        """A foreign snapshot, or a property that travels."""
        path = join(ROOT, self.pick(which, root=True) or "")
        number = self.new_number()
        if what == "set":
            self.zfs("set", f"site:note={number}", path)
        elif what == "compression":
            self.zfs("set", f"compression={'lz4' if number % 2 else 'off'}", path)
        else:
            self.zfs("snapshot", *(["-r"] if what.endswith("-r") else []), f"{path}@foreign{number}")
        self.laws.remember()

    @rule(which=picks, name=names)
    def create(self, which: int, name: str) -> None:
        path = self.room(which, name)
        if path is not None:
            self.zfs("create", join(ROOT, path))
            self.rig.write(path)
            self.laws.remember()

    def room(self, which: int, name: str, depth: int = 1) -> str | None:
        """A free path below some dataset that has room for so many levels."""
        above = self.pick(which, root=True) or ""
        path = join(above, name) if above else name
        free = path not in self.rig.paths() and len(self.rig.paths()) <= MOST
        return path if free and path.count("/") + depth <= DEEPEST else None

    @rule(which=picks, into=picks, name=names)
    def rename(self, which: int, into: int, name: str) -> None:
        """A child, or a parent with all its children, to any free place."""
        old = self.pick(which)
        if old is None:
            return
        depth = max(path.count("/") for path in self.below(old)) - old.count("/") + 1
        new = self.room(into, name, depth)
        if new is not None and not f"{new}/".startswith(f"{old}/"):
            tell("renamed")
            self.zfs("rename", join(ROOT, old), join(ROOT, new))
            self.laws.remember()

    @rule(which=picks, other=picks)
    def swap(self, which: int, other: int) -> None:
        """Two names change hands."""
        one, two = self.pick(which), self.pick(other)
        if one is None or two is None or f"{one}/".startswith(f"{two}/") or f"{two}/".startswith(f"{one}/"):
            return
        tell("swapped")
        aside = join(ROOT, "aside")
        self.zfs("rename", join(ROOT, one), aside)
        self.zfs("rename", join(ROOT, two), join(ROOT, one))
        self.zfs("rename", aside, join(ROOT, two))
        self.laws.remember()

    @rule(which=picks, anew=st.booleans())
    def destroy(self, which: int, anew: bool) -> None:
        """Destroy a dataset with all below it, our holds first; perhaps another takes its name."""
        path = self.pick(which)
        if path is None or self.cloned(path):
            return
        for dataset in self.datasets(path):
            for snapshot in dataset.snapshots:
                for tag in list(snapshot.holds):
                    self.zfs("release", tag, f"{dataset.name}@{snapshot.name}")
        self.zfs("destroy", "-r", join(ROOT, path))
        if anew:
            self.zfs("create", join(ROOT, path))
            self.rig.write(path)
        tell("created anew" if anew else "destroyed")
        self.laws.remember()

    def below(self, path: str) -> list[str]:
        return [each for each in self.rig.paths() if f"{each}/".startswith(f"{path}/")]

    def datasets(self, path: str) -> list[Dataset]:
        return self.rig.source.world.tree(join(ROOT, path))

    def cloned(self, path: str) -> bool:
        """Whether something elsewhere is a clone of what is here."""
        inside = {dataset.name for dataset in self.datasets(path)}
        origins = {
            dataset.origin.partition("@")[0]
            for dataset in self.rig.source.world.datasets.values()
            if dataset.origin is not None and dataset.name not in inside
        }
        return bool(origins & inside)

    @rule(which=picks, snapshot=picks, into=picks, name=names)
    def clone(self, which: int, snapshot: int, into: int, name: str) -> None:
        dataset = self.datasets(self.pick(which, root=True) or "")[0]
        path = self.room(into, name)
        if path is None or not dataset.snapshots:
            return
        tell("cloned")
        origin = dataset.snapshots[snapshot % len(dataset.snapshots)]
        self.zfs("clone", f"{dataset.name}@{origin.name}", join(ROOT, path))
        self.laws.remember()

    @rule(to=destinations, which=picks)
    def taken_there(self, to: int, which: int) -> None:
        """Somebody takes snapshots of a copy that look like ours."""
        world = self.rig.receivers[to].world
        copies = world.tree(THERE)
        if copies and not copies[which % len(copies)].inconsistent:
            copy = copies[which % len(copies)]
            for _ in range(2):
                self.rig.wait(3600)
                self.rig.receivers[to].zfs("snapshot", f"{copy.name}@{own_name(self.rig.now)}")
                self.laws.theirs.add(copy.snapshots[-1].guid)
            self.laws.remember()

    # Runs

    @rule(to=destinations)
    def bookmarks(self, to: int) -> None:
        """From now on bookmarks keep the bases of a destination, or no longer."""
        self.marks[to] = not self.marks[to]

    @rule(policy=policies, exclude=excludes)
    def expire(self, policy: RetentionPolicy, exclude: int | None) -> None:
        """Expire alone, as where no network is."""
        self.begin(0, policy, exclude)
        result = self.rig.run(actions=ONLY_EXPIRE, retention=policy, force=Undisturbed.force, **self.left_out)
        assert result.exit_code == 0, result
        if any(each.figures.get("snapshots") for each in result.actions):
            tell("expired")
        self.end()

    @rule(run=runs, trouble=troubles)
    def disturbed(self, run: Run, trouble: Trouble) -> None:
        """A run that something happens to; whatever it says, it must keep the laws."""
        self.begin(run.to, run.policy, run.exclude)
        tell("a disturbed run")
        trouble.strike(self.rig)
        both = {"destinations": self.rig.destinations} if run.both else {}
        try:
            self.rig.run(
                actions=run.does,
                send_mode=run.mode,
                retention=run.policy,
                force=Undisturbed.force,
                lanes=run.lanes,
                retries=run.retries,
                bookmark_base=self.marks[run.to],
                **self.left_out,
                **both,
            )
        except Killed:
            tell(f"killed, {trouble.kind}")
            if arrived(self.rig):
                tell("killed between two steps of one plan")
        if self.rig.tokens():
            tell("a partial receive is left")
        self.rig.calm()
        self.end()

    @rule(run=runs, trouble=troubles)
    def disturbed_too(self, run: Run, trouble: Trouble) -> None:
        """The same, so that it comes about as often as it should."""
        self.disturbed(run, trouble)

    @precondition(lambda self: any(link.late for link in self.rig.streams))
    @rule()
    def late_bytes(self) -> None:
        """What was on its way when our process died arrives."""
        tell("late bytes")
        self.arrive()

    @rule(run=runs, denied=st.sampled_from([*[frozenset()] * 4, frozenset({"rename"})]))
    def undisturbed(self, run: Run, denied: frozenset[str]) -> None:
        """A run that nothing happens to puts everything right that no person is needed for."""
        self.begin(run.to, run.policy, run.exclude)
        self.rig.receiver.faults.denied = denied
        tell("an undisturbed run")
        checked = Undisturbed(self.rig, self.laws)
        checked.check(run.mode, self.marks[run.to])
        for kind in checked.table.conflicts.values():
            tell(f"conflict: {kind}")
        self.rig.calm()
        self.end()

    def begin(self, to: int, policy: RetentionPolicy, exclude: int | None) -> None:
        """Turn to a destination. Whatever was still on its way there has arrived by now."""
        rig = self.rig
        rig.turn(to)
        self.arrive()
        rig.forget_calls()
        rig.wait()
        path = None if exclude is None else self.pick(exclude)
        self.laws.policy = policy
        self.laws.excluded = frozenset() if path is None else frozenset([path])
        self.left_out: dict[str, Any] = {"exclude": Exclude(tuple(self.laws.excluded))}

    def arrive(self) -> None:
        for link in self.rig.streams:
            link.arrive()
        self.end()

    def end(self) -> None:
        self.laws.nothing_vanished_unexplained()
        self.laws.remember()

    # The laws

    @invariant()
    def no_base_is_lost(self) -> None:
        self.laws.no_base_is_lost()

    @invariant()
    def no_hold_is_forgotten(self) -> None:
        """Whatever died: each hold is named by a record, or nobody would ever release it."""
        for number in range(len(self.rig.receivers)):
            with self.rig.turned(number):
                ledger = self.rig.ledger()
                for path, held in self.rig.held().items():
                    named = ledger.names_for(path) if ledger else ()
                    assert held <= {*named}, (
                        f"{path}: {held} are held for {self.rig.receiver.label}: {ledger}"
                    )

    @invariant()
    def nothing_came_from_nowhere(self) -> None:
        self.laws.nothing_came_from_nowhere()

    def teardown(self) -> None:
        """In the end one undisturbed run for each destination is enough; not after a failure."""
        if sys.exc_info()[0] is None:
            for to in range(2):
                self.undisturbed(Run(to), frozenset())
                self.laws.no_base_is_lost()
                self.laws.nothing_came_from_nowhere()

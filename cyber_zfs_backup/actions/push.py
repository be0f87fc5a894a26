# SPDX-License-Identifier: GPL-3.0-or-later
"""Push: ask both sides, plan, hold, send, ask again, and only then move the base.

The order of the commands is the safety of the whole: see ``plan/ledger.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..model.names import join, mentions, relative
from ..plan.compare import Seen
from ..plan.ledger import Ledger, Record, Standing
from ..plan.push import PushPlan, PushQuestion, Unsettled, plan_push
from ..plan.steps import StepKind
from ..zfs import properties
from ..zfs.errors import Trouble, ZfsError
from ..zfs.parse import Properties
from . import books, report
from .account import Account
from .ask import Answers, ask_cheap, ask_whole, both
from .ends import Ends, Home, PushFacts, read_for_push, tell_plan
from .execute import Executed, Executor
from .result import ActionResult, Outcome, Problem

_ROUNDS = 8
"""Times that a push plans anew after a fault; each round leaves at least one failed dataset aside."""

_NO_RENAMES = "the receiver's gatekeeper renames nothing; do it there, as root, with zfs rename"

_APART = 2
"""The round from which on each dataset has a connection of its own: where several fail, each would else
keep back all that follow it on its lane, round after round."""


_ALL = properties.Grants()


@dataclass(frozen=True, slots=True)
class Pushed:
    """A push that ended. ``confirmed`` maps the paths that arrived to the snapshot's name; the mirror
    builds on it. ``facts`` are the source's, from before the push."""

    result: ActionResult
    facts: PushFacts
    confirmed: Mapping[str, str] = field(default_factory=dict)
    grants: properties.Grants = _ALL

    def mirror_wanted(self, due: frozenset[str] | None) -> bool:
        """Whether the mirror has something to do and to build on.

        ``due`` are the tags for which this run's expire saw that it is due; ``None`` without an expire.
        """
        return (
            bool(self.confirmed)
            and self.grants.destroys
            and self.facts.tag in (self.facts.mirror_due if due is None else due)
        )


@dataclass(frozen=True, slots=True)
class Newest:
    """The root's newest own snapshot, and how many snapshots of any name the root was seen to have."""

    name: str
    listed: int


def push(ends: Ends, taken: Newest | None, receiver_about: Callable[[], Properties | None]) -> Pushed:
    """Bring the receiver up to the newest own snapshot.

    ``taken`` is the snapshot that this run took (or, in a dry run, would take); ``None`` where it took
    none. ``receiver_about`` answers the receiver's datasets, perhaps asked for earlier in this run.
    Raises ``HostError``, ``ZfsError`` and ``GarbledError`` where a question could not be answered;
    whatever was sent before then stays held.
    """
    facts, target = both(
        lambda: read_for_push(ends), lambda: taken if taken is not None else newest_own(ends)
    )
    if target is None:
        problem = Problem(
            "has no own snapshot that could be pushed",
            facts.root,
            "run with --action snapshot push",
            "no-snapshot",
        )
        return Pushed(ActionResult("push", Outcome.FAILED, problem.what, problems=(problem,)), facts)
    return _Push(ends, facts, target, receiver_about).run()


def newest_own(ends: Home) -> Newest | None:
    """The root's newest own snapshot, by createtxg; ``None`` where it has none."""
    listed = ends.source.snapshots_of(ends.job.dataset)
    return next((Newest(each.name, len(listed)) for each in reversed(listed) if each.own), None)


class _Push:
    """One push under way."""

    def __init__(
        self,
        ends: Ends,
        facts: PushFacts,
        target: Newest,
        receiver_about: Callable[[], Properties | None],
    ) -> None:
        self.ends = ends
        self.facts = facts
        self.target = target.name
        self.listed = target.listed
        self.receiver_about = receiver_about
        destination = ends.destination
        self.ledger = facts.ledgers.get(facts.tag, Ledger(Record(to=destination.label)))
        self.before = self.ledger
        self.digest = facts.digest
        self.changed = properties.differing(self.ledger.root.properties, self.digest, facts.paths)
        self.failures: dict[str, ZfsError] = {}
        self.written_to: frozenset[str] = frozenset()
        self.refused: dict[str, str] = {}
        self.grants = properties.Grants()
        self.executed = Executed()
        self.began = time.monotonic()
        self.lines: list[str] = []

    def run(self) -> Pushed:
        answers, plan = self._first_plan()
        if answers.receiver is not None and self._in_itself(answers.receiver.guid):
            return Pushed(self._itself(), self.facts)
        for number in range(_ROUNDS):
            self._show(plan)
            if self.ends.job.dry_run:
                return self._end(plan, self._standings(answers, plan))
            if plan.nothing_to_do:
                if plan.fits:
                    # What the receiver already holds must be held here before it is named as base.
                    self._hold(plan)
                break
            obstacle = self._parent_problem(answers)
            if obstacle is not None:
                return Pushed(obstacle, self.facts)
            self._hold(plan)
            done = Executor(self.ends, self.facts).run(plan, apart=number >= _APART)
            self._add(done)
            if not number:
                # Of a later plan nobody knows what was behind before this run began.
                self.executed.repaired |= report.repairs(plan, answers.source)
            standings = self._arrived(answers, plan, done)
            if standings is not None:
                return self._finish(plan, standings)
            # Something did not arrive. Only the whole question tells what is where now.
            answers = ask_whole(self.ends, self.facts)
            self._blame(done, plan, answers)
            plan = self._plan(answers)
            for path in plan.conflicted:
                # The conflict says why its receive was refused; that is said once.
                self.failures.pop(path, None)
            if self.executed.hopeless:
                break
        if answers.receiver is None or not plan.fits:
            books.withdraw(self.ends, self.facts, books.Books(self.ledger, self.before))
            return self._end(plan, {})
        return self._finish(plan, self._standings(answers, plan))

    # Ask and plan

    def _first_plan(self) -> tuple[Answers, PushPlan]:
        doubt = self._record_doubt()
        if doubt is None:
            answers = ask_cheap(self.ends, self.facts, self.ledger, self.target, self.receiver_about)
            answers = self._imagine(answers)
            self.grants = answers.grants
            plan = plan_push(self._question(answers))
            if isinstance(plan, PushPlan):
                return answers, plan
            doubt = plan.reason
        self.ends.surface.detail(f"push: asking both sides for all their snapshots: {doubt}")
        answers = self._imagine(ask_whole(self.ends, self.facts))
        return answers, self._plan(answers)

    def _record_doubt(self) -> str | None:
        """Why the snapshots that the record names are not worth asking for; ``None`` where they are."""
        records = (self.ledger.root, *self.ledger.lagging.values())
        if any(record.pending for record in records):
            # A stream of several snapshots may have ended between them: by name that is not seen.
            return "an earlier push did not end"
        return None if self.ledger.root.base else "no record of what this destination holds"

    def _imagine(self, answers: Answers) -> Answers:
        """In a dry run, the source as it would be after the snapshot that this run would take."""
        root = answers.source.datasets[""]
        if not self.ends.job.dry_run or root.named(self.target) is not None:
            return answers
        return replace(answers, source=answers.source.with_snapshot(self.target))

    def _plan(self, answers: Answers) -> PushPlan:
        self.grants = answers.grants
        plan = plan_push(self._question(answers))
        while isinstance(plan, PushPlan) and plan.moves and not self.grants.renames:
            # Planned anew as where a rename was tried and failed: each round has one fewer to do.
            self.refused |= {move.path: _NO_RENAMES for move in plan.moves}
            plan = plan_push(self._question(answers))
        if isinstance(plan, Unsettled):
            raise AssertionError(f"the whole question must settle it: {plan.reason}")
        return plan

    def _question(self, answers: Answers) -> PushQuestion:
        job = self.ends.job
        return PushQuestion(
            source=answers.source,
            receiver=answers.receiver,
            target=self.target,
            mode=job.delivery.send_mode,
            allow_full=self._may_be_full(),
            properties_changed=self.changed,
            seen=Seen(answers.tokens, self.facts.excluded, self.written_to, self.refused),
            set_aside=frozenset(self.failures),
            listed=self.listed,
        )

    def _may_be_full(self) -> bool:
        force, never = self.ends.job.force, self.before.root.base is None
        return force.non_incremental or (force.first_push and never)

    def _show(self, plan: PushPlan) -> None:
        lines = report.plan_lines(self.facts.root, self.ends.destination.dataset, plan)
        tell_plan(self.ends, "push", lines)
        self.lines += lines

    def _parent_problem(self, answers: Answers) -> ActionResult | None:
        """A first push needs the dataset above the copy; better said before than by zfs after."""
        if answers.receiver is not None:
            return None
        above = self.ends.destination.dataset.rpartition("/")[0]
        guid = self.ends.receiver.guid_of(above)
        if guid is not None:
            return self._itself() if self._in_itself(guid) else None
        problem = Problem(
            f"there is no dataset {above}, which the copy would be below",
            self.ends.receiver.label,
            f"create it there: zfs create -o mountpoint=none -o canmount=off '{above}'"
            if "/" in above
            else f"create or import the pool {above} there, or name another with --zfs-receive-dataset",
            "no-parent",
        )
        return ActionResult("push", Outcome.FAILED, problem.what, problems=(problem,))

    def _in_itself(self, guid: int) -> bool:
        """Whether a dataset of the receiver is one of the source's own tree: ssh may lead back to it."""
        return any(each["guid"].value == str(guid) for each in self.facts.about.values())

    def _itself(self) -> ActionResult:
        label, root = self.ends.destination.label, self.facts.root
        problem = Problem(
            f"{label} lies in {root} itself: the host is the source's own, and the copy would be copied too",
            root,
            "name a dataset outside of the tree, best on another machine, with --zfs-receive-dataset",
            "in-itself",
        )
        return ActionResult("push", Outcome.FAILED, problem.what, problems=(problem,))

    # Hold, send, confirm

    def _hold(self, plan: PushPlan) -> None:
        self.ledger = books.announce(self.ends, self.facts, self.ledger, plan)

    def _add(self, done: Executed) -> None:
        self.executed.bytes_moved += done.bytes_moved
        self.executed.connections += done.connections
        self.executed.streams += done.streams
        self.executed.failures += done.failures
        self.executed.carried |= done.carried
        self.executed.created |= done.created
        self.executed.moved += done.moved
        self.executed.left_out += done.left_out
        self.refused |= done.refused

    def _arrived(self, answers: Answers, plan: PushPlan, done: Executed) -> dict[str, Standing] | None:
        """Ask the receiver by name whether every target is there with the source's GUID.

        ``None`` where one is not. Exit statuses prove nothing. Datasets in conflict were not touched:
        what was seen of them before still stands.
        """
        if done.failures or done.refused or self.failures:
            return None
        root = self.ends.destination.dataset
        standings = self._standings(answers, plan)
        wanted = {path: name for path, name in plan.targets.items() if path not in plan.conflicted}
        there = self.ends.receiver.named_snapshots(
            [f"{join(root, path)}@{name}" for path, name in wanted.items()]
        )
        for path, name in wanted.items():
            mine = answers.source.datasets[path].named(name)
            found = {snapshot.guid for snapshot in there.get(join(root, path), ()) if snapshot.name == name}
            if mine is None or mine.guid not in found:
                return None
            standings[path] = Standing(name)
        return standings

    def _blame(self, done: Executed, plan: PushPlan, answers: Answers) -> None:
        """Tell which datasets failed: of each broken connection the first whose target is not there."""
        standings = self._standings(answers, plan)

        def missing(path: str) -> bool:
            standing = standings.get(path)
            return path in plan.targets and (standing is None or standing.confirmed != plan.targets[path])

        for failure in done.failures:
            suspects = [path for path in failure.suspects if missing(path)]
            guilty = self._named(suspects, failure.error.text) or next(iter(suspects), None)
            if guilty is not None and not _moved_on(guilty, failure.error, plan, answers):
                self.failures[guilty] = failure.error
        modified = (path for path, e in self.failures.items() if e.trouble is Trouble.MODIFIED)
        self.written_to |= frozenset(modified)
        if not done.failures and not done.refused:
            # Every command says that it succeeded, and yet something is not there.
            whole = any(step.kind is StepKind.REPLICATE for step in plan.steps)
            for path in filter(missing, plan.targets if whole else [step.path for step in plan.steps]):
                self.failures.setdefault(path, books.not_there(self.ends, path, plan.targets[path]))

    def _named(self, suspects: Iterable[str], text: str) -> str | None:
        """The suspect whose copy a message names: the first that lacks the target may be fine."""
        root = self.ends.destination.dataset
        return next((path for path in suspects if mentions(text, join(root, path))), None)

    def _standings(self, answers: Answers, plan: PushPlan) -> dict[str, Standing]:
        return books.standings(answers, plan, self.target, self.facts.tag)

    def _finish(self, plan: PushPlan, standings: dict[str, Standing]) -> Pushed:
        self._lift_limits()
        missed = (self.changed & set(plan.targets)) - self.executed.carried
        digest = properties.brought_up(self.ledger.root.properties, self.digest, missed)
        if self.executed.streams:
            # What has just come has no bookmark yet, though the record may speak of the same name.
            self.ledger = replace(self.ledger, root=replace(self.ledger.root, marked=False))
        accounts = books.Books(self.ledger, self.before)
        books.settle(self.ends, self.facts, accounts, standings, self.target, digest)
        return self._end(plan, standings)

    def _lift_limits(self) -> None:
        """Set no limit on space on copies whose properties came: a copy needs the room that it needs.

        Once for each copy, before the ledger says that its properties have arrived.
        """
        if not self.grants.settings:
            # Nor has a limit come: a gatekeeper's user may not set any.
            return
        paths = (self.executed.carried & self.changed) | self.executed.created
        root = self.ends.destination.dataset
        names = [join(self.facts.root, path) for path in self.facts.paths if path in paths]
        for limit, limited in properties.limited(self.facts.about, names).items():
            copies = [join(root, relative(self.facts.root, name)) for name in limited]
            try:
                self.ends.receiver.set_property(limit, "none", copies)
            except ZfsError as error:
                self.ends.surface.warn(f"push: {limit} of {copies[0]} may stand there: {error.text}")

    def _end(self, plan: PushPlan, standings: Mapping[str, Standing]) -> Pushed:
        if self.executed.left_out:
            user = "the receiver's user may not set them there"
            self.ends.surface.detail(f"push: {self.executed.left_out} properties were left out: {user}")
        self.executed.seconds = round(time.monotonic() - self.began, 3)
        account = Account(
            self.ends, self.facts.root, self.target, plan, self.executed, self.failures, tuple(self.lines)
        )
        confirmed = account.confirmed(standings)
        self.executed.repaired &= confirmed.keys()
        return Pushed(account.result(confirmed), self.facts, confirmed, self.grants)


def _moved_on(path: str, error: ZfsError, plan: PushPlan, answers: Answers) -> bool:
    """Whether a partial receive is no longer where it was when it was to be gone on with.

    The receive of a connection that died may live on for a while and take what was on its way. Then the
    kernel calls the resumed stream invalid, in the words that it also has for one of a newer version
    (measured on OpenZFS 2.1.11 and 2.3.9); of a full stream that has arrived 2.3 has words of its own.
    Planned anew, with the token of now, it goes on.
    """
    used = next((s.token for s in plan.steps if s.kind is StepKind.RESUME and s.path == path), None)
    now = answers.tokens.get(path)
    unfit = error.trouble in (Trouble.TOO_OLD, Trouble.NO_MATCH)
    return unfit and used is not None and (now is None or now.text != used)

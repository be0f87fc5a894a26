# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out the steps of a push's plan, and tells which dataset each failure belongs to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from ..hosts.protocol import Finished, Transfer
from ..model.names import is_within, join
from ..plan.lanes import share_out
from ..plan.moves import Move
from ..plan.push import PushPlan
from ..plan.steps import Step, StepKind
from ..zfs import commands
from ..zfs.errors import Trouble, ZfsError, left_out, said
from ..zfs.properties import own_names
from .ends import Ends, PushFacts

_HOPELESS = frozenset(
    {
        Trouble.LINK_LOST,
        Trouble.SSH_REFUSED,
        Trouble.NO_SPACE,
        Trouble.NO_ZFS,
        Trouble.NO_MODULE,
        Trouble.SUDO_PASSWORD,
        Trouble.STALLED,
    }
)
"""Trouble that every other dataset would meet too: what is left is not tried in this run."""

_ESTIMATE_WITHIN = 20.0
"""For how many seconds the estimates of one transfer may keep it waiting."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A step that failed. ``suspects`` are the paths of its connection, in order: the first of them
    whose target the receiver does not have is the one."""

    suspects: tuple[str, ...]
    error: ZfsError

    @property
    def hopeless(self) -> bool:
        """Whether the rest of the push would fail of the same."""
        return self.error.trouble in _HOPELESS


@dataclass(slots=True)
class Executed:
    """What the execution of a plan came to. Collected from several threads.

    ``seconds`` and ``repaired`` are for whoever puts several together: how long the whole push took, and the
    paths of which a plan said that it repairs them (``report.repairs``).
    """

    bytes_moved: int = 0
    connections: int = 0
    streams: int = 0
    failures: list[Failure] = field(default_factory=list)
    carried: set[str] = field(default_factory=set)
    created: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    """Paths for which the receiver could not rename, with what it said."""
    moved: int = 0
    left_out: int = 0
    """How often the receiver has left a property of a stream out, because its user may not set it."""
    seconds: float | None = None
    repaired: set[str] = field(default_factory=set)

    @property
    def hopeless(self) -> bool:
        """Whether a failure was of a kind that ends the push."""
        return any(failure.hopeless for failure in self.failures)


class Executor:
    """Executes one plan; ``run`` answers what came of it. A failure is an answer, not an exception."""

    def __init__(self, ends: Ends, facts: PushFacts) -> None:
        self._ends = ends
        self._facts = facts
        self._own = sorted({*own_names(facts.about), facts.property_name})
        self._done = Executed()
        self._counting = threading.Lock()
        self._given_up = False

    def run(self, plan: PushPlan, *, apart: bool = False) -> Executed:
        """Renames; then steps that touch one dataset alone, in order; then what can be joined, in lanes.

        New datasets are joined on one lane, parents first. ``apart`` gives each stream a connection of its
        own, so that one which fails keeps no other back.
        """
        failed = self._moves(plan.moves)
        joined = []
        for step in plan.steps:
            if self._done.hopeless:
                break
            if _hit(step.path, failed) or (failed and step.kind is StepKind.REPLICATE):
                # A package for trees that do not fit fails half way.
                continue
            if step.kind is StepKind.LEVEL or (step.kind.begins and not apart):
                joined.append(step)
            elif not self._alone(step, plan):
                failed.add(step.path)
        joined = [step for step in joined if not _hit(step.path, failed)]
        if joined and not self._done.hopeless:
            self._lanes(joined, apart=apart)
        return self._done

    def _moves(self, moves: Iterable[Move]) -> set[str]:
        """Rename on the receiver; answers the paths for which that failed."""
        failed: set[str] = set()
        for move in moves:
            if self._done.hopeless or _hit(move.path, failed):
                continue
            try:
                self._ends.receiver.rename_dataset(self._there(move.old), self._there(move.new))
            except ZfsError as error:
                failed.add(move.path)
                if error.trouble in _HOPELESS:
                    self._done.failures.append(Failure((move.path,), error))
                else:
                    self._done.refused[move.path] = error.text
            else:
                self._done.moved += 1
        return failed

    def _alone(self, step: Step, plan: PushPlan) -> bool:
        if step.kind is StepKind.ABORT:
            return self._abort(step)
        suspects = tuple(plan.targets) if step.kind is StepKind.REPLICATE else (step.path,)
        return self._transfer([step], suspects)

    def _abort(self, step: Step) -> bool:
        try:
            self._ends.receiver.abort_receive(self._there(step.path))
        except ZfsError as error:
            self._done.failures.append(Failure((step.path,), error))
            return False
        return True

    def _lanes(self, steps: Sequence[Step], *, apart: bool) -> None:
        lanes = [[[step]] for step in steps] if apart else self._shared_out(steps)
        # One worker a lane keeps the number of connections at a time; more lanes than that only wait.
        pool = ThreadPoolExecutor(self._ends.job.delivery.lanes, thread_name_prefix="lane")
        futures = [pool.submit(self._lane, lane) for lane in lanes]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        except BaseException:
            # Also a signal's exception: end the children first, or the threads would wait for them.
            self._ends.link.stop()
            self._given_up = True
            if self._ends.surface.estimates:
                self._ends.source.host.close()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _shared_out(self, steps: Sequence[Step]) -> list[list[list[Step]]]:
        """Lanes, each of connections that follow each other: one, unless its command would be too long.

        Not more than were asked for, however many datasets there are.
        """
        new = [step.path for step in steps if step.kind.begins]
        # Dataset by dataset, so that the first which is not at its target is the one that failed.
        first = sorted((step for step in steps if step.path in new), key=lambda step: new.index(step.path))
        rest = [step for step in steps if step.path not in new]
        wanted = self._ends.job.delivery.lanes
        if first and wanted == 1:
            first, rest = [*first, *rest], []
        # What follows on the heels of its own full stream must not overtake it.
        lanes = [self._connections(first, 1)] if first else []
        room = wanted - len(lanes)
        others = self._connections(rest, room) if rest else []
        return lanes + [others[number::room] for number in range(min(len(others), room))]

    def _connections(self, steps: Sequence[Step], count: int) -> list[list[Step]]:
        sizes = [sum(len(word.encode()) + 3 for word in self._receive(step)) + 4 for step in steps]
        # Room for sudo and a longer program name on the far side.
        return share_out(steps, count, sizes, commands.MAX_COMMAND_BYTES - 4096)

    def _lane(self, connections: Sequence[Sequence[Step]]) -> None:
        for steps in connections:
            if self._done.hopeless or not self._transfer(steps, tuple(step.path for step in steps)):
                return

    def _transfer(self, steps: Sequence[Step], suspects: tuple[str, ...]) -> bool:
        sends = [self._ends.source.argv(self._send(step)) for step in steps]
        receives = [self._ends.receiver.argv(self._receive(step)) for step in steps]
        with self._ends.surface.progress(self._label(steps), self._estimate(steps)) as on_bytes:
            transfer = self._ends.link.transfer(sends, receives, on_bytes=on_bytes)
        with self._counting:
            self._done.connections += 1
            self._done.streams += len(transfer.sends)
            self._done.bytes_moved += transfer.bytes_moved
            self._done.left_out += len(left_out(transfer.receive))
            if not transfer.ok:
                self._done.failures.append(self._failure(steps, suspects, transfer))
                return False
            carried = suspects if steps[0].kind is StepKind.REPLICATE else ()
            self._done.carried.update(carried, (step.path for step in steps if step.properties))
            new = [step.path for step in steps if step.creates]
            self._done.created.update(suspects if new and steps[0].kind is StepKind.REPLICATE else new)
            return True

    def _estimate(self, steps: Sequence[Step]) -> int | None:
        """About how many bytes the steps will move together; ``None`` where nobody wants to know, where
        zfs cannot tell of all, and where asking takes longer than the answer is worth."""
        if not self._ends.surface.estimates:
            return None
        total = 0
        until = time.monotonic() + _ESTIMATE_WITHIN
        for step in steps:
            left = until - time.monotonic()
            if left <= 0 or self._given_up:
                return None
            size = self._ends.source.estimate(self._send(step), left)
            if size is None:
                return None
            total += size
        return total

    def _failure(self, steps: Sequence[Step], suspects: tuple[str, ...], transfer: Transfer) -> Failure:
        if transfer.stalled:
            words = "no byte has moved for a long time, so both sides were ended"
            ended = replace(transfer.receive, stderr=f"{words}\n{transfer.receive.stderr}")
            return Failure(suspects, ZfsError(self._ends.receiver.label, ended))
        if transfer.trouble is not None:
            return Failure(suspects, ZfsError(transfer.trouble.where, transfer.receive, transfer.trouble))
        broken = broken_send(transfer)
        if broken is not None:
            step = steps[broken]
            guilty = suspects if step.kind is StepKind.REPLICATE else (step.path,)
            return Failure(guilty, ZfsError(self._ends.source.label, transfer.sends[broken]))
        return Failure(suspects, ZfsError(self._ends.receiver.label, transfer.receive))

    def _label(self, steps: Sequence[Step]) -> str:
        first = join(self._facts.root, steps[0].path)
        if steps[0].kind is StepKind.REPLICATE:
            return f"{first} and all below it"
        return first if len(steps) == 1 else f"{first} and {len(steps) - 1} more"

    def _there(self, path: str) -> str:
        return join(self._ends.destination.dataset, path)

    def _send(self, step: Step) -> list[str]:
        target = f"{join(self._facts.root, step.path)}@{step.target}"
        if step.kind is StepKind.RESUME:
            return commands.send_resume(step.token or "", raw=step.raw)
        if step.kind is StepKind.REPLICATE:
            return commands.send_replicate(target, step.base)
        if step.kind is StepKind.CLONE:
            return commands.send_clone(target, step.base or "")
        if step.kind is StepKind.BRIDGE:
            return commands.send_bridge(target, step.base or "", properties=step.properties, raw=step.raw)
        if step.kind is StepKind.FULL or step.base is None:
            return commands.send_full(target, properties=step.properties)
        return commands.send_level(target, step.base, properties=step.properties, raw=step.raw)

    def _receive(self, step: Step) -> list[str]:
        there = self._there(step.path)
        if not step.properties and not (step.kind is StepKind.RESUME and not step.path):
            return commands.receive_plain(there)
        if not step.path:
            volume = self._facts.about[self._facts.root]["type"].value == "volume"
            return (commands.receive_root_volume if volume else commands.receive_root)(there, self._own)
        return commands.receive_below(there, self._own)


def _hit(path: str, failed: Iterable[str]) -> bool:
    """Whether a path or one above it has failed."""
    return any(is_within(other, path) for other in failed)


def broken_send(transfer: Transfer) -> int | None:
    """The number of the send that failed of itself; ``None`` where that was not it.

    ``zfs send -I`` of damaged data tells so, and ends with 0 all the same (measured on OpenZFS 2.1.11): then
    others may have followed it, which the receive did not take.
    """
    for number, send in enumerate(transfer.sends):
        if ZfsError("", send).trouble is Trouble.DAMAGED:
            return number
    last = len(transfer.sends) - 1
    if last < 0 or transfer.sends[last].ok or not _tells(transfer.sends[last]):
        return None
    return None if _died_of_receiver(transfer.receive) else last


def _tells(send: Finished) -> bool:
    """Whether a failed send failed of itself, and not because nobody read its stream any more."""
    if send.status is None or send.status < 0:
        return False
    return any("signal received" not in line and "roken pipe" not in line for line in said(send.stderr))


def _died_of_receiver(receive: Finished) -> bool:
    """Whether the receiving side had a reason of its own, other than a stream that broke off."""
    if receive.ok or receive.status is None or receive.status < 0:
        return False
    return ZfsError("", receive).trouble not in (Trouble.CUT_OFF, Trouble.UNKNOWN)

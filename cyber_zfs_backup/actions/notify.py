# SPDX-License-Identifier: GPL-3.0-or-later
"""Notify: tell whoever wants to know what is wrong, once, and once more when it is well again.

Safe to run at any time: what was told is on record. The record is kept for each channel as soon as it has
taken its message, so that a process that is killed in the middle says little twice, and forgets nothing.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..config.declared import Declared, Notification, Tell
from ..config.job import UsageError
from ..config.requests import Check, Notify
from ..hosts.local import LocalHost
from ..model.history import Finished
from ..model.names import is_within
from ..plan.findings import Severity
from ..plan.telling import Message, Policy, Seen, Telling, after, on_channel, telling, together
from ..plan.telling_text import body, subject
from ..plan.told import Record, Told, Topic, Trouble, read, written
from ..zfs.client import Zfs
from . import atomic, words
from .channels import LOGIN, Channel, Means, UndeliveredError, channels, show_at_login
from .check import check_on, job_of, runs_on_record
from .configuration import notification_of, read_declared
from .doctor_here import SYSTEMD_PATIENCE, Run
from .elapses import longest_gap
from .ends import Home
from .journal import state_folder
from .lock import lock_folder
from .machine import ThisMachine
from .result import ActionResult, Outcome, Problem, RunResult, Surface
from .troubles import (
    Look,
    busy_for,
    from_checks,
    from_history,
    from_units,
    guessed_look,
    just_begun,
    looks_of,
    still_meant,
    units,
)

RECORD, LOCK = "told.json", "notify.lock"

ZFS_PATIENCE = 600.0
"""Seconds that zfs may take for an answer: a pool that hangs is what somebody must be told of."""

_CONFIG_IS_WELL = Seen(answered=frozenset({"config"}))
_TOPICS = {Tell.FAILURE: Topic.FAILURE, Tell.LATE: Topic.LATE}


def notify(request: Notify, surface: Surface) -> RunResult:
    """Tell what is to be told now. Nobody is told of what could not be read, but for the configuration."""
    began, now = time.monotonic(), datetime.now(UTC)
    means = Means(ThisMachine().hostname())
    host = LocalHost()
    try:
        asked = _asked(request, surface)
        if request.test:
            results = tested(asked.notification, means, now, dry_run=request.dry_run)
        else:
            seen = _seen(request, asked, surface, lambda argv: host.run(argv, timeout=SYSTEMD_PATIENCE), now)
            results = told(seen, asked.notification, means, now, dry_run=request.dry_run)
    finally:
        host.close()
    seconds = round(time.monotonic() - began, 3)
    return RunResult("", (), now, seconds, request.dry_run, (results,))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the configuration file says: who is told, and of which datasets; and what is wrong with it."""

    notification: Notification
    declared: Declared | None
    seen: Seen


def _asked(request: Notify, surface: Surface) -> _Asked:
    if not os.path.lexists(request.file):
        return _Asked(Notification(), None, _CONFIG_IS_WELL)
    try:
        declared = read_declared(request.file, surface)
    except UsageError as error:
        more = f", and {len(error.lines) - 1} more" if len(error.lines) > 1 else ""
        what = f"the configuration cannot be used, and nothing is backed up by it: {error.lines[0]}{more}"
        remedy = f"cyber-zfs-backup config check --config {request.file}"
        trouble = Trouble("config", "config", Topic.FAILURE, Severity.FAILS, what, remedy)
        seen = Seen((trouble,), answered=_CONFIG_IS_WELL.answered)
        # A slip elsewhere in the file must not silence those who are to hear of it.
        return _Asked(notification_of(request.file), None, seen)
    return _Asked(declared.notification, declared, _CONFIG_IS_WELL)


def _seen(request: Notify, asked: _Asked, surface: Surface, run: Run, now: datetime) -> Seen:
    services = units(run)
    wait = just_begun(services, now)
    if wait is not None:
        # A machine that wakes up does both at once: nothing is late that is taken in this very moment.
        surface.detail("a run has just begun; it is waited for, until it shows what it does")
        time.sleep(wait.total_seconds())
        services = units(run)
    runs = runs_on_record()
    looks: tuple[Look, ...] = ()
    if request.look is not None:
        looks = (Look(request.look),)
    elif not asked.seen.troubles:
        looks = looks_of(asked.declared, now, longest_gap) if asked.declared is not None else ()
        entries = asked.declared.entries if asked.declared is not None else ()
        # The plain timer goes by its own command line, whatever else a file declares: nobody, or other trees.
        if request.guess and not any(is_within(name, request.guess) for name in entries):
            looks = (*looks, *guessed_look(request.guess, runs, run, now))
    meant = runs if asked.declared is None else still_meant(runs, asked.declared, now)
    return together(
        [
            asked.seen,
            from_history(meant, frozenset(look.check.dataset for look in looks), now),
            from_units(services, runs),
            from_checks(
                looks,
                lambda check: _check(check, surface, runs),
                busy_for(services, now + (wait or timedelta())),
            ),
        ]
    )


def _check(check: Check, surface: Surface, runs: Sequence[Finished]) -> ActionResult:
    """``check`` on this machine, with less patience than a run has."""
    host = LocalHost()
    try:
        source = Zfs(host, timeout=ZFS_PATIENCE)
        home = Home(job_of(check), source, surface, lambda: datetime.now(UTC), time.sleep)
        return check_on(home, check, runs)
    finally:
        host.close()


def told(
    seen: Seen, notification: Notification, means: Means, now: datetime, *, dry_run: bool
) -> ActionResult:
    """Tell what is to be told of it, and put it on record; in a dry run only say what that would be."""
    ways = {channel.name: channel for channel in channels(notification, means)}
    names = (*ways, LOGIN) if notification.login else tuple(ways)
    topics = frozenset(_TOPICS[tell] for tell in notification.on if tell in _TOPICS)
    policy = Policy(names, topics, Tell.RECOVERY in notification.on, notification.repeat)
    keep = _Keeper((state_folder() / RECORD, means.notice.with_name(RECORD)))
    if dry_run:
        return _planned(telling(seen, keep.read(), now, policy), ways, means)
    try:
        with _locked(lock_folder()):
            planned = telling(seen, keep.read(), now, policy)
            # Before anybody is told: where nothing can be put on record, the same would be told each time.
            keep.write(planned.record)
            problems = [*_sent(planned, ways, keep, now), *_shown(planned, names, keep, means, now)]
    except OSError as error:
        what = f"what was told cannot be put on record, so nothing is told: {error.strerror}"
        problem = Problem(what, error.filename or "", "see that it can be written, and has room", "record")
        return _failed([problem])
    return _failed(problems) if problems else _done(planned)


class _Keeper:
    """The record, in its file as soon as it changes.

    Where the first of the paths cannot be written (a full disk is what somebody must be told of) it is kept
    in the second until it can; that one is in memory.
    """

    def __init__(self, paths: tuple[Path, Path]) -> None:
        self._paths = paths
        self.record = Record()

    def read(self) -> Record:
        """What is on record; nothing where it cannot be read: to be told twice is better than not at all."""
        for path in reversed(self._paths):
            with suppress(OSError):
                return read(path.read_text(encoding="utf-8", errors="replace"))
        return Record()

    def write(self, record: Record) -> None:
        """That is the record now. Raises ``OSError``."""
        self.record = record
        first, second = self._paths
        machine, text = ThisMachine(), written(record)
        try:
            first.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            machine.write(str(first), text, 0o600)
        except OSError:
            atomic.make_open(second.parent)
            machine.write(str(second), text, 0o600)
        else:
            with suppress(OSError):
                second.unlink(missing_ok=True)

    def delivered(self, message: Message, now: datetime) -> None:
        """One message more was taken."""
        self.write(after(self.record, message, now))


def _sent(planned: Telling, ways: dict[str, Channel], keep: _Keeper, now: datetime) -> Iterator[Problem]:
    for message in planned.messages:
        way = ways.get(message.channel)
        if way is None:
            continue
        try:
            way.send(message)
        except UndeliveredError as error:
            yield _undelivered(way.label, error)
        except Exception as error:  # the last resort: a mistake of ours in one must not silence the others
            what = f"internal error: {type(error).__name__}: {error}"
            yield _undelivered(way.label, UndeliveredError(what, "please report it"))
        else:
            keep.delivered(message, now)


def _shown(
    planned: Telling, names: tuple[str, ...], keep: _Keeper, means: Means, now: datetime
) -> Iterator[Problem]:
    """The notice is written each time: it does not outlast a restart of the machine, what it tells may."""
    record = keep.record
    message = next((each for each in planned.messages if each.channel == LOGIN), None)
    if message is not None:
        record = after(record, message, now)
    standing = on_channel(record, LOGIN) if LOGIN in names else ()
    try:
        show_at_login(standing, means)
    except UndeliveredError as error:
        yield _undelivered("the notice at the next login", error)
        return
    if message is not None:
        keep.delivered(message, now)


def _undelivered(label: str, error: UndeliveredError) -> Problem:
    return Problem(f"nobody was told: {error.what}", label, error.remedy, "undelivered")


def _failed(problems: list[Problem]) -> ActionResult:
    summary = f"{words.count(len(problems), 'message')} could not be delivered; the next run tries again"
    return ActionResult("notify", Outcome.FAILED, summary, problems=tuple(problems))


def _done(planned: Telling) -> ActionResult:
    standing = sum(each.ended is None for each in planned.record.troubles.values())
    wrong = f"{words.count(standing, 'trouble')} on record" if standing else "nothing is wrong"
    if not planned.messages:
        return ActionResult("notify", Outcome.NOTHING, f"{wrong}, nothing new to tell")
    sent = words.count(len(planned.messages), "message")
    return ActionResult(
        "notify", Outcome.DONE, f"{sent} delivered, {wrong}", figures={"messages": len(planned.messages)}
    )


def _planned(planned: Telling, ways: dict[str, Channel], means: Means) -> ActionResult:
    if not planned.messages:
        return _done(planned)
    lines = []
    for message in planned.messages:
        way = ways.get(message.channel)
        lines.append(
            f"{way.label if way else 'the notice at the next login'}: {subject(message, means.host)}"
        )
        lines += [f"  {line}" for line in body(message, means.host).splitlines()]
    summary = f"would deliver {words.count(len(planned.messages), 'message')}"
    return ActionResult("notify", Outcome.DONE, summary, lines=tuple(lines))


def tested(notification: Notification, means: Means, now: datetime, *, dry_run: bool) -> ActionResult:
    """Send a message that says that it is a test on every channel, and say how each went."""
    what = "this is a test of cyber-zfs-backup notify: nothing is wrong"
    trouble = Trouble(
        "test", "test", Topic.FAILURE, Severity.WARNING, what, "nothing; you are told, as wished"
    )
    test = Told(trouble, now, now, channels={LOGIN: now})
    ways: list[tuple[str, str, Callable[[Message], None]]] = [
        (way.name, way.label, way.send) for way in channels(notification, means)
    ]
    if notification.login:
        label = f"the notice at the next login ({means.notice}, until the next run)"
        ways.append((LOGIN, label, lambda message: show_at_login(message.new, means)))
    lines, problems = [], []
    for name, label, send in ways:
        if dry_run:
            lines.append(f"{label}: would get a test message")
            continue
        try:
            send(Message(name, (test,)))
        except UndeliveredError as error:
            lines.append(f"{label}: failed: {error.what}")
            problems.append(_undelivered(label, error))
        else:
            lines.append(f"{label}: was taken")
    summary = f"{words.count(len(ways), 'channel')}, {len(problems)} failed"
    if not ways:
        summary = "nobody is told: [notification] has no channel, and no login"
    outcome = Outcome.FAILED if problems else Outcome.DONE
    return ActionResult("notify", outcome, summary, problems=tuple(problems), answer=tuple(lines))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Held while somebody is told: a run by hand and the service's must not tell the same."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)

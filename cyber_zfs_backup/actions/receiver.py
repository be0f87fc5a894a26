# SPDX-License-Identifier: GPL-3.0-or-later
"""Expire what clients' archives on this machine give up. Runs as root here, never as a client's user."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from ..config.job import Action, Force, Job, UsageError
from ..config.requests import ExpireReceived
from ..gatekeeper.book import Book, BookError
from ..gatekeeper.policy import Mode, Policy, PolicyError, load, understood
from ..hosts.local import LocalHost
from ..plan import archive, destroy
from ..plan.floors import Mark
from ..plan.retention import Buckets
from ..zfs import parse
from ..zfs.client import Zfs
from .attempt import attempt
from .destroying import carry_out, finish
from .ends import Home
from .result import ActionResult, Outcome, Problem, RunResult, Surface

_STALE = timedelta(days=2)
"""How long the gatekeeper's count of a day is kept."""


def expire_received(request: ExpireReceived, surface: Surface) -> RunResult:
    """Expire the archives of all clients. Raises ``UsageError`` where there is no client."""
    host = LocalHost()
    try:
        return expire_received_on(request, Zfs(host), surface, lambda: datetime.now(UTC))
    finally:
        host.close()


def expire_received_on(
    request: ExpireReceived, zfs: Zfs, surface: Surface, clock: Callable[[], datetime]
) -> RunResult:
    """The same on a given host. One client's trouble does not stop the others."""
    policies = sorted(request.policies.glob("*.toml"))
    if not policies:
        raise UsageError(
            f"no client has a policy in {request.policies}; see: cyber-zfs-backup setup receiver --help"
        )
    started, began = clock(), time.monotonic()
    results = []
    for path in policies:
        done = attempt("expire", partial(_client, request, path, zfs, surface, clock))
        results.append(replace(done, destination=path.stem))
    return RunResult(
        dataset="",
        destinations=tuple(path.stem for path in policies),
        started=started,
        seconds=round(time.monotonic() - began, 3),
        dry_run=request.dry_run,
        actions=tuple(results),
    )


def _client(
    request: ExpireReceived, path: Path, zfs: Zfs, surface: Surface, clock: Callable[[], datetime]
) -> ActionResult:
    state = request.homes / path.stem / "state"
    try:
        policy = understood(load(str(path)))
        marks = _marks(state)
    except (PolicyError, BookError) as error:
        problem = Problem(
            str(error), path.stem, "then run again; nothing of this client expires before", "client"
        )
        return ActionResult("expire", Outcome.FAILED, "nothing was destroyed", problems=(problem,))
    if policy.mode is not Mode.ARCHIVE:
        return ActionResult("expire", Outcome.NOTHING, "a mirror: its sender expires, within the policy")
    if not marks:
        return ActionResult("expire", Outcome.NOTHING, "the client has not been here yet")
    if not request.dry_run:
        _forget_old_days(state, clock())
    home = Home(
        job=Job(policy.root, frozenset({Action.EXPIRE}), (), dry_run=request.dry_run),
        source=zfs,
        surface=surface,
        clock=clock,
        pause=time.sleep,
    )
    return _expire(home, policy, marks, Force(destroy_lots=request.force_lots))


def _expire(home: Home, policy: Policy, marks: list[Mark], force: Force) -> ActionResult:
    about = home.source.partial_properties(policy.root)
    if about is None:
        problem = Problem(
            "there is no such dataset",
            policy.root,
            "import its pool, or undo the client's setup",
            "not-there",
        )
        return ActionResult("expire", Outcome.FAILED, "nothing was destroyed", problems=(problem,))
    tree = parse.tree(policy.root, about, home.source.all_snapshots(policy.root), complete=True)
    terms = destroy.Terms(Buckets(0, 0, 0), home.clock(), force.destroy_lots)
    rules = archive.Archive(marks, policy.retention, policy.keep_at_least)
    plan = finish(home.source, archive.candidates(tree, rules, terms))
    return carry_out("expire", home.source, plan, home)


def _marks(state: Path) -> list[Mark]:
    """The gatekeeper's marks. A file that is not there is not made: it would be root's."""
    return Book(state).marks() if (state / "seen").exists() else []


def _forget_old_days(state: Path, now: datetime) -> None:
    """Remove the counts of days that are over."""
    oldest = (now - _STALE).date().isoformat()
    for path in state.glob("*-????-??-??"):
        if path.name[-10:] < oldest:
            path.unlink(missing_ok=True)

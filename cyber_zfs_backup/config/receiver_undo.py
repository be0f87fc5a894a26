# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes a client back, as steps. Nothing of ZFS is destroyed, ever: what was received stays."""

from __future__ import annotations

from collections.abc import Iterator

from ..zfs import commands
from .job import UsageError
from .policy_text import root_in
from .receiver_facts import TIMER, ReceiverFacts, home, keys_path, policy_path
from .receiver_plan import OURS, foreign_lines
from .setup import SetupReceiver
from .steps import Run, Step, Write, run


def plan_undo(wish: SetupReceiver, facts: ReceiverFacts) -> tuple[Step, ...]:
    """The steps that take a client back, as far as it is there. Nothing of ZFS is destroyed, ever."""
    return tuple(_undo(wish, facts))


def root_of(wish: SetupReceiver, policy: str | None) -> str | None:
    """The client's root: as its policy has it, else as it was named. Raises ``UsageError``."""
    if policy is None:
        return wish.root
    found = root_in(policy, policy_path(wish.client))
    if wish.undo and wish.root not in (None, found):
        raise UsageError(f"the client {wish.client} has the root {found}, not {wish.root}; leave --root out")
    return wish.root or found


def _undo(wish: SetupReceiver, facts: ReceiverFacts) -> Iterator[Step]:
    path, base = keys_path(wish.client), home(wish.client)
    foreign = foreign_lines(facts.authorized or "")
    if facts.authorized is not None:
        kept = [line for line in facts.authorized.splitlines() if not line.startswith(OURS)]
        do = Write(path, "".join(f"{line}\n" for line in kept)) if foreign else run("rm", "-f", "--", path)
        if not foreign or kept != facts.authorized.splitlines():
            yield Step(f"no key of the client in {path}", "it must not get in any more", (do,))
    root = root_of(wish, facts.policy)
    if root is not None and facts.root is not None and facts.root.allowed:
        take = run(*commands.unallow(wish.user, (), root))
        yield Step(f"{wish.user} may do nothing at {root}", "zfs unallow; the data stay", (take,))
    if not facts.others and facts.timer == "enabled":
        stop = run("systemctl", "disable", "--now", TIMER)
        yield Step(f"{TIMER} is off", "no client is left", (stop,))
    account = facts.account
    # Before its home: while it has processes userdel refuses, and all can be done again.
    if account is not None and account.home == base and not foreign and not facts.strange:
        yield Step(f"no user {wish.user}", "nothing but ours was in its home", (run("userdel", wish.user),))
    if not foreign and not facts.strange:
        yield from _no_folders(base, facts)
    if facts.policy is not None:
        policy = policy_path(wish.client)
        yield Step(f"no policy {policy}", "the client is gone", (run("rm", "-f", "--", policy),))


def _no_folders(base: str, facts: ReceiverFacts) -> Iterator[Step]:
    do: list[Run | Write] = []
    if f"{base}/state" in facts.folders:
        do.append(run("rm", "-rf", "--one-file-system", "--", f"{base}/state"))
    do += [run("rmdir", "--", path) for path in (f"{base}/.ssh", base) if path in facts.folders]
    if do:
        yield Step(f"no folder {base}", "what the gatekeeper remembered goes with its user", tuple(do))


def undo_notes(wish: SetupReceiver, facts: ReceiverFacts) -> Iterator[str]:
    """What stays after an undo, and how to look at it."""
    root = root_of(wish, facts.policy)
    if root is not None and facts.root is not None and facts.root.kind is not None:
        look = " ".join(commands.list_whole(root))
        yield f"{root} and all that was received stays; look at it with: {look}"
    for name in facts.strange:
        yield f"{home(wish.client)}/{name} is not ours: it stays, and so does the user {wish.user}"

# SPDX-License-Identifier: GPL-3.0-or-later
"""What lets a client push to this machine, as steps: from what is asked and what is found; nothing is run.

The last step lets the client in, so that one that fails before it leaves everything closed.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..model.names import is_within
from ..zfs import commands
from ..zfs.delegation import HARMLESS, PURPOSES, READING, RECEIVING
from .job import UsageError
from .policy_text import changed_policy, new_policy, parsed, root_in
from .public_key import PublicKey
from .receiver_facts import (
    GATEKEEPER,
    HOMES,
    POLICIES,
    ROOT_KEYS,
    TIMER,
    ReceiverFacts,
    RootFacts,
    home,
    keys_path,
    policy_path,
)
from .setup import SetupReceiver
from .steps import Step, Write, run

OURS = f'restrict,command="{GATEKEEPER} '
"""How every line begins that this program writes into an authorized_keys file."""


def plan_receiver(wish: SetupReceiver, facts: ReceiverFacts) -> tuple[Step, ...]:
    """The steps for a client. Raises ``UsageError`` for what must not be, before any of them is run."""
    root, key, found = wish.root, wish.key, facts.root
    if root is None or key is None or found is None:
        raise ValueError("a client without a root or a key is only undone")
    _refuse(wish, root, facts, found)
    return (
        _dataset(root, found),
        _account(wish, facts),
        *_permissions(wish, root, facts, found),
        *_folders(wish, facts),
        _policy(wish, root, facts),
        _authorized(wish, root, key, facts),
        *_timer(facts),
    )


def warnings(wish: SetupReceiver, facts: ReceiverFacts) -> Iterator[str]:
    """What is not right but stops nothing."""
    if wish.key is not None and wish.key.blob in facts.root_keys.split():
        yield (
            f"the same key opens root's account here: remove its line from {ROOT_KEYS}, or the client needs "
            "no gatekeeper"
        )
    if not wish.undo and not facts.gatekeeper_there:
        yield f"{GATEKEEPER} is not there, so every push will fail: install the package cyber-zfs-backup here"
    for line in foreign_lines(facts.authorized or ""):
        yield f"{keys_path(wish.client)} has a line that is not ours and stays: {line[:60]} ..."


def _refuse(wish: SetupReceiver, root: str, facts: ReceiverFacts, found: RootFacts) -> None:
    if not found.pool_there:
        pool = root.partition("/")[0]
        raise UsageError(f"--root {root}: there is no pool {pool} here; `zpool list` shows those that are")
    if not found.parent_there:
        above = root.rpartition("/")[0]
        make = "zfs create -p -o mountpoint=none -o canmount=off"
        raise UsageError(f"--root {root}: there is no dataset {above}; make it first: {make} {above}")
    if found.kind not in (None, "filesystem"):
        raise UsageError(f"--root {root} is a {found.kind}, nothing can lie below it; name another dataset")
    if found.mounted:
        raise UsageError(
            f"--root {root}: {found.mounted[0]} is mounted, as live data are and no copy is; name "
            f"another dataset, or unmount it first if it is a copy: zfs unmount {found.mounted[0]}"
        )
    if facts.policy is not None:
        now = root_in(facts.policy, policy_path(wish.client))
        if now != root:
            raise UsageError(
                f"the client {wish.client} has the root {now} already; take that back first "
                f"(setup receiver --client {wish.client} --undo), or give this one another name"
            )
    for other, theirs in facts.others.items():
        _refuse_overlap(root, other, theirs)
    account = facts.account
    if account is not None and (account.home, account.shell) != (home(wish.client), "/bin/sh"):
        raise UsageError(
            f"there is a user {wish.user} that was not made by setup (home {account.home}, shell "
            f"{account.shell}); take another name for the client"
        )


def _refuse_overlap(root: str, other: str, theirs: str | None) -> None:
    if theirs is None:
        raise UsageError(
            f"{policy_path(other)} cannot be read or names no root, so whether {root} is apart from "
            f"the client {other}'s root is not known; mend that file first"
        )
    if theirs == root:
        raise UsageError(f"--root {root} is the client {other}'s; each client has a root of its own")
    if is_within(theirs, root):
        raise UsageError(
            f"--root {root} lies below {theirs}, the client {other}'s root; name one apart from it"
        )
    if is_within(root, theirs):
        raise UsageError(
            f"--root {root} lies above {theirs}, the client {other}'s root; name one apart from it"
        )


def _dataset(root: str, found: RootFacts) -> Step:
    if found.kind is None:
        why = "the client's copies lie below it and inherit from it never to be mounted, shared or run"
        return Step(f"the dataset {root}", why, (run(*commands.create_container(root)),))
    missing = [
        setting
        for setting in commands.CONTAINER
        for name, _, value in [setting.partition("=")]
        if (now := found.settings.get(name)) is None or (now.value, now.source) != (value, "local")
    ]
    what = f"the properties of {root}, which is there and keeps its data"
    if not missing:
        return Step(what, "")
    why = "what the client may not set itself is set above all that it sends"
    return Step(what, why, (run(*commands.set_settings(missing, root)),))


def _account(wish: SetupReceiver, facts: ReceiverFacts) -> Step:
    what = f"the user {wish.user}"
    if facts.account is not None:
        return Step(what, "")
    make = run(
        *("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", home(wish.client)),
        # A '*' is no password's hash, and not the '!' of a locked account, which sshd may refuse (sshd(8)).
        *("--shell", "/bin/sh", "--password", "*", "--comment", f"cyber-zfs-backup client {wish.client}"),
        wish.user,
    )
    return Step(what, "the gatekeeper runs as it, never as root; it has no password", (make,))


def permissions_of(wish: SetupReceiver, facts: ReceiverFacts) -> frozenset[str]:
    """What is to be delegated to the client's user. What was not asked about stays as it is."""
    path = policy_path(wish.client)
    before = parsed(facts.policy, path) if facts.policy is not None else {}
    now = facts.root.allowed if facts.root is not None else frozenset()
    ask = wish.policy
    restore = before.get("restore") is True if ask.restore is None else ask.restore
    mirror = (ask.mode or before.get("mode")) == "mirror"
    kept_from = not now or "destroy" in now
    destroy = mirror or (kept_from if ask.never_destroy is None else not ask.never_destroy)
    if mirror and ask.never_destroy:
        raise UsageError(
            f"--never-destroy: the client {wish.client} is a mirror, which destroys; add --mode archive"
        )
    properties = bool(now & set(HARMLESS)) if ask.properties is None else ask.properties
    return frozenset(
        (
            *RECEIVING,
            *(["destroy"] if destroy else []),
            *(READING if restore else ()),
            *(HARMLESS if properties else ()),
        )
    )


def _permissions(wish: SetupReceiver, root: str, facts: ReceiverFacts, found: RootFacts) -> Iterator[Step]:
    wanted = permissions_of(wish, facts)
    missing = [
        *(p for p in PURPOSES if p in wanted - found.allowed),
        *sorted((wanted - found.allowed) & {*HARMLESS}),
    ]
    what = f"what {wish.user} may do at {root}"
    if missing:
        why = "; ".join(f"{p}: {PURPOSES[p]}" for p in missing if p in PURPOSES)
        if set(missing) & set(HARMLESS):
            why = "; ".join(filter(None, (why, "properties that a restore brings back")))
        yield Step(what, why, (run(*commands.allow(wish.user, missing, root)),))
    extra = sorted(found.allowed - wanted)
    if extra:
        take = run(*commands.unallow(wish.user, extra, root))
        yield Step(f"what {wish.user} may no longer do at {root}", f"not needed: {', '.join(extra)}", (take,))
    if not missing and not extra:
        yield Step(what, "")


def _folders(wish: SetupReceiver, facts: ReceiverFacts) -> Iterator[Step]:
    rows = (
        (POLICIES, "root", 0o755, "the policies of all clients"),
        (HOMES, "root", 0o755, "the homes of all clients"),
        (home(wish.client), "root", 0o755, "root's, so that the client cannot change what lets it in"),
        (f"{home(wish.client)}/.ssh", "root", 0o755, "the same"),
        (f"{home(wish.client)}/state", wish.user, 0o700, "what the gatekeeper remembers of this client"),
    )
    for path, owner, mode, why in rows:
        now = facts.folders.get(path)
        if now is not None and (now.owner, now.mode) == (owner, mode):
            yield Step(f"the folder {path}", "")
            continue
        make = run("install", "-d", "-m", f"{mode:04o}", "-o", owner, "-g", owner, path)
        yield Step(f"the folder {path}", why, (make,))


def _policy(wish: SetupReceiver, root: str, facts: ReceiverFacts) -> Step:
    path = policy_path(wish.client)
    if facts.policy is None:
        text = new_policy(wish.client, root, wish.policy)
        why = "what the client may do, and what is kept whatever it does"
        return Step(f"the policy {path}", why, (Write(path, text),))
    text = changed_policy(facts.policy, wish.policy, path)
    if text == facts.policy:
        return Step(f"the policy {path}", "")
    return Step(f"the policy {path}", "with what is asked for now", (Write(path, text),))


def key_line(root: str, client: str, key: PublicKey) -> str:
    """The line that lets a client in: to the gatekeeper, and to nothing else (sshd(8), AUTHORIZED_KEYS)."""
    return f'{OURS}{root} --policy {policy_path(client)}" {key.line}'


def foreign_lines(text: str) -> list[str]:
    """The lines of an authorized_keys file that let somebody in and are not ours."""
    return [
        line for line in text.splitlines() if line.strip() and line[0] != "#" and not line.startswith(OURS)
    ]


def _authorized(wish: SetupReceiver, root: str, key: PublicKey, facts: ReceiverFacts) -> Step:
    path = keys_path(wish.client)
    line = key_line(root, wish.client, key)
    old = facts.authorized or ""
    ours = [each for each in old.splitlines() if each.startswith(OURS)]
    what = f"the key {key.fingerprint} in {path}"
    if ours == [line]:
        return Step(what, "")
    rest = [each for each in old.splitlines() if not each.startswith(OURS)]
    text = "".join(f"{each}\n" for each in (*rest, line))
    why = "it opens the gatekeeper, and nothing else"
    if any(key.blob not in each.split() for each in ours):
        why += "; the key that was there before opens nothing from now on"
    return Step(what, why, (Write(path, text),))


def _timer(facts: ReceiverFacts) -> Iterator[Step]:
    if not facts.timer or facts.timer in ("enabled", "static"):
        if facts.timer:
            yield Step(TIMER, "")
        return
    why = "it expires, each day and as root, what the archives keep no longer"
    yield Step(TIMER, why, (run("systemctl", "enable", "--now", TIMER),))

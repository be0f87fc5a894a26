# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets a client up on the receiver, or takes it back: sees how things stand, plans, does or prints."""

from __future__ import annotations

from dataclasses import replace

from ..config.job import UsageError
from ..config.policy_text import root_in
from ..config.receiver_facts import (
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
from ..config.receiver_plan import plan_receiver, warnings
from ..config.receiver_undo import plan_undo, root_of, undo_notes
from ..config.setup import SetupReceiver
from ..zfs.client import Zfs
from .machine import Machine, this_machine
from .result import ActionResult, Outcome, RunResult, Surface
from .setup_run import carry_out, printed, set_up

ACTION = "setup receiver"


def setup_receiver(request: SetupReceiver, surface: Surface) -> RunResult:
    """Set the client up on this machine, or take it back."""
    with this_machine() as machine:
        return set_up(request, "", lambda: setup_receiver_on(machine, request, surface))


def setup_receiver_on(machine: Machine, request: SetupReceiver, surface: Surface) -> ActionResult:
    """The same on a given machine. Raises ``UsageError`` before anything is changed, ``ZfsError``."""
    if not machine.is_root and not request.dry_run:
        raise UsageError("setup receiver makes a user and delegates to it: run it as root, or with --print")
    facts = receiver_facts(machine, request)
    steps = plan_undo(request, facts) if request.undo else plan_receiver(request, facts)
    for warning in warnings(request, facts):
        surface.warn(f"{ACTION}: {warning}")
    notes = tuple(undo_notes(request, facts)) if request.undo else _how_to_push(request)
    if request.dry_run:
        return printed(ACTION, steps, notes)
    if request.undo and not steps:
        return ActionResult(
            ACTION, Outcome.NOTHING, f"nothing is left of the client {request.client}", lines=notes
        )
    result = carry_out(ACTION, steps, machine, surface)
    if result.problems:
        return result
    for note in notes:
        surface.note(f"{ACTION}: {note}")
    return replace(result, lines=(*result.lines, *notes))


def _how_to_push(request: SetupReceiver) -> tuple[str, ...]:
    last = (request.root or "").rpartition("/")[2]
    return (f"the client {request.client} logs in as {request.user}; its copies lie below {request.root}, "
            f"for example with --zfs-receive-dataset {request.root}/{last}",)  # fmt: skip


def receiver_facts(machine: Machine, request: SetupReceiver) -> ReceiverFacts:
    """How things stand on this machine. Changes nothing. Raises ``UsageError``, ``ZfsError``."""
    client = request.client
    try:
        policy = machine.read(policy_path(client))
        names = machine.below(POLICIES)
        others = [name.removesuffix(".toml") for name in names if name.endswith(".toml")]
        base = home(client)
        paths = (POLICIES, HOMES, base, f"{base}/.ssh", f"{base}/state")
        found = {path: folder for path in paths if (folder := machine.folder(path)) is not None}
        facts = ReceiverFacts(
            root=None,
            account=machine.account(request.user),
            folders=found,
            policy=policy,
            authorized=machine.read(keys_path(client)),
            others={other: _root_of_other(machine, other) for other in others if other != client},
            strange=_strange(machine, base),
            root_keys=_readable(machine, ROOT_KEYS) or "",
            gatekeeper_there=machine.read(GATEKEEPER) is not None,
            timer=_timer(machine),
        )
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}; nothing has been changed") from None
    root = root_of(request, policy)
    return facts if root is None else replace(facts, root=_root_facts(machine, root, request.user))


def _root_of_other(machine: Machine, client: str) -> str | None:
    path = policy_path(client)
    try:
        return root_in(machine.read(path) or "", path)
    except (OSError, UsageError):
        return None


def _readable(machine: Machine, path: str) -> str | None:
    try:
        return machine.read(path)
    except OSError:  # --print may be given by anybody
        return None


def _strange(machine: Machine, base: str) -> tuple[str, ...]:
    return (
        *(name for name in machine.below(base) if name not in (".ssh", "state")),
        *(f".ssh/{name}" for name in machine.below(f"{base}/.ssh") if name != "authorized_keys"),
    )


def _timer(machine: Machine) -> str:
    if machine.folder("/run/systemd/system") is None:
        return ""
    # Its word counts, not its status, which is 1 for a timer that is there and disabled (systemctl(1)).
    said = machine.host.run(["systemctl", "is-enabled", TIMER]).stdout.strip()
    return said if said in ("enabled", "disabled") else ""


def _root_facts(machine: Machine, root: str, user: str) -> RootFacts:
    zfs = Zfs(machine.host)
    settings = zfs.container_settings(root)
    if settings is None:
        above = root.rpartition("/")[0]
        pool = root.partition("/")[0]
        pool_there = zfs.exists(pool)
        return RootFacts(parent_there=pool_there and zfs.exists(above), pool_there=pool_there)
    kind = settings["type"].value
    if kind != "filesystem":
        return RootFacts(kind=kind)
    return RootFacts(
        kind=kind, settings=settings, allowed=zfs.allowed_to(user, root), mounted=zfs.mounted_below(root)
    )

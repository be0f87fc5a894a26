# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets the way to a receiver up on the sender: a person confirms its host key, and the way is tried."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..config.job import UsageError
from ..config.sender_plan import (
    HostKey,
    SenderFacts,
    already_known,
    chosen,
    for_the_receiver,
    host_keys,
    plan_sender,
    plan_undo,
    planned_config,
    unasked,
)
from ..config.setup import SetupSender
from ..config.ssh_entry import entry
from ..hosts.children import child_environment
from ..hosts.errors import HostError, HostErrorKind
from ..hosts.known_hosts import read
from ..hosts.protocol import Host
from ..hosts.quoting import command_line
from ..hosts.ssh import SshHost
from ..hosts.ssh_config import SshSettings, resolve
from ..model.places import HERE
from ..zfs.client import Zfs
from ..zfs.errors import ZfsError
from .machine import Machine, this_machine
from .result import ActionResult, Outcome, Problem, RunResult, Surface
from .setup_run import carry_out, printed, set_up

ACTION = "setup sender"

_SCAN_PATIENCE = 90.0
"""Seconds: ssh-keyscan asks for one kind of key after the other."""

Reach = Callable[[SetupSender], Host]
"""How the receiver is reached once all is written."""


def setup_sender(request: SetupSender, surface: Surface) -> RunResult:
    """Set this machine's way to the receiver up, or take it back."""
    with this_machine() as machine:
        return set_up(
            request, request.destination, lambda: setup_sender_on(machine, request, surface, by_ssh)
        )


def by_ssh(request: SetupSender) -> Host:
    """The receiver by the configuration that was written, as a push reaches it."""
    return SshHost(request.destination, str(request.config))


def setup_sender_on(machine: Machine, request: SetupSender, surface: Surface, reach: Reach) -> ActionResult:
    """The same on a given machine. Raises ``UsageError`` before anything is changed, ``HostError``."""
    try:
        config = machine.read(str(request.config))
    except OSError as error:
        raise UsageError(f"{request.config}: {error.strerror}; nothing has been changed") from None
    if request.undo:
        result = _undo(machine, request, config, surface)
    else:
        result = _set_up(machine, request, config, surface, reach)
    return replace(result, destination=request.destination)


def _set_up(
    machine: Machine, request: SetupSender, config: str | None, surface: Surface, reach: Reach
) -> ActionResult:
    settings = _settings(request, planned_config(request, config))
    _refuse_other_values(request, settings)
    facts = _facts(machine, request, config, settings)
    known = read((*settings.user_known_hosts, *settings.global_known_hosts), settings.host_key_name)
    if not already_known(known, request):
        key = chosen(_shown(machine, settings), request, known)
        if not request.dry_run and request.fingerprint is None:
            _confirm(machine, request, key)
        facts = replace(facts, confirmed=key)
    steps = plan_sender(request, facts, machine.hostname())
    if request.dry_run:
        return printed(ACTION, steps, _print_notes(request, facts, settings))
    result = carry_out(ACTION, steps, machine, surface)
    if result.problems:
        return result
    public = machine.read(f"{facts.key}.pub") or ""
    there = for_the_receiver(request, settings.user, public)
    result = replace(
        result,
        lines=(
            *result.lines,
            f"this machine's public key: {public.strip()}",
            f"on the receiver, as root: {there}",
        ),
    )
    return _tried(request, reach, result)


def _settings(request: SetupSender, text: str) -> SshSettings:
    """What ssh makes of the configuration as it will be: asked before it is written."""
    with tempfile.TemporaryDirectory(prefix="cyber-zfs-backup-") as folder:
        file = Path(folder, "ssh_config")
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        try:
            return resolve(request.destination, str(file), child_environment())
        except HostError as error:
            if error.kind is HostErrorKind.CONFIG:
                said = error.what.replace(str(file), str(request.config))
                raise UsageError(f"{said}; correct {request.config}, nothing has been changed") from None
            raise


def _refuse_other_values(request: SetupSender, settings: SshSettings) -> None:
    """Refuse where something above the entry, which the file keeps, says otherwise than was asked for."""
    rows = (
        ("HostName", request.hostname, settings.hostname),
        ("User", request.user, settings.user),
        ("Port", request.port, settings.port),
    )
    for name, wanted, now in rows:
        # ssh makes names of hosts small.
        if wanted is not None and str(wanted).lower() != str(now).lower():
            raise UsageError(
                f"{request.config} gives {request.destination} the {name} {now} above its entry, so {wanted} "
                "would not count; correct that line, nothing has been changed"
            )
    if not settings.identity_files or not settings.user_known_hosts:
        raise UsageError(
            f"{request.config}: {request.destination} has no IdentityFile or no UserKnownHostsFile; "
            "name both in its entry"
        )


def _facts(machine: Machine, request: SetupSender, config: str | None, settings: SshSettings) -> SenderFacts:
    key, known = settings.identity_files[0], settings.user_known_hosts[0]
    try:
        return SenderFacts(
            config=config,
            key=key,
            private_there=machine.mode(key) is not None,
            public=machine.read(f"{key}.pub"),
            name=settings.host_key_name,
            known_file=known,
            known_text=machine.read(known),
            config_mode=machine.mode(str(request.config)) or 0o644,
            known_mode=machine.mode(known) or 0o644,
        )
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}; nothing has been changed") from None


def _shown(machine: Machine, settings: SshSettings) -> tuple[HostKey, ...]:
    """The host keys that the receiver shows. Raises ``HostError`` where it shows none."""
    label = settings.destination
    if settings.proxy_command or settings.proxy_jump:
        raise HostError(
            HostErrorKind.CONFIG,
            label,
            "it is reached through another host, so its host key cannot be fetched from here",
            f"write `{settings.host_key_name}` and its /etc/ssh/ssh_host_ed25519_key.pub, on one line, into "
            f"{settings.user_known_hosts[0]}, then run again",
        )
    argv = ["ssh-keyscan", "-T", "10", "-p", str(settings.port), "--", settings.hostname]
    finished = machine.host.run(argv, timeout=_SCAN_PATIENCE)
    if finished.status == 127:
        remedy = "install it: apt install openssh-client"
        raise HostError(HostErrorKind.NO_SUCH_COMMAND, HERE, "there is no ssh-keyscan", remedy)
    keys = host_keys(finished.stdout)
    if not keys:
        said = [line for line in finished.stderr.splitlines() if line and not line.startswith("#")]
        raise HostError(
            HostErrorKind.UNREACHABLE,
            label,
            f"{settings.hostname} port {settings.port} shows no host key: {(said or ['no answer'])[-1]}",
            f"see that the host is up and its sshd answers: {command_line(argv)}",
        )
    return keys


def _confirm(machine: Machine, request: SetupSender, key: HostKey) -> None:
    """Have a person say yes to the host key. Raises ``UsageError`` where nobody does."""
    answer = machine.ask(
        f"{request.destination} shows the host key\n    {key.algorithm} {key.fingerprint}\n"
        "Compare it with what ssh-keygen -lf prints there. Is it the same (yes, no, its fingerprint)? "
    )
    if answer is None:
        raise UsageError(unasked(key, request))
    if answer not in ("yes", key.fingerprint):
        raise UsageError("the host key was not confirmed; nothing has been changed")


def _print_notes(request: SetupSender, facts: SenderFacts, settings: SshSettings) -> tuple[str, ...]:
    notes = []
    if facts.confirmed is not None and request.fingerprint is None:
        notes.append(unasked(facts.confirmed, request).partition(", and if")[0])
    if facts.public is not None:
        there = for_the_receiver(request, settings.user, facts.public)
        notes.append(f"on the receiver, as root: {there}")
    else:
        notes.append(f"then let the receiver know {facts.key}.pub, with `setup receiver` there")
    return tuple(notes)


def _tried(request: SetupSender, reach: Reach, result: ActionResult) -> ActionResult:
    """The result, with what came of a harmless question to the receiver."""
    host = reach(request)
    try:
        there = Zfs(host).exists(request.root)
    except HostError as error:
        if error.kind is HostErrorKind.LOGIN_REFUSED:
            note = f"not tried yet: {request.destination} lets this key in once the line above is run there"
            return replace(result, lines=(*result.lines, note))
        problem = Problem(error.what, error.where, error.remedy, error.kind.name.lower().replace("_", "-"))
        outcome = Outcome.PASSING if error.passing else Outcome.FAILED
        return replace(result, outcome=outcome, summary=problem.what, problems=(problem,))
    except ZfsError as error:
        problem = Problem(error.text, error.where, error.remedy, error.trouble.name.lower().replace("_", "-"))
        return replace(result, outcome=Outcome.FAILED, summary=problem.what, problems=(problem,))
    finally:
        host.close()
    last = request.root.rpartition("/")[2]
    if not there:
        note = (
            f"tried: {request.destination} answers, and has no {request.root} yet: run the line above there"
        )
        return replace(result, lines=(*result.lines, note))
    push = ["cyber-zfs-backup", "--ssh-config", str(request.config), "--ssh-destination", request.destination]
    push += ["--zfs-receive-dataset", f"{request.root}/{last}", "--force-non-incremental"]
    note = f"tried: {request.destination} answers, and {request.root} is there; the first push: "
    return replace(result, lines=(*result.lines, note + command_line(push)))


def _undo(machine: Machine, request: SetupSender, config: str | None, surface: Surface) -> ActionResult:
    if config is None or entry(config, request.destination) is None:
        return ActionResult(
            ACTION, Outcome.NOTHING, f"there is no entry {request.destination} in {request.config}"
        )
    facts = _facts(machine, request, config, _settings(request, config))
    steps = plan_undo(request, facts)
    notes = [f"on {request.destination} nothing was changed: `setup receiver --undo` there does that"]
    if not any(facts.key in step.what for step in steps) and os.path.dirname(facts.key):
        notes.append(f"the key {facts.key} stays")
    if request.dry_run:
        return printed(ACTION, steps, notes)
    if not steps:
        return ActionResult(ACTION, Outcome.NOTHING, "nothing here was made by setup", lines=tuple(notes))
    result = carry_out(ACTION, steps, machine, surface)
    return replace(result, lines=(*result.lines, *notes))

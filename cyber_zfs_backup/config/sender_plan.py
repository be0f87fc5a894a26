# SPDX-License-Identifier: GPL-3.0-or-later
"""What lets this machine reach a receiver, as steps: its key, the receiver's host key, the Host entry."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..hosts.known_hosts import KnownKeys, Marker, Verdict, algorithm_of, fingerprint
from ..hosts.quoting import command_line
from .job import UsageError
from .public_key import public_key
from .setup import SetupSender
from .ssh_entry import Entry, changed, entry, with_entry, without
from .steps import Step, Write, run

PLACEHOLDER = "offsite.example.com"
"""The receiver's name in the package's configuration, for somebody to write his own in its place."""

_MARK = "cyber-zfs-backup-setup"
"""Behind each known host key that was written here."""

_PREFERRED = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")

_TAIL = {
    "IdentitiesOnly": "yes",
    "BatchMode": "yes",
    "ServerAliveInterval": "30",
    "ServerAliveCountMax": "4",
    "ConnectTimeout": "30",
    "Ciphers": "aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes256-ctr",
    "Compression": "no",
}
"""As in the package's own entry, where each is explained."""


@dataclass(frozen=True, slots=True)
class HostKey:
    """A host key that a receiver has shown."""

    algorithm: str
    blob: str

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen -l prints it."""
        return fingerprint(base64.b64decode(self.blob))


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """How things stand. ``private_there`` and ``public`` are about the key that the configuration names.

    ``name`` is the receiver's in known_hosts files; ``confirmed`` the host key that a person has confirmed,
    None where one is known already. The modes are of the files that are there.
    """

    config: str | None
    key: str
    private_there: bool
    public: str | None
    name: str
    known_file: str
    known_text: str | None
    config_mode: int = 0o644
    known_mode: int = 0o644
    confirmed: HostKey | None = None


def planned_config(wish: SetupSender, text: str | None) -> str:
    """The ssh configuration with the entry as it should be. Raises ``UsageError`` where that is not clear."""
    if text is None:
        rest = "# All else as this machine's other connections.\nHost *\n    Include /etc/ssh/ssh_config\n"
        return with_entry(rest, wish.destination, _settings(wish, wish.hostname or wish.destination))
    found = entry(text, wish.destination)
    if found is None:
        return with_entry(text, wish.destination, _settings(wish, wish.hostname or wish.destination))
    wanted = _changes(wish, found)
    if not wanted:
        return text
    if found.names != (wish.destination,):
        raise UsageError(
            f"{wish.config}: its entry is for {' '.join(found.names)}, so a change would reach them all; "
            f"give {wish.destination} an entry of its own, above that one"
        )
    return changed(text, found, wanted)


def _settings(wish: SetupSender, hostname: str) -> Mapping[str, str]:
    return {
        "HostName": hostname,
        "User": wish.user or f"zfs-{wish.client}",
        **({"Port": str(wish.port)} if wish.port else {}),
        "IdentityFile": wish.key,
        "UserKnownHostsFile": wish.known_hosts,
        **_TAIL,
    }


def _changes(wish: SetupSender, found: Entry) -> dict[str, str]:
    """What is to be changed in an entry that is there: what was said, and what it does not have."""
    now = found.values
    pristine = now.get("hostname") == PLACEHOLDER
    if pristine and wish.hostname is None:
        raise UsageError(
            f"{wish.config}: {wish.destination} still is {PLACEHOLDER}; say which machine it is with "
            "--hostname HOST"
        )
    user = wish.user or f"zfs-{wish.client}"
    if not pristine and wish.user is None and now.get("user", user) != user:
        raise UsageError(
            f"{wish.config}: {wish.destination} logs in as {now['user']}, and the client {wish.client} would "
            f"as {user}; say which: --user {user} or --user {now['user']}"
        )
    wanted = {"User": user}
    if wish.hostname is not None:
        wanted["HostName"] = wish.hostname
    elif "hostname" not in now:
        wanted["HostName"] = wish.destination
    if wish.port is not None and (wish.port != 22 or "port" in now):
        wanted["Port"] = str(wish.port)
    for name, value in (("IdentityFile", wish.key), ("UserKnownHostsFile", wish.known_hosts)):
        if name.lower() not in now:
            wanted[name] = value
    return {name: value for name, value in wanted.items() if now.get(name.lower()) != value}


def host_keys(text: str) -> tuple[HostKey, ...]:
    """What ssh-keyscan printed: the best kind first. A line that is no key is left out."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if line.startswith("#") or len(words) != 3 or words[1] not in _PREFERRED:
            continue
        try:
            if algorithm_of(base64.b64decode(words[2], validate=True)) == words[1]:
                found.append(HostKey(words[1], words[2]))
        except binascii.Error:
            continue
    return tuple(sorted(set(found), key=lambda key: _PREFERRED.index(key.algorithm)))


def already_known(known: KnownKeys, wish: SetupSender) -> bool:
    """Whether the receiver's host key is known. Raises ``UsageError`` where the known one is another."""
    plain = [each for each in known.lines if each.marker is Marker.NONE]
    if known.authority is not None:
        return True
    if not plain:
        return False
    if wish.fingerprint is not None and all(fingerprint(each.blob) != wish.fingerprint for each in plain):
        shown = ", ".join(f"{each.file} line {each.line} has {fingerprint(each.blob)}" for each in plain)
        raise UsageError(
            f"--fingerprint {wish.fingerprint} is not the host key that is known: {shown}; only if "
            "that host really has a new key, remove the old line, then run again"
        )
    return True


def chosen(offered: Iterable[HostKey], wish: SetupSender, known: KnownKeys) -> HostKey:
    """The host key to confirm: the one that was named, else the best. Raises ``UsageError``."""
    keys = [key for key in offered if known.judge(base64.b64decode(key.blob))[0] is not Verdict.REVOKED]
    if not keys:
        raise UsageError(
            f"{wish.destination} shows only host keys that are revoked here; ask whoever runs it"
        )
    if wish.fingerprint is None:
        return keys[0]
    for key in keys:
        if key.fingerprint == wish.fingerprint:
            return key
    shown = ", ".join(f"{key.algorithm} {key.fingerprint}" for key in keys)
    raise UsageError(
        f"--fingerprint {wish.fingerprint} is none of those that {wish.destination} shows: {shown}; "
        "somebody may be in between, or it was copied wrongly"
    )


def unasked(key: HostKey, wish: SetupSender) -> str:
    """What to do where nobody can be asked about a host key."""
    kind = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}.get(key.algorithm, "ecdsa")
    return (
        f"{wish.destination} shows the host key {key.algorithm} {key.fingerprint}; compare it with what "
        f"`ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub` prints there, and if it is the same run this "
        f"again with --fingerprint {key.fingerprint}"
    )


def plan_sender(wish: SetupSender, facts: SenderFacts, here: str) -> tuple[Step, ...]:
    """The steps for this machine, which is called ``here``. Raises ``UsageError``."""
    return (
        _key(facts, here),
        _known(facts),
        _config(wish, facts),
    )


def _key(facts: SenderFacts, here: str) -> Step:
    what = f"the key {facts.key}"
    if facts.private_there and facts.public is None:
        make = f"ssh-keygen -y -f {facts.key} > {facts.key}.pub"
        raise UsageError(f"{facts.key} is there without its public half; make it: {make}")
    if facts.private_there:
        return Step(what, "")
    if facts.public is not None:
        raise UsageError(f"{facts.key}.pub is there without its private half; move it away, then run again")
    make_key = run(*("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{_MARK}@{here}", "-f", facts.key))
    return Step(what, "without a passphrase, for this one purpose: nobody is there at night", (make_key,))


def _known(facts: SenderFacts) -> Step:
    what = f"the host key of {facts.name} in {facts.known_file}"
    key = facts.confirmed
    if key is None:
        return Step(what, "")
    old = facts.known_text or ""
    between = "" if not old or old.endswith("\n") else "\n"
    text = f"{old}{between}{facts.name} {key.algorithm} {key.blob} {_MARK}\n"
    return Step(
        what, f"{key.algorithm} {key.fingerprint}", (Write(facts.known_file, text, facts.known_mode),)
    )


def _config(wish: SetupSender, facts: SenderFacts) -> Step:
    what = f"the entry {wish.destination} in {wish.config}"
    text = planned_config(wish, facts.config)
    if text == facts.config:
        return Step(what, "")
    return Step(what, "how the receiver is reached", (Write(str(wish.config), text, facts.config_mode),))


def for_the_receiver(wish: SetupSender, user: str, public: str) -> str:
    """The command that lets this machine in over there, as a line to paste into a shell of the receiver."""
    key = public_key(public.encode("utf-8", "surrogateescape"), "the public key").line
    if user != f"zfs-{wish.client}":
        return f"echo {command_line([key])} >> ~{user}/.ssh/authorized_keys"
    argv = ["cyber-zfs-backup", "setup", "receiver", "--client", wish.client, "--root", wish.root, "-"]
    return f"echo {command_line([key])} | {command_line(argv)}"


def plan_undo(wish: SetupSender, facts: SenderFacts) -> tuple[Step, ...]:
    """The steps that take back what setup has written, and its key where nothing else uses it."""
    return tuple(_undo(wish, facts))


def _undo(wish: SetupSender, facts: SenderFacts) -> Iterator[Step]:
    found = entry(facts.config or "", wish.destination)
    if found is not None:
        text = without(facts.config or "", found)
        if text != facts.config:
            what = f"the entry {wish.destination} in {wish.config} as it was"
            yield Step(what, "as its comments tell", (Write(str(wish.config), text, facts.config_mode),))
    lines = (facts.known_text or "").splitlines(keepends=True)
    kept = [line for line in lines if not _ours(line, facts.name)]
    if kept != lines:
        what = f"no host key of {facts.name} from setup in {facts.known_file}"
        yield Step(what, "setup has written it", (Write(facts.known_file, "".join(kept), facts.known_mode),))
    rest = (facts.config if found is None else without(facts.config or "", found)) or ""
    if facts.private_there and f" {_MARK}@" in (facts.public or "") and facts.key not in rest.split():
        gone = run("rm", "-f", "--", facts.key, f"{facts.key}.pub")
        yield Step(f"no key {facts.key}", "setup has made it, and no other entry names it", (gone,))


def _ours(line: str, name: str) -> bool:
    words = line.split()
    return len(words) == 4 and words[0] == name and words[3] == _MARK

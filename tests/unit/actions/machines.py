# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver to set up, without root: users, folders and files as values, zfs as the fake has it."""

from __future__ import annotations

from dataclasses import dataclass, field

from cyber_zfs_backup.config.receiver_facts import GATEKEEPER, Account, Folder
from cyber_zfs_backup.hosts.protocol import Argv, Finished, Host
from tests.fake.host import FakeHost, make_hosts


class FakeCommands:
    """The commands that setup runs, done to a ``FakeMachine``; what it does not know fails."""

    label = "this machine"

    def __init__(self, machine: FakeMachine, zfs: FakeHost) -> None:
        self._machine = machine
        self.zfs = zfs
        self.changes: list[tuple[str, ...]] = []
        self.fails: str = ""

    def run(self, argv: Argv, *, timeout: float | None = None) -> Finished:
        words = tuple(argv)
        if self.fails and self.fails in words:
            return Finished(words, 1, "", f"{words[0]}: it broke\n")
        if words[:2] == ("systemctl", "is-enabled"):
            return Finished(words, 0, f"{self._machine.timer}\n", "")
        if words[0] == "zfs":
            return self._zfs(words)
        self.changes.append(words)
        self._do(words)
        return Finished(words, 0, "", "")

    def _do(self, words: tuple[str, ...]) -> None:
        machine = self._machine
        match words:
            case ("useradd", *_, user):
                machine.accounts[user] = Account(words[words.index("--home-dir") + 1], "/bin/sh")
            case ("userdel", user):
                del machine.accounts[user]
            case ("install", "-d", "-m", mode, "-o", owner, "-g", _, path):
                machine.folders[path] = Folder(owner, int(mode, 8))
            case ("rm", "-f", "--", path):
                del machine.files[path]
            case ("rm", "-rf", "--one-file-system", "--", path):
                del machine.folders[path]
            case ("rmdir", "--", path):
                assert not machine.below(path), "rmdir of a folder with something in it"
                del machine.folders[path]
            case ("systemctl", state, "--now", _):
                machine.timer = f"{state}d"
            case _:
                raise AssertionError(f"setup is not to run {words}")

    def _zfs(self, words: tuple[str, ...]) -> Finished:
        if "name,mounted" in words:
            rows = (
                f"{name}\t{'yes' if dataset.mounted else 'no'}"
                for name, dataset in self.zfs.world.datasets.items()
                if f"{name}/".startswith(f"{words[-1]}/")
            )
            return Finished(words, 0, "".join(f"{row}\n" for row in rows), "")
        if words[1] in ("create", "set", "unallow") or words[1:3] == ("allow", "-u"):
            self.changes.append(words)
        known = ("create", "set", "get", "list", "allow", "unallow")
        assert words[1] in known, f"setup is not to run {words}"
        return self.zfs.run(words)

    def close(self) -> None:
        """Nothing to end."""


@dataclass
class FakeMachine:
    """One machine; ``files`` and ``folders`` by path. ``answer`` is the person at its terminal."""

    is_root: bool = True
    accounts: dict[str, Account] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=lambda: {"/run/systemd/system": Folder("root", 0o755)})
    files: dict[str, str] = field(default_factory=lambda: {GATEKEEPER: "#!"})
    timer: str = "disabled"
    unwritable: str = ""

    def __post_init__(self) -> None:
        _, vault, _ = make_hosts("tank", "offsite")
        self.commands = FakeCommands(self, vault)
        self.host: Host = self.commands

    def zfs(self, *words: str) -> None:
        """Run zfs by hand."""
        self.commands.zfs.zfs(*words)

    def account(self, name: str) -> Account | None:
        return self.accounts.get(name)

    def folder(self, path: str) -> Folder | None:
        return self.folders.get(path)

    def below(self, path: str) -> tuple[str, ...]:
        inside = [
            each[len(path) + 1 :] for each in (*self.files, *self.folders) if each.startswith(f"{path}/")
        ]
        return tuple(sorted({each.partition("/")[0] for each in inside}))

    def read(self, path: str) -> str | None:
        return self.files.get(path)

    def mode(self, path: str) -> int | None:
        return 0o644 if path in self.files else None

    def write(self, path: str, text: str, mode: int) -> None:
        if path == self.unwritable:
            raise OSError(30, "Read-only file system", path)
        self.files[path] = text

    def ask(self, question: str) -> str | None:
        return None

    def hostname(self) -> str:
        return "zippy"

# SPDX-License-Identifier: GPL-3.0-or-later
"""``cyber-zfs-receive``: decides what a client's command may do, and does it. Never by a shell."""

from __future__ import annotations

import argparse
import os
import pwd
import signal
import subprocess
import sys
import syslog
import threading
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..plan.floors import Row, keepers
from .book import Book, BookError
from .grammar import ABOUT, Grammar, RefusedError, Verb, Wish, Words
from .policy import Mode, Policy, PolicyError, load, understood

PROGRAM = "cyber-zfs-receive"
REFUSED = 77
_ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin", "LC_ALL": "C"}
_CHUNK = 16 << 20
_LOGGED = 3000  # characters of a command; one may name thousands of snapshots


class Programs:
    """Runs the vectors that were decided on."""

    def become(self, argv: Words) -> int:
        """Run it in our place, without Python's own habit of ignoring SIGPIPE."""
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        try:
            os.execvpe(argv[0], argv, _ENV)  # noqa: S606 - no shell is what is wanted
        except OSError as error:
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            raise RefusedError(f"{argv[0]} cannot be run: {error.strerror}") from None

    def answer(self, line: str) -> None:
        """Tell the client a line before what the program tells."""
        print(line, flush=True)

    def run(self, argv: Words, stdin: int) -> int:
        """Run it to its end; answers its exit status, as a shell has it."""
        status = subprocess.run(argv, stdin=stdin, env=_ENV, check=False).returncode
        return status if status >= 0 else 128 - status

    def output(self, argv: Words) -> str:
        """Run it and answer what it printed. Raises ``RefusedError`` where it failed."""
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, env=_ENV, check=False)
        if done.returncode:
            raise RefusedError(f"{' '.join(argv[:2])} failed: {done.stderr.decode(errors='replace')[:200]}")
        return done.stdout.decode()


class Gate:
    """Serves the commands of one client. ``stdin`` is where a stream comes from."""

    def __init__(self, policy: Policy, book: Book, programs: Programs, stdin: int = 0) -> None:
        self._policy = policy
        self._book = book
        self._programs = programs
        self._stdin = stdin

    def serve(self, line: str) -> int:
        """Do what the line asks for; answers the exit status. Raises ``RefusedError``, ``BookError``."""
        wishes = Grammar(self._policy.root).understand(line)
        verb = wishes[0].verb
        if verb is Verb.SEND and not self._policy.restore:
            raise RefusedError("this client may not read: its policy has no restore = true")
        if verb is Verb.DESTROY and self._policy.mode is not Mode.MIRROR:
            raise RefusedError("an archive: its snapshots expire by the receiver's own retention")
        self._book.mark(self._policy.root.partition("/")[0])
        _log(syslog.LOG_INFO, f"allowed: {' && '.join(' '.join(wish.argv) for wish in wishes)[:_LOGGED]}")
        if verb is Verb.RECEIVE:
            return self._receive(wishes)
        if verb is Verb.DESTROY:
            return self._destroy(wishes[0])
        if wishes[0].argv[-2] in (ABOUT, f"{ABOUT},written"):
            told = f"cyber-zfs-backup:policy\t{self._policy.told}\tgatekeeper"
            self._programs.answer(f"{wishes[0].argv[-1]}\t{told}")
        return self._programs.become(wishes[0].argv)

    def _receive(self, wishes: Sequence[Wish]) -> int:
        with self._book.slot(self._policy.receives) as free:
            if not free:
                raise RefusedError(f"busy: {self._policy.receives} receives of this client run already")
            if self._policy.quota is None:
                if len(wishes) == 1:
                    return self._programs.become(wishes[0].argv)
                return self._one_by_one(wishes, self._stdin)
            reads, writes = os.pipe()
            threading.Thread(target=self._metered, args=(writes, self._policy.quota), daemon=True).start()
            try:
                return self._one_by_one(wishes, reads)
            finally:
                os.close(reads)

    def _one_by_one(self, wishes: Sequence[Wish], stdin: int) -> int:
        # Each takes exactly its own stream; the next must not meet what is left of one that failed.
        return next((status for wish in wishes if (status := self._programs.run(wish.argv, stdin))), 0)

    def _metered(self, writes: int, quota: int) -> None:
        """Pass the stream on, as far as the day's quota goes; counted before, so a kill saves nothing."""
        ended = False
        try:
            while not ended:
                left = self._book.spend("bytes", _CHUNK, quota)
                if not left:
                    _tell(f"daily quota exceeded: {quota} bytes")
                    return
                while left and not ended:
                    moved = os.splice(self._stdin, writes, left)
                    left, ended = left - moved, not moved
                self._book.spend("bytes", -left, quota)
        except (OSError, BookError) as error:
            _log(syslog.LOG_WARNING, f"a stream was not taken whole: {error}")
        finally:
            os.close(writes)

    def _destroy(self, wish: Wish) -> int:
        """Destroy what neither the floors nor the day's share keep. What they keep is told, and no error."""
        if not (marks := self._book.marks()):
            raise RefusedError("nobody knows since when the snapshots are here: the kernel does not tell")
        top, _, listed = wish.argv[-1].partition("@")
        wanted = set(listed.split(","))
        going, floors, total = [], 0, 0
        for dataset, rows in self._rows().items():
            kept = keepers(rows, marks, time.time(), self._policy.keep_at_least)
            total += len(rows)
            if dataset == top or ("-r" in wish.argv and dataset.startswith(f"{top}/")):
                named = [row for row in rows if row.name in wanted]
                going += [(row.createtxg, dataset, row.name) for row in named if row.guid not in kept]
                floors += sum(row.guid in kept for row in named)
        going.sort()
        share = self._book.spend("destroyed", len(going), total * self._policy.destroy_percent // 100)
        if floors or share < len(going):
            _tell(f"kept by the floors: {floors}; kept until tomorrow: {len(going) - share}")
        names: dict[str, list[str]] = {}
        for _, dataset, name in going[:share]:
            names.setdefault(dataset, []).append(name)
        destroys = [("zfs", "destroy", f"{dataset}@{','.join(each)}") for dataset, each in names.items()]
        return max((self._programs.run(argv, subprocess.DEVNULL) for argv in destroys), default=0)

    def _rows(self) -> dict[str, list[Row]]:
        argv = ("zfs", "list", "-Hp", "-o", "name,guid,createtxg", "-t", "snapshot", "-r", self._policy.root)
        found: dict[str, list[Row]] = {}
        for line in self._programs.output(argv).splitlines():
            full, guid, createtxg = line.split("\t")
            dataset, _, name = full.partition("@")
            found.setdefault(dataset, []).append(Row(name, int(guid), int(createtxg)))
        return found


def _log(priority: int, message: str) -> None:
    where = os.environ.get("SSH_CONNECTION", "no connection")
    syslog.syslog(priority, f"{message}; user {pwd.getpwuid(os.geteuid()).pw_name} from {where}")


def _tell(message: str) -> None:
    _log(syslog.LOG_WARNING, message)
    print(f"{PROGRAM}: {message}", file=sys.stderr, flush=True)


def main() -> int:
    """Serve the command of this login; the way in of the script."""
    parser = argparse.ArgumentParser(prog=PROGRAM, allow_abbrev=False, description=__doc__)
    parser.add_argument("root", help="the dataset at or below which the client's copies lie")
    parser.add_argument("--policy", metavar="FILE", help="the client's policy (default: an archive)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a key of the policy")
    parser.add_argument("--version", action="version", version=__version__)
    options = parser.parse_args()
    syslog.openlog(PROGRAM, syslog.LOG_PID, syslog.LOG_AUTHPRIV)
    line = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    try:
        if os.geteuid() == 0:
            raise RefusedError("it must not run as root: see `cyber-zfs-backup setup receiver`")
        book = Book(Path(pwd.getpwuid(os.geteuid()).pw_dir) / "state")
        return Gate(_policy(options), book, Programs()).serve(line)
    except (RefusedError, PolicyError, BookError) as error:
        _log(syslog.LOG_WARNING, f"refused: {line[:_LOGGED]!a}")
        _tell(f"refused: {error}")
        return REFUSED


def _policy(options: argparse.Namespace) -> Policy:
    values = load(options.policy) if options.policy else {}
    for pair in options.set:
        key, _, value = pair.partition("=")
        try:
            values[key] = tomllib.loads(f"x = {value}")["x"]
        except tomllib.TOMLDecodeError:
            values[key] = value  # a word, whose quotes the shell has taken
    if values.setdefault("root", options.root) != options.root:
        raise PolicyError(f"the policy is for {values['root']} and not for {options.root}")
    return understood(values)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The zfs command of one host: questions answered as values, changes that raise typed errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ..hosts.errors import HostError
from ..hosts.protocol import Finished, Host
from ..model.trees import Bookmark, Snapshot
from ..plan.doctor_pools import Pool, Version
from . import commands, parse, pools
from .delegation import allowed, granted
from .errors import Trouble, ZfsError, said

Answer = TypeVar("Answer")

_ELSEWHERE = ("/usr/sbin/zfs", "/sbin/zfs", "/usr/local/sbin/zfs")
"""Where zfs is when a login's PATH has no sbin, as an ordinary user's on Debian."""


class Zfs:
    """zfs on one host. Every method may be called from several threads at once."""

    def __init__(self, host: Host, *, sudo: bool = False, timeout: float | None = None) -> None:
        self.host = host
        self._sudo = sudo
        self._timeout = timeout
        self._program = "zfs"
        self._finding = threading.Lock()

    def plain(self) -> Zfs:
        """The same without sudo, for what anybody may ask: sudo need not allow all of it."""
        return Zfs(self.host, timeout=self._timeout)

    @property
    def label(self) -> str:
        """How messages name the host."""
        return self.host.label

    def argv(self, argv: Sequence[str]) -> list[str]:
        """The vector as this host needs it: with sudo, and with the place where zfs was found."""
        return [*(["sudo", "-n"] if self._sudo else []), self._program, *argv[1:]]

    # Questions

    def tree_properties(self, root: str) -> parse.Properties | None:
        """All properties of the tree's datasets; ``None`` where the root does not exist."""
        return self._about(commands.get_tree(root), root)

    def opting_out(self, root: str) -> parse.Properties | None:
        """What the tree's datasets say of taking part; ``None`` where the root does not exist."""
        return self._about(commands.get_opting_out(root), root)

    def partial_properties(self, root: str) -> parse.Properties | None:
        """GUID, type, encryption and resume token of the tree's datasets; ``None`` without such a root."""
        return self._about(commands.get_partial(root), root)

    def verify_properties(self, root: str) -> parse.Properties | None:
        """The same, and the bytes written to each dataset since its newest snapshot."""
        return self._about(commands.get_verify(root), root)

    def back_properties(self, root: str) -> parse.Properties | None:
        """What a restore must know of a copy's datasets and keys; ``None`` without such a root."""
        return self._about(commands.get_back(root), root)

    def received_values(self, root: str) -> dict[str, dict[str, str]]:
        """Full dataset name to the values of its properties that a stream has brought, used or not."""
        found = self._ask(commands.get_received(root), parse.properties)
        return {
            dataset: {name: each.value for name, each in about.items() if each.value != "-"}
            for dataset, about in found.items()
        }

    def available(self, dataset: str) -> int | None:
        """How many bytes a dataset could still take; ``None`` where it does not exist."""
        finished = self._run(commands.available(dataset))
        if not finished.ok and not _only_missing(finished):
            raise ZfsError(self.label, finished)
        return self._parsed(parse.one_number, finished) if finished.ok else None

    def _about(self, argv: list[str], root: str) -> parse.Properties | None:
        finished = self._run(argv)
        if not finished.ok:
            # Only the root's own absence is an answer: any other failure says nothing about it.
            if said(finished.stderr) == [f"cannot open '{root}': dataset does not exist"]:
                return None
            raise ZfsError(self.label, finished)
        return self._parsed(parse.properties, finished)

    def all_snapshots(self, root: str) -> dict[str, list[Snapshot]]:
        """Every snapshot of the tree, by full dataset name."""
        return self._ask(commands.list_snapshots(root), parse.snapshots)

    def snapshots_and_bookmarks(self, root: str) -> parse.Listing:
        """Every snapshot and every bookmark of the tree, by full dataset name."""
        return self._ask(commands.list_with_bookmarks(root), parse.snapshots_and_bookmarks)

    def bookmarks(self, root: str) -> Mapping[str, list[Bookmark]]:
        """Every bookmark of the tree, by full dataset name."""
        return self._ask(commands.list_bookmarks(root), parse.snapshots_and_bookmarks).bookmarks

    def snapshots_of(self, dataset: str) -> list[Snapshot]:
        """The snapshots of one dataset, oldest first."""
        found = self._ask(commands.list_of_one(dataset), parse.snapshots)
        return sorted(found.get(dataset, []), key=lambda snapshot: snapshot.createtxg)

    def newest_own(self, datasets: Sequence[str]) -> dict[str, str]:
        """The name of each dataset's newest own snapshot; those that have none, or are not there, are left
        out."""
        found: dict[str, str] = {}
        for finished in self._tolerant(commands.list_named, datasets):
            for dataset, snapshots in self._parsed(parse.snapshots, finished).items():
                own = [snapshot for snapshot in snapshots if snapshot.own]
                if own:
                    found[dataset] = max(own, key=lambda each: each.createtxg).name
        return found

    def named_snapshots(self, names: Sequence[str]) -> dict[str, list[Snapshot]]:
        """Those of the named snapshots (full names) that exist, by full dataset name."""
        found: dict[str, list[Snapshot]] = {}
        for finished in self._tolerant(commands.list_named, names):
            for dataset, snapshots in self._parsed(parse.snapshots, finished).items():
                found.setdefault(dataset, []).extend(snapshots)
        return found

    def uses(self, names: Sequence[str]) -> dict[str, parse.Use]:
        """What keeps the named snapshots; those that are gone are left out."""
        found: dict[str, parse.Use] = {}
        for finished in self._tolerant(commands.list_use, names):
            found |= self._parsed(parse.uses, finished)
        return found

    def holds(self, names: Sequence[str]) -> dict[str, set[str]]:
        """The tags on the named snapshots; those without any are left out."""
        found: dict[str, set[str]] = {}
        for finished in self._tolerant(commands.holds, names):
            found |= self._parsed(parse.holds, finished)
        return found

    def held_snapshots(self, root: str) -> dict[str, int]:
        """Every snapshot of the tree with its number of holds. Slow: reads each snapshot."""
        return self._ask(commands.list_held(root), parse.held)

    def exists(self, dataset: str) -> bool:
        """Whether the dataset is there."""
        return self.guid_of(dataset) is not None

    def guid_of(self, dataset: str) -> int | None:
        """The dataset's own GUID; ``None`` where it is not there."""
        finished = self._run(commands.exists(dataset))
        if not finished.ok and not _only_missing(finished):
            raise ZfsError(self.label, finished)
        return self._parsed(parse.one_number, finished) if finished.ok else None

    def container_settings(self, root: str) -> Mapping[str, parse.Property] | None:
        """Type of a client's root, and what should be set on it; ``None`` where it is not there."""
        names = ["type", *(setting.partition("=")[0] for setting in commands.CONTAINER)]
        about = self._about(commands.get_settings(names, root), root)
        return None if about is None else about[root]

    def mounted_below(self, root: str) -> tuple[str, ...]:
        """The file systems at or below a root that are mounted."""
        rows = (line.partition("\t") for line in self._ask(commands.list_mounted(root), str.splitlines))
        return tuple(name for name, _, mounted in rows if mounted == "yes")

    def allowed_to(self, user: str, dataset: str) -> frozenset[str]:
        """What is delegated to a user on this very dataset, for it and all below it."""
        return self._ask(commands.show_allowed(dataset), lambda text: allowed(text, dataset)).to(user)

    def granted_to(self, user: str, dataset: str) -> frozenset[str]:
        """What a user may do on a dataset by its own name, a group's, or everybody's, also from above."""
        return self._plainly(commands.show_allowed(dataset), lambda text: granted(text, dataset, user))

    def version(self) -> Version:
        """Of the commands and of the kernel's module."""
        return self._plainly(pools.version(), pools.parse_version)

    def pool(self, name: str) -> Pool:
        """Size and health of a pool. Its errors are another question: see ``pool_errors``."""
        return self._plainly(pools.list_pool(name), pools.parse_pool)

    def pool_errors(self, name: str) -> str:
        """What a pool's status says of damaged data, in a few words."""
        return self._plainly(pools.status(name), pools.parse_errors)

    def features(self, pool: str) -> Mapping[str, str]:
        """A pool's features: ``disabled``, ``enabled`` or ``active``."""
        return self._plainly(pools.all_of_pool(pool), pools.parse_features)

    def clock(self) -> float:
        """The time there, in seconds since 1970, rounded down."""
        return self._plainly(pools.clock(), pools.parse_clock)

    def token_contents(self, token: str) -> parse.TokenContents | None:
        """What a token asks for; ``None`` where this source cannot go on from it."""
        finished = self._run(commands.token_contents(token))
        if not finished.ok:
            return None
        # zfs prints this on stderr or stdout, by version.
        return self._parsed(parse.token_contents, replace(finished, stdout=finished.stdout + finished.stderr))

    def reclaim(self, dataset: str, names: Sequence[str], *, recursive: bool) -> int:
        """Bytes that destroying these snapshots would free. Touches nothing."""
        total = 0
        for batch in _name_batches(dataset, names):
            argv = commands.destroy_estimate(dataset, batch, recursive=recursive)
            total += self._ask(argv, parse.reclaimed)
        return total

    def estimate(self, send: Sequence[str], timeout: float | None = None) -> int | None:
        """About how many bytes a send (a vector of ``commands``) would have; asked within so many seconds.

        ``None`` where zfs could not tell: this is for people to look at, and no error. Raises ``ZfsError``
        only where a gatekeeper refuses to send anything at all.
        """
        try:
            finished = self.host.run(self.argv(commands.send_estimate(send)), timeout=timeout)
        except HostError:
            return None
        if not finished.ok:
            error = ZfsError(self.label, finished)
            if error.trouble is Trouble.REFUSED:
                raise error
            return None
        # zfs prints this on stdout or stderr, by version.
        return parse.send_size(f"{finished.stdout}\n{finished.stderr}")

    # Changes

    def snapshot(self, names: Sequence[str], *, recursive: bool) -> None:
        """Take these snapshots in one transaction."""
        self._do(commands.snapshot(names, recursive=recursive))

    def hold_tree(self, tag: str, root: str, name: str) -> None:
        """Hold ``name`` on the root and on all below it that have it. Held already is fine."""
        finished = self._run(commands.hold(tag, [f"{root}@{name}"], recursive=True))
        if finished.ok:
            return
        error = ZfsError(self.label, finished)
        if error.trouble is not Trouble.TAG_EXISTS:
            raise error
        self.hold(tag, [f"{dataset}@{name}" for dataset in self._datasets_with(root, name)])

    def hold(self, tag: str, names: Iterable[str]) -> None:
        """Hold exactly these snapshots (full names). Held already is fine."""
        for batch in commands.batches(200, names):
            finished = self._run(commands.hold(tag, batch, recursive=False))
            if finished.ok:
                continue
            if ZfsError(self.label, finished).trouble is not Trouble.TAG_EXISTS:
                raise ZfsError(self.label, finished)
            has = self.holds(batch)
            for name in batch:
                if tag not in has.get(name, ()):
                    self._do(commands.hold(tag, [name], recursive=False))

    def release_tree(self, tag: str, root: str, name: str) -> None:
        """Release ``tag`` from ``name`` on the whole tree. Not held, or gone, is fine."""
        self._release(commands.release(tag, [f"{root}@{name}"], recursive=True))

    def release(self, tag: str, names: Iterable[str]) -> None:
        """Release ``tag`` from exactly these snapshots (full names). Not held, or gone, is fine."""
        for batch in commands.batches(200, names):
            self._release(commands.release(tag, batch, recursive=False))

    def _release(self, argv: list[str]) -> None:
        finished = self._run(argv)
        if finished.ok:
            return
        error = ZfsError(self.label, finished)
        if error.trouble not in (Trouble.NO_TAG, Trouble.NOT_THERE):
            raise error

    def bookmark(self, snapshot: str, bookmark: str) -> None:
        """Bookmark a snapshot (both full names)."""
        self._do(commands.bookmark(snapshot, bookmark))

    def destroy_bookmark(self, dataset: str, name: str) -> None:
        """Destroy one bookmark. Gone already is fine."""
        finished = self._run(commands.destroy_bookmark(dataset, name))
        if not finished.ok and ZfsError(self.label, finished).trouble is not Trouble.NOT_THERE:
            raise ZfsError(self.label, finished)

    def set_property(self, name: str, value: str, datasets: Sequence[str]) -> None:
        """Set one user property."""
        for batch in commands.batches(len(value) + 400, datasets):
            self._do(commands.set_property(name, value, batch))

    def set_properties(self, settings: Sequence[str], dataset: str) -> None:
        """Set several properties (each ``NAME=VALUE``) of one dataset."""
        self._do(commands.set_properties(settings, dataset))

    def clone_scratch(self, snapshot: str, dataset: str, mark: str) -> None:
        """Clone a snapshot as a drill's scratch dataset."""
        self._do(commands.clone_scratch(snapshot, dataset, mark))

    def destroy_scratch(self, dataset: str) -> None:
        """Destroy one dataset that has nothing in it any more. For a drill's own scratch datasets alone."""
        self._do(commands.destroy_scratch(dataset))

    def load_key_from(self, dataset: str, location: str) -> bool:
        """Load a key from a file; answers whether that worked."""
        return self._run(commands.load_key_from(dataset, location)).ok

    def inherit(self, name: str, datasets: Sequence[str]) -> None:
        """Remove one user property's local value."""
        for batch in commands.batches(400, datasets):
            self._do(commands.inherit(name, batch))

    def destroy_snapshots(self, dataset: str, names: Sequence[str], *, recursive: bool) -> None:
        """Destroy exactly these snapshots; with ``recursive`` on all below the dataset too."""
        for batch in _name_batches(dataset, names):
            self._do(commands.destroy_snapshots(dataset, batch, recursive=recursive))

    def rename_dataset(self, old: str, new: str) -> None:
        """Rename a dataset (full names) with all below it."""
        self._do(commands.rename_dataset(old, new))

    def rename_snapshot(self, old: str, new: str) -> None:
        """Rename a snapshot (full names) on its dataset and on all below it."""
        self._do(commands.rename_snapshot(old, new))

    def abort_receive(self, dataset: str) -> None:
        """Throw away a dataset's partial receive."""
        self._do(commands.receive_abort(dataset))

    # How

    def _datasets_with(self, root: str, name: str) -> list[str]:
        about = self.partial_properties(root) or {}
        found = self.named_snapshots([f"{dataset}@{name}" for dataset in about])
        return list(found)

    def _plainly(self, argv: Sequence[str], parser: Callable[[str], Answer]) -> Answer:
        """Ask what anybody may ask, so without sudo, which need not allow it."""
        beside = self._program.removesuffix("zfs")
        program = argv[0] if argv[0] == "date" else f"{beside}{argv[0]}"
        finished = self.host.run([program, *argv[1:]], timeout=self._timeout)
        if not finished.ok:
            raise ZfsError(self.label, finished)
        return self._parsed(parser, finished)

    def _do(self, argv: list[str]) -> None:
        finished = self._run(argv)
        if not finished.ok:
            raise ZfsError(self.label, finished)

    def _ask(self, argv: list[str], parser: Callable[[str], Answer]) -> Answer:
        finished = self._run(argv)
        if not finished.ok:
            raise ZfsError(self.label, finished)
        return self._parsed(parser, finished)

    def _tolerant(self, build: Callable[[Sequence[str]], list[str]], names: Sequence[str]) -> list[Finished]:
        """Ask by name, in batches; names that do not exist are no error."""
        answers = []
        for batch in commands.batches(200, names):
            finished = self._run(build(batch))
            if not finished.ok and not _only_missing(finished):
                raise ZfsError(self.label, finished)
            answers.append(finished)
        return answers

    def _parsed(self, parser: Callable[[str], Answer], finished: Finished) -> Answer:
        try:
            return parser(finished.stdout)
        except parse.GarbledError as error:
            raise parse.GarbledError(
                f"{self.label}: the answer of `{' '.join(finished.argv[:3])} ...` cannot be trusted: "
                f"{error}; nothing was done with it, look for output of login scripts on that host"
            ) from None

    def _run(self, argv: Sequence[str]) -> Finished:
        finished = self.host.run(self.argv(argv), timeout=self._timeout)
        if finished.status != 127 or self._program != "zfs":
            return finished
        with self._finding:
            for place in _ELSEWHERE:
                again = self.host.run(
                    [*self.argv(argv)[: 2 * self._sudo], place, *argv[1:]], timeout=self._timeout
                )
                if again.status not in (126, 127):
                    self._program = place
                    return again
        return finished


def _only_missing(finished: Finished) -> bool:
    """Whether a question by name failed for nothing but names that do not exist."""
    lines = said(finished.stderr)
    return finished.status == 1 and bool(lines) and all(line.endswith("does not exist") for line in lines)


def _name_batches(dataset: str, names: Sequence[str]) -> Iterable[list[str]]:
    return commands.batches(len(dataset.encode()) + 200, names)

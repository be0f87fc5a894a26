# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs receive`` of whatever comes: one snapshot, or a package of many.

A package that ``send -R -I`` made first sets right what was renamed (and with ``-F`` destroyed) on
the sender, then receives each contained stream; the first that fails ends it. Source:
``zfs_receive_package`` and ``recv_incremental_replication`` of libzfs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from tests.fake.changes import rename_dataset, rename_snapshots
from tests.fake.destroys import nice_bytes
from tests.fake.errors import NO_DATASET, Killed, RefusedError, TerminatedError
from tests.fake.gather import Entry, Wish, entry_of, find, gather
from tests.fake.model import World
from tests.fake.receiving import (
    Incoming,
    Package,
    ReceiveFlags,
    begin,
    destination,
    finish,
    give_up,
    set_props,
)
from tests.fake.store import Store
from tests.fake.stream import (
    ChecksumError,
    Kind,
    MagicError,
    Nv,
    Reader,
    Record,
    TruncatedError,
    read_record,
)

Say = Callable[[str], None]


@dataclass(slots=True)
class Receiver:
    """One ``zfs receive`` process."""

    store: Store
    reader: Reader
    flags: ReceiveFlags
    out: Say
    err: Say
    top: str = ""

    def run(self) -> None:
        """Receive what comes; ``RefusedError`` where anything fails."""
        with self.store.world() as world:
            self.flags.override.check(world.newer)
            if self.flags.prefix and world.dataset(self.flags.target) is None:
                raise RefusedError(f"cannot receive: specified fs ({self.flags.target}) does not exist")
            if self.flags.override.origin and world.find_snapshot(self.flags.override.origin) is None:
                raise RefusedError(
                    f"cannot receive: specified origin fs ({self.flags.override.origin}) does not exist"
                )
        nv = self._begin_record()
        assert nv is not None
        if nv["hdr"] == "sub":
            self._one(nv, Package(str(nv["toname"]).partition("@")[0]))
        else:
            self._package(nv)

    def _begin_record(self) -> Nv | None:
        """The next begin record, or ``None`` at the end of a package."""
        try:
            item = read_record(self.reader)
        except TruncatedError:
            raise RefusedError("cannot receive: failed to read from stream") from None
        except MagicError:
            raise RefusedError("cannot receive: invalid stream (bad magic number)") from None
        except ChecksumError:
            raise RefusedError("cannot receive: invalid stream (malformed nvlist)") from None
        if item.kind is Kind.END:
            return None
        if item.kind is not Kind.BEGIN:
            raise RefusedError("cannot receive: invalid stream (bad magic number)")
        return item.nv()

    def _package(self, nv: Nv) -> None:
        fss = nv.get("fss")
        entries = tuple(entry_of(one) for one in fss) if isinstance(fss, list) else ()
        package = Package(str(nv["toname"]).partition("@")[0], nv if fss is not None else None, entries)
        if package.recursive and "@" in self.flags.target:
            raise RefusedError("cannot receive: cannot specify snapshot name for multi-snapshot stream")
        if self._begin_record() is not None:
            raise RefusedError("cannot receive: invalid backup stream")
        renaming = package.recursive and bool(nv.get("fromsnap")) and not self.flags.dryrun
        soft = False
        if renaming:
            soft = self._set_right(package)
        while True:
            contained = self._begin_record()
            if contained is None:
                break
            if contained["hdr"] == "package":
                # Another sender's: only what was swallowed (see _skip) can lead here.
                self._package(contained)
                continue
            try:
                self._one(contained, package)
            except RefusedError as refused:
                raise RefusedError(refused.text + self._looked_for(contained, package)) from None
        if renaming:
            soft = self._set_right(package)
        self._encryption_roots(package)
        if soft:
            raise RefusedError("")

    def _looked_for(self, nv: Nv, package: Package) -> str:
        """What 2.3 adds where a raw package breaks off: it sets keys right on the top, which is not there.

        Unless there was no place for it, and so no top.
        """
        if not (package.nv and package.nv.get("raw")):
            return ""
        name = self.top or destination(nv, package.sendfs, self.flags, package).partition("@")[0]
        with self.store.world() as world:
            parent = world.dataset(name.rpartition("/")[0])
            placed = parent is not None and parent.kind.value == "filesystem" and not nv["fromguid"]
            if not world.newer or world.dataset(name) is not None or not (self.top or placed):
                return ""
        return f"cannot open '{name}': {NO_DATASET}\n"

    def _one(self, nv: Nv, package: Package) -> None:
        with self.store.world() as world:
            incoming = begin(world, nv, package, self.flags)
            top = self.top in ("", incoming.name)
            self.top = self.top or incoming.name
            if self.flags.verbose:
                how = "would receive" if self.flags.dryrun else "receiving"
                what = "incremental" if nv["fromguid"] else "full"
                self.out(f"{how} {what} stream of {nv['toname']} into {incoming.name}@{incoming.snap}\n")
            if incoming.already_there and self.flags.verbose:
                self.out(f"snap {incoming.name}@{incoming.snap} already exists; ignoring\n")
            if not incoming.already_there and not self.flags.dryrun:
                self.err(set_props(world, incoming, package, self.flags, top))
                incoming.partial.receiver = self.store.receiver()
                if incoming.partial.receiver:
                    incoming.partial.journal = f"receive.{os.getpid()}.{nv['toguid']}"
                    self._touch(incoming)
        if incoming.already_there or self.flags.dryrun:
            self._skip(incoming)
            return
        self._take(incoming)
        journal = incoming.partial.journal
        with self.store.world() as world:
            finish(world, incoming, package, self.flags)
            self._mount(world, incoming)
        self.store.forget(journal)
        if self.flags.verbose:
            size = nice_bytes(incoming.partial.taken + 624)
            self.out(f"received {size} stream in 1 seconds ({size}/sec)\n")

    def _touch(self, incoming: Incoming) -> None:
        """An empty journal, so that a killed receive has one."""
        self.store.journal(incoming.partial, Record(Kind.DATA, b""))

    def _take(self, incoming: Incoming) -> None:
        """Take records up to the end record; leave a partial state behind where that fails."""
        try:
            while True:
                item = read_record(self.reader)
                if item.kind is Kind.END:
                    return
                self.store.journal(incoming.partial, item)
                incoming.take(item)
        except (TruncatedError, MagicError, ChecksumError) as fault:
            token = self._abandon(incoming)
            why = "incomplete stream" if isinstance(fault, TruncatedError) else "checksum mismatch"
            if not token and incoming.newfs and self.flags.resumable:
                raise RefusedError(
                    f"cannot open '{incoming.name}': {NO_DATASET}\n{incoming.words}: invalid backup stream"
                ) from None
            if token:
                why = (
                    "checksum mismatch or incomplete stream.\n"
                    "Partially received snapshot is saved.\n"
                    "A resuming stream can be generated on the sending system by running:\n"
                    f"    zfs send -t {token}"
                )
            raise RefusedError(f"{incoming.words}: {why}") from None
        except (RefusedError, TerminatedError, Killed):
            self._abandon(incoming)
            raise

    def _abandon(self, incoming: Incoming) -> str:
        journal = incoming.partial.journal
        with self.store.world() as world:
            token = give_up(world, incoming)
        self.store.forget(journal)
        return token

    def _skip(self, incoming: Incoming) -> None:
        """Pass over a stream as ``recv_skip`` of libzfs does, after the kernel refused it.

        The kernel has read the record after the begin record by then. Where that was the end (an
        empty incremental), what follows is swallowed up to *its* end: measured on 2.1.11. 2.3.9 knows.
        """
        with self.store.world() as world:
            swallows = incoming.already_there and not world.newer
        try:
            if swallows:
                read_record(self.reader)
            while read_record(self.reader).kind is not Kind.END:
                pass
        except (TruncatedError, MagicError, ChecksumError):
            raise RefusedError("cannot receive: failed to read from stream") from None

    def _mount(self, world: World, incoming: Incoming) -> None:
        dataset = world.datasets[incoming.name]
        if incoming.newfs and not self.flags.nomount and not dataset.encrypted:
            dataset.mounted = dataset.kind.value == "filesystem"

    def _set_right(self, package: Package) -> bool:
        """Renames, and with ``-F`` destroys, that the sender has made; true where one failed."""
        assert package.nv is not None
        with self.store.world() as world:
            if world.dataset(self.flags.target) is None:
                return False
            wish = Wish(self.flags.target, str(package.nv["fromsnap"]), "", recursive=True)
            failed = False
            for entry in gather(world, wish)[0]:
                failed = self._set_one_right(world, package, entry) or failed
            return failed

    def _set_one_right(self, world: World, package: Package, entry: Entry) -> bool:
        dataset = world.dataset(entry.name)
        if dataset is None:
            return False
        sent: Entry | None = None
        at_base = False
        for snap in list(dataset.snapshots):
            found = find(list(package.entries), snap.guid)
            if found is None:
                if self.flags.force and not snap.holds:
                    dataset.snapshots.remove(snap)
                continue
            sent, name = found
            if name != snap.name and dataset.snapshot(name) is None:
                rename_snapshots(world, [dataset], snap.name, name)
            assert package.nv is not None
            at_base = at_base or name == package.nv["fromsnap"]
        if sent is None:
            if self.flags.force and dataset.name != self.flags.target and not world.children(dataset.name):
                del world.datasets[dataset.name]
            return False
        return at_base and self._rename(world, package, dataset.name, sent)

    def _rename(self, world: World, package: Package, name: str, sent: Entry) -> bool:
        """Give a dataset the place that it has on the sender; true where that failed."""
        if name == self.flags.target and not self.flags.prefix:
            return False
        parent = next(
            (
                ds
                for ds in world.datasets.values()
                if ds.by_guid(sent.parent_from)
                and name != ds.name
                and (ds.name + "/").startswith(self.flags.target + "/")
            ),
            None,
        )
        if parent is None:
            return False
        wanted = f"{parent.name}/{sent.name.rpartition('/')[2]}"
        if wanted == name or world.dataset(wanted) is not None:
            return wanted != name
        rename_dataset(world, name, wanted)
        return False

    def _encryption_roots(self, package: Package) -> None:
        """Children that shared a key with their parent on the sender share it here too."""
        if not package.nv or not package.nv.get("raw") or not package.recursive:
            return
        with self.store.world() as world:
            for entry in package.entries:
                found = next(
                    (
                        ds
                        for ds in world.datasets.values()
                        if any(ds.by_guid(guid) for guid in entry.snaps.values())
                        and (ds.name + "/").startswith(self.top + "/")
                    ),
                    None,
                )
                if found is None or not found.encrypted or entry.encroot or found.name == self.top:
                    continue
                found.encryption_root = world.datasets[found.name.rpartition("/")[0]].encryption_root

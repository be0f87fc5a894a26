# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs send``: what is sent, what is said, and why not.

A send is planned as a whole from one state of the world (``Plan``); its bytes are then made piece
by piece without looking at the world again, as a real send reads snapshots that cannot change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.fake.destroys import nice_bytes, nice_number
from tests.fake.errors import NO_DATASET, RefusedError
from tests.fake.gather import Entry, Wish, find, gather
from tests.fake.model import Blob, Bookmark, Dataset, Kind, Snapshot, World
from tests.fake.names import DATASETS, open_head, open_named
from tests.fake.stream import RECORD_OVERHEAD, Nv, TokenError, begin, data_records, decode_token, record
from tests.fake.stream import Kind as RecordKind

Base = Snapshot | Bookmark
FAILED_RESUME = 255
"""``zfs send -t`` ends with libzfs's own -1."""


@dataclass(frozen=True, slots=True)
class SendFlags:
    """The options of ``zfs send`` that change what happens."""

    replicate: bool = False
    props: bool = False
    backup: bool = False
    holds: bool = False
    raw: bool = False
    large: bool = False
    embed: bool = False
    compress: bool = False
    dryrun: bool = False
    verbose: bool = False
    parsable: bool = False
    skip_missing: bool = False
    exclude: tuple[str, ...] = ()


@dataclass(slots=True)
class Piece:
    """One snapshot in a stream."""

    dataset: Dataset
    snap: Snapshot
    base: Base | None
    base_files: dict[str, Blob] | None
    clone: bool = False
    skip_records: int = 0
    skip_bytes: int = 0

    @property
    def size(self) -> int:
        """The estimate that ``-nv`` prints."""
        known = (self.base_files or {}) if not self.clone else {}
        changed = [blob for name, blob in self.snap.files.items() if known.get(name) is not blob]
        whole = 2 * RECORD_OVERHEAD + sum(blob.size + RECORD_OVERHEAD for blob in changed)
        return max(0, whole - self.skip_bytes)


@dataclass(slots=True)
class Plan:
    """All that a send will do: its header, the snapshots, then what it says and its exit status."""

    header: Nv | None
    pieces: list[Piece] = field(default_factory=list)
    stderr: str = ""
    stdout: str = ""
    status: int = 0
    flags: SendFlags = field(default_factory=SendFlags)

    def stream(self) -> Iterator[bytes]:
        """The bytes, record by record."""
        if self.header is not None:
            yield begin(self.header)
            yield record(RecordKind.END)
        if self.status != 0:
            return
        for piece in self.pieces:
            yield from piece_records(piece, self.flags)
        if self.header is not None:
            yield record(RecordKind.END)


def piece_records(piece: Piece, flags: SendFlags) -> Iterator[bytes]:
    """The records of one snapshot."""
    dataset, snap = piece.dataset, piece.snap
    if dataset.encrypted and not flags.raw and not dataset.key_loaded:
        raise RefusedError(f"warning: cannot send '{dataset.name}@{snap.name}': dataset key must be loaded")
    raw = flags.raw and dataset.encrypted
    yield begin(
        {
            "hdr": "sub",
            "toname": f"{dataset.name}@{snap.name}",
            "toguid": snap.guid,
            "fromguid": piece.base.guid if piece.base is not None else 0,
            "clone": piece.clone,
            "raw": raw,
            "keyguid": dataset.key_guid if raw else 0,
            "toivset": snap.ivset if raw else 0,
            "fromivset": piece.base.ivset if raw and isinstance(piece.base, Snapshot) else 0,
            "kind": dataset.kind.value,
            "creation": snap.creation,
            "volsize": dataset.volsize,
            "volblocksize": dataset.volblocksize,
            "compressok": flags.compress,
            "embedok": flags.embed and not raw,
            "resume": piece.skip_records,
        }
    )
    base_files = piece.base_files
    for index, item in enumerate(data_records(base_files, dict(snap.files))):
        if index >= piece.skip_records:
            yield item
    yield record(RecordKind.END)


def _files_of(base: Base | None) -> dict[str, Blob] | None:
    return None if base is None else dict(base.files)


def plan_one(world: World, name: str, from_name: str | None, flags: SendFlags) -> Plan:
    """A send without ``-R`` and ``-I``: ``zfs_send_one`` of libzfs."""
    dataset, leaf = open_named(world, name, DATASETS)
    if not isinstance(leaf, Snapshot):
        raise RefusedError(
            f"warning: cannot send '{name}': target is busy; if a filesystem, it must not be mounted"
        )
    base: Base | None = None
    clone = False
    warning = f"warning: cannot send '{name}'"
    if from_name is not None:
        base_head, base = _open_base(world, from_name, warning)
        clone = base_head is not dataset
        if clone and dataset.origin != from_name:
            raise RefusedError(f"{warning}: not an earlier snapshot from the same fs")
        if base.createtxg >= leaf.createtxg:
            raise RefusedError(f"{warning}: not an earlier snapshot from the same fs")
    plan = Plan(None, flags=flags)
    if flags.props or flags.backup or flags.holds:
        wish = Wish(
            dataset.name,
            "",
            leaf.name,
            recursive=False,
            raw=flags.raw,
            backup=flags.backup,
            holds=flags.holds,
            everything=False,
        )
        plan.header = _header(wish, gather(world, wish)[0])
    if dataset.encrypted and not flags.raw and not dataset.key_loaded:
        raise RefusedError(f"{warning}: dataset key must be loaded")
    plan.pieces.append(Piece(dataset, leaf, base, _files_of(base), clone))
    _report(plan, verbose_base=from_name)
    return plan


def _open_base(world: World, name: str, warning: str) -> tuple[Dataset, Base]:
    head, mark, short = name.partition("#")
    if not mark:
        dataset, leaf = open_named(world, name, DATASETS)
        if not isinstance(leaf, Snapshot):
            raise RefusedError(f"{warning}: not an earlier snapshot from the same fs")
        return dataset, leaf
    found = world.dataset(head)
    bookmark = found.bookmark(short) if found is not None else None
    if found is None or bookmark is None:
        raise RefusedError(f"{warning}: incremental source ({name}) does not exist")
    return found, bookmark


def _header(wish: Wish, entries: list[Entry] | None) -> Nv:
    nv: Nv = {"hdr": "package", "toname": f"{wish.root}@{wish.tosnap}"}
    if entries is not None:
        nv["tosnap"] = wish.tosnap
        nv["fss"] = [entry.nv() for entry in entries]
        nv["raw"] = wish.raw
        if wish.fromsnap:
            nv["fromsnap"] = wish.fromsnap
        nv["recursive"] = wish.recursive
        nv["holds"] = wish.holds
    return nv


def plan_many(world: World, name: str, from_name: str | None, inclusive: bool, flags: SendFlags) -> Plan:
    """A send with ``-R`` or ``-I``: ``zfs_send`` of libzfs. ``inclusive``: with what lies between."""
    head, at, short = name.partition("@")
    if not at:
        raise RefusedError("Error: Unsupported flag with filesystem or bookmark.")
    dataset = open_head(world, head)
    fromsnap = ""
    if from_name is not None:
        base_head, base_at, base_short = from_name.partition("@")
        if base_at and base_head and base_head != head and dataset.origin != from_name:
            raise RefusedError("incremental source must be in same filesystem", status=2)
        fromsnap = base_short if base_at else from_name
        if dataset.snapshot(fromsnap) is None:
            raise RefusedError(f"cannot open '{head}@{fromsnap}': {NO_DATASET}")
    if dataset.snapshot(short) is None:
        raise RefusedError(f"cannot open '{head}@{short}': {NO_DATASET}")
    wish = Wish(
        head,
        fromsnap,
        short,
        flags.replicate,
        flags.raw,
        True,
        flags.backup,
        flags.holds,
        flags.skip_missing,
        inclusive or flags.replicate,
    )
    plan = Plan(None, flags=flags)
    entries: list[Entry] | None = None
    if flags.replicate or flags.props or flags.holds:
        entries, plan.stderr = gather(world, wish)
        entries = [e for e in entries if not _excluded(e.name, flags)]
    plan.header = _header(wish, entries)
    roots = [world.datasets[entry.name] for entry in entries or []] if flags.replicate else [dataset]
    for one in _sending_order(roots, entries or []):
        _dump(world, plan, one, wish, inclusive or (flags.replicate and not fromsnap))
    _report(plan, verbose_base=None)
    return plan


def _excluded(name: str, flags: SendFlags) -> bool:
    return any((name + "/").startswith(gone + "/") for gone in flags.exclude)


def _sending_order(datasets: list[Dataset], entries: list[Entry]) -> list[Dataset]:
    """Origins before their clones, and parents before their children (``dump_filesystems`` of libzfs)."""
    waiting, ordered = list(datasets), list[Dataset]()
    first: dict[str, set[str]] = {}
    for entry in entries:
        above = (find(entries, guid) for guid in (entry.origin, entry.parent_from) if guid)
        first[entry.name] = {found[0].name for found in above if found is not None} - {entry.name}
    while waiting:
        done = {dataset.name for dataset in ordered}
        for dataset in waiting:
            if first.get(dataset.name, set()) <= done:
                ordered.append(dataset)
                waiting.remove(dataset)
                break
        else:
            ordered.extend(waiting)
            waiting = []
    return ordered


def _dump(world: World, plan: Plan, dataset: Dataset, wish: Wish, all_between: bool) -> None:
    """``dump_filesystem``: the pieces of one dataset."""
    target = dataset.snapshot(wish.tosnap)
    if target is None:
        return
    start = dataset.snapshot(wish.fromsnap) if wish.fromsnap else None
    if start is not None and start.createtxg >= target.createtxg:
        later = start.createtxg > target.createtxg and not plan.flags.replicate
        plan.stderr += (
            f"WARNING: could not send {dataset.name}@{wish.tosnap}:\n"
            f"incremental source ({dataset.name}@{wish.fromsnap}) "
            f"{'does not exist' if later else 'is not earlier than it'}\n"
        )
        plan.status = 1
        return
    base: Base | None = start
    clone = False
    origin = world.find_snapshot(dataset.origin) if dataset.origin else None
    for snap in dataset.snapshots:
        if snap.createtxg > target.createtxg or (start is not None and snap.createtxg <= start.createtxg):
            continue
        wanted = all_between or snap is target or bool(world.clones_of(f"{dataset.name}@{snap.name}"))
        if not wanted:
            continue
        if base is None and origin is not None and plan.flags.replicate:
            base, clone = origin[1], True
        plan.pieces.append(Piece(dataset, snap, base, _files_of(base), clone))
        base, clone = snap, False


def _report(plan: Plan, verbose_base: str | None) -> None:
    """What ``-v`` and ``-nv`` print."""
    flags = plan.flags
    if not (flags.verbose or flags.parsable):
        return
    lines, total = [], 0
    for piece in plan.pieces:
        own = piece.base.name if piece.base is not None and not piece.clone else None
        base = verbose_base or own
        name = f"{piece.dataset.name}@{piece.snap.name}"
        lines.append(_line(name, base, piece.size, flags.parsable))
        total += piece.size
    if flags.parsable:
        lines.append(f"size\t{total}\n")
    else:
        # libzfs prints this one as a plain number where it sends one snapshot.
        said = nice_bytes(total) if plan.header is not None and verbose_base is None else nice_number(total)
        lines.append(f"total estimated size is {said}\n")
    text = "".join(lines)
    if flags.dryrun:
        plan.stdout += text
    else:
        plan.stderr += text


def _line(name: str, base: str | None, size: int, parsable: bool) -> str:
    if parsable:
        return f"incremental\t{base}\t{name}\t{size}\n" if base is not None else f"full\t{name}\t{size}\n"
    said = f" estimated size is {nice_bytes(size)}" if size else ""
    if base is None:
        return f"full send of {name}{said}\n"
    plain = "@" not in base and "#" not in base
    return f"send from {'@' if plain else ''}{base} to {name}{said}\n"


_TOKEN_KEYS = ("fromguid", "object", "offset", "bytes", "toguid")


def plan_resume(world: World, token: str, flags: SendFlags) -> Plan:
    """``zfs send -t``."""
    fault = "cannot resume send"
    try:
        nv = decode_token(token)
    except TokenError as error:
        raise RefusedError(f"{fault}: {error}", FAILED_RESUME) from None
    contents = _token_text(nv) if flags.verbose or flags.parsable else ""
    try:
        return _resumed(world, nv, flags, contents)
    except RefusedError as refused:
        raise RefusedError(refused.text, refused.status, contents if flags.dryrun else "") from None


def _resumed(world: World, nv: Nv, flags: SendFlags, contents: str) -> Plan:
    fault = "cannot resume send"
    toname, toguid = str(nv["toname"]), _int(nv, "toguid")
    dataset, snap = _by_guid(world, toname, toguid, fault)
    base, base_name = _resume_base(world, dataset, _int(nv, "fromguid"), fault)
    merged = SendFlags(
        raw=flags.raw or bool(nv.get("rawok")),
        large=flags.large,
        embed=flags.embed or bool(nv.get("embedok")),
        compress=flags.compress or bool(nv.get("compressok")),
        dryrun=flags.dryrun,
        verbose=flags.verbose,
        parsable=flags.parsable,
    )
    plan = Plan(None, flags=merged)
    piece = Piece(
        dataset, snap, base, _files_of(base), bool(nv.get("clone")), _int(nv, "object"), _int(nv, "bytes")
    )
    plan.pieces.append(piece)
    if flags.dryrun:
        plan.stdout += contents
    else:
        plan.stderr += contents
    _report(plan, verbose_base=base_name)
    return plan


def _int(nv: Nv, key: str) -> int:
    value = nv.get(key, 0)
    assert isinstance(value, int)
    return value


def _by_guid(world: World, toname: str, guid: int, fault: str) -> tuple[Dataset, Snapshot]:
    home = world.dataset(toname.partition("@")[0])
    near = [home] if home is not None else []
    pool = [ds for ds in world.datasets.values() if ds.pool == toname.split("/", 1)[0].split("@", 1)[0]]
    for dataset in [*near, *pool]:
        snap = dataset.by_guid(guid)
        if snap is not None and world.dataset(dataset.name) is not None:
            return dataset, snap
    if world.find_snapshot(toname) is not None:
        why = f"'{toname}' is no longer the same snapshot used in the initial send"
        raise RefusedError(f"{fault}: {why}", FAILED_RESUME)
    raise RefusedError(f"{fault}: '{toname}' used in the initial send no longer exists", FAILED_RESUME)


def _resume_base(world: World, dataset: Dataset, guid: int, fault: str) -> tuple[Base | None, str | None]:
    if not guid:
        return None, None
    for holder in [dataset, *(ds for ds in world.datasets.values() if ds.pool == dataset.pool)]:
        snap = holder.by_guid(guid)
        if snap is not None:
            return snap, f"{holder.name}@{snap.name}"
        mark = next((mark for mark in holder.bookmarks if mark.guid == guid), None)
        if mark is not None:
            return mark, f"{holder.name}#{mark.name}"
    raise RefusedError(f"{fault}: incremental source {guid:#x} no longer exists", FAILED_RESUME)


def _token_text(nv: Nv) -> str:
    lines = ["resume token contents:\nnvlist version: 0\n"]
    for key in _TOKEN_KEYS:
        if key in nv and (key != "fromguid" or nv[key]):
            lines.append(f"\t{key} = {nv[key]:#x}\n")
    lines.append(f"\ttoname = {nv['toname']}\n")
    for key in ("embedok", "compressok", "rawok"):
        if nv.get(key):
            lines.append(f"\t{key} = 1\n")
    return "".join(lines)


def volume_size(dataset: Dataset) -> int:
    """The size of a volume, 0 for a filesystem."""
    return dataset.volsize if dataset.kind is Kind.VOLUME else 0

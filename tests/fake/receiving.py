# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs receive``: one snapshot's stream, from its begin record to its end.

The begin record is judged as ``zfs_receive_one`` of libzfs and ``dmu_recv_begin`` of the kernel
judge it, with their words. What is taken is kept outside the world until the end record, so that
the executable front need not lock the world while it streams; an interrupted receive leaves a
``Partial`` behind, or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.fake.errors import NO_DATASET, RefusedError
from tests.fake.gather import Entry
from tests.fake.model import Dataset, Kind, Partial, Snapshot, World
from tests.fake.names import name_fault
from tests.fake.override import Override, apply_props
from tests.fake.props import setting
from tests.fake.stream import Nv, Record, apply, encode_token

WRONG_KERNEL = "kernel modules must be upgraded to receive this stream."
"""What libzfs makes of EINVAL with ``-s``, whatever the reason."""


@dataclass(frozen=True, slots=True)
class ReceiveFlags:
    """The options of ``zfs receive``."""

    target: str
    resumable: bool = False
    force: bool = False
    dryrun: bool = False
    verbose: bool = False
    nomount: bool = False
    prefix: bool = False
    tail: bool = False
    skip_holds: bool = False
    override: Override = field(default_factory=Override)


@dataclass(frozen=True, slots=True)
class Package:
    """What the header of a package said; also for streams that came without one (``nv`` ``None``)."""

    sendfs: str
    nv: Nv | None = None
    entries: tuple[Entry, ...] = ()

    @property
    def recursive(self) -> bool:
        """True for a package that ``send -R`` made."""
        return bool(self.nv and self.nv.get("recursive"))


@dataclass(slots=True)
class Incoming:
    """A receive between its begin record and its end."""

    nv: Nv
    name: str
    snap: str
    newfs: bool
    partial: Partial
    words: str
    room: int
    resuming: bool = False
    already_there: bool = False

    def take(self, item: Record) -> None:
        """Take a data record; ``RefusedError`` where the pool has no room for it."""
        written = apply(self.partial.files, item)
        self.room -= written
        if self.room < 0:
            raise RefusedError(f"{self.words}: out of space")
        self.partial.records += 1
        self.partial.taken += written


def whole(nv: Nv, key: str) -> int:
    """A number of a begin record."""
    value = nv.get(key, 0)
    assert isinstance(value, int)
    return value


def destination(nv: Nv, sendfs: str, flags: ReceiveFlags, package: Package) -> str:
    """The name that the snapshot gets: the target and what the stream adds to it."""
    toname = str(nv["toname"])
    if flags.tail:
        chop = toname[sendfs.rindex("/") :] if "/" in sendfs else "/" + toname
    elif flags.prefix:
        chop = toname[toname.index("/") :] if "/" in toname else toname[toname.index("@") :]
    elif "@" not in flags.target:
        chop = toname[len(sendfs) :]
    elif package.recursive:
        raise RefusedError("cannot receive: cannot specify snapshot name for multi-snapshot stream")
    else:
        chop = ""
    name = flags.target + chop
    if name_fault(name, frozenset({"snapshot"})) is not None:
        raise RefusedError("cannot receive: invalid name")
    return name


def begin(world: World, nv: Nv, package: Package, flags: ReceiveFlags) -> Incoming:
    """Judge a begin record; ``RefusedError`` in the words of zfs, or a receive that may go on."""
    name, _, short = destination(nv, package.sendfs, flags, package).partition("@")
    resume, fromguid = whole(nv, "resume"), whole(nv, "fromguid")
    resuming = resume > 0
    new_stream = (fromguid == 0 or bool(nv.get("clone")) or bool(flags.override.origin)) and not resuming
    if new_stream:
        words = "cannot receive new filesystem stream"
        name = _find_parent(world, name, nv, package)
    else:
        words = f"cannot receive {'resume' if resuming else 'incremental'} stream"
        name = _find_by_base(world, name, nv, package, flags)
    dataset = world.dataset(name)
    if dataset is None:
        _judge_absent(world, name, nv, words, package, flags)
    elif new_stream:
        _judge_overwrite(dataset, nv, words, flags)
    elif nv.get("raw") and not dataset.encrypted:
        raise RefusedError(f"{words}: cannot perform raw receive on top of existing unencrypted dataset")
    elif not nv.get("raw") and dataset.encrypted:
        _judge_encrypting(dataset, nv, words, flags.resumable and not world.newer)
    raw = bool(nv.get("raw"))
    flags.override.judge(Kind(str(nv["kind"])), raw, package.recursive, words)
    incoming = Incoming(
        nv,
        name,
        short,
        dataset is None,
        Partial(nv, {}, flags.resumable),
        words,
        world.room(name.split("/", 1)[0]),
        resuming,
    )
    if flags.dryrun:
        return incoming
    if dataset is not None and resuming:
        if world.newer and dataset.partial is None and not fromguid:
            raise RefusedError(
                f"{words}: Resuming recv on existing destination '{name}'\nmust specify -F to overwrite it"
            )
        _continue(dataset, incoming, words, flags)
    elif dataset is not None:
        _start_existing(world, dataset, incoming, new_stream, flags)
    else:
        _start_new(world, incoming, package, flags)
    return incoming


def _find_parent(world: World, name: str, nv: Nv, package: Package) -> str:
    """Where the parent has another name here, the one that has the stream's parent snapshot."""
    parent = name.rpartition("/")[0]
    if not parent or world.dataset(parent) is not None:
        return name
    guid = next((e.parent_from for e in package.entries if whole(nv, "toguid") in e.snaps.values()), 0)
    for dataset in world.datasets.values():
        if guid and dataset.by_guid(guid) is not None and dataset.pool == name.split("/", 1)[0]:
            return dataset.name + name[len(parent) :]
    return name


def _find_by_base(world: World, name: str, nv: Nv, package: Package, flags: ReceiveFlags) -> str:
    """Where a child has another name here, the dataset that has the base; never for the top."""
    beneath = str(nv["toname"])[len(package.sendfs) :]
    top = beneath == "" or beneath.startswith("@")
    if world.dataset(name) is not None or (top and not flags.prefix):
        return name
    for dataset in world.datasets.values():
        if dataset.by_guid(whole(nv, "fromguid")) is not None and dataset.pool == name.split("/", 1)[0]:
            return dataset.name
    return name


def _judge_absent(world: World, name: str, nv: Nv, words: str, package: Package, flags: ReceiveFlags) -> None:
    new_stream = "new filesystem" in words
    if not new_stream or "/" not in name:
        raise RefusedError(f"{words}: destination '{name}' does not exist")
    parent_name = name.rpartition("/")[0]
    if flags.prefix and not flags.tail and not flags.dryrun:
        _create_parents(world, parent_name, flags.target)
    parent = world.dataset(parent_name)
    if parent is None:
        why = f"cannot open '{parent_name}': {NO_DATASET}"
        raise RefusedError(f"{why}\n{words}: unable to restore to destination")
    if parent.kind is not Kind.FILESYSTEM:
        raise RefusedError(f"{words}: parent '{parent_name}' is not a filesystem")
    if parent.encrypted and not nv.get("raw") and not _stays_clear(package, flags):
        _judge_encrypting(parent, nv, words, flags.resumable and not world.newer)


def _stays_clear(package: Package, flags: ReceiveFlags) -> bool:
    """Whether a new dataset that comes in clear stays so below an encrypted parent.

    Of a stream with properties libzfs infers ``encryption=off``, unless the command line names it.
    """
    named = {*flags.override.values, *flags.override.excluded}
    return bool(package.entries) and "encryption" not in named


def _judge_encrypting(keeper: Dataset, nv: Nv, words: str, misled: bool) -> None:
    """Data in clear that is to be encrypted with the key of the dataset itself or of its parent.

    ``misled``: libzfs of 2.1 gives a wrong reason with ``-s``, that of 2.3 the true one.
    """
    if not keeper.key_loaded:
        raise RefusedError(f"{words}: inherited key must be loaded")
    if nv.get("embedok") and not whole(nv, "resume"):
        why = "incompatible embedded data stream feature with encrypted receive."
        raise RefusedError(f"{words}: {WRONG_KERNEL if misled else why}")


def _create_parents(world: World, name: str, stop: str) -> None:
    parts = name.split("/")
    for depth in range(stop.count("/") + 2, len(parts) + 1):
        if world.dataset("/".join(parts[:depth])) is None:
            world.add_dataset("/".join(parts[:depth]), Kind.FILESYSTEM)


def _judge_overwrite(dataset: Dataset, nv: Nv, words: str, flags: ReceiveFlags) -> None:
    name = dataset.name
    if not flags.force:
        raise RefusedError(f"{words}: destination '{name}' exists\nmust specify -F to overwrite it")
    if dataset.snapshots:
        example = f"{name}@{dataset.snapshots[0].name}"
        why = f"destination has snapshots (eg. {example})"
        raise RefusedError(f"{words}: {why}\nmust destroy them to overwrite it")
    if dataset.origin is not None:
        raise RefusedError(f"{words}: destination '{name}' is a clone\nmust destroy it to overwrite it")
    if nv.get("raw") or dataset.encrypted:
        raise RefusedError(
            f"{words}: zfs receive -F cannot be used to destroy an encrypted filesystem or overwrite an "
            "unencrypted one with an encrypted one"
        )


def _start_existing(
    world: World, dataset: Dataset, incoming: Incoming, new_stream: bool, flags: ReceiveFlags
) -> None:
    """``recv_begin_check_existing_impl``: an incremental, or a full one that overwrites."""
    name, words, nv = dataset.name, incoming.words, incoming.nv
    if dataset.partial is not None:
        raise RefusedError(
            f'{words}: destination {name} contains partially-complete state from "zfs receive -s".'
        )
    if dataset.snapshot(incoming.snap) is not None:
        if dataset.by_guid(whole(nv, "toguid")) is None:
            raise RefusedError(f"cannot restore to {name}@{incoming.snap}: destination already exists")
        incoming.already_there = True
        return
    if not new_stream:
        base = dataset.by_guid(whole(nv, "fromguid"))
        if base is None:
            raise RefusedError(f"{words}: most recent snapshot of {name} does not\nmatch incremental source")
        above = dataset.newest is not base
        raw = bool(nv.get("raw"))
        if flags.force:
            _force_back(world, dataset, base, words)
        elif dataset.modified_since(base) or (raw and above):
            raise RefusedError(f"{words}: destination {name} has been modified\nsince most recent snapshot")
        incoming.partial.files = dict(base.files)
    dataset.partial = incoming.partial


def _force_back(world: World, dataset: Dataset, base: Snapshot, words: str) -> None:
    newer = [snap for snap in dataset.snapshots if snap.createtxg > base.createtxg]
    for snap in newer:
        if snap.holds or world.clones_of(f"{dataset.name}@{snap.name}"):
            raise RefusedError(f"{words}: dataset is busy")
    dataset.snapshots = [snap for snap in dataset.snapshots if snap not in newer]
    dataset.files = dict(base.files)
    dataset.written_txg = base.createtxg


def _start_new(world: World, incoming: Incoming, package: Package, flags: ReceiveFlags) -> None:
    nv = incoming.nv
    origin = None
    if flags.override.origin or nv.get("clone"):
        origin = flags.override.origin or _clone_origin(world, incoming)
        pair = world.find_snapshot(origin)
        assert pair is not None
        incoming.partial.files = dict(pair[1].files)
    made = world.add_dataset(incoming.name, Kind(str(nv["kind"])))
    made.origin, made.inconsistent, made.partial = origin, True, incoming.partial
    made.volsize, made.volblocksize = whole(nv, "volsize"), whole(nv, "volblocksize")
    parent = world.datasets[incoming.name.rpartition("/")[0]]
    if nv.get("raw"):
        made.encryption_root, made.key_guid = incoming.name, whole(nv, "keyguid")
    elif parent.encrypted and not _stays_clear(package, flags):
        made.encryption_root, made.key_guid, made.key_loaded = parent.encryption_root, parent.key_guid, True


def _clone_origin(world: World, incoming: Incoming) -> str:
    guid, pool = whole(incoming.nv, "fromguid"), incoming.name.split("/", 1)[0]
    for dataset in world.datasets.values():
        snap = dataset.by_guid(guid)
        if snap is not None and dataset.pool == pool:
            return f"{dataset.name}@{snap.name}"
    raise RefusedError(
        f"{incoming.words}: local origin for clone {incoming.name}@{incoming.snap} does not exist"
    )


def _continue(dataset: Dataset, incoming: Incoming, words: str, flags: ReceiveFlags) -> None:
    """``dmu_recv_resume_begin_check``: the stream must go on exactly where the state ends."""
    kept, nv = dataset.partial, incoming.nv
    fits = (
        kept is not None
        and kept.receiver == 0
        and kept.begin["toguid"] == nv["toguid"]
        and kept.begin["fromguid"] == nv["fromguid"]
        and kept.records == whole(nv, "resume")
    )
    if kept is None or not fits:
        why = WRONG_KERNEL if flags.resumable else ""
        raise RefusedError(f"{words}: {why or 'invalid backup stream'}")
    kept.resumable = flags.resumable
    incoming.partial, incoming.newfs = kept, dataset.inconsistent


def set_props(world: World, incoming: Incoming, package: Package, flags: ReceiveFlags, top: bool) -> str:
    """Set what the stream, ``-o`` and ``-x`` say of a dataset; answers warnings."""
    entry = next((e for e in package.entries if whole(incoming.nv, "toguid") in e.snaps.values()), None)
    sent = dict(entry.props) if entry is not None and entry.props is not None else None
    dataset = world.datasets[incoming.name]
    said = apply_props(dataset, sent, flags.override, top=top, limits=incoming.newfs or world.newer)
    wanted = dataset.settings.get("refreservation")
    if sent is not None and wanted is not None and int(wanted.received or 0) > incoming.room:
        wanted.received = None
        said += (
            f"cannot receive refreservation property on {dataset.name}: "
            "size is greater than available space\n"
        )
    return said


def token_of(partial: Partial) -> str:
    """The resume token of an interrupted receive."""
    nv = partial.begin
    told: Nv = {
        "object": partial.records,
        "offset": 0,
        "bytes": partial.taken,
        "toguid": nv["toguid"],
        "toname": nv["toname"],
    }
    if nv.get("fromguid"):
        told["fromguid"] = nv["fromguid"]
    if nv.get("clone"):
        told["clone"] = True
    for key in ("embedok", "compressok"):
        if nv.get(key):
            told[key] = True
    if nv.get("raw"):
        told["rawok"] = True
    return encode_token(told)


def give_up(world: World, incoming: Incoming) -> str:
    """Leave a partial state behind where there is one to keep; answers its token or nothing."""
    dataset = world.datasets[incoming.name]
    partial = incoming.partial
    partial.receiver, partial.journal = 0, ""
    if partial.resumable and partial.records:
        dataset.partial = partial
        return token_of(partial)
    if dataset.inconsistent:
        del world.datasets[incoming.name]
    dataset.partial = None
    return ""


def finish(world: World, incoming: Incoming, package: Package, flags: ReceiveFlags) -> None:
    """The end record came: the snapshot is there."""
    dataset, nv = world.datasets[incoming.name], incoming.nv
    base = dataset.by_guid(whole(nv, "fromguid")) if whole(nv, "fromguid") else None
    if base is not None and not dataset.inconsistent and not nv.get("clone") and dataset.modified_since(base):
        give_up(world, incoming)
        raise RefusedError(
            f"{incoming.words}: destination {dataset.name} has been modified\nsince most recent snapshot"
        )
    txg = world.next_txg()
    snap = Snapshot(
        incoming.snap,
        whole(nv, "toguid"),
        txg,
        whole(nv, "creation"),
        dict(incoming.partial.files),
        ivset=whole(nv, "toivset"),
    )
    dataset.snapshots.append(snap)
    dataset.files = dict(snap.files)
    if incoming.partial.records or base is None:
        dataset.written_txg = txg
    dataset.inconsistent, dataset.partial = False, None
    dataset.changed_at = world.now
    if dataset.kind is Kind.VOLUME:
        dataset.volsize = whole(nv, "volsize")
    entry = next((e for e in package.entries if snap.guid in e.snaps.values()), None)
    if entry is None:
        return
    sent_name = next(name for name, guid in entry.snaps.items() if guid == snap.guid)
    for prop, value in entry.snapprops.get(sent_name, {}).items():
        setting(snap.settings, prop).received = value
    if package.nv and package.nv.get("holds") and not flags.skip_holds:
        snap.holds.update(dict.fromkeys(entry.snapholds.get(sent_name, []), world.now))

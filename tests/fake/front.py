# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of ``zfs``: from a command line to what is said and the exit status."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.fake import alter, changes, delegation, destroys, sending, show
from tests.fake.errors import NO_DATASET, RefusedError, UsageError
from tests.fake.model import Kind, Snapshot, World
from tests.fake.names import BOOKMARK, DATASETS, HEADS, SNAPSHOT, open_head, open_named
from tests.fake.options import Options, parse
from tests.fake.override import Override
from tests.fake.packages import Receiver
from tests.fake.receiving import ReceiveFlags
from tests.fake.store import Store
from tests.fake.stream import Reader

Say = Callable[[str], None]
Command = Callable[[World, Sequence[str], Say, Say], int]
_SEND_LONG = [
    "replicate",
    "skip-missing",
    "props",
    "parsable",
    "verbose",
    "dryrun",
    "large-block",
    "embed",
    "resume=",
    "compressed",
    "raw",
    "backup",
    "holds",
]
_SEND_SHORT = {
    "replicate": "R",
    "skip-missing": "s",
    "props": "p",
    "parsable": "P",
    "verbose": "v",
    "dryrun": "n",
    "large-block": "L",
    "embed": "e",
    "resume": "t",
    "compressed": "c",
    "raw": "w",
    "backup": "b",
    "holds": "h",
    "exclude": "X",
}


@dataclass(slots=True)
class Streams:
    """What a command reads and writes; ``write`` takes the bytes of a send as they are made."""

    stdin: Reader = field(default_factory=io.BytesIO)
    write: Callable[[bytes], None] = lambda data: None
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)


def run_zfs(store: Store, argv: Sequence[str], streams: Streams) -> int:
    """Run ``zfs`` with the arguments ``argv`` (without its own name); answers the exit status."""
    try:
        if not argv:
            raise UsageError("zfs", "missing command")
        name, rest = argv[0], argv[1:]
        if name == "send":
            return _send(store, rest, streams)
        if name in ("receive", "recv"):
            return _receive(store, rest, streams)
        command = _COMMANDS.get(name)
        if command is None:
            raise UsageError("zfs", f"unrecognized command '{name}'")
        with store.world() as world:
            return command(world, rest, streams.out.append, streams.err.append)
    except RefusedError as refused:
        streams.out.append(refused.stdout)
        streams.err.append(refused.text)
        return refused.status


def _send(store: Store, argv: Sequence[str], streams: Streams) -> int:
    with store.world() as world:
        newer = world.version >= (2, 2, 0)
        spec = "i:I:RsDpVvnPLeht:cwbd:S" + ("X:" if newer else "")
        options = parse("send", spec, argv, [*_SEND_LONG, *(["exclude="] if newer else [])])
        options.given = [(_SEND_SHORT.get(name, name), value) for name, value in options.given]
        options.flags = {name for name, _ in options.given}
        plan = _plan(world, options)
    streams.out.append(plan.stdout)
    streams.err.append(plan.stderr)
    if not plan.flags.dryrun:
        for data in plan.stream():
            streams.write(data)
    return plan.status


def _plan(world: World, options: Options) -> sending.Plan:
    raw = options.has("w")
    flags = sending.SendFlags(
        replicate=options.has("R"),
        props=options.has("p"),
        backup=options.has("b"),
        holds=options.has("h"),
        raw=raw,
        large=raw or options.has("L"),
        embed=raw or options.has("e"),
        compress=raw or options.has("c"),
        dryrun=options.has("n"),
        verbose=options.has("v"),
        parsable=options.has("P"),
        skip_missing=options.has("s"),
        exclude=tuple(name for value in options.values("X") for name in value.split(",")),
    )
    bases = options.values("i") + options.values("I")
    if len(bases) > 1:
        raise UsageError("send", "")
    token = options.value("t")
    if token is not None:
        if bases or flags.replicate or flags.props or flags.backup or flags.holds:
            raise UsageError("send", "invalid flags combined with -t")
        options.need(0, 0, "")
        return sending.plan_resume(world, token, flags)
    options.need(1, 1, "missing snapshot argument")
    if flags.skip_missing and not flags.replicate:
        raise UsageError("send", "skip-missing flag can only be used in conjunction with replicate")
    name, base = options.operands[0], bases[0] if bases else None
    if flags.replicate or options.has("I"):
        if base is not None and "#" in base:
            raise RefusedError("Error: multiple snapshots cannot be sent from a bookmark.")
        return sending.plan_many(world, name, base, options.has("I"), flags)
    warning = ""
    if base is not None and "#" not in base and "@" not in base:
        warning = (
            "Warning: incremental source didn't specify type, assuming snapshot. "
            "Use '@' or '#' prefix to avoid ambiguity.\n"
        )
        base = "@" + base
    if base is not None and base[0] in "#@":
        base = name.partition("@")[0] + base
    plan = sending.plan_one(world, name, base, flags)
    plan.stderr = warning + plan.stderr
    return plan


def _receive(store: Store, argv: Sequence[str], streams: Streams) -> int:
    options = parse("receive", "o:x:dehMnuvFsA", argv)
    options.need(1, 1, "missing snapshot argument")
    target = options.operands[0]
    if options.has("A"):
        if options.flags & {"d", "e", "n", "s", "u"}:
            raise UsageError("receive", "invalid option")
        with store.world() as world:
            _abort(world, target)
        return 0
    if options.has("d") and options.has("e"):
        raise UsageError("receive", "invalid option combination: -d and -e are mutually exclusive")
    values = alter.pairs("receive", options.values("o"))
    for name in options.values("x"):
        if "=" in name:
            raise UsageError("receive", "invalid character '=' in property argument")
        if name in values or options.values("x").count(name) > 1:
            raise UsageError("receive", f"property '{name}' specified multiple times")
    origin = values.pop("origin", "")
    flags = ReceiveFlags(
        target,
        options.has("s"),
        options.has("F"),
        options.has("n"),
        options.has("v"),
        options.has("u"),
        options.has("d") or options.has("e"),
        options.has("e"),
        options.has("h"),
        Override(values, tuple(options.values("x")), origin),
    )
    Receiver(store, streams.stdin, flags, streams.out.append, streams.err.append).run()
    return 0


def _abort(world: World, target: str) -> None:
    dataset = world.dataset(target)
    if dataset is None:
        try:
            open_head(world, target)
        except RefusedError as refused:
            usage = UsageError("receive", "")
            raise RefusedError(refused.text + usage.text, usage.status) from None
    assert dataset is not None
    if dataset.partial is None:
        raise RefusedError(f"'{target}' does not have any resumable receive state to abort")
    if dataset.partial.receiver:
        raise RefusedError(f"cannot destroy '{target}': dataset is busy")
    world.next_txg()
    if dataset.inconsistent:
        del world.datasets[target]
    dataset.partial = None


def _snapshot(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
    options = parse("snapshot", "ro:", argv)
    options.need(1, None, "missing snapshot argument")
    given = alter.pairs("snapshot", options.values("o"))
    names: list[str] = []
    for operand in options.operands:
        head, at, short = operand.partition("@")
        if not at:
            raise UsageError("snapshot", "")
        try:
            root = open_head(world, head)
        except RefusedError as refused:
            raise UsageError("snapshot", refused.text.rstrip("\n")) from None
        below = changes.walk(world, root) if options.has("r") else [root]
        names.extend(f"{one.name}@{short}" for one in below if not (options.has("r") and one.inconsistent))
    for prop in given:
        alter.judged(prop, given[prop], ("snapshot", "cannot create snapshots "))
    try:
        changes.take_snapshots(world, list(dict.fromkeys(names)), given)
    except RefusedError as refused:
        several = options.has("r") or len(options.operands) > 1
        raise RefusedError(refused.text + ("no snapshots were created\n" if several else "")) from None
    return 0


def _destroy(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
    options = parse("destroy", "vpndfrR", argv)
    options.need(1, 1, "missing dataset argument")
    target, flags = options.operands[0], frozenset(options.flags)
    if "@" in target:
        destroys.destroy_snapshots(world, target, flags, out)
    elif "#" in target:
        for letter, what in (("n", "dryrun"), ("d", "defer destroy"), ("r", "recursive")):
            if letter in flags:
                raise RefusedError(f"{what} is not supported with bookmark", status=255)
        head, _, short = target.partition("#")
        dataset = world.dataset(head)
        mark = dataset.bookmark(short) if dataset is not None else None
        if dataset is None or mark is None:
            raise RefusedError(f"bookmark '{target}' does not exist.")
        world.next_txg()
        dataset.bookmarks.remove(mark)
    else:
        destroys.destroy_dataset(world, target, flags, out)
    return 0


def _hold_release(holding: bool) -> Command:
    def run(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
        command = "hold" if holding else "release"
        options = parse(command, "rt" if holding else "r", argv)
        options.need(2, None, "")
        tag, status = options.operands[0], 0
        if holding and tag.startswith("."):
            raise UsageError(command, "tag may not start with '.'")
        for operand in options.operands[1:]:
            try:
                _hold_one(world, operand, tag, options) if holding else _release_one(
                    world, operand, tag, options
                )
            except RefusedError as refused:
                err(refused.text)
                status = 1
        return status

    return run


def _named(world: World, operand: str, options: Options) -> list[str]:
    head, at, short = operand.partition("@")
    if not at:
        raise RefusedError(f"'{operand}' is not a snapshot")
    root = open_head(world, head)
    return [f"{one.name}@{short}" for one in (changes.walk(world, root) if options.has("r") else [root])]


def _hold_one(world: World, operand: str, tag: str, options: Options) -> None:
    names = [name for name in _named(world, operand, options) if world.find_snapshot(name) is not None]
    if not names:
        raise RefusedError(f"cannot hold snapshot '{operand}': {NO_DATASET}")
    changes.hold(world, names, tag)


def _release_one(world: World, operand: str, tag: str, options: Options) -> None:
    held: list[str] = []
    fault = ""
    for name in _named(world, operand, options):
        pair = world.find_snapshot(name)
        if pair is None:
            fault = NO_DATASET
        elif tag not in pair[1].holds:
            fault = "no such tag on this dataset"
        else:
            held.append(name)
    if not held:
        raise RefusedError(f"cannot release hold from snapshot '{operand}': {fault}")
    changes.release(world, held, tag)


def _rename(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
    options = parse("rename", "pruf", argv)
    options.need(1, None, "missing source dataset argument")
    options.need(2, 2, "missing target dataset argument")
    old, new = options.operands
    if options.has("r") and "@" not in old:
        raise UsageError("rename", "source dataset for recursive rename must be a snapshot")
    dataset, leaf = open_named(world, old, DATASETS)
    if not isinstance(leaf, Snapshot):
        if options.has("p"):
            alter._ancestors(world, new)
        changes.rename_dataset(world, old, new)
        return 0
    head, at, short = new.partition("@")
    if at and head and head != dataset.name:
        raise RefusedError(f"cannot rename to '{new}': snapshots must be part of same dataset")
    name = short if at else new
    changes.rename_snapshots(
        world, changes.walk(world, dataset) if options.has("r") else [dataset], leaf.name, name
    )
    return 0


def _bookmark(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
    options = parse("bookmark", "", argv)
    options.need(1, None, "missing source argument")
    options.need(2, 2, "missing bookmark argument")
    source, name = options.operands
    if "@" not in source and "#" not in source:
        raise UsageError("bookmark", f"invalid source name '{source}': must contain a '@' or '#'")
    if "#" not in name:
        raise UsageError("bookmark", f"invalid bookmark name '{name}': must contain a '#'")
    if name.startswith("#"):
        name = source.split("@")[0].split("#")[0] + name
    try:
        leaf = open_named(world, source, frozenset({SNAPSHOT if "@" in source else BOOKMARK}))[1]
    except RefusedError as refused:
        raise UsageError("bookmark", refused.text.rstrip("\n")) from None
    assert leaf is not None
    if world.dataset(name.partition("#")[0]) is None:
        raise RefusedError(f"cannot create bookmark '{name}': {NO_DATASET}")
    changes.add_bookmark(world, name, leaf)
    return 0


def _rollback(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
    options = parse("rollback", "rRf", argv)
    options.need(1, 1, "missing dataset argument")
    target = options.operands[0]
    dataset, leaf = open_named(world, target, frozenset({SNAPSHOT}))
    assert isinstance(leaf, Snapshot)
    newer = [f"{dataset.name}@{snap.name}" for snap in dataset.snapshots if snap.createtxg > leaf.createtxg]
    marks = [mark for mark in dataset.bookmarks if mark.createtxg > leaf.createtxg]
    if (newer or marks) and not options.flags & {"r", "R"}:
        names = newer + [f"{dataset.name}#{mark.name}" for mark in marks]
        raise RefusedError(
            f"cannot rollback to '{target}': more recent snapshots or bookmarks exist\n"
            "use '-r' to force deletion of the following snapshots and bookmarks:\n"
            + "".join(f"{name}\n" for name in names)
        )
    faults = destroys.remove_snapshots(world, newer)
    if faults:
        raise RefusedError(
            "".join(
                fault.replace("destroy snapshot ", "destroy '").replace(": ", "': ", 1) for fault in faults
            )
        )
    dataset.bookmarks = [mark for mark in dataset.bookmarks if mark not in marks]
    changes.roll_back(world, dataset, leaf)
    return 0


def _clone(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
    options = parse("clone", "o:p", argv)
    options.need(2, 2, "missing source dataset argument")
    source, target = options.operands
    open_named(world, source, frozenset({SNAPSHOT}))
    made = changes.clone(world, source, target, alter.pairs("clone", options.values("o")))
    made.mounted = made.kind is Kind.FILESYSTEM
    return 0


def _promote(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
    options = parse("promote", "", argv)
    options.need(1, 1, "missing clone filesystem argument")
    changes.promote(world, open_named(world, options.operands[0], HEADS)[0])
    return 0


def _mount(mounting: bool) -> Command:
    def run(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
        options = parse("mount" if mounting else "unmount", "aflvOo:u", argv)
        for dataset in world.datasets.values() if options.has("a") else ():
            dataset.mounted = mounting and dataset.kind is Kind.FILESYSTEM
        for name in options.operands:
            alter.check_mountable(world, name)
            dataset = open_head(world, name)
            if dataset.mounted == mounting:
                why = "filesystem already mounted" if mounting else "not currently mounted"
                raise RefusedError(f"cannot {'mount' if mounting else 'unmount'} '{name}': {why}")
            dataset.mounted = mounting
        return 0

    return run


def _version(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
    text = ".".join(str(part) for part in world.version)
    out(f"zfs-{text}-1\nzfs-kmod-{text}-1\n")
    return 0


_COMMANDS: dict[str, Command] = {
    "list": show.list_command,
    "get": show.get_command,
    "holds": show.holds_command,
    "set": alter.set_command,
    "inherit": alter.inherit_command,
    "create": alter.create_command,
    "snapshot": _snapshot,
    "snap": _snapshot,
    "destroy": _destroy,
    "hold": _hold_release(True),
    "release": _hold_release(False),
    "rename": _rename,
    "bookmark": _bookmark,
    "rollback": _rollback,
    "clone": _clone,
    "promote": _promote,
    "mount": _mount(True),
    "unmount": _mount(False),
    "umount": _mount(False),
    "version": _version,
    "allow": delegation.allow,
    "unallow": delegation.unallow,
}

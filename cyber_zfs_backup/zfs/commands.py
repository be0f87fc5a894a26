# SPDX-License-Identifier: GPL-3.0-or-later
"""Argument vectors of the zfs command. The only place that spells its options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

MAX_COMMAND_BYTES = 96 * 1024
"""Longest command that is built. Linux refuses one argument of 128 KiB, and ssh passes the whole as one."""

PROPERTY_PREFIX = "cyber-zfs-backup:"
"""All our own user properties begin with this; they never travel."""


def get_tree(root: str) -> list[str]:
    """All properties of a dataset and all below it, one line each; touches no snapshot."""
    return [
        "zfs",
        "get",
        "-Hp",
        "-r",
        "-t",
        "filesystem,volume",
        "-o",
        "name,property,value,source",
        "all",
        root,
    ]


def get_partial(root: str) -> list[str]:
    """Type, encryption and resume token of a dataset and all below it."""
    return [
        "zfs", "get", "-Hp", "-r", "-t", "filesystem,volume", "-o", "name,property,value,source",
        "guid,type,encryption,receive_resume_token", root,
    ]  # fmt: skip


def get_verify(root: str) -> list[str]:
    """The same, and what has been written to each since its newest snapshot."""
    *words, properties, _ = get_partial(root)
    return [*words, f"{properties},written", root]


def list_snapshots(root: str) -> list[str]:
    """Every snapshot below a root. These three columns are the quick ones (OpenZFS 2.2, zfs-list.8)."""
    return ["zfs", "list", "-Hp", "-o", "name,guid,createtxg", "-t", "snapshot", "-r", root]


def list_with_bookmarks(root: str) -> list[str]:
    """The same, and every bookmark."""
    return ["zfs", "list", "-Hp", "-o", "name,guid,createtxg", "-t", "snapshot,bookmark", "-r", root]


def list_named(names: Sequence[str]) -> list[str]:
    """Exactly these snapshots; one that is not there is an error line beside the others' answers."""
    return ["zfs", "list", "-Hp", "-o", "name,guid,createtxg", "-t", "snapshot", *names]


def list_use(names: Sequence[str]) -> list[str]:
    """What keeps exactly these snapshots: the number of holds, and clones."""
    return ["zfs", "list", "-Hp", "-o", "name,guid,userrefs,clones", "-t", "snapshot", *names]


def list_held(root: str) -> list[str]:
    """Every snapshot below a root with its number of holds; slow, for `forget` only."""
    return ["zfs", "list", "-Hp", "-o", "name,userrefs", "-t", "snapshot", "-r", root]


def list_of_one(dataset: str) -> list[str]:
    """The snapshots of one dataset alone."""
    return ["zfs", "list", "-Hp", "-o", "name,guid,createtxg", "-t", "snapshot", dataset]


def exists(dataset: str) -> list[str]:
    """Whether a dataset is there, and its GUID, which is never that of another pool's."""
    return ["zfs", "list", "-Hp", "-o", "guid", "-d", "0", dataset]


def holds(names: Sequence[str]) -> list[str]:
    """The holds on exactly these snapshots."""
    return ["zfs", "holds", "-H", *names]


def snapshot(names: Sequence[str], *, recursive: bool) -> list[str]:
    """One transaction: one recursive snapshot, or the listed ones together."""
    return ["zfs", "snapshot", *(["-r"] if recursive else []), *names]


def hold(tag: str, names: Sequence[str], *, recursive: bool) -> list[str]:
    """Hold snapshots under a tag."""
    return ["zfs", "hold", *(["-r"] if recursive else []), tag, *names]


def release(tag: str, names: Sequence[str], *, recursive: bool) -> list[str]:
    """Release a tag's holds."""
    return ["zfs", "release", *(["-r"] if recursive else []), tag, *names]


def bookmark(snapshot: str, bookmark: str) -> list[str]:
    """Bookmark a snapshot (both full names). zfs takes one at a time."""
    return ["zfs", "bookmark", snapshot, bookmark]


def list_bookmarks(root: str) -> list[str]:
    """Every bookmark below a root."""
    return ["zfs", "list", "-Hp", "-o", "name,guid,createtxg", "-t", "bookmark", "-r", root]


def destroy_bookmark(dataset: str, name: str) -> list[str]:
    """Destroy one bookmark: it holds no data."""
    return ["zfs", "destroy", f"{dataset}#{name}"]


def set_property(name: str, value: str, datasets: Sequence[str]) -> list[str]:
    """Set one user property on datasets."""
    return ["zfs", "set", f"{name}={value}", *datasets]


def inherit(name: str, datasets: Sequence[str]) -> list[str]:
    """Remove one user property's local value from datasets."""
    return ["zfs", "inherit", name, *datasets]


def destroy_snapshots(dataset: str, names: Sequence[str], *, recursive: bool) -> list[str]:
    """Destroy these snapshots of one dataset, or of it and all below it."""
    return ["zfs", "destroy", *(["-r"] if recursive else []), f"{dataset}@{','.join(names)}"]


def destroy_estimate(dataset: str, names: Sequence[str], *, recursive: bool) -> list[str]:
    """What destroying them would free, in bytes; touches nothing."""
    argv = destroy_snapshots(dataset, names, recursive=recursive)
    return [*argv[:2], "-nvp", *argv[2:]]


def rename_dataset(old: str, new: str) -> list[str]:
    """Rename a dataset with all below it."""
    return ["zfs", "rename", old, new]


def rename_snapshot(old: str, new: str) -> list[str]:
    """Rename a snapshot on the whole tree."""
    return ["zfs", "rename", "-r", old, new]


# Raw (-w) implies large blocks, embedded and compressed data as they are on disk (zfs-send.8), so one
# flag says it all, and an encrypted dataset never leaves the source in clear.
_SEND = ("zfs", "send", "-w")

# The same of a dataset that is not encrypted, without embedded blocks: an encrypted copy (as other tools
# make one below an encrypted parent) refuses every stream that may hold them (measured on OpenZFS 2.1.11).
_SEND_TO_ENCRYPTED = ("zfs", "send", "-L", "-c")


def send_replicate(target: str, base: str | None) -> list[str]:
    """The whole tree up to ``target`` (``ROOT@NAME``); from the snapshot name ``base`` where given."""
    return [*_SEND, "-R", *(["-I", f"@{base}"] if base else []), target]


def send_full(target: str, *, properties: bool) -> list[str]:
    """One snapshot of one dataset, whole."""
    return [*_SEND, *(["-p"] if properties else []), target]


def send_clone(target: str, origin: str) -> list[str]:
    """One snapshot of a clone, as what it differs in from its origin (a snapshot's full name)."""
    return [*_SEND, "-p", "-i", origin, target]


def send_bridge(target: str, bookmark: str, *, properties: bool, raw: bool = True) -> list[str]:
    """One snapshot of one dataset, from a bookmark of it; ``raw`` as in ``send_level``."""
    return [
        *(_SEND if raw else _SEND_TO_ENCRYPTED),
        *(["-p"] if properties else []),
        "-i",
        f"#{bookmark}",
        target,
    ]


def send_level(target: str, base: str, *, properties: bool, raw: bool = True) -> list[str]:
    """One dataset's snapshots after ``base`` up to ``target``.

    Not ``raw`` only for a dataset that is not encrypted while its copy is.
    """
    return [
        *(_SEND if raw else _SEND_TO_ENCRYPTED),
        *(["-p"] if properties else []),
        "-I",
        f"@{base}",
        target,
    ]


def send_resume(token: str, *, raw: bool = True) -> list[str]:
    """Go on where a partial receive ended; ``raw`` as in ``send_level``."""
    return [*(_SEND if raw else _SEND_TO_ENCRYPTED), "-t", token]


def send_estimate(send: Sequence[str]) -> list[str]:
    """How many bytes a send (any vector that is built above) would have about; sends nothing."""
    return [*send[:2], "-nvP", *send[2:]]


def token_contents(token: str) -> list[str]:
    """What a resume token asks for; sends nothing, fails where this source cannot go on."""
    return ["zfs", "send", "-nvt", token]


_RECEIVE = ("zfs", "receive", "-s", "-u")

# A copy must never act: not mount over a live system, not share, not run, not reserve.
STAY_STILL = ("readonly=on", "setuid=off", "exec=off", "devices=off", "volmode=none")
"""What is set on the copy's root, and inherited by all below it, whatever the stream says."""

LIMITS = ("quota", "refquota", "reservation", "refreservation")
"""The limits on space. ``-x`` keeps them off a new dataset; of an increment with properties it lets one in
every second time, and only a local value on the copy stays (measured on OpenZFS 2.1.11; 2.3.9 lets
none in)."""

LEAVE_OUT = ("canmount", "sharenfs", "sharesmb", *LIMITS)
"""What is left out of the stream's properties."""


def receive_root_volume(dataset: str, own_properties: Sequence[str]) -> list[str]:
    """The same as ``receive_root`` for a tree that is one volume: ``-o`` of a property that a volume does not
    have ends the receive of every stream but a package (measured on OpenZFS 2.1.11)."""
    return [
        *(*_RECEIVE, "-o", "readonly=on", "-o", "volmode=none"),
        *_without("reservation", "refreservation", *own_properties),
        dataset,
    ]


def receive_root(dataset: str, own_properties: Sequence[str]) -> list[str]:
    """Receive a stream with properties into the copy's root (and, of a package, all below it).

    ``own_properties`` are those of ours that must not travel. With -o a package's descendants inherit
    the value (zfs-receive.8), so that nothing below the root ever has a mount point of its own.
    """
    settings = (*STAY_STILL, "mountpoint=none")
    return [
        *_RECEIVE,
        *(word for setting in settings for word in ("-o", setting)),
        *_without(*LEAVE_OUT, *own_properties),
        dataset,
    ]


def receive_below(dataset: str, own_properties: Sequence[str]) -> list[str]:
    """Receive a stream with properties into one dataset below the copy's root, from which it inherits."""
    inherited = (setting.partition("=")[0] for setting in STAY_STILL)
    return [*_RECEIVE, *_without(*inherited, "mountpoint", *LEAVE_OUT, *own_properties), dataset]


def _without(*names: str) -> list[str]:
    return [word for name in names for word in ("-x", name)]


def receive_plain(dataset: str) -> list[str]:
    """Receive a stream without properties into a dataset that exists."""
    return [*_RECEIVE, dataset]


def receive_abort(dataset: str) -> list[str]:
    """Throw away a partial receive."""
    return ["zfs", "receive", "-A", dataset]


def batches(fixed: int, names: Iterable[str], limit: int = MAX_COMMAND_BYTES) -> Iterator[list[str]]:
    """Split names so that each command stays below the limit.

    ``fixed`` is the length of the rest of the command in bytes. Each name counts with quotes and a space.
    """
    batch: list[str] = []
    size = fixed
    for name in names:
        cost = len(name.encode(errors="surrogateescape")) + 3
        if batch and size + cost > limit:
            yield batch
            batch, size = [], fixed
        batch.append(name)
        size += cost
    if batch:
        yield batch

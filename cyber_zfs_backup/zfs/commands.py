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


EXCLUDE = f"{PROPERTY_PREFIX}exclude"
"""Our user property by which a dataset opts out of backups; inherited as ZFS inherits."""

AUTO_SNAPSHOT = "com.sun:auto-snapshot"
"""The user property by which datasets opt out of snapshots since zfs-auto-snapshot."""


def get_opting_out(root: str) -> list[str]:
    """What a dataset and all below it say of taking part."""
    *words, _, _ = get_tree(root)
    return [*words, f"{EXCLUDE},{AUTO_SNAPSHOT}", root]


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
    """Exactly these snapshots, and of a dataset that is named those of it alone.

    One that is not there is an error line beside the others' answers.
    """
    return ["zfs", "list", "-Hp", "-o", "name,guid,createtxg", "-t", "snapshot", *names]


def list_use(names: Sequence[str]) -> list[str]:
    """What keeps exactly these snapshots: the number of holds, and clones."""
    return ["zfs", "list", "-Hp", "-o", "name,guid,userrefs,clones", "-t", "snapshot", *names]


def list_held(root: str) -> list[str]:
    """Every snapshot below a root with its number of holds; slow, for `forget` only."""
    return ["zfs", "list", "-Hp", "-o", "name,userrefs", "-t", "snapshot", "-r", root]


def list_of_one(dataset: str) -> list[str]:
    """The snapshots of one dataset alone."""
    return list_named([dataset])


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


# The way back: what a restore runs on the receiver is the sends and questions down to ``send_back_estimate``.

BACK_PROPERTIES = "guid,type,encryption,receive_resume_token,encryptionroot,keyformat,keylocation"
"""What a restore asks of each dataset of the copy."""

RESTORE_MARK = f"{PROPERTY_PREFIX}restore"
"""Stands on what a restore has made and not finished, so that it is never taken for anything else."""


def get_back(root: str) -> list[str]:
    """What a restore must know of a copy's datasets and their keys."""
    *words, _, _ = get_partial(root)
    return [*words, BACK_PROPERTIES, root]


def get_received(root: str) -> list[str]:
    """Which values the source's properties had, by what the copy has received of them (zfs-get.8)."""
    return [
        "zfs", "get", "-Hp", "-r", "-t", "filesystem,volume", "-o", "name,property,received,source",
        "all", root,
    ]  # fmt: skip


def send_back_tree(target: str) -> list[str]:
    """A copy's dataset and all below it up to a snapshot (``DATASET@NAME``), which each of them has.

    A package, for it alone keeps who inherits whose encryption key. Without ``-b``: its package with an
    encryption root in it makes ``zfs receive`` abort (measured on OpenZFS 2.1.11), so that a restore reads
    the source's properties with ``get_received`` and sets them itself.
    """
    return send_replicate(target, None)


def send_back_full(target: str) -> list[str]:
    """One snapshot of one dataset of a copy, whole."""
    return send_full(target, properties=False)


def send_back_rest(target: str, base: str) -> list[str]:
    """The snapshots after the name ``base`` up to ``target`` (``DATASET@NAME``) of one dataset of a copy."""
    return send_level(target, base, properties=False)


def send_back_resume(token: str) -> list[str]:
    """Go on where a restore was cut off."""
    return send_resume(token)


def send_back_estimate(send: Sequence[str]) -> list[str]:
    """How many bytes one of these sends would have."""
    return send_estimate(send)


def receive_back(dataset: str, mark: str, *, tree: bool, volume: bool, mine: Sequence[str]) -> list[str]:
    """Receive the first stream of a restore into a dataset that is not there yet.

    Until all is there it cannot be mounted or written to, also not by a machine that starts anew meanwhile.
    Of a package (``tree``) nothing that keeps a copy still may come along, nor ``mine``, our own properties.
    """
    settings = [f"{RESTORE_MARK}={mark}", "readonly=on"]
    settings += [] if volume and not tree else ["mountpoint=none"]
    left_out = (*(s.partition("=")[0] for s in STAY_STILL if s != "readonly=on"), *LEAVE_OUT, *mine)
    return [
        *_RECEIVE,
        *(word for setting in settings for word in ("-o", setting)),
        *(_without(*(name for name in left_out if name != RESTORE_MARK)) if tree else []),
        dataset,
    ]


DRILL_MARK = f"{PROPERTY_PREFIX}drill"
"""Stands on a drill's scratch dataset, with a number that no other drill has."""


def receive_scratch(dataset: str, mark: str, *, volume: bool) -> list[str]:
    """Receive a drill's stream into its scratch dataset, which nothing mounts or writes to.

    Without ``-s``: of a stream that breaks nothing is to be left.
    """
    settings = (f"{DRILL_MARK}={mark}", "readonly=on", *(() if volume else ("mountpoint=none",)))
    return ["zfs", "receive", "-u", *(word for setting in settings for word in ("-o", setting)), dataset]


def clone_scratch(snapshot: str, dataset: str, mark: str) -> list[str]:
    """A clone of a volume's snapshot, so that it can be read: the source itself stays as it is."""
    return ["zfs", "clone", "-o", f"{DRILL_MARK}={mark}", "-o", "readonly=on", snapshot, dataset]


def destroy_scratch(dataset: str) -> list[str]:
    """Destroy a scratch dataset. Without ``-r`` and ``-f``: zfs refuses where anything is left in it."""
    return ["zfs", "destroy", dataset]


def load_key_from(dataset: str, location: str) -> list[str]:
    """Load a scratch dataset's key from a file (``file:///...``)."""
    return ["zfs", "load-key", "-L", location, dataset]


def mount_snapshot(snapshot: str, folder: str) -> list[str]:
    """Mount a snapshot in a folder, so that it can be read and nothing else."""
    return ["mount", "-t", "zfs", "-o", "ro,nosuid,nodev,noexec", snapshot, folder]


def unmount(folder: str) -> list[str]:
    """Take a mount away."""
    return ["umount", folder]


def available(dataset: str) -> list[str]:
    """How many bytes a dataset could still take."""
    return ["zfs", "get", "-Hp", "-o", "value", "available", dataset]


def set_properties(settings: Sequence[str], dataset: str) -> list[str]:
    """Set several properties (each ``NAME=VALUE``) of one dataset in one go."""
    return ["zfs", "set", *settings, dataset]


def receive_abort(dataset: str) -> list[str]:
    """Throw away a partial receive."""
    return ["zfs", "receive", "-A", dataset]


# Setting up a receiver (as root, on the receiver itself).

CONTAINER = ("mountpoint=none", "canmount=off", *STAY_STILL, "sharenfs=off", "sharesmb=off")
"""What stands on a client's root. All that is received below inherits it: the client may set none of it."""


def create_container(dataset: str) -> list[str]:
    """Make a client's root: never mounted, never shared, and so is all below it."""
    return ["zfs", "create", *(word for setting in CONTAINER for word in ("-o", setting)), dataset]


def set_settings(settings: Sequence[str], dataset: str) -> list[str]:
    """Set properties (each ``NAME=VALUE``) of one dataset, together."""
    return ["zfs", "set", *settings, dataset]


def get_settings(names: Sequence[str], dataset: str) -> list[str]:
    """Some properties of one dataset."""
    return ["zfs", "get", "-Hp", "-o", "name,property,value,source", ",".join(names), dataset]


def list_mounted(root: str) -> list[str]:
    """Every file system at or below a root, and whether it is mounted."""
    return ["zfs", "list", "-H", "-o", "name,mounted", "-t", "filesystem", "-r", root]


def show_allowed(dataset: str) -> list[str]:
    """What is delegated on a dataset, and on those above it."""
    return ["zfs", "allow", dataset]


def allow(user: str, permissions: Sequence[str], dataset: str) -> list[str]:
    """Delegate permissions on a dataset and all below it to one user (zfs-allow.8)."""
    return ["zfs", "allow", "-u", user, ",".join(permissions), dataset]


def unallow(user: str, permissions: Sequence[str], dataset: str) -> list[str]:
    """Take permissions back from one user; without any named: all that it has on this dataset."""
    return ["zfs", "unallow", "-u", user, *([",".join(permissions)] if permissions else []), dataset]


def list_whole(dataset: str) -> list[str]:
    """A dataset with all below it and its snapshots, for people to look at."""
    return ["zfs", "list", "-t", "all", "-r", dataset]


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

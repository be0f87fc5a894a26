# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties that can be set: which there are, what they inherit, and where a value comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from tests.fake.model import Dataset, Kind, Setting, Settings, Snapshot, World


class Nature(Enum):
    """How a native property behaves."""

    INHERIT = "inherited from the parent"
    OWN = "set on the dataset alone"
    ONCE = "set at creation"
    READONLY = "computed"


FS = frozenset({Kind.FILESYSTEM})
VOL = frozenset({Kind.VOLUME})
BOTH = FS | VOL


@dataclass(frozen=True, slots=True)
class Native:
    """A property that zfs itself knows."""

    nature: Nature
    kinds: frozenset[Kind]
    default: str
    values: frozenset[str] = frozenset()
    number: bool = False


def listed(text: str) -> tuple[str, ...]:
    """The words of a text, in order."""
    return tuple(text.split())


def _words(text: str) -> frozenset[str]:
    return frozenset(listed(text))


_ON_OFF = _words("on off")
_SIZES = "quota refquota"
_COMPRESSION = (
    _words("on off lzjb gzip zle lz4 zstd zstd-fast")
    | {f"gzip-{n}" for n in range(1, 10)}
    | {f"zstd-{n}" for n in range(1, 20)}
)
_CHECKSUM = _words("on off fletcher2 fletcher4 sha256 sha512 skein edonr")


def _inherit(kinds: frozenset[Kind], default: str, values: frozenset[str] = frozenset()) -> Native:
    return Native(Nature.INHERIT, kinds, default, values)


NATIVE: dict[str, Native] = {
    "quota": Native(Nature.OWN, FS, "0", number=True),
    "reservation": Native(Nature.OWN, BOTH, "0", number=True),
    "volsize": Native(Nature.OWN, VOL, "-", number=True),
    "volblocksize": Native(Nature.ONCE, VOL, "8192", number=True),
    "recordsize": Native(Nature.INHERIT, FS, "131072", number=True),
    "mountpoint": _inherit(FS, "/"),
    "sharenfs": _inherit(FS, "off"),
    "checksum": _inherit(BOTH, "on", _CHECKSUM),
    "compression": _inherit(BOTH, "off", _COMPRESSION),
    "atime": _inherit(FS, "on", _ON_OFF),
    "devices": _inherit(FS, "on", _ON_OFF),
    "exec": _inherit(FS, "on", _ON_OFF),
    "setuid": _inherit(FS, "on", _ON_OFF),
    "readonly": _inherit(BOTH, "off", _ON_OFF),
    "zoned": _inherit(FS, "off", _ON_OFF),
    "snapdir": _inherit(FS, "hidden", _words("hidden visible")),
    "aclmode": _inherit(FS, "discard", _words("discard groupmask passthrough restricted")),
    "aclinherit": _inherit(FS, "restricted", _words("discard noallow restricted passthrough passthrough-x")),
    "canmount": Native(Nature.OWN, FS, "on", _words("on off noauto")),
    "xattr": _inherit(FS, "on", _words("on off dir sa")),
    "copies": _inherit(BOTH, "1", _words("1 2 3")),
    "version": Native(Nature.OWN, FS, "5"),
    "utf8only": Native(Nature.ONCE, FS, "off", _ON_OFF),
    "normalization": Native(Nature.ONCE, FS, "none", _words("none formC formD formKC formKD")),
    "casesensitivity": Native(Nature.ONCE, FS, "sensitive", _words("sensitive insensitive mixed")),
    "vscan": _inherit(FS, "off", _ON_OFF),
    "nbmand": _inherit(FS, "off", _ON_OFF),
    "sharesmb": _inherit(FS, "off"),
    "refquota": Native(Nature.OWN, FS, "0", number=True),
    "refreservation": Native(Nature.OWN, BOTH, "0", number=True),
    "primarycache": _inherit(BOTH, "all", _words("all none metadata")),
    "secondarycache": _inherit(BOTH, "all", _words("all none metadata")),
    "logbias": _inherit(BOTH, "latency", _words("latency throughput")),
    "dedup": _inherit(BOTH, "off", _words("on off verify sha256 sha512 skein")),
    "mlslabel": _inherit(BOTH, "none"),
    "sync": _inherit(BOTH, "standard", _words("standard always disabled")),
    "dnodesize": _inherit(FS, "legacy", _words("legacy auto 1k 2k 4k 8k 16k")),
    "volmode": _inherit(BOTH, "default", _words("default full geom dev none")),
    "filesystem_limit": Native(Nature.OWN, FS, "none"),
    "snapshot_limit": Native(Nature.OWN, BOTH, "none"),
    "snapdev": _inherit(BOTH, "hidden", _words("hidden visible")),
    "acltype": _inherit(FS, "off", _words("off nfsv4 posix posixacl noacl")),
    "context": Native(Nature.OWN, BOTH, "none"),
    "fscontext": Native(Nature.OWN, BOTH, "none"),
    "defcontext": Native(Nature.OWN, BOTH, "none"),
    "rootcontext": Native(Nature.OWN, BOTH, "none"),
    "relatime": _inherit(FS, "off", _ON_OFF),
    "redundant_metadata": _inherit(BOTH, "all", _words("all most some none")),
    "overlay": _inherit(FS, "on", _ON_OFF),
    "encryption": Native(Nature.ONCE, BOTH, "off"),
    "keylocation": Native(Nature.OWN, BOTH, "none"),
    "keyformat": Native(Nature.ONCE, BOTH, "none"),
    "pbkdf2iters": Native(Nature.ONCE, BOTH, "0", number=True),
    "special_small_blocks": Native(Nature.INHERIT, FS, "0", number=True),
}

READONLY = _words(
    "type creation used available referenced compressratio mounted origin guid createtxg written "
    "usedbysnapshots usedbydataset usedbychildren usedbyrefreservation defer_destroy userrefs clones "
    "logicalused logicalreferenced receive_resume_token objsetid refcompressratio keystatus "
    "encryptionroot snapshot_count filesystem_count redact_snaps name"
)
ALIASES = {
    "refer": "referenced",
    "avail": "available",
    "rdonly": "readonly",
    "compress": "compression",
    "ratio": "compressratio",
    "recsize": "recordsize",
    "refreserv": "refreservation",
    "reserv": "reservation",
    "volblock": "volblocksize",
    "lused": "logicalused",
    "lrefer": "logicalreferenced",
    "usedds": "usedbydataset",
    "usedsnap": "usedbysnapshots",
    "usedchild": "usedbychildren",
    "usedrefreserv": "usedbyrefreservation",
}
SNAPSHOT_NATIVE = _words(
    "acltype devices exec setuid xattr nbmand primarycache secondarycache version "
    "utf8only normalization casesensitivity context fscontext defcontext "
    "rootcontext mlslabel encryption volsize"
)
"""Native properties that snapshots show as well."""
_USER = re.compile(r"[a-z0-9:_.+-]*:[a-z0-9:_.+-]*\Z")


def is_user(name: str) -> bool:
    """True for a name that a user property may have."""
    return bool(_USER.match(name)) and len(name) < 256


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value comes from, as the SOURCE column says it."""

    kind: str
    dataset: str = ""

    def __str__(self) -> str:
        return f"inherited from {self.dataset}" if self.kind == "inherited" else self.kind


NONE = Source("-")
Value = tuple[str, Source]


def setting(settings: Settings, name: str) -> Setting:
    """The cell of that property, made where it is missing."""
    return settings.setdefault(name, Setting())


def prune(settings: Settings) -> None:
    """Forget cells that say nothing any more."""
    for name in [name for name, cell in settings.items() if cell.empty]:
        del settings[name]


def _own(cell: Setting | None, at_home: bool, holder: str) -> Value | None:
    if cell is None or cell.effective is None:
        return None
    if not at_home:
        return cell.effective, Source("inherited", holder)
    return cell.effective, Source("local" if cell.local is not None else "received")


def inherited_value(world: World, dataset: Dataset, snap: Snapshot | None, name: str) -> Value | None:
    """The value that the settings give, with its source; ``None`` where only the default is left."""
    inherits = is_user(name) or NATIVE[name].nature is Nature.INHERIT
    if snap is not None:
        found = _own(snap.settings.get(name), True, f"{dataset.name}@{snap.name}")
        if found:
            return found
    holder: str = dataset.name
    home = snap is None
    while True:
        here = world.datasets.get(holder)
        found = _own(here.settings.get(name), home, holder) if here is not None else None
        if found:
            return found
        if not inherits or "/" not in holder:
            return None
        holder, home = holder.rsplit("/", 1)[0], False


def user_names(world: World, dataset: Dataset, snap: Snapshot | None) -> list[str]:
    """The user properties that have a value here, by name."""
    seen: set[str] = set() if snap is None else set(snap.settings)
    parts = dataset.name.split("/")
    for depth in range(1, len(parts) + 1):
        holder = world.datasets.get("/".join(parts[:depth]))
        seen.update(holder.settings if holder is not None else ())
    return [n for n in sorted(seen) if is_user(n) and inherited_value(world, dataset, snap, n) is not None]

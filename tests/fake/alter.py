# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs set``, ``inherit``, ``create``: properties by hand, judged as libzfs judges them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tests.fake.changes import make_dataset
from tests.fake.errors import RefusedError, UsageError
from tests.fake.model import Kind, Settings, Snapshot, World
from tests.fake.names import DATASETS, HEADS, Found, full_name, open_named, type_of
from tests.fake.options import Options, parse
from tests.fake.props import ALIASES, NATIVE, READONLY, Native, Nature, is_user, prune, setting

Say = Callable[[str], None]
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50, "E": 2**60}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)([KMGTPE]?)(?:i?B)?\Z", re.IGNORECASE)
_LONGEST_USER_VALUE = 8191


def pairs(command: str, texts: Sequence[str]) -> dict[str, str]:
    """``name=value`` arguments; ``UsageError`` as zfs has it."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(command, "missing '=' for property=value argument")
        if name in found:
            raise UsageError(command, f"property '{name}' specified multiple times")
        found[name] = value
    return found


def number(text: str) -> int | None:
    """A size as zfs reads it, in bytes."""
    match = _NUMBER.match(text)
    return int(float(match.group(1)) * _UNITS[match.group(2).upper()]) if match else None


def judged(name: str, value: str, what: tuple[str, str], creating: bool = False) -> tuple[str, str]:
    """Name and value as they are stored; ``RefusedError`` where libzfs refuses.

    ``what`` is the type of the object and the words that begin the message.
    """
    kind, words = what
    real = ALIASES.get(name, name)
    if real not in NATIVE and real not in READONLY and is_user(real):
        if len(value) > _LONGEST_USER_VALUE:
            raise RefusedError(f"{words}: property value too long")
        return real, value
    if kind == "snapshot":
        raise RefusedError(f"{words}: this property can not be modified for snapshots")
    if real in READONLY:
        raise RefusedError(f"{words}: '{real}' is readonly")
    native = NATIVE.get(real)
    if native is None:
        raise RefusedError(f"{words}: invalid property '{name}'")
    if Kind(kind) not in native.kinds:
        raise RefusedError(f"{words}: '{real}' does not apply to datasets of this type")
    if native.nature is Nature.ONCE and not creating:
        raise RefusedError(f"{words}: '{real}' is readonly")
    return real, _judged_value(real, value, native, words)


def _judged_value(name: str, value: str, native: Native, words: str) -> str:
    if native.number:
        if value == "none":
            return "0"
        size = number(value)
        if size is None:
            raise RefusedError(f"{words}: bad numeric value '{value}'")
        return str(size)
    if native.values and value not in native.values:
        allowed = "on | off" if native.values == {"on", "off"} else " | ".join(sorted(native.values))
        raise RefusedError(f"{words}: '{name}' must be one of '{allowed}'")
    if name == "mountpoint" and value not in ("none", "legacy") and not value.startswith("/"):
        raise RefusedError(f"{words}: '{name}' must be an absolute path, 'none', or 'legacy'")
    return value


def _settings(found: Found) -> Settings:
    dataset, leaf = found
    assert leaf is None or isinstance(leaf, Snapshot)
    return dataset.settings if leaf is None else leaf.settings


def set_command(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
    """``zfs set``."""
    if argv and argv[0].startswith("-"):
        raise UsageError("set", f"invalid option '{argv[0][1:2]}'")
    first = next((i for i, arg in enumerate(argv) if "=" not in arg), len(argv))
    if not argv:
        raise UsageError("set", "missing arguments")
    if len(argv) == 1 and first == 0:
        raise UsageError("set", "missing property=value argument(s)")
    if first == len(argv):
        raise UsageError("set", "missing dataset name(s)")
    # Where no setting comes first, 2.3 takes every argument for a name.
    if any("=" in arg for arg in argv[first:]) and (first > 0 or not world.newer):
        raise UsageError("set", "invalid argument order")
    try:
        given = pairs("set", argv[:first])
    except UsageError as usage:
        raise RefusedError(usage.text.partition("\n")[0], status=255) from None
    status = 0
    opened: list[Found] = []
    for name in argv[first:]:
        try:
            opened.append(open_named(world, name, DATASETS))
        except RefusedError as refused:
            err(refused.text)
            status = 1
    for found in opened:
        try:
            words = f"cannot set property for '{full_name(found)}'"
            ready = [judged(name, value, (type_of(found), words)) for name, value in given.items()]
        except RefusedError as refused:
            err(refused.text)
            # Up to 2.1 it answers 1, in 2.3 libzfs's own -1.
            status = 255 if world.newer else 1
            continue
        world.next_txg()
        for name, value in ready:
            _set(found, name, value)
    return status


def _set(found: Found, name: str, value: str) -> None:
    if name == "volsize":
        found[0].volsize = int(value)
        return
    cell = setting(_settings(found), name)
    cell.local, cell.masked = value, False
    if found[1] is None and (name, value) in (("mountpoint", "none"), ("canmount", "off")):
        found[0].mounted = False


def inherit_command(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
    """``zfs inherit``."""
    options = parse("inherit", "rS", argv)
    options.need(1, None, "missing property argument")
    options.need(2, None, "missing dataset argument")
    name = ALIASES.get(options.operands[0], options.operands[0])
    revert = options.has("S")
    if name in READONLY or (name in NATIVE and NATIVE[name].nature is Nature.ONCE):
        raise RefusedError(f"{name} property is read-only")
    if name not in NATIVE and not is_user(name):
        raise UsageError("inherit", f"invalid property '{options.operands[0]}'")
    if name in NATIVE and NATIVE[name].nature is not Nature.INHERIT and not revert:
        how = (
            f"use 'zfs set {name}=none' to clear\nuse 'zfs inherit -S {name}' to revert to received value"
            if name.endswith(("quota", "reservation"))
            else ""
        )
        raise RefusedError(f"'{name}' property cannot be inherited\n{how}")
    status = 0
    for operand in options.operands[1:]:
        try:
            found = open_named(world, operand, DATASETS)
        except RefusedError as refused:
            err(refused.text)
            status = 1
            continue
        below = [found]
        if options.has("r") and found[1] is None:
            below = [(dataset, None) for dataset in world.tree(operand)]
        for one in below:
            if name in NATIVE and one[0].kind not in NATIVE[name].kinds:
                continue
            _inherit(world, one, name, revert)
    return status


def _inherit(world: World, found: Found, name: str, revert: bool) -> None:
    world.next_txg()
    settings = _settings(found)
    cell = setting(settings, name)
    cell.local = None
    cell.masked = not revert and found[1] is None and found[0].has_received
    prune(settings)


def create_command(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
    """``zfs create``, also of volumes and of encrypted datasets."""
    options = parse("create", "nPpso:V:b:uv", argv)
    options.need(1, 1, "missing filesystem argument" if not options.has("V") else "missing volume argument")
    name = options.operands[0]
    kind = Kind.VOLUME if options.has("V") else Kind.FILESYSTEM
    given = pairs("create", options.values("o"))
    words = f"cannot create '{name}'"
    ready = dict(judged(prop, value, (kind.value, words), creating=True) for prop, value in given.items())
    if options.has("p"):
        if world.dataset(name) is not None:
            return 0
        _ancestors(world, name)
    if options.has("n"):
        return 0
    _create(world, name, kind, ready, options)
    return 0


def _ancestors(world: World, name: str) -> None:
    parts = name.split("/")
    for depth in range(2, len(parts)):
        above = "/".join(parts[:depth])
        if world.dataset(above) is None:
            make_dataset(world, above, Kind.FILESYSTEM, {}).mounted = True


def _create(world: World, name: str, kind: Kind, settings: dict[str, str], options: Options) -> None:
    encryption = settings.pop("encryption", "")
    settings.pop("keyformat", "")
    location = settings.pop("keylocation", "")
    block = options.value("b") or settings.pop("volblocksize", "8192")
    size = number(options.value("V") or "0") or 0
    if kind is Kind.VOLUME and size == 0:
        raise RefusedError(f"cannot create '{name}': volume size cannot be zero")
    size = -(-size // (number(block) or 8192)) * (number(block) or 8192)
    if kind is Kind.VOLUME and not options.has("s"):
        settings.setdefault("refreservation", str(size * 5 // 4))
    made = make_dataset(world, name, kind, settings)
    made.volsize, made.volblocksize = size, number(block) or 8192
    if encryption not in ("", "off"):
        made.encryption_root, made.key_loaded, made.key_guid = name, True, world.new_guid()
        setting(made.settings, "keylocation").local = location or "prompt"
    made.mounted = (
        kind is Kind.FILESYSTEM
        and not options.has("u")
        and settings.get("canmount", "on") == "on"
        and settings.get("mountpoint") not in ("none", "legacy")
        and (not made.encrypted or made.key_loaded)
    )


def check_mountable(world: World, name: str) -> None:
    """``zfs mount`` and ``unmount`` take filesystems alone."""
    if type_of(open_named(world, name, HEADS)) != "filesystem":
        raise RefusedError(f"cannot open '{name}': operation not applicable to datasets of this type")

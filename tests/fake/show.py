# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs list``, ``get`` and ``holds``: who is shown, in which order, in which columns."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.fake.errors import RefusedError, UsageError
from tests.fake.model import Bookmark, Snapshot, World
from tests.fake.names import (
    BOOKMARK,
    DATASETS,
    EVERYTHING,
    FILESYSTEM,
    SNAPSHOT,
    VOLUME,
    Found,
    full_name,
    open_named,
    type_of,
)
from tests.fake.options import Options, parse
from tests.fake.props import ALIASES, NATIVE, NONE, READONLY, is_user, listed
from tests.fake.values import all_values, value_of

Say = Callable[[str], None]
_TYPES = {
    "filesystem": FILESYSTEM,
    "volume": VOLUME,
    "snapshot": SNAPSHOT,
    "snap": SNAPSHOT,
    "bookmark": BOOKMARK,
    "fs": FILESYSTEM,
    "vol": VOLUME,
    "bookm": BOOKMARK,
}
_SPACE = listed("name available used usedbysnapshots usedbydataset usedbyrefreservation usedbychildren")
_NEW_IN_2_2 = ("snapshots_changed",)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects a command walks."""

    types: frozenset[str]
    recurse: bool
    depth: int | None

    @property
    def operand_types(self) -> frozenset[str]:
        """What an operand may be."""
        if not self.recurse:
            return self.types
        more = {FILESYSTEM} | ({VOLUME} if self.types & {SNAPSHOT, BOOKMARK} else set())
        return self.types | more


def _scope(options: Options, default: frozenset[str], operands: Sequence[str]) -> Scope:
    types = default
    for text in options.values("t"):
        chosen: set[str] = set()
        for word in text.split(","):
            if word == "all":
                chosen |= EVERYTHING
            elif word in _TYPES:
                chosen.add(_TYPES[word])
            else:
                raise UsageError(options.command, f"invalid type '{word}'")
        types = frozenset(chosen)
    depth = options.value("d")
    recurse = options.has("r") or depth is not None
    limit = int(depth) if depth is not None and depth.isdigit() else None
    if depth is not None and limit is None:
        raise UsageError(options.command, f"{depth} is not an integer")
    if options.has("t") and types in ({SNAPSHOT}, {BOOKMARK}) and operands and not recurse:
        recurse, limit = True, 1
    return Scope(types, recurse, limit)


def _collect(world: World, operands: Sequence[str], scope: Scope, err: Say) -> tuple[list[Found], int]:
    found: dict[str, Found] = {}
    status = 0
    if not operands:
        scope = Scope(scope.types, True, scope.depth)
    for name in operands or [n for n, pool in sorted(world.pools.items()) if pool.imported]:
        try:
            start = open_named(world, name, scope.operand_types)
        except RefusedError as refused:
            err(refused.text)
            status = 1
            continue
        for one in _below(world, start, scope, 0):
            found.setdefault(full_name(one), one)
    return list(found.values()), status


def _below(world: World, start: Found, scope: Scope, depth: int) -> list[Found]:
    dataset, leaf = start
    result = [start] if type_of(start) in scope.types else []
    if leaf is not None or not scope.recurse or (scope.depth is not None and depth >= scope.depth):
        return result
    if SNAPSHOT in scope.types:
        result.extend((dataset, snap) for snap in dataset.snapshots)
    if BOOKMARK in scope.types:
        result.extend((dataset, mark) for mark in dataset.bookmarks)
    for child in world.children(dataset.name):
        result.extend(_below(world, (child, None), scope, depth + 1))
    return result


def _default_order(one: Found) -> tuple[str, int, int, str]:
    """``zfs_compare``: a dataset before its snapshots, those by createtxg."""
    dataset, leaf = one
    if leaf is None:
        return dataset.name, 0, 0, ""
    if isinstance(leaf, Snapshot):
        return dataset.name, 1, leaf.createtxg, leaf.name
    return f"{dataset.name}#{leaf.name}", 0, 0, ""


def _sorted(world: World, found: list[Found], columns: Sequence[tuple[str, bool]]) -> list[Found]:
    ordered = sorted(found, key=_default_order)

    def compare(left: Found, right: Found, name: str, reverse: bool) -> int:
        one, two = (value_of(world, side, name, True) for side in (left, right))
        if (one[0] == "-") != (two[0] == "-"):
            return 1 if one[0] == "-" else -1
        a: object = one[0]
        b: object = two[0]
        if one[0].isdigit() and two[0].isdigit() and name != "name":
            a, b = int(one[0]), int(two[0])
        result = 0 if a == b else -1 if (a < b) else 1  # type: ignore[operator]  # both str or both int
        return -result if reverse else result

    for name, reverse in reversed(columns):
        ordered.sort(
            key=functools.cmp_to_key(lambda a, b, n=name, r=reverse: compare(a, b, n, r))  # type: ignore[misc]
        )
    return ordered


def _property(world: World, name: str, options: Options, what: str = "bad property list: ") -> str:
    real = ALIASES.get(name, name)
    known = real in NATIVE or real in READONLY or is_user(real) or real.startswith("written@")
    if world.version >= (2, 2, 0) and real in _NEW_IN_2_2:
        known = True
    if not known:
        raise UsageError(options.command, f"{what}invalid property '{name}'")
    return real


def list_command(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
    """``zfs list``."""
    options = parse("list", "HS:d:o:prs:t:", argv)
    fields = (options.value("o") or "name,used,available,referenced,mountpoint").split(",")
    if fields == ["space"]:
        fields = list(_SPACE)
    names = [_property(world, name, options) for name in fields]
    columns = [
        (_property(world, value, options, ""), letter == "S")
        for letter, value in options.given
        if letter in "sS"
    ]
    default = (
        DATASETS
        if options.operands and not options.has("r") and not options.has("d")
        else (DATASETS - {SNAPSHOT})
    )
    scope = _scope(options, default, options.operands)
    found, status = _collect(world, options.operands, scope, err)
    literal = options.has("p")
    rows = [
        [value_of(world, one, name, literal)[0] for name in names] for one in _sorted(world, found, columns)
    ]
    if options.has("H"):
        out("".join("\t".join(row) + "\n" for row in rows))
    elif rows:
        out(_table([[_heading(name) for name in names], *rows], names))
    elif status == 0:
        err("no datasets available\n")
    return status


_HEADINGS = {
    "referenced": "REFER",
    "available": "AVAIL",
    "receive_resume_token": "RESUMETOK",
    "readonly": "RDONLY",
    "usedbysnapshots": "USEDSNAP",
    "usedbydataset": "USEDDS",
    "usedbyrefreservation": "USEDREFRESERV",
    "usedbychildren": "USEDCHILD",
}


def _heading(name: str) -> str:
    return _HEADINGS.get(name, name.upper())


def _right(name: str) -> bool:
    return name in (
        "used",
        "available",
        "referenced",
        "written",
        "guid",
        "createtxg",
        "userrefs",
        "usedbysnapshots",
        "usedbydataset",
        "usedbychildren",
        "usedbyrefreservation",
    )


def _table(rows: list[list[str]], names: Sequence[str]) -> str:
    widths = [max(len(row[index]) for row in rows) for index in range(len(names))]
    lines = []
    for row in rows:
        cells = []
        for index, cell in enumerate(row):
            last = index == len(row) - 1
            if _right(names[index]):
                cells.append(cell.rjust(widths[index]))
            else:
                cells.append(cell if last else cell.ljust(widths[index]))
        lines.append("  ".join(cells) + "\n")
    return "".join(lines)


def get_command(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
    """``zfs get``."""
    options = parse("get", "d:o:s:rt:Hp", argv)
    options.need(1, None, "missing property argument")
    columns = (options.value("o") or "name,property,value,source").split(",")
    if columns == ["all"]:
        columns = ["name", "property", "value", "received", "source"]
    for column in columns:
        if column not in ("name", "property", "value", "received", "source"):
            raise UsageError("get", f"invalid column name '{column}'")
    sources = set((options.value("s") or "").split(",")) - {""}
    wanted = options.operands[0]
    names = None if wanted == "all" else [_property(world, n, options) for n in wanted.split(",")]
    scope = _scope(options, EVERYTHING, options.operands[1:])
    found, status = _collect(world, options.operands[1:], scope, err)
    rows = []
    for one in _sorted(world, found, []):
        literal = options.has("p")
        if names is None:
            values = list(all_values(world, one, literal))
        else:
            values = [(name, value_of(world, one, name, literal)) for name in names]
        for name, (value, source) in values:
            if sources and ("none" if source is NONE else source.kind) not in sources:
                continue
            cells = {
                "name": full_name(one),
                "property": name,
                "value": value,
                "source": str(source),
                "received": _received(one, name),
            }
            rows.append([cells[column] for column in columns])
    if options.has("H"):
        out("".join("\t".join(row) + "\n" for row in rows))
    elif rows:
        out(_table([[column.upper() for column in columns], *rows], ["-"] * len(columns)))
    return status


def _received(one: Found, name: str) -> str:
    dataset, leaf = one
    if isinstance(leaf, Bookmark):
        return "-"
    cell = (dataset if leaf is None else leaf).settings.get(name)
    return cell.received if cell is not None and cell.received is not None else "-"


def holds_command(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
    """``zfs holds``."""
    options = parse("holds", "rH", argv)
    options.need(1, None, "")
    status = 0
    rows: list[tuple[str, str, int]] = []
    seen = False
    for name in options.operands:
        head, at, short = name.partition("@")
        if not at:
            err(f"'{name}' is not a snapshot\n")
            status = 1
            continue
        scope = Scope(
            frozenset({SNAPSHOT, FILESYSTEM, VOLUME}) if options.has("r") else frozenset({SNAPSHOT}),
            options.has("r"),
            None,
        )
        found, fault = _collect(world, [head if options.has("r") else name], scope, err)
        status = status or fault
        for dataset, leaf in _sorted(world, found, []):
            if isinstance(leaf, Snapshot) and leaf.name == short:
                seen = True
                whole = f"{dataset.name}@{leaf.name}"
                rows.extend((whole, tag, when) for tag, when in sorted(leaf.holds.items()))
    text = [[n, t, time.strftime("%a %b %e %H:%M %Y", time.localtime(when))] for n, t, when in rows]
    if options.has("H"):
        out("".join("\t".join(row) + "\n" for row in text))
    else:
        out(_table([["NAME", "TAG", "TIMESTAMP"], *text], ["-", "-", "-"]))
    if not seen:
        err("no datasets available\n")
    return status

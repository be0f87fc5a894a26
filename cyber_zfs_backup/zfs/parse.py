# SPDX-License-Identifier: GPL-3.0-or-later
"""What the zfs command prints, as values. Anything unexpected is refused whole, never guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..model.names import relative
from ..model.trees import Bookmark, Dataset, Kind, Snapshot, Tree

_SOURCE = re.compile(r"-|local|received|default|temporary|inherited from .+|gatekeeper")
"""Where a property's value may come from (zfs-get(8), and ``gatekeeper/main.py``); the end of a user
property's last line."""

_KINDS = frozenset(kind.value for kind in Kind)
_TOKEN = re.compile(r"[0-9a-f]+(-[0-9a-f]+)+")


class GarbledError(Exception):
    """An answer that zfs does not give: cut off in the middle, or not from zfs at all."""


@dataclass(frozen=True, slots=True)
class Property:
    """One property's value and where it comes from (``local``, ``received``, ``default``, ``-``, ...)."""

    value: str
    source: str


Properties = Mapping[str, Mapping[str, Property]]
"""Full dataset name to property name to property."""


@dataclass(frozen=True, slots=True)
class Use:
    """What keeps a snapshot: how many holds, and which clones."""

    guid: int
    holds: int
    clones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TokenContents:
    """What a resume token asks for: the snapshot (full name on the source) and its GUIDs."""

    to_name: str
    to_guid: int
    from_guid: int | None


def _lines(text: str) -> list[str]:
    if not text:
        return []
    if not text.endswith("\n"):
        raise GarbledError(f"the answer ends in the middle of a line: {text[-60:]!r}")
    return text[:-1].split("\n")


def _fields(line: str, count: int) -> list[str]:
    fields = line.split("\t")
    if len(fields) != count or not fields[0]:
        raise GarbledError(f"not a line of {count} fields: {line[:80]!r}")
    return fields


def _whole_number(text: str, line: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise GarbledError(f"{text[:40]!r} is not a number in the line {line[:80]!r}")
    return int(text)


def properties(text: str) -> Properties:
    """The answer of ``zfs get -Hp -o name,property,value,source``.

    The value of a user property may hold tabs and newlines, and zfs prints them as they are: a line
    that such a value leaves incomplete goes on in the next.
    """
    found: dict[str, dict[str, Property]] = {}
    record = ""
    for line in _lines(text):
        record = f"{record}\n{line}" if record else line
        name, _, rest = record.partition("\t")
        prop, _, rest = rest.partition("\t")
        value, tab, source = rest.rpartition("\t")
        if ":" in prop and not _SOURCE.fullmatch(source):
            continue
        if not (tab and name and prop and source) or ("\t" in value and ":" not in prop):
            raise GarbledError(f"not a property's line: {record[:80]!r}")
        found.setdefault(name, {})[prop] = Property(value, source)
        record = ""
    if record:
        raise GarbledError(f"the answer ends in the middle of a property: {record[:80]!r}")
    return found


def snapshots(text: str) -> dict[str, list[Snapshot]]:
    """The answer of ``zfs list -Hp -o name,guid,createtxg -t snapshot``: dataset name to snapshots.

    Written for half a million lines: names that repeat on every dataset are kept once.
    """
    found: dict[str, list[Snapshot]] = {}
    names: dict[str, str] = {}
    dataset = ""
    into: list[Snapshot] = []
    for line in _lines(text):
        try:
            full, guid, createtxg = line.split("\t")
            where, name = full.split("@")
            # One check for both numbers; isdecimal refuses signs, spaces and underscores, which int() takes.
            both = guid + createtxg
            if not (both.isdecimal() and both.isascii() and guid and createtxg):
                raise ValueError
        except ValueError:
            raise GarbledError(f"not a snapshot's line: {line[:80]!r}") from None
        if where != dataset:
            dataset = where
            into = found.setdefault(where, [])
        into.append(Snapshot(names.setdefault(name, name), int(guid), int(createtxg)))
    return found


def one_number(text: str) -> int:
    """The answer of a command that prints one number."""
    (line,) = _lines(text) or [""]
    return _whole_number(line, text)


def number_of(about: Mapping[str, Property], name: str) -> int:
    """The value of a dataset's numeric property (with -p); 0 where it has none."""
    value = about[name].value if name in about else "-"
    return 0 if value == "-" else _whole_number(value, f"{name} {value}")


@dataclass(frozen=True, slots=True)
class Listing:
    """The snapshots and bookmarks of a tree, each by full dataset name."""

    snapshots: Mapping[str, list[Snapshot]]
    bookmarks: Mapping[str, list[Bookmark]]


def snapshots_and_bookmarks(text: str) -> Listing:
    """The answer of ``zfs list -Hp -o name,guid,createtxg -t snapshot,bookmark``."""
    marked = [line for line in _lines(text) if "#" in line] if "#" in text else []
    if not marked:
        return Listing(snapshots(text), {})
    others = "".join(f"{line}\n" for line in _lines(text) if "#" not in line)
    bookmarks: dict[str, list[Bookmark]] = {}
    for line in marked:
        full, guid, createtxg = _fields(line, 3)
        where, _, name = full.partition("#")
        if not (where and name) or "@" in full:
            raise GarbledError(f"not a bookmark's line: {line[:80]!r}")
        mark = Bookmark(name, _whole_number(guid, line), _whole_number(createtxg, line))
        bookmarks.setdefault(where, []).append(mark)
    return Listing(snapshots(others), bookmarks)


def tree(
    root: str,
    about: Properties,
    listed: Mapping[str, list[Snapshot]],
    *,
    complete: bool,
    bookmarks: Mapping[str, list[Bookmark]] = MappingProxyType({}),
) -> Tree:
    """Put a tree together from the properties of its datasets and the lists of its snapshots and bookmarks.

    Snapshots of a dataset that appeared between the two questions are left out: it is not part of
    the tree that was asked for. Raises ``GarbledError`` for a name outside the root, and for what
    ``damaged`` finds.
    """
    datasets: dict[str, Dataset] = {}
    for name in sorted(about, key=lambda full: full.split("/")):
        try:
            path = relative(root, name)
        except ValueError as error:
            raise GarbledError(str(error)) from None
        for what in damaged(about[name]).values():
            raise GarbledError(f"{name}: {what}; look at it with `zfs get all {name}` on that host")
        datasets[path] = _dataset(path, about[name], listed.get(name, []), bookmarks.get(name, []))
    for name in (*listed, *bookmarks):
        if name != root and not name.startswith(f"{root}/"):
            raise GarbledError(f"{name!r} is not at or below {root!r}")
    if "" not in datasets:
        raise GarbledError(f"the answer does not name {root!r} itself")
    return Tree(root, MappingProxyType(datasets), complete, number_of(about[root], "guid"))


def damaged(about: Mapping[str, Property]) -> dict[str, str]:
    """The properties of a dataset that no zfs answers so, each with what is wrong with it."""
    found = {}
    kind = about.get("type")
    if kind is not None and kind.value not in _KINDS:
        found["type"] = f"a dataset of type {kind.value!r}"
    token = about.get("receive_resume_token")
    if token is not None and token.value != "-" and not _TOKEN.fullmatch(token.value):
        found["receive_resume_token"] = f"a resume token that is none: {token.value[:40]!r}"
    return found


def _dataset(
    path: str, about: Mapping[str, Property], listed: list[Snapshot], bookmarks: list[Bookmark]
) -> Dataset:
    def value(name: str, otherwise: str) -> str:
        found = about.get(name)
        return found.value if found else otherwise

    token = value("receive_resume_token", "-")
    return Dataset(
        path=path,
        snapshots=tuple(sorted(listed, key=lambda snapshot: snapshot.createtxg)),
        kind=Kind(value("type", Kind.FILESYSTEM.value)),
        encrypted=value("encryption", "off") not in ("off", "-"),
        resume_token=None if token == "-" else token,
        origin=None if value("origin", "-") in ("-", "") else value("origin", "-"),
        bookmarks=tuple(sorted(bookmarks, key=lambda bookmark: bookmark.createtxg)),
    )


def uses(text: str) -> dict[str, Use]:
    """The answer of ``zfs list -Hp -o name,guid,userrefs,clones``: full snapshot name to its use."""
    found = {}
    for line in _lines(text):
        name, guid, holds, clones = _fields(line, 4)
        listed = () if clones in ("", "-") else tuple(clones.split(","))
        found[name] = Use(_whole_number(guid, line), _whole_number(holds, line), listed)
    return found


def held(text: str) -> dict[str, int]:
    """The answer of ``zfs list -Hp -o name,userrefs``: full snapshot name to the number of holds."""
    return {name: _whole_number(count, text) for name, count in (_fields(line, 2) for line in _lines(text))}


def holds(text: str) -> dict[str, set[str]]:
    """The answer of ``zfs holds -H``: full snapshot name to its tags."""
    found: dict[str, set[str]] = {}
    for line in _lines(text):
        name, tag, _when = _fields(line, 3)
        found.setdefault(name, set()).add(tag)
    return found


def reclaimed(text: str) -> int:
    """The bytes that ``zfs destroy -nvp`` says would be freed."""
    for line in _lines(text):
        fields = line.split("\t")
        if fields[0] == "reclaim" and len(fields) == 2:
            return _whole_number(fields[1], line)
    return 0


def send_size(text: str) -> int | None:
    """The bytes that ``zfs send -nvP`` says a stream would have; ``None`` where it does not say."""
    match = re.search(r"^size\t([0-9]{1,20})$", text, re.MULTILINE)
    return int(match.group(1)) if match else None


def token_contents(text: str) -> TokenContents:
    """The answer of ``zfs send -nvt TOKEN``."""

    def number(name: str) -> int | None:
        match = re.search(rf"^\s*{name} = (0x[0-9a-fA-F]+|\d+)\s*$", text, re.MULTILINE)
        return int(match.group(1), 0) if match else None

    to_name = re.search(r"^\s*toname = (.+?)\s*$", text, re.MULTILINE)
    to_guid = number("toguid")
    if not to_name or to_guid is None:
        raise GarbledError(f"not the contents of a resume token: {text[:80]!r}")
    return TokenContents(to_name.group(1), to_guid, number("fromguid"))

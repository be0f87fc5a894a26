# SPDX-License-Identifier: GPL-3.0-or-later
"""A check-up of a tree and its copy: what is kept for whom, what hangs, what would mount. Pure.

What could not be asked is ``None``, or a tree that is not ``complete``: of that nothing is said to be well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from shlex import quote

from ..model.names import is_within, join, own_time
from ..model.trees import Tree
from .findings import Finding, fails, good, some, typed, warning
from .ledger import Ledger, Record

FUTURE = timedelta(seconds=60)
"""A name that is so far ahead of now is no matter of clocks that differ a little."""

TOKEN_AGE = timedelta(days=1)
BASE_AGE = timedelta(days=30)
"""A destination that has got nothing for so long is probably forgotten, and what it keeps grows."""


@dataclass(frozen=True, slots=True)
class Stray:
    """Snapshots (by their full names) with a hold of ours, its ``tag`` as zfs has it; ``to`` is whom it is
    for."""

    tag: str
    to: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What the source keeps. ``ledgers`` are the records by their tags; ``nested`` are tags of other jobs
    whose tree contains this one or lies in it. ``holds`` and ``marks`` count what carries a tag; ``strays``
    are what is held for a destination on record, and not named by its record."""

    ledgers: Mapping[str, Ledger]
    nested: frozenset[str] = frozenset()
    holds: Mapping[str, int] | None = field(default_factory=dict)
    marks: Mapping[str, int] | None = field(default_factory=dict)
    strays: tuple[Stray, ...] = ()


@dataclass(frozen=True, slots=True)
class Still:
    """How a dataset of the copy would act. Empty words where nobody could be asked."""

    mountpoint: str = ""
    canmount: str = ""
    readonly: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """Whose key a dataset has: ``root`` is the full name of its encryption root, empty for none."""

    root: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Copy:
    """The receiver's tree, and what goes with it by its paths. ``unfinished`` is the name of the snapshot
    that each resume token asks for, or ``None`` where the source cannot go on from it; a token is not in it
    where the source could not be asked. ``damaged`` are datasets whose token, perhaps, cannot be read."""

    where: str
    tree: Tree
    way_options: str = ""
    unfinished: Mapping[str, str | None] = field(default_factory=dict)
    still: Mapping[str, Still] = field(default_factory=dict)
    keys: Mapping[str, Key] | None = field(default_factory=dict)
    damaged: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Source:
    """The source's tree. ``live`` are the mount points in use there. ``tree_options`` name the tree in a
    command of ours, ``way_options`` a copy too."""

    where: str
    tree: Tree
    kept: Kept
    keys: Mapping[str, Key] = field(default_factory=dict)
    live: frozenset[str] = frozenset()
    tree_options: str = ""
    way_options: str = ""


def examine_source(source: Source, now: datetime) -> Iterator[Finding]:
    """What the source's tree shows by itself."""
    yield from _future(source.tree, source.where, source.way_options, now, stops=True)
    yield from _leaks(source)
    yield from _forgotten(source, now)
    roots = sorted({key.root for key in source.keys.values() if key.root})
    if roots:
        what = f"{len(roots)} encryption roots ({some(roots)}): keep a copy of their keys"
        yield good("encryption", source.where, what)


def examine_copy(source: Source | None, copy: Copy, now: datetime) -> Iterator[Finding]:
    """What the copy shows, and what it shows beside the source, where that could be read."""
    # On the source expire refuses to work; there it only stays longer than it should.
    yield from _future(copy.tree, copy.where, copy.way_options, now, stops=False)
    yield from _tokens(copy, now)
    yield from _encryption(source, copy)
    yield from _mounts(copy, frozenset() if source is None else source.live)
    yield from _clones(copy)


def _future(tree: Tree, where: str, options: str, now: datetime, *, stops: bool) -> Iterator[Finding]:
    names = {
        snapshot.name
        for dataset in tree.datasets.values()
        for snapshot in dataset.snapshots
        if (own_time(snapshot.name) or now) > now + FUTURE
    }
    for name in sorted(names):
        what = f"the snapshot {name} of {tree.root} is dated in the future"
        remedy = f"cyber-zfs-backup quarantine {name} {options}"
        yield (fails if stops else warning)("future", where, what, remedy)
    if not names and tree.complete:
        yield good("future", where, f"no snapshot of {tree.root} is dated in the future")


def _leaks(source: Source) -> Iterator[Finding]:
    kept = source.kept
    holds, marks = kept.holds or {}, kept.marks or {}
    known = {*kept.ledgers, *kept.nested}
    lost = sorted({*holds, *marks} - known)
    for tag in lost:
        has = [(holds.get(tag, 0), "holds"), (marks.get(tag, 0), "bookmarks")]
        told = " and ".join(f"{count} {what}" for count, what in has if count)
        what = f"{told} of {source.tree.root} are for a destination ({tag}) that is on no record"
        yield warning("leaked", source.where, what, f"cyber-zfs-backup forget {tag} {source.tree_options}")
    for stray in kept.strays:
        held = f"{some(stray.names)}: held for {stray.to}, whose record does not name it"
        # The next push names what it finds to be of use after all: a base that somebody has renamed, say.
        command = f"zfs release {stray.tag} {' '.join(map(quote, stray.names))}"
        remedy = f"push to it again; what is still told then: {typed(source.where, command)}"
        yield warning("leaked", source.where, f"{held}, so that no run lets it go", remedy)
    if not (lost or kept.strays) and kept.holds is not None and kept.marks is not None:
        what = "every hold and bookmark of ours belongs to a destination on record"
        yield good("leaked", source.where, what)


def unnamed(ledger: Ledger, begins: str, held: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """What is held (path and name of a snapshot) of the tree at ``begins`` and not named by its ledger.

    The order of a push's writes (``plan/ledger.py``) leaves no such thing behind, whenever it dies.
    """
    return frozenset(
        (path, name) for path, name in held if is_within(begins, path) and name not in ledger.names_for(path)
    )


def _forgotten(source: Source, now: datetime) -> Iterator[Finding]:
    for tag, ledger in sorted(source.kept.ledgers.items()):
        # The oldest base counts, and not the newest name on record: each dataset keeps all that has come
        # since its own base, however far the others are, and a pending target frees nothing before it has
        # arrived. The root's record speaks for all that have none of their own.
        records = {"": ledger.root, **ledger.lagging}
        since = {path: when for path, record in records.items() if (when := _since(record)) is not None}
        late = sorted((when, path) for path, when in since.items() if now - when > BASE_AGE)
        if not late:
            continue
        (oldest, path), *others = late
        full, days = source.tree.full(path), (now - oldest).days
        what = f"{ledger.root.to} has confirmed nothing of {full} for {days} days"
        more = f" (and of {len(others)} more for over {BASE_AGE.days})" if others else ""
        # A base that a bookmark keeps needs no snapshot.
        held = not all(records[path].marked for _when, path in late)
        yield warning(
            "forgotten",
            source.where,
            f"{what}{more}{', and keeps what has been there since then' if held else ''}",
            f"push to it again, or where it is gone: cyber-zfs-backup forget {tag} {source.tree_options}",
        )


def _since(record: Record) -> datetime | None:
    """From when on a record keeps snapshots, as far as their names tell."""
    times = (own_time(name) for name in (record.base, *record.pending) if name)
    return min((time for time in times if time is not None), default=None)


def _tokens(copy: Copy, now: datetime) -> Iterator[Finding]:
    for path, name in copy.unfinished.items():
        full = copy.tree.full(path)
        if name is None:
            what = f"{full} has a partial receive that the source can no longer continue"
            yield warning(
                "token",
                copy.where,
                what,
                f"the next push clears it; by hand {typed(copy.where, f'zfs receive -A {quote(full)}')}",
            )
            continue
        when = own_time(name)
        if when is not None and now - when > TOKEN_AGE:
            what = f"{full} has a partial receive of @{name}, which is older than a day"
            yield warning(
                "token",
                copy.where,
                what,
                f"push again: it goes on; else {typed(copy.where, f'zfs receive -A {quote(full)}')}",
            )
    left = copy.unfinished or any(dataset.resume_token for dataset in copy.tree.datasets.values())
    if not (left or copy.damaged):
        yield good("token", copy.where, "no partial receive is left")


def _encryption(source: Source | None, copy: Copy) -> Iterator[Finding]:
    keys = copy.keys or {}
    mixed = False
    for path, mine in source.tree.datasets.items() if source is not None else ():
        theirs = copy.tree.datasets.get(path)
        if theirs is None or not theirs.snapshots or mine.encrypted == theirs.encrypted:
            continue
        mixed = True
        full = copy.tree.full(path)
        if mine.encrypted:
            what = f"{full} is not encrypted, and its source is: no stream fits on it"
            remedy = typed(
                copy.where,
                f"zfs rename {quote(full)} {quote(full + '-clear')}; the next push sends it anew",
            )
            yield fails("encryption", copy.where, what, remedy)
            continue
        key = keys.get(path, Key())
        what = f"{full} is encrypted there and not on the source: it is sent in clear over the line"
        if key.status == "unavailable":
            yield fails(
                "encryption",
                copy.where,
                f"{what}, and its key is not loaded",
                typed(copy.where, f"zfs load-key {quote(key.root)}"),
            )
        else:
            what = f"{what}, and needs its key at each push"
            yield warning(
                "encryption",
                copy.where,
                what,
                typed(copy.where, f"zfs load-key {quote(key.root or full)}, after each boot"),
            )
    for path, key in keys.items():
        if key.root and not is_within(copy.tree.root, key.root):
            mixed = True
            what = f"{copy.tree.full(path)} has the key of {key.root}, which is not part of the copy"
            yield warning(
                "encryption", copy.where, what, f"keep the key of {key.root}: without it this is lost"
            )
            break
    if not mixed and source is not None and copy.tree.complete and copy.keys is not None:
        yield good("encryption", copy.where, "each dataset is encrypted as its source is")


def _mounts(copy: Copy, live: frozenset[str]) -> Iterator[Finding]:
    told = False
    for path, still in copy.still.items():
        full = copy.tree.full(path)
        calm = f"zfs set mountpoint=none {quote(full)}"
        if still.mountpoint.startswith("/") and still.canmount == "on":
            told = True
            shadows = still.mountpoint == "/" or still.mountpoint in live
            over = ", where the source's own data are mounted" if shadows else ""
            what = f"{full} mounts at {still.mountpoint}{over}"
            yield warning("mount", copy.where, what, typed(copy.where, calm))
        if not path and still.readonly == "off":
            told = True
            what = f"{full} can be written to: what is written there stops the next push"
            yield warning("mount", copy.where, what, typed(copy.where, f"zfs set readonly=on {quote(full)}"))
    if copy.still and not told:
        yield good("mount", copy.where, "nothing of the copy mounts or can be written to")


def _clones(copy: Copy) -> Iterator[Finding]:
    root = copy.tree.root
    for path, dataset in copy.tree.datasets.items():
        origin = dataset.origin
        if origin and not is_within(root, origin.partition("@")[0]):
            what = f"{join(root, path)} is a clone of {origin}, which is not part of the copy"
            remedy = (
                f"look at it: zfs promote or zfs destroy {quote(join(root, path))}; it is not this client's"
            )
            yield warning("clone", copy.where, what, remedy)

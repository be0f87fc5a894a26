# SPDX-License-Identifier: GPL-3.0-or-later
"""What the source remembers of a destination: its base, and all that may have arrived there.

A user property on the source's root names the base of each destination; a hold protects it. A
dataset that lags has a record of its own, so that one failing child pins only itself. The order of
the writes is the whole point: whatever a crash leaves behind, every snapshot that the receiver may
build on is both held and named.

1. ``announced``: the target is named as pending.
2. The target (and an adopted base) is held. Only then does the first byte move.
3. ``settled``: after a fresh answer of the receiver the confirmed target is named as base, the former
   names stay until their holds are released; then they go.

A stream carries every snapshot between its two ends, and may be cut anywhere. So as long as anything is
pending, all between the ends counts as arrived too (``in_flight``), though only the ends are named.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from ..model.trees import Dataset

_SNAPSHOT = re.compile(r"[A-Za-z0-9_.: -]+")


class LedgerError(Exception):
    """A property that should hold our record does not."""


@dataclass(frozen=True, slots=True)
class Record:
    """One dataset's record for one destination. All names are snapshot names, after the '@'.

    ``base`` is confirmed on the receiver. ``pending`` may have arrived there. ``former`` are no longer
    needed, but their holds may not be released yet. ``properties`` is the digest of what travelled
    with the base. ``to`` is the destination's label, for people. ``marked`` is true where a bookmark keeps
    the base, and no hold: its snapshot may be gone.
    """

    to: str
    base: str | None = None
    pending: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    properties: str = ""
    marked: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Every snapshot name that this record keeps, each once, the base first."""
        return tuple(dict.fromkeys((*([self.base] if self.base else []), *self.pending, *self.former)))


@dataclass(frozen=True, slots=True)
class Ledger:
    """All records of one destination on one tree: the root's, and those of datasets that lag."""

    root: Record
    lagging: Mapping[str, Record] = field(default_factory=dict)

    @property
    def marked(self) -> bool:
        """Whether a bookmark keeps any base."""
        return any(record.marked for record in (self.root, *self.lagging.values()))

    def of(self, path: str) -> Record:
        """The record that counts for a dataset."""
        return self.lagging.get(path, self.root)

    def names_for(self, path: str) -> tuple[str, ...]:
        """Every snapshot name that must not go, for a dataset."""
        return tuple(dict.fromkeys((*self.of(path).names, *self.root.names)))


@dataclass(frozen=True, slots=True)
class Standing:
    """What a fresh answer of the receiver shows of one dataset.

    ``confirmed`` is the newest snapshot that both hold, by GUID, whoever took it (its name on the source):
    the next base. ``marked`` is true where the source has only our bookmark of that one. ``arriving`` is the
    snapshot that the receiver's resume token asks for. ``conflicted`` is true where a person must act first;
    until then nothing is forgotten of it.
    """

    confirmed: str | None
    arriving: str | None = None
    conflicted: bool = False
    marked: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """What the receiver builds on, or may come to."""
        return tuple(name for name in (self.confirmed, self.arriving) if name is not None)


@dataclass(frozen=True, slots=True)
class Hold:
    """Hold a snapshot name on these datasets."""

    name: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """Release a snapshot name's hold: on the whole tree, or (``paths``) on these datasets alone."""

    name: str
    paths: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What to do, in this order: write ``named``, do the ``holds``, the ``releases``, write ``final``."""

    named: Ledger
    holds: tuple[Hold, ...]
    releases: tuple[Release, ...]
    final: Ledger


def destination_tag(source_guid: int, host: str, dataset: str) -> str:
    """The part of hold tags and property names that stands for a destination.

    From the source's GUID, so that a nested or renamed job never shares one.
    """
    return hashlib.sha256(f"{source_guid}\0{host}\0{dataset}".encode()).hexdigest()[:16]


def bookmark_prefix(tag: str) -> str:
    """How the names of a destination's own bookmarks begin; the snapshot's name follows."""
    return f"cyber-zfs-backup.{tag}."


def encode(record: Record) -> str:
    """The record as the property's value."""
    content: dict[str, object] = {"base": record.base}
    if record.pending:
        content["pending"] = list(record.pending)
    if record.former:
        content["former"] = list(record.former)
    if record.properties:
        content["properties"] = record.properties
    if record.marked:
        content["marked"] = True
    content["to"] = record.to
    return json.dumps(content, separators=(",", ":"))


def decode(value: str) -> Record:
    """The record of a property's value; raises ``LedgerError`` for anything that we would not write."""
    try:
        content = json.loads(value)
        record = Record(
            to=str(content["to"]),
            base=content["base"],
            pending=tuple(content.get("pending", ())),
            former=tuple(content.get("former", ())),
            properties=str(content.get("properties", "")),
            marked=content.get("marked", False) is True,
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LedgerError(f"{value[:60]!r} is no record of ours ({error})") from None
    for name in (*([] if record.base is None else [record.base]), *record.pending, *record.former):
        if not (isinstance(name, str) and _SNAPSHOT.fullmatch(name)):
            raise LedgerError(f"{name!r} in {value[:60]!r} is no snapshot name")
    return record


def renamed(record: Record, old: str, new: str) -> Record:
    """The record after a snapshot was renamed."""

    def names(listed: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new if name == old else name for name in listed)

    base = new if record.base == old else record.base
    return replace(record, base=base, pending=names(record.pending), former=names(record.former))


@dataclass(frozen=True, slots=True)
class Going:
    """What a push sends to one dataset: from the ``base`` that was seen there up to the ``target``."""

    base: str | None
    target: str


def announced(
    ledger: Ledger,
    targets: Iterable[str],
    adopted: Mapping[str, Iterable[str]],
    going: Mapping[str, Going] = MappingProxyType({}),
) -> Ledger:
    """The ledger with the targets named as pending, before any of them is held or sent.

    ``adopted`` are, by path, bases that the receiver showed but the ledger does not name, and steps on the
    way. They are named by a record of that dataset's own: a property has room for 8 KiB (zfsprops.7), and
    hundreds of datasets may each have another name. ``going`` tells, by path, what is sent: where the target
    is the root's base already (this one lagged), it is pending for that dataset all the same, or else what
    comes between the two would be nobody's.
    """
    wanted = dict.fromkeys((*adopted.get("", ()), *targets))
    known = set(ledger.root.names)
    new = [name for name in wanted if name not in known]
    # A former name that is a target again must not be released behind the push's back.
    former = tuple(name for name in ledger.root.former if name not in wanted)
    back = [name for name in ledger.root.former if name in wanted]
    root = replace(ledger.root, pending=(*ledger.root.pending, *back, *new), former=former)
    lagging = dict(ledger.lagging)
    for path, names in adopted.items():
        own = ledger.lagging.get(path) or replace(ledger.root, former=(), properties="")
        more = tuple(name for name in dict.fromkeys(names) if name not in (own.base, *own.pending))
        if path and more:
            left = tuple(name for name in own.former if name not in more)
            lagging[path] = replace(own, pending=(*own.pending, *more), former=left)
    for path, sent in going.items():
        if sent.target in root.pending:
            continue
        if not path:
            root = _expecting(root, sent)
        elif path in lagging:
            lagging[path] = _expecting(lagging[path], sent)
        else:
            # The root's record speaks of the arrival of others.
            lagging[path] = Record(root.to, sent.base, (sent.target,))
    return Ledger(root, lagging)


def _expecting(record: Record, sent: Going) -> Record:
    """A record with the target as pending; where it was the base, that was not true of this dataset."""
    if sent.target in record.pending:
        return record
    expecting = replace(record, pending=(*record.pending, sent.target))
    return replace(expecting, base=sent.base, marked=False) if record.base == sent.target else expecting


def kept_names(ledger: Ledger, dataset: Dataset, tag: str) -> tuple[str, ...]:
    """The snapshots of a dataset that no rule may destroy for the destination's sake: its base, and all that
    may have arrived there. A base of which our bookmark is there need not stay.

    ``dataset`` is the source's, whole, with its bookmarks where the ledger says that it has any.
    """
    names = (*ledger.names_for(dataset.path), *in_flight(ledger, dataset, tag))
    record = ledger.of(dataset.path)
    base = dataset.named(record.base) if record.base else None
    spared = {mark.guid for mark in dataset.bookmarks if mark.name.startswith(bookmark_prefix(tag))}
    if record.marked and base is not None and base.guid in spared:
        needed = {*record.pending, *record.former, *(ledger.root.names if record is not ledger.root else ())}
        names = tuple(name for name in names if name != record.base or name in needed)
    return tuple(dict.fromkeys(names))


def in_flight(ledger: Ledger, dataset: Dataset, tag: str = "") -> tuple[str, ...]:
    """The snapshots of a dataset that a push may have brought which nobody has seen the end of.

    ``dataset`` is the source's, whole. Empty where nothing is pending.
    """
    record = ledger.of(dataset.path)
    named = [s for s in dataset.snapshots if s.name in ledger.names_for(dataset.path)]
    pending = {*record.pending, *ledger.root.pending}
    last = max((s.createtxg for s in named if s.name in pending), default=0)
    # Without a base there the stream began with the oldest.
    has_base = any(s.name == record.base for s in named)
    first = min(s.createtxg for s in named) if has_base else 0
    mark = f"{bookmark_prefix(tag)}{record.base}"
    if not has_base:
        first = next((each.createtxg for each in dataset.bookmarks if each.name == mark), 0)
    return tuple(s.name for s in dataset.snapshots if first <= s.createtxg <= last)


def settled(
    ledger: Ledger, before: Ledger, standings: Mapping[str, Standing], target: str, properties: str
) -> Settlement:
    """The ledger after a fresh answer of the receiver.

    ``before`` is the ledger as it was before this push announced anything. ``standings`` has an entry for
    each dataset of the source that takes part; '' is the root. Of all others nobody has asked, so what is
    known of them stays. ``properties`` is the digest that stands when every dataset has arrived.
    """
    if standings.get("", Standing(None)).confirmed != target:
        return _root_lags(ledger, before, standings, target)
    lagging = {path: record for path, record in ledger.lagging.items() if path not in standings}
    for path, standing in standings.items():
        if standing.confirmed != target and (record := _lag(before, path, standing)) is not None:
            lagging[path] = record
    all_there = all(standing.confirmed == target for standing in standings.values())
    root = Record(
        to=ledger.root.to,
        base=target,
        former=tuple(sorted(set(ledger.root.names) - {target})),
        properties=properties if all_there else ledger.root.properties,
        marked=ledger.root.marked and ledger.root.base == target,
    )
    return _settlement(ledger, standings, target, Ledger(root, lagging))


def set_apart(ledger: Ledger, before: Ledger, paths: Iterable[str]) -> Ledger:
    """The ledger with a record of their own for datasets that do not take part for once.

    The root's moves on; what it said of them before this push still holds.
    """
    known = replace(before.root, former=(), properties="")
    lagging = dict(ledger.lagging)
    for path in paths:
        own = lagging.get(path, known)
        # As long as a push or its settlement did not end, a record of a dataset's own may be out of date.
        unsettled = before.root.pending or before.root.former
        more = [name for name in known.names if unsettled and name not in own.names]
        lagging[path] = replace(own, pending=(*own.pending, *more)) if more else own
    return replace(ledger, lagging=lagging)


def withdrawn(before: Ledger, announced_since: Ledger, paths: Iterable[str]) -> tuple[Release, ...]:
    """What to release where nothing was seen of the copy: the names of this push, and no other."""
    new = [name for name in announced_since.root.names if name not in before.root.names]
    own: dict[str, list[str]] = {}
    for path, record in announced_since.lagging.items():
        for name in record.names:
            if name not in (*before.names_for(path), *new):
                own.setdefault(name, []).append(path)
    return (*_releases(new, before.lagging, paths), *_each(own))


def _lag(before: Ledger, path: str, standing: Standing) -> Record | None:
    """A record of its own for a dataset that is not at the target; ``None`` where nothing of it counts."""
    if standing.conflicted and standing.confirmed is None:
        # What the receiver has may be there under another name. All that is known of it stays until a
        # person has acted; of what this push announced nothing was sent.
        known = before.of(path)
        pending = dict.fromkeys((*known.pending, *before.root.pending))
        others = tuple(name for name in pending if name != known.base)
        record = Record(known.to, known.base, others, marked=known.marked)
        return record if record.names else None
    if not standing.names:
        return None
    known = before.of(path)
    marked = standing.marked or (known.marked and known.base == standing.confirmed)
    return Record(to=before.root.to, base=standing.confirmed, pending=_others(standing), marked=marked)


def _others(standing: Standing) -> tuple[str, ...]:
    return tuple(name for name in standing.names if name != standing.confirmed)


def _root_lags(ledger: Ledger, before: Ledger, standings: Mapping[str, Standing], target: str) -> Settlement:
    """The root did not arrive: its base stays, and so does everything that anything may have got.

    What no dataset of the receiver has, nor is getting, is released: else a receiver that refuses for
    months would pin every night's snapshot.
    """
    root = standings.get("", Standing(None))
    base = root.confirmed if root.confirmed is not None else ledger.root.base
    useful = dict.fromkeys(name for path in sorted(standings) for name in standings[path].names)
    pending = tuple(name for name in useful if name != base and name in {*ledger.root.names, *root.names})
    former = tuple(name for name in ledger.root.names if name != base and name not in pending)
    own = {
        path: record
        for path, standing in standings.items()
        if path
        # A record of its own that is out of date would hide what the root's names.
        and (path in ledger.lagging or not (standing.names and {*standing.names} <= {base, *pending}))
        and (record := _lag(before, path, standing)) is not None
    }
    marked = root.marked or (ledger.root.marked and ledger.root.base == base)
    named = replace(ledger.root, base=base, pending=pending, former=former, marked=marked)
    return _settlement(ledger, standings, target, Ledger(named, {**ledger.lagging, **own}))


def _settlement(ledger: Ledger, standings: Mapping[str, Standing], target: str, new: Ledger) -> Settlement:
    """The steps from ``ledger`` to ``new``, whose root's record still has its former names."""
    holds: dict[str, list[str]] = {}
    for path, standing in standings.items():
        # The target was held before the first byte. Of the others nobody knows: a record may have been
        # written by a run that died before it held, the root's may name what is held elsewhere only.
        for name in standing.names:
            # Of what only a bookmark is left nothing can be held.
            if name != target and not (standing.marked and name == standing.confirmed):
                holds.setdefault(name, []).append(path)
    final = Ledger(
        replace(new.root, former=()),
        {path: replace(record, former=()) for path, record in new.lagging.items()},
    )
    # A record that goes stays until the holds of all that it names are released.
    between = dict(final.lagging)
    own: dict[str, list[str]] = {}
    for path, old in ledger.lagging.items():
        gone = [name for name in old.names if name not in final.names_for(path)]
        record = final.lagging.get(path)
        between[path] = old if record is None else replace(record, former=tuple(gone))
        for name in gone:
            if path not in standings or name not in new.root.former:
                own.setdefault(name, []).append(path)
    return Settlement(
        named=Ledger(new.root, between),
        holds=tuple(Hold(name, tuple(paths)) for name, paths in holds.items()),
        releases=(
            # Of a dataset that was left out its own record tells all that counts.
            *_releases(new.root.former, final.lagging, dict.fromkeys((*standings, *final.lagging))),
            *_each(own),
        ),
        final=final,
    )


def _each(own: Mapping[str, Iterable[str]]) -> Iterable[Release]:
    return (Release(name, tuple(paths)) for name, paths in own.items())


def _releases(
    names: Iterable[str], lagging: Mapping[str, Record], taking_part: Iterable[str]
) -> tuple[Release, ...]:
    all_paths = tuple(taking_part)
    releases = []
    for name in names:
        keeping = {path for path, record in lagging.items() if name in record.names}
        paths = None if not keeping else tuple(path for path in all_paths if path not in keeping)
        releases.append(Release(name, paths))
    return tuple(releases)

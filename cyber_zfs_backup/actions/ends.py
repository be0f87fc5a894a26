# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of a run, and what the source's end looks like now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime

from ..config.job import Destination, Job, UsageError
from ..hosts.protocol import Link
from ..model.names import join, pattern_of, relative
from ..plan.ledger import Ledger, LedgerError, Record, decode, destination_tag
from ..zfs import properties
from ..zfs.client import Zfs
from ..zfs.parse import Properties, Property
from .errors import DamagedRecordError, SourceMissingError
from .result import Surface

_INHERITED = "inherited from "


@dataclass(frozen=True, slots=True)
class Home:
    """The source's end, and what every action may use.

    ``clock`` answers the present moment, with a time zone; ``pause`` waits so many seconds.
    """

    job: Job
    source: Zfs
    surface: Surface
    clock: Callable[[], datetime]
    pause: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Ends(Home):
    """Both ends of the way to one destination: everything that a push may touch."""

    destination: Destination
    receiver: Zfs
    link: Link


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The ledger of a job (by its ``tag``) that begins at the path ``begins`` of another's tree."""

    begins: str
    tag: str
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What one question (``zfs get all``) told of the source's tree.

    ``paths`` take part, parents first; ``excluded`` do not. ``ledgers`` are the records of every destination,
    by tag; ``neighbours`` those of jobs whose tree contains this one, or lies in it, by the path at which
    they begin here. ``mirror_due`` are the tags of destinations that may hold what has expired here.
    """

    root: str
    about: Properties
    paths: tuple[str, ...]
    excluded: frozenset[str]
    ledgers: Mapping[str, Ledger]
    neighbours: tuple[Neighbour, ...]
    mirror_due: frozenset[str]

    @property
    def names(self) -> list[str]:
        """The full names of the datasets that take part."""
        return [join(self.root, path) for path in self.paths]

    @property
    def awaited(self) -> dict[str, Ledger]:
        """The same records, of the datasets that take part alone: what is excluded stays as it was, and keeps
        nothing of the copy from being whole."""
        return {
            tag: replace(
                ledger,
                lagging={path: each for path, each in ledger.lagging.items() if path not in self.excluded},
            )
            for tag, ledger in self.ledgers.items()
        }

    @property
    def digest(self) -> str:
        """What travels with the tree's properties, in short."""
        return properties.digest(self.about, self.root, self.names)


@dataclass(frozen=True, slots=True)
class PushFacts(SourceFacts):
    """The same, for one destination: ``tag`` stands for it in hold tags and property names."""

    tag: str

    @property
    def hold_tag(self) -> str:
        """The tag of this destination's holds."""
        return hold_tag(self.tag)

    @property
    def property_name(self) -> str:
        """The user property that holds this destination's record."""
        return f"{properties.BASE_PREFIX}{self.tag}"


def tell_plan(ends: Home, action: str, lines: Iterable[str]) -> None:
    """Say a plan's lines as it is decided. Of a dry run the plan is the result, and shown with it."""
    if not ends.job.dry_run:
        for line in lines:
            ends.surface.detail(f"{action}: {line}")


def hold_tag(tag: str) -> str:
    """The hold tag of a destination's tag."""
    return f"{properties.HOLD_PREFIX}{tag}"


def read_for_push(ends: Ends) -> PushFacts:
    """The same as ``read_source``, for the way to one destination."""
    facts = read_source(ends)
    destination = ends.destination
    guid = int(facts.about[facts.root]["guid"].value)
    tag = destination_tag(guid, destination.host, destination.dataset)
    return PushFacts(**{each.name: getattr(facts, each.name) for each in fields(facts)}, tag=tag)


def read_source(ends: Home) -> SourceFacts:
    """Ask the source for its datasets and properties: one command, no snapshot is read.

    Raises ``SourceMissingError``, ``UsageError`` for an exclude pattern that hits the root,
    ``DamagedRecordError``, ``ZfsError``.
    """
    return source_facts(ends.job, read_properties(ends))


def read_properties(ends: Home) -> Properties:
    """What ``read_source`` asks. Raises ``SourceMissingError``, ``ZfsError``."""
    about = ends.source.tree_properties(ends.job.dataset)
    if about is None:
        raise source_missing(ends)
    return about


def source_facts(job: Job, about: Properties) -> SourceFacts:
    """What the properties of the job's tree tell. Raises ``UsageError`` for an exclude pattern that hits the
    root, ``DamagedRecordError``."""
    root = job.dataset
    part = _taking_part(job, about)
    return SourceFacts(
        root=root,
        about=about,
        paths=part.paths,
        excluded=part.excluded,
        ledgers=_ledgers(root, about),
        neighbours=tuple(_neighbours(root, about)),
        mirror_due=frozenset(properties.local_values(about[root], properties.MIRROR_PREFIX)),
    )


@dataclass(frozen=True, slots=True)
class TakingPart:
    """The paths of a tree that take part, parents first, and those that do not."""

    paths: tuple[str, ...]
    excluded: frozenset[str]


def read_taking_part(ends: Home) -> TakingPart:
    """Ask the source which of its datasets take part, and nothing else.

    Raises ``SourceMissingError``, ``UsageError`` where the root itself takes none, ``ZfsError``.
    """
    about = ends.source.opting_out(ends.job.dataset)
    if about is None:
        raise source_missing(ends)
    return _taking_part(ends.job, about)


def source_missing(ends: Home) -> SourceMissingError:
    """The error, with what to do: whichever way the tree was named."""
    return SourceMissingError(
        f"{ends.job.dataset}: there is no such dataset on {ends.source.label}; "
        "import its pool, or name another tree (with --dataset, or in the configuration file)"
    )


def _taking_part(job: Job, about: Properties) -> TakingPart:
    root = job.dataset
    ordered = sorted((relative(root, name) for name in about), key=lambda path: path.split("/"))
    excluded: set[str] = set()
    for path in ordered:
        why = _left_out(job, path, about[join(root, path)])
        if why and not path:
            raise UsageError(f"{why}: {root} itself would be excluded; nothing would be left")
        # All below goes with it: the copy of a dataset has no place without its parent's.
        if why or (path and path.rpartition("/")[0] in excluded):
            excluded.add(path)
    return TakingPart(tuple(path for path in ordered if path not in excluded), frozenset(excluded))


def _left_out(job: Job, path: str, about: Mapping[str, Property]) -> str:
    """What keeps a dataset from taking part; empty where nothing does."""
    if pattern_of(job.dataset, path, job.exclude.patterns) is not None:
        return "--exclude"
    if path and job.exclude.all_below:
        return "not recursive"
    if join(job.dataset, path) in job.exclude.apart:
        return "another job"
    return properties.opts_out(about, honour_auto_snapshot=job.exclude.honour_auto_snapshot)


def _ledgers(root: str, about: Properties) -> dict[str, Ledger]:
    roots: dict[str, Record] = {}
    lagging: dict[str, dict[str, Record]] = {}
    for name, each in about.items():
        path = relative(root, name)
        for tag, value in properties.local_values(each, properties.BASE_PREFIX).items():
            record = record_of(name, tag, value, root)
            if path:
                lagging.setdefault(tag, {})[path] = record
            else:
                roots[tag] = record
    # A record below the root without one at the root still pins what it names.
    for tag, records in lagging.items():
        roots.setdefault(tag, Record(to=next(iter(records.values())).to))
    return {tag: Ledger(record, lagging.get(tag, {})) for tag, record in roots.items()}


def _neighbours(root: str, about: Properties) -> Iterator[Neighbour]:
    """The ledgers of nested jobs, as far as they speak of this tree: what they name is not ours to expire."""
    for name, each in about.items():
        path = relative(root, name)
        for full, prop in each.items():
            tag = full.removeprefix(properties.BASE_PREFIX)
            if tag == full:
                continue
            if (not path and keeper_of(name, prop) != name) or (
                path and prop.source == "local" and _begins_here(tag, prop.value, each["guid"].value)
            ):
                lagging = {
                    relative(root, below): record_of(below, tag, found[full].value, root)
                    for below, found in about.items()
                    if below.startswith(f"{name}/") and full in found and found[full].source == "local"
                }
                keeper = keeper_of(name, prop)
                record = record_of(keeper, tag, prop.value, root if path else keeper)
                yield Neighbour(path, tag, Ledger(record, lagging))


def keeper_of(name: str, prop: Property) -> str:
    """The dataset on which a property of ours stands that ``name`` shows: itself, or one above it."""
    return prop.source.removeprefix(_INHERITED) if prop.source.startswith(_INHERITED) else name


def jobs_within(facts: SourceFacts) -> Iterator[Neighbour]:
    """The ledgers of which no record lies outside the tree: its own, and those of jobs that begin below.

    A record on the root may be that of a dataset which lags in a tree further up.
    """
    guid = facts.about[facts.root]["guid"].value
    for tag, ledger in facts.ledgers.items():
        if _stands_for(tag, ledger.root.to, guid):
            yield Neighbour("", tag, ledger)
    yield from (each for each in facts.neighbours if each.begins)


def _begins_here(tag: str, value: str, guid: str) -> bool:
    """Whether a record is that of a job's root, and not of a dataset that lags: the GUID is in its tag."""
    try:
        label = decode(value).to
    except LedgerError:
        return False
    return _stands_for(tag, label, guid)


def _stands_for(tag: str, label: str, guid: str) -> bool:
    """Whether a tag is that of the destination with this label, for the tree whose root has that GUID."""
    cuts = (position for position, letter in enumerate(label) if letter == ":")
    return any(destination_tag(int(guid), label[:cut], label[cut + 1 :]) == tag for cut in cuts)


def record_of(name: str, tag: str, value: str, root: str) -> Record:
    """The record that a property of the dataset ``name`` holds, for the destination's tag; ``root`` is the
    tree that ``forget`` would be told. Raises ``DamagedRecordError``."""
    try:
        return decode(value)
    except LedgerError as error:
        raise DamagedRecordError(
            f"{name}: property {properties.BASE_PREFIX}{tag}: {error}",
            "look at it with `zfs get`, and if it is damaged remove it and its holds with: "
            f"cyber-zfs-backup forget {tag} --dataset {root}",
        ) from None

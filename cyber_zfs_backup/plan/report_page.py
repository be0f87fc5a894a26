# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands on the page of the report, the worst first. Pure: drawn and written elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..model.drilled import Drilled
from ..model.history import Finished, by_dataset
from ..model.names import own_time
from ..model.places import HERE
from ..model.trees import Dataset, Tree
from .commands import JOURNAL, of_copy, of_tree
from .findings import Finding, Severity, fails, good, warning, worst
from .lateness import Limits, check_reached, check_taken
from .ledger import Ledger
from .report_axis import Axis, Span, axis
from .report_traffic import Traffic, traffic
from .standing import Standing


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one tree: how it stands with each destination, the source's records, what the doctor
    found. ``tree`` has the datasets that take part; ``None`` where it could not be read."""

    root: str
    standings: tuple[Standing, ...]
    tree: Tree | None = None
    ledgers: tuple[Ledger, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is on record: the runs of each tree, oldest first, and the last drill with each destination."""

    runs: Mapping[str, Sequence[Finished]]
    drills: Mapping[tuple[str, str], Drilled]


def recorded(runs: Iterable[Finished], drills: Iterable[Drilled]) -> Recorded:
    """Put in order by tree what is on record, oldest first: so each tree looks at its own alone."""
    return Recorded(by_dataset(runs), {(each.dataset, each.destination): each for each in drills})


@dataclass(frozen=True, slots=True)
class Copied:
    """What one destination has of one dataset, by the source's own record.

    ``there`` is the time of the newest, and ``behind`` by how much that is older than the newest here;
    ``None`` where it has nothing, or a snapshot whose name tells no time (``named``).
    """

    destination: str
    severity: Severity
    there: datetime | None
    named: str
    behind: timedelta | None
    has: Span | None
    lacks: Span | None


@dataclass(frozen=True, slots=True)
class Kept:
    """The own snapshots of one dataset that exist here, and what the destinations have of it.

    ``counts`` says how many there are in each part of the axis; ``foreign`` how many others exist.
    """

    name: str
    severity: Severity
    count: int
    foreign: int
    newest: datetime | None
    oldest: datetime | None
    spans: tuple[Span, ...]
    counts: tuple[tuple[str, int], ...]
    copies: tuple[Copied, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """One destination of a tree. ``since`` is the oldest snapshot that a run on record has confirmed
    there."""

    standing: Standing
    severity: Severity
    since: datetime | None
    traffic: Traffic
    drill: Drilled | None

    @property
    def destination(self) -> str:
        """Its label; empty where the tree is pushed nowhere."""
        return self.standing.row.destination


@dataclass(frozen=True, slots=True)
class Shown:
    """One tree on the page: its destinations and its datasets. ``read`` is whether it could be read."""

    root: str
    read: bool
    severity: Severity
    ways: tuple[Way, ...]
    datasets: tuple[Kept, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The page. ``wrong`` are the findings that somebody should see, ``fine`` all others."""

    host: str
    now: datetime
    axis: Axis
    wrong: tuple[Finding, ...]
    fine: tuple[Finding, ...]
    trees: tuple[Shown, ...]

    @property
    def severity(self) -> Severity:
        """The worst of what was found."""
        return worst(self.wrong)

    @property
    def datasets(self) -> int:
        """How many datasets are shown."""
        return sum(len(tree.datasets) for tree in self.trees)


def report_page(host: str, now: datetime, seen: Sequence[Seen], record: Recorded) -> Page:
    """Put the page together; ``now`` is in UTC."""
    whole = axis(min(_oldest(seen), default=None), now)
    trees = [_Showing(each, now, whole, record) for each in seen]
    found = [finding for tree in trees for finding in tree.findings()]
    if not seen:
        found.append(warning("nothing", HERE, "nothing is backed up here", "name a tree with --dataset"))
    # What concerns the machine was found with each of its trees.
    ordered = sorted(dict.fromkeys(found), key=lambda finding: -finding.severity)
    shown = [tree.shown() for tree in trees]
    return Page(
        host,
        now,
        whole,
        tuple(finding for finding in ordered if finding.severity),
        tuple(finding for finding in ordered if not finding.severity),
        tuple(sorted(shown, key=lambda tree: (-tree.severity, tree.root))),
    )


def _oldest(seen: Iterable[Seen]) -> Iterator[datetime]:
    for each in seen:
        for dataset in each.tree.datasets.values() if each.tree else ():
            yield from _times(dataset)[:1]


def _times(dataset: Dataset) -> list[datetime]:
    """The times of the own snapshots, oldest first."""
    return sorted(time for each in dataset.snapshots if (time := own_time(each.name)) is not None)


class _Showing:
    """One tree on its way to the page."""

    def __init__(self, seen: Seen, now: datetime, whole: Axis, record: Recorded) -> None:
        self.seen = seen
        self.now = now
        self.axis = whole
        self.ledgers = {ledger.root.to: ledger for ledger in seen.ledgers}
        runs: dict[str, list[Finished]] = {}
        for run in record.runs.get(seen.root, ()):
            runs.setdefault(run.destination, []).append(run)
        self.ways = tuple(
            self._way(each, runs.get(each.row.destination, ()), record.drills) for each in seen.standings
        )
        self.since = {way.destination: way.since for way in self.ways}

    def findings(self) -> Iterator[Finding]:
        """What the doctor found, what is late, and what went wrong the last time."""
        yield from self.seen.findings
        yield from self._judged()

    def _judged(self) -> Iterator[Finding]:
        active = [each for each in self.seen.standings if not each.paused]
        for standing in self.seen.standings:
            if standing.paused:
                what = f"{_arrow(standing)} rests: {standing.paused}"
                yield good("paused", HERE, what)
        # Of what could not be read nobody knows whether it is late.
        if self.seen.tree is not None and active:
            first = active[0]
            taken = check_taken(self.seen.tree, self.now, first.limits, declared=first.declared)
            yield from taken.findings
            for standing in active:
                yield from self._reached(standing)
        for way in self.ways:
            yield from _went(way.standing, way.drill)

    def _reached(self, standing: Standing) -> Iterator[Finding]:
        to = standing.row.destination
        if not to and standing.declared:
            yield good("reached", HERE, f"{self.seen.root} is declared to be pushed nowhere")
        elif not to:
            what = f"no destination of {self.seen.root} is on record: nothing was ever pushed"
            yield warning("reached", HERE, what, of_tree("--force-non-incremental", self.seen.root))
        elif to in self.ledgers:
            # The run's error is told by itself, below.
            ledgers = [self.ledgers[to]]
            yield from check_reached(self.seen.root, ledgers, self.now, standing.late_there, {}).findings
        else:
            what = f"nothing of {self.seen.root} has arrived at {to} yet"
            yield fails("reached", HERE, what, of_copy("doctor", self.seen.root, to))

    def shown(self) -> Shown:
        """The tree as it stands on the page."""
        tree = self.seen.tree
        kept = [self._kept(tree.full(path), each) for path, each in tree.datasets.items()] if tree else []
        severity = max(
            Severity.GOOD if tree else worst(self.seen.findings),
            worst(self._judged()),
            *(way.severity for way in self.ways),
            *(each.severity for each in kept),
        )
        return Shown(
            self.seen.root,
            tree is not None,
            severity,
            tuple(sorted(self.ways, key=lambda way: (-way.severity, way.destination))),
            tuple(sorted(kept, key=lambda each: (-each.severity, each.name.split("/")))),
        )

    def _way(
        self, standing: Standing, runs: Sequence[Finished], drills: Mapping[tuple[str, str], Drilled]
    ) -> Way:
        row = standing.row
        drill = drills.get((self.seen.root, row.destination))
        confirmed = (own_time(run.target) for run in runs if run.good)
        severity = Severity.GOOD
        if self.seen.tree is None:
            severity = worst(self.seen.findings)
        elif not standing.paused and row.destination:
            severity = self._late(own_time(row.there), standing.late_there)
        elif not standing.paused and not standing.declared:
            severity = Severity.WARNING
        return Way(
            standing,
            max(severity, worst(_went(standing, drill))),
            min((time for time in confirmed if time is not None), default=None),
            traffic(runs, self.now),
            drill,
        )

    def _late(self, moment: datetime | None, limits: Limits) -> Severity:
        """How bad it is that the newest is of that moment; ``None``: there is none of ours."""
        if moment is None or self.now - moment > limits.critical:
            return Severity.FAILS
        return Severity.WARNING if self.now - moment > limits.warning else Severity.GOOD

    def _kept(self, name: str, dataset: Dataset) -> Kept:
        times = _times(dataset)
        newest, oldest = (times[-1], times[0]) if times else (None, None)
        copies = tuple(
            self._copied(dataset, each, times) for each in self.seen.standings if each.row.destination
        )
        active = next((each for each in self.seen.standings if not each.paused), None)
        severity = Severity.GOOD
        if active is not None:
            # One that has no snapshot yet may have been made today.
            severity = self._late(newest, active.limits) if newest else Severity.WARNING
        return Kept(
            name,
            max((severity, *(each.severity for each in copies))),
            len(times),
            len(dataset.snapshots) - len(times),
            newest,
            oldest,
            self.axis.spans(times),
            self.axis.counts(times),
            copies,
        )

    def _copied(self, dataset: Dataset, standing: Standing, times: Sequence[datetime]) -> Copied:
        to = standing.row.destination
        ledger = self.ledgers.get(to)
        base = (ledger.of(dataset.path).base if ledger else None) or ""
        there = own_time(base)
        severity = Severity.GOOD if standing.paused else self._late(there, standing.late_there)
        has = lacks = behind = None
        if there is not None:
            since = self.since[to]
            # A dataset may be younger than the first push on record.
            begin = max(since, times[0]) if since is not None and times else there
            has = self.axis.span(min(begin, there), there)
            behind = max(times[-1] - there, timedelta()) if times else None
        if times and not base:
            lacks = self.axis.span(times[0], times[-1])
        elif behind and there is not None:
            lacks = self.axis.span(there, times[-1])
        return Copied(to, severity, there, base, behind, has, lacks)


def _arrow(standing: Standing) -> str:
    row = standing.row
    return f"{row.dataset} to {row.destination}" if row.destination else row.dataset


def _went(standing: Standing, drill: Drilled | None) -> Iterator[Finding]:
    """What was wrong with the last run, and with the last drill."""
    row = standing.row
    last = row.last
    if last is not None and not last.good:
        why = f": {last.error}" if last.error else ""
        what = f"the last run of {_arrow(standing)} ended with exit code {last.exit}{why}"
        yield warning("run", HERE, what, JOURNAL)
    if drill is not None and not drill.good:
        why = f": {drill.wrong[0]}" if drill.wrong else ""
        what = f"the last drill of {_arrow(standing)} found something wrong{why}"
        yield fails("drill", HERE, what, of_copy("drill", row.dataset, row.destination))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether backups come as they should: snapshots taken, arrived at each destination, and expired. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from shlex import quote

from ..model.names import TOLERANCE, join, own_time, pattern_of
from ..model.places import HERE
from ..model.trees import Dataset, Tree
from .commands import STARTS, of_copy, of_tree
from .findings import Finding, fails, good, some, warning
from .ledger import Ledger

BELOW = " below"
"""The end of what a finding is about, where only some datasets of a tree are late."""


@dataclass(frozen=True, slots=True)
class Limits:
    """From which age on something is late, and from which on very late."""

    warning: timedelta
    critical: timedelta


@dataclass(frozen=True, slots=True)
class Age:
    """How old something is, for a monitoring system's graphs: what, and seconds; ``None`` where there is
    none. ``limits`` are what it was held against."""

    label: str
    seconds: float | None
    limits: Limits


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to."""

    findings: tuple[Finding, ...]
    ages: tuple[Age, ...] = ()


def check_taken(tree: Tree, now: datetime, limits: Limits, *, declared: bool = False) -> Checked:
    """Whether the tree's snapshots are taken: the root's newest own one is young, and no dataset lacks it.

    ``declared``: by the configuration file, and not by a command line.
    """
    newest = _newest(tree.datasets[""])
    label = f"{tree.root} taken"
    remedy = STARTS
    if newest is None:
        none = fails("taken", HERE, f"{tree.root} has no snapshot of ours", remedy)
        return Checked((about(none, tree.root),), (Age(label, None, limits),))
    late = _late("taken", f"the newest snapshot of {tree.root}", now - newest, limits, remedy)
    found = [about(late, tree.root)]
    left = [
        tree.full(path)
        for path, dataset in tree.datasets.items()
        if (own := _newest(dataset)) is not None and newest - own > limits.critical
    ]
    if left:
        what = f"{some(left)} had no snapshot since @{_name(tree.datasets[''])}"
        tells = f"{_by_file(tree.root)} says why" if declared else of_tree("--dry-run -v", tree.root)
        left_out = warning("taken", HERE, what, tells)
        found.append(about(left_out, f"{tree.root}{BELOW}"))
    return Checked(tuple(found), (Age(label, (now - newest).total_seconds(), limits),))


def check_reached(
    root: str, ledgers: Iterable[Ledger], now: datetime, limits: Limits, last_errors: Mapping[str, str]
) -> Checked:
    """Whether what was taken has arrived: by the source's own records, so without any network.

    ``last_errors`` is the last run's error for each destination, empty where it was good.
    """
    found: list[Finding] = []
    ages: list[Age] = []
    for ledger in sorted(ledgers, key=lambda each: each.root.to):
        to = ledger.root.to
        error = last_errors.get(to, "")
        why = f" (last run: {error})" if error else ""
        base = own_time(ledger.root.base or "")
        ages.append(Age(f"{to} reached", None if base is None else (now - base).total_seconds(), limits))
        remedy = of_copy("doctor", root, to)
        if base is None:
            nothing = fails("reached", HERE, f"nothing of {root} has arrived at {to} yet{why}", remedy)
            found.append(about(nothing, f"{root} {to}"))
            continue
        late = _late("reached", f"what {to} has of {root}", now - base, limits, remedy)
        found.append(about(replace(late, what=f"{late.what}{why}"), f"{root} {to}"))
        behind = [
            join(root, path)
            for path, record in ledger.lagging.items()
            if (own := own_time(record.base or "")) is None or now - own > limits.critical
        ]
        if behind:
            what = f"{to} lacks the newest snapshots of {some(behind)}"
            lags = warning("reached", HERE, what, of_copy("verify", root, to))
            found.append(about(lags, f"{root} {to}{BELOW}"))
    if not found:
        what = f"no destination of {root} is on record: nothing was ever pushed"
        never = fails("reached", HERE, what, "push once by hand; or check with --local where that is right")
        found.append(about(never, root))
    return Checked(tuple(found), tuple(ages))


def check_left(root: str, ledgers: Iterable[Ledger]) -> Checked:
    """Whether anything is kept for destinations that the configuration file does not have any more: those of
    ``ledgers``. Nothing is awaited there, so nothing is late."""
    found = [
        about(
            warning(
                "left",
                HERE,
                f"{to} is no destination of {root} any more, yet snapshots are kept for it",
                f"where it is meant to be none: {of_tree(f'forget {quote(to)}', root)}",
            ),
            f"{root} {to}",
        )
        for to in sorted(ledger.root.to for ledger in ledgers)
    ]
    return Checked(tuple(found))


def check_expired(root: str, overdue: int, refusals: Iterable[str], *, declared: bool = False) -> Checked:
    """Whether old snapshots go: ``overdue`` are those that the retention gives up and that are still
    there. ``declared``: as in ``check_taken``."""
    remedy = _by_file(root, " --action expire") if declared else of_tree("--action expire --dry-run -v", root)
    refused = next(iter(refusals), "")
    if refused:
        refusal = warning("expired", HERE, refused, remedy)
        return Checked((about(refusal, root),))
    if overdue:
        what = f"{overdue} snapshots of {root} should have been expired"
        late = warning("expired", HERE, what, remedy)
        return Checked((about(late, root),))
    return Checked((good("expired", HERE, f"nothing of {root} is kept too long"),))


def check_received(tree: Tree, exclude: Iterable[str], now: datetime, limits: Limits) -> Checked:
    """Whether backups arrive here, on the receiver, where nothing but what has arrived is known.

    Each topmost dataset with own snapshots is a copy. A dataset of it that is behind is a warning: it may be
    one that is gone from the source.
    """
    patterns = tuple(exclude)
    found: list[Finding] = []
    ages: list[Age] = []
    behind: list[str] = []
    tops: dict[str, datetime] = {}
    for path, dataset in tree.datasets.items():
        full = tree.full(path)
        newest = _newest(dataset)
        if newest is None or pattern_of(tree.root, path, patterns) is not None:
            continue
        above = next((top for top in tops if not top or path.startswith(f"{top}/")), None)
        if above is None:
            tops[path] = newest
            ages.append(Age(f"{full} received", (now - newest).total_seconds(), limits))
            remedy = f"look at the source: {STARTS}"
            late = _late("received", f"the newest snapshot of {full}", now - newest, limits, remedy)
            found.append(about(late, full))
        elif tops[above] - newest > limits.critical:
            behind.append(full)
    if behind:
        what = f"{some(behind)} got nothing while the rest of the copy did"
        lags = warning("received", HERE, what, "cyber-zfs-backup verify on the source; or --exclude it here")
        found.append(about(lags, f"{tree.root}{BELOW}"))
    if not found:
        what = f"nothing has ever arrived at or below {tree.root}"
        found.append(about(fails("received", HERE, what, "look at the source"), tree.root))
    return Checked(tuple(found), tuple(ages))


def _by_file(root: str, options: str = "") -> str:
    # --action takes all words behind it.
    return f"cyber-zfs-backup run {quote(root)} --now{options}"


def about(finding: Finding, what: str) -> Finding:
    """The same finding, with what it is about."""
    return replace(finding, about=what)


def _late(kind: str, what: str, age: timedelta, limits: Limits, remedy: str) -> Finding:
    if age < -TOLERANCE:
        ahead = f"{what} is dated {said(-age)} in the future: its age is not known"
        return fails(kind, HERE, ahead, "set the clocks right; cyber-zfs-backup quarantine")
    told = f"{what} is {said(max(age, timedelta()))} old"
    if age > limits.critical:
        return fails(kind, HERE, told, remedy)
    return (warning if age > limits.warning else lambda *words: good(*words[:3]))(kind, HERE, told, remedy)


def said(age: timedelta) -> str:
    """An age in words: ``3 h``, ``2 days``; rounded down."""
    seconds = int(age.total_seconds())
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _newest(dataset: Dataset) -> datetime | None:
    own = dataset.newest_own
    return None if own is None else own_time(own.name)


def _name(dataset: Dataset) -> str:
    own = dataset.newest_own
    return own.name if own else ""


def status_line(checked: Iterable[Checked], word: str) -> str:
    """One line as monitoring plugins print it: status, what is wrong (else all), and figures with their
    limits.

    Source: Monitoring Plugins Development Guidelines, plugin output.
    """
    all_of_them = list(checked)
    findings = [finding for each in all_of_them for finding in each.findings]
    bad = sorted((f for f in findings if f.severity), key=lambda finding: -finding.severity)
    told = "; ".join(finding.what for finding in bad or findings).replace("|", "/")
    figures = " ".join(_figures(all_of_them))
    return f"CYBER-ZFS-BACKUP {word} - {told}{f' | {figures}' if figures else ''}"


def _figures(checked: Iterable[Checked]) -> Iterator[str]:
    for each in checked:
        for age in each.ages:
            warns, fails_at = (limit.total_seconds() for limit in (age.limits.warning, age.limits.critical))
            # U: not known.
            value = "U" if age.seconds is None else f"{max(age.seconds, 0):.0f}s"
            label = age.label.replace("'", "").replace("=", " ").replace("|", " ")
            yield f"'{label}'={value};{warns:.0f};{fails_at:.0f};0"

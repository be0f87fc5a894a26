# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report may have to show, made up: years of history, copies that lag, and names that are no help."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from cyber_zfs_backup.model.drilled import Drilled
from cyber_zfs_backup.model.history import Finished
from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.model.places import HERE
from cyber_zfs_backup.model.trees import Dataset, Snapshot, Tree
from cyber_zfs_backup.plan.findings import good, warning
from cyber_zfs_backup.plan.lateness import Limits
from cyber_zfs_backup.plan.ledger import Ledger, Record
from cyber_zfs_backup.plan.report_page import Page, Recorded, Seen, recorded, report_page
from cyber_zfs_backup.plan.standing import Standing, rows

NOW = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
LAST = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)
LIMITS = Limits(timedelta(hours=26), timedelta(hours=50))
HOSTILE = "<script>alert(1)</script> \"'&amp; {{ 7 * 7 }} \u202e\0\x1b[31m\udcff </title></style>]]>"
"""An error text that would be more than a text wherever it is not written as one."""
AGES = (*range(31), *range(35, 119, 7), *range(140, 1095, 30), 1200, 1565)
"""Days: what the default retention leaves after some years."""


def snapshots(number: int, ages: Sequence[float] = AGES) -> tuple[Snapshot, ...]:
    """One for each age, oldest first, and one that somebody else has taken."""
    names = [own_name(LAST - timedelta(days=age)) for age in reversed(ages)]
    ours = tuple(Snapshot(name, number * 1000 + at, at) for at, name in enumerate(names))
    return (*ours, Snapshot("before-upgrade", number * 1000 + 999, len(names)))


def tree(root: str, datasets: int) -> Tree:
    """A root and those below it; each has a part of the years."""
    paths = ["", *(f"home/user-{number:03}" for number in range(1, datasets))]
    return Tree(
        root,
        {path: Dataset(path, snapshots(at, AGES[: 20 + (at * 37) % 60])) for at, path in enumerate(paths)},
    )


def history(root: str, to: str, days: int, seed: int) -> Iterator[Finished]:
    """A run each night; one in forty failed."""
    chance = random.Random(seed)  # noqa: S311 - any repeatable numbers will do
    for back in reversed(range(days)):
        moment = LAST - timedelta(days=back)
        bad = back != 0 and chance.random() < 1 / 40
        yield Finished(
            root,
            to,
            moment,
            61.5,
            75 if bad else 0,
            target="" if bad else own_name(moment),
            bytes=0 if bad else int(chance.lognormvariate(20, 1.5)),
            error="push: no route to host" if bad else "",
        )


def machine(
    trees: int, datasets: int, *, days: int = 1095, destinations: int = 2
) -> tuple[list[Seen], Recorded]:
    """So many trees, so many datasets in each. The second destination of each fifth tree is days behind."""
    seen: list[Seen] = []
    runs: list[Finished] = []
    drills: list[Drilled] = []
    for number in range(trees):
        root = f"tank/data-{number:03}"
        whole = tree(root, datasets)
        labels = ["offsite:vault/copies", "backup@nas.example.com:pool/copies"][:destinations]
        ledgers, here = {}, []
        for at, label in enumerate(labels):
            to = f"{label}/{root}"
            late = timedelta(days=4 if at and number % 5 == 0 else 0)
            lagging = (
                {"home/user-001": Record(to, own_name(LAST - timedelta(days=9)))}
                if late and datasets > 1
                else {}
            )
            ledgers[to] = Ledger(Record(to, own_name(LAST - late)), lagging)
            mine = list(history(root, to, days, number * 2 + at))
            if late:
                mine[-1] = Finished(
                    root, to, LAST, 3.0, 75, error="push: backup@nas.example.com: no route to host"
                )
            here += mine
        drills.append(Drilled(root, next(iter(ledgers)), LAST - timedelta(days=3), True, datasets))
        found = good("pool", HERE, "tank is healthy, 41 percent are used")
        standings = tuple(
            Standing(row, LIMITS, next_run=NOW + timedelta(hours=16))
            for row in rows(root, own_name(LAST), ledgers, here)
        )
        runs += here
        seen.append(Seen(root, standings, whole, tuple(ledgers.values()), (found,)))
    return seen, recorded(runs, drills)


def page_of_many(trees: int = 8, datasets: int = 25) -> Page:
    """Two hundred datasets, unless said otherwise."""
    seen, record = machine(trees, datasets)
    return report_page("zippy", NOW, seen, record)


def well() -> Page:
    """Where nothing is wrong."""
    seen, record = machine(1, 3, destinations=1)
    return report_page("zippy", NOW, seen, record)


def hostile() -> Page:
    """Names and messages that are not what a name and a message should be, and long ones."""
    root, to = f"tank/{'very-long-name-' * 16}", f"offsite:{'w' * 200}/{HOSTILE}"
    run = Finished(root, to, LAST, 1.0, 1, error=HOSTILE)
    drill = Drilled(root, to, LAST, False, 2, (HOSTILE, *(f"tank/a@{n}: {HOSTILE}" for n in range(20))))
    ledgers = {to: Ledger(Record(to, "by-hand"))}
    whole = Tree(root, {"": Dataset("", snapshots(1)), HOSTILE: Dataset(HOSTILE, ())})
    standings = tuple(Standing(row, LIMITS) for row in rows(root, own_name(LAST), ledgers, [run]))
    found = warning("zfs", HOSTILE, HOSTILE, HOSTILE)
    return report_page(
        HOSTILE,
        NOW,
        [Seen(root, standings, whole, tuple(ledgers.values()), (found,))],
        recorded([run], [drill]),
    )


def empty() -> Page:
    """A machine of which nothing is on record."""
    return report_page("zippy", NOW, [], recorded([], []))

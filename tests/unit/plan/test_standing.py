# SPDX-License-Identifier: GPL-3.0-or-later
"""A row for each destination: from the source's records and from the history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cyber_zfs_backup.model.history import Finished
from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.plan.lateness import Limits
from cyber_zfs_backup.plan.ledger import Ledger, Record
from cyber_zfs_backup.plan.standing import COLUMNS, Row, Standing, cells, rows

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
NEWEST = own_name(NOW - timedelta(hours=3))
OLDER = own_name(NOW - timedelta(days=4))
OLDEST = own_name(NOW - timedelta(days=9))
LIMITS = Limits(timedelta(hours=26), timedelta(hours=50))


def run(destination: str, dataset: str = "tank/src", **changes: object) -> Finished:
    return Finished(dataset, destination, NOW - timedelta(hours=3), 1.0, 0, **changes)  # type: ignore[arg-type]


def test_each_destination_on_record_has_a_row_with_its_last_run() -> None:
    ledgers = {
        "2": Ledger(Record("off:a/b", base=OLDER), {"x": Record("off:a/b", base=OLDEST)}),
        "1": Ledger(Record("nas:a/b", base=NEWEST)),
        "3": Ledger(Record("usb:a/b", base=NEWEST), {"x": Record("usb:a/b")}),
    }
    last = run("nas:a/b", bytes=7)
    runs = [run("nas:a/b"), last, run("nas:a/b", "tank/other"), run("never:a/b", error="no route"), run("")]
    assert rows("tank/src", NEWEST, ledgers, runs) == (
        Row("tank/src", "nas:a/b", NEWEST, NEWEST, last),
        Row("tank/src", "never:a/b", NEWEST, "", runs[3]),
        # What lags counts: the copy as a whole is no newer than that.
        Row("tank/src", "off:a/b", NEWEST, OLDEST),
        Row("tank/src", "usb:a/b", NEWEST, ""),
    )


def test_a_tree_that_is_pushed_nowhere_has_one_row() -> None:
    assert rows("tank/src", NEWEST, {}, []) == (Row("tank/src", "", NEWEST, ""),)
    local = run("")
    assert rows("tank/src", NEWEST, {}, [local]) == (Row("tank/src", "", NEWEST, "", local),)


@pytest.mark.parametrize(
    ("newest", "there", "behind"),
    [
        (NEWEST, NEWEST, timedelta()),
        (NEWEST, OLDER, timedelta(days=3, hours=21)),
        # The source was rolled back: it is not behind.
        (OLDER, NEWEST, timedelta()),
        (NEWEST, "", None),
        ("", NEWEST, None),
        (NEWEST, "by-hand", None),
    ],
)
def test_behind(newest: str, there: str, behind: timedelta | None) -> None:
    assert Row("a", "b", newest, there).behind == behind


def told_of(row: Row) -> tuple[str, ...]:
    return cells(Standing(row, LIMITS), NOW, "")


def test_cells() -> None:
    bad = Finished("tank/src", "off:a/b", NOW - timedelta(hours=2), 1.0, 75, error="push: no route")
    row = Row("tank/src", "off:a/b", NEWEST, OLDER, bad)
    told = dict(
        zip(
            COLUMNS,
            cells(Standing(row, LIMITS, next_run=NOW + timedelta(hours=14)), NOW, "1.5 GiB"),
            strict=True,
        )
    )
    assert told == {
        "dataset": "tank/src",
        "destination": "off:a/b",
        "newest": NEWEST,
        "age": "3 h",
        "there": OLDER,
        "behind by": "3 days",
        "kept for it": "1.5 GiB",
        "last run": "2026-11-27 10:00 (exit 75)",
        "next run": "2026-11-28 02:00",
        "last error": "push: no route",
    }
    fresh = told_of(Row("tank/src", "nas:a/b", NEWEST, NEWEST, run("nas:a/b")))
    assert fresh[5:] == ("nothing", "", "2026-11-27 09:00", "", "")
    none = told_of(Row("tank/src", "", "", ""))
    assert none == ("tank/src", "none", "none", "", "", "", "", "", "", "")
    assert told_of(Row("tank/src", "nas:a/b", NEWEST, ""))[4:6] == ("nothing", "")
    rests = Standing(Row("tank/src", "", "", ""), LIMITS, "paused until 2027-01-02", NOW)
    assert cells(rests, NOW, "")[8] == "paused until 2027-01-02"

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor finds of a tree and its copy: each check on both sides of each of its limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest

from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.model.trees import Dataset, Snapshot, Tree
from cyber_zfs_backup.plan.doctor_copies import (
    Copy,
    Kept,
    Key,
    Source,
    Still,
    Stray,
    examine_copy,
    examine_source,
    unnamed,
)
from cyber_zfs_backup.plan.findings import Severity
from cyber_zfs_backup.plan.ledger import Ledger, Record
from tests.unit.plan.test_doctor import of, one

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
GOOD, WARNING, FAILS = Severity
TOKEN = "1-2"


def snapshots(*ages: float, now: datetime = NOW) -> tuple[Snapshot, ...]:
    names = [own_name(now - timedelta(days=age)) for age in sorted(ages, reverse=True)]
    return tuple(Snapshot(name, number, number) for number, name in enumerate(names, 1))


def tree(root: str, **datasets: Dataset) -> Tree:
    return Tree(root, {name.replace("top", ""): each for name, each in datasets.items()})


def dataset(path: str = "", *ages: float, **changes: object) -> Dataset:
    return replace(Dataset(path, snapshots(*(ages or (1.0,)))), **changes)  # type: ignore[arg-type]


WAY_OPTIONS = "--dataset tank/src --ssh-destination offsite"


def source(kept: Kept | None = None, **datasets: Dataset) -> Source:
    return Source(
        "this machine",
        tree("tank/src", **(datasets or {"top": dataset()})),
        kept or Kept({}),
        tree_options="--dataset tank/src",
        way_options=WAY_OPTIONS,
    )


def copy(**datasets: Dataset) -> Copy:
    return Copy("offsite:vault/copy", tree("vault/copy", **(datasets or {"top": dataset()})), WAY_OPTIONS)


def test_a_healthy_pair_has_nothing_but_good_findings() -> None:
    found = [*examine_source(source(), NOW), *examine_copy(source(), copy(), NOW)]
    assert {finding.severity for finding in found} == {GOOD}
    assert {finding.kind for finding in found} == {"future", "leaked", "token", "encryption"}


@pytest.mark.parametrize(("ahead", "told"), [(timedelta(seconds=60), False), (timedelta(seconds=62), True)])
def test_snapshots_of_the_future(ahead: timedelta, told: bool) -> None:
    late = dataset("", -ahead / timedelta(days=1))
    name = late.snapshots[0].name
    mine = one("future", examine_source(source(top=late), NOW))
    theirs = one("future", examine_copy(source(), copy(top=late), NOW))
    assert (mine.severity, theirs.severity) == ((FAILS, WARNING) if told else (GOOD, GOOD))
    if told:
        assert (
            mine.remedy
            == theirs.remedy
            == f"cyber-zfs-backup quarantine {name} --dataset tank/src --ssh-destination offsite"
        )


def test_holds_and_bookmarks_of_nobody() -> None:
    known = {"a" * 16: Ledger(Record("offsite:vault/copy", base=own_name(NOW)))}
    kept = Kept(
        known, frozenset({"b" * 16}), {"a" * 16: 3, "b" * 16: 1, "c" * 16: 2}, {"c" * 16: 4, "d" * 16: 1}
    )
    first, second = of("leaked", examine_source(source(kept), NOW))
    assert first.severity is second.severity is WARNING
    assert "2 holds and 4 bookmarks" in first.what
    assert first.remedy == f"cyber-zfs-backup forget {'c' * 16} --dataset tank/src"
    assert "1 bookmarks" in second.what


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (Record("old:a/b", base=own_name(NOW - timedelta(days=30))), False),
        (Record("old:a/b", base=own_name(NOW - timedelta(days=31, hours=1))), True),
        # What may have come since frees nothing: all since the base is kept.
        (Record("old:a/b", base=own_name(NOW - timedelta(days=31)), pending=(own_name(NOW),)), True),
        # A first push that has not ended.
        (Record("old:a/b", pending=(own_name(NOW - timedelta(days=31)), own_name(NOW))), True),
        (Record("old:a/b", pending=(own_name(NOW - timedelta(days=3)),)), False),
        (Record("old:a/b", base="by-hand"), False),
        (Record("old:a/b"), False),
    ],
)
def test_destinations_that_get_nothing(record: Record, told: bool) -> None:
    found = of("forgotten", examine_source(source(Kept({"e" * 16: Ledger(record)})), NOW))
    assert bool(found) is told
    if told:
        assert found[0].what == (
            "old:a/b has confirmed nothing of tank/src for 31 days, and keeps what has been there since then"
        )
        assert f"cyber-zfs-backup forget {'e' * 16} --dataset tank/src" in found[0].remedy


def test_what_a_dataset_that_lags_keeps_is_told_although_the_root_is_up_to_date() -> None:
    def record(days: int, **changes: object) -> Record:
        return replace(Record("offsite:vault/copy", own_name(NOW - timedelta(days=days))), **changes)  # type: ignore[arg-type]

    def told(root: Record, **lagging: Record) -> list[str]:
        kept = Kept({"e" * 16: Ledger(root, lagging)})
        return [each.what for each in of("forgotten", examine_source(source(kept), NOW))]

    (late,) = told(record(1), a=record(90), b=record(40), c=record(2))
    assert late == (
        "offsite:vault/copy has confirmed nothing of tank/src/a for 90 days (and of 1 more for over 30), and "
        "keeps what has been there since then"
    )
    assert "nothing of tank/src for 60 days, and" in told(record(60), a=record(1))[0]
    assert told(record(1), a=record(29)) == []
    # Of a base that only a bookmark keeps no snapshot is kept.
    assert told(record(60, marked=True)) == [
        "offsite:vault/copy has confirmed nothing of tank/src for 60 days"
    ]
    assert told(record(60, marked=True), a=record(50))[0].endswith("since then")


def test_a_hold_that_no_record_names() -> None:
    ledger = Ledger(Record("offsite:vault/copy", base="base", pending=("next",)), {"a": Record("x", "old")})
    held = [
        ("", "base"),
        ("", "next"),
        ("", "by hand"),
        ("a", "old"),
        ("a", "base"),
        ("b", "old"),
        ("b", "base"),
    ]
    assert unnamed(ledger, "", held) == {("", "by hand"), ("b", "old")}
    # What lies above the job's own root is another's.
    assert unnamed(ledger, "b", held) == {("b", "old")}
    stray = Stray("cyber-zfs-backup:eeee", "offsite:vault/copy", ("tank/src@by hand", "tank/src/b@old"))
    kept = Kept({"eeee": ledger}, strays=(stray,))
    found = one("leaked", examine_source(source(kept), NOW))
    assert found.severity is WARNING
    assert "tank/src@by hand, tank/src/b@old: held for offsite:vault/copy" in found.what
    assert found.remedy.endswith(": zfs release cyber-zfs-backup:eeee 'tank/src@by hand' tank/src/b@old")


@pytest.mark.parametrize("changes", [{"holds": None}, {"marks": None}])
def test_holds_that_could_not_be_listed_are_not_said_to_be_well(changes: dict[str, object]) -> None:
    kept = replace(Kept({}), **changes)  # type: ignore[arg-type]
    assert not of("leaked", examine_source(source(kept), NOW))
    lost = replace(Kept({}, holds={"c" * 16: 1}, marks={"c" * 16: 1}), **changes)  # type: ignore[arg-type]
    assert one("leaked", examine_source(source(lost), NOW)).severity is WARNING


def test_of_a_list_that_could_not_be_read_nothing_is_said_to_be_well() -> None:
    bare = dataset(encrypted=True, snapshots=())
    mine, theirs = source(top=bare), copy(top=bare)
    assert {each.kind for each in examine_source(mine, NOW)} == {"future", "leaked"}
    short = replace(mine, tree=replace(mine.tree, complete=False))
    assert {each.kind for each in examine_source(short, NOW)} == {"leaked"}
    assert {each.kind for each in examine_copy(mine, theirs, NOW)} == {"future", "token", "encryption"}
    less = replace(theirs, tree=replace(theirs.tree, complete=False))
    assert {each.kind for each in examine_copy(mine, less, NOW)} == {"token"}
    assert {each.kind for each in examine_copy(mine, replace(theirs, keys=None), NOW)} == {"future", "token"}
    odd = replace(theirs, damaged=frozenset({""}))
    assert {each.kind for each in examine_copy(mine, odd, NOW)} == {"future", "encryption"}
    # A token that nobody could be asked about is left, whatever it is.
    left = copy(top=dataset(resume_token=TOKEN))
    assert not of("token", examine_copy(source(), left, NOW))


def test_a_copy_is_looked_at_without_its_source() -> None:
    late = copy(top=dataset("", -1.0), a=dataset(origin="vault/other@1"))
    late = replace(late, still={"": Still("/home", "on", "off")}, keys={"": Key("vault", "available")})
    found = [each.kind for each in examine_copy(None, late, NOW) if each.severity is not GOOD]
    assert sorted(found) == ["clone", "encryption", "future", "mount", "mount"]
    assert {each.kind for each in examine_copy(None, copy(), NOW)} == {"future", "token"}


@pytest.mark.parametrize(
    ("wanted", "severity", "remedy"),
    [
        (own_name(NOW - timedelta(hours=23)), None, ""),
        (own_name(NOW - timedelta(hours=25)), WARNING, "push again"),
        ("by-hand", None, ""),
        (None, WARNING, "the next push clears it"),
    ],
)
def test_partial_receives(wanted: str | None, severity: Severity | None, remedy: str) -> None:
    found = of("token", examine_copy(source(), replace(copy(), unfinished={"": wanted}), NOW))
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    assert all(
        remedy in finding.remedy and "zfs receive -A vault/copy" in finding.remedy for finding in found
    )


def test_encrypted_here_and_clear_there_fits_never() -> None:
    found = one("encryption", examine_copy(source(top=dataset(encrypted=True)), copy(), NOW))
    assert found.severity is FAILS
    assert "zfs rename vault/copy vault/copy-clear" in found.remedy


@pytest.mark.parametrize(
    ("status", "severity"), [("available", WARNING), ("unavailable", FAILS), ("", WARNING)]
)
def test_clear_here_and_encrypted_there_needs_its_key(status: str, severity: Severity) -> None:
    there = replace(copy(top=dataset(encrypted=True)), keys={"": Key("vault/copy", status)})
    found = one("encryption", examine_copy(source(), there, NOW))
    assert found.severity is severity
    assert "zfs load-key vault/copy" in found.remedy


def test_a_key_from_outside_the_copy() -> None:
    secret = dataset(encrypted=True)
    outside = replace(copy(top=secret), keys={"": Key("vault", "available")})
    assert one("encryption", examine_copy(source(top=secret), outside, NOW)).severity is WARNING
    inside = replace(copy(top=secret), keys={"": Key("vault/copy", "unavailable")})
    assert one("encryption", examine_copy(source(top=secret), inside, NOW)).severity is GOOD


def test_the_sources_encryption_roots_are_named() -> None:
    keys = {"": Key("tank/src"), "a": Key("tank/src"), "b": Key("tank/src/b")}
    found = one("encryption", examine_source(replace(source(), keys=keys), NOW))
    assert "2 encryption roots (tank/src, tank/src/b)" in found.what


def test_what_would_mount() -> None:
    live = replace(source(), live=frozenset({"/home"}))
    still = {
        "": Still("none", "on", "on"),
        "a": Still("/home", "on", "on"),
        "b": Still("/srv/b", "on", "on"),
        "c": Still("/srv/c", "noauto", "on"),
        "d": Still("legacy", "on", "on"),
    }
    first, second = of("mount", examine_copy(live, replace(copy(), still=still), NOW))
    assert "vault/copy/a mounts at /home, where the source's own data are mounted" in first.what
    assert first.remedy == "as root there: zfs set mountpoint=none vault/copy/a"
    assert second.what == "vault/copy/b mounts at /srv/b"
    calm = replace(copy(), still={"": still[""]})
    assert one("mount", examine_copy(live, calm, NOW)).severity is GOOD
    writable = replace(copy(), still={"": replace(still[""], readonly="off")})
    assert one("mount", examine_copy(live, writable, NOW)).remedy.endswith("zfs set readonly=on vault/copy")


def test_a_name_in_a_remedy_can_be_pasted() -> None:
    there = replace(copy(), still={"with space": Still("/srv", "on", "on")}, unfinished={"a b": None})
    remedies = [each.remedy for each in examine_copy(source(), there, NOW) if each.severity is not GOOD]
    assert any("zfs set mountpoint=none 'vault/copy/with space'" in remedy for remedy in remedies)
    assert any("zfs receive -A 'vault/copy/a b'" in remedy for remedy in remedies)


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        (None, False),
        ("vault/copy@1", False),
        ("vault/copy/a@1", False),
        ("vault/copyx@1", True),
        ("vault/other@1", True),
    ],
)
def test_clones_of_others(origin: str | None, told: bool) -> None:
    assert bool(of("clone", examine_copy(source(), copy(top=dataset(origin=origin)), NOW))) is told


def test_facts_are_values() -> None:
    assert Copy("a", tree("b", top=dataset()), "", MappingProxyType({})).unfinished == {}

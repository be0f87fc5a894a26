# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of a destination: what is named before a push, and what after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from cyber_zfs_backup.model.trees import Dataset, Snapshot
from cyber_zfs_backup.plan.ledger import (
    Going,
    Hold,
    Ledger,
    LedgerError,
    Record,
    Release,
    Settlement,
    Standing,
    announced,
    decode,
    destination_tag,
    encode,
    in_flight,
    renamed,
    set_apart,
    settled,
    withdrawn,
)

TO = "offsite:vault/copy"


def record(base: str | None = None, pending: str = "", former: str = "", properties: str = "") -> Record:
    return Record(TO, base, tuple(pending.split()), tuple(former.split()), properties)


def dataset(names: str, path: str = "") -> Dataset:
    listed = enumerate(names.split())
    return Dataset(path, tuple(Snapshot(name, 100 + n, 10 + n) for n, name in listed))


# Before the push


@pytest.mark.parametrize(
    ("before", "targets", "adopted", "after"),
    [
        (record(), ["t1"], [], record(None, "t1")),
        (record("t1"), ["t2"], [], record("t1", "t2")),
        (record("t1"), ["t1"], [], record("t1")),
        (record("t1", "t2"), ["t2"], [], record("t1", "t2")),
        (record("t1", "t2"), ["t3"], [], record("t1", "t2 t3")),
        (record("t1"), ["t3"], ["t2"], record("t1", "t2 t3")),
        (record("t2", "", "t1"), ["t3"], [], record("t2", "t3", "t1")),
        (record("t2", "", "t1"), ["t3"], ["t1"], record("t2", "t1 t3")),
    ],
    ids=[
        "the first target",
        "the next target",
        "the base again",
        "the same target again",
        "a target after one that did not arrive",
        "a base that the record did not know",
        "former names whose holds are not released yet",
        "a former name that is needed again",
    ],
)
def test_announced(before: Record, targets: list[str], adopted: list[str], after: Record) -> None:
    assert announced(Ledger(before), targets, {"": adopted}).root == after


def test_what_a_dataset_alone_is_to_get_on_the_way_is_in_its_own_record() -> None:
    """A property has room for 8 KiB, and hundreds of datasets may each have a name of their own."""
    found = announced(Ledger(record("t1")), ["t2"], {"a": ["oldest"], "b": ["t1"], "c": ["x", "y"]})
    assert found == Ledger(record("t1", "t2"), {"a": record("t1", "oldest"), "c": record("t1", "x y")})
    more = announced(Ledger(record("t1"), {"a": record("t0")}), ["t2"], {"a": ["between"]})
    assert more.lagging == {"a": record("t0", "between")}


# After the push


def after(
    ledger: Ledger,
    standings: Mapping[str, Standing],
    target: str,
    digest: str,
    before: Ledger | None = None,
) -> Settlement:
    """The settlement of a push that announced the target, or (``before``) knew it already."""
    if before is None:
        pending = tuple(name for name in ledger.root.pending if name != target)
        before = replace(ledger, root=replace(ledger.root, pending=pending))
    return settled(ledger, before, standings, target, digest)


def test_all_arrived_the_target_is_the_base_and_the_former_one_goes() -> None:
    found = after(
        Ledger(record("t1", "t2", properties="old")), {"": Standing("t2"), "a": Standing("t2")}, "t2", "new"
    )
    assert found.named == Ledger(record("t2", "", "t1", "new"))
    assert found.holds == ()
    assert found.releases == (Release("t1", None),)
    assert found.final == Ledger(record("t2", properties="new"))


def test_a_child_that_lags_has_a_record_of_its_own_and_keeps_its_base() -> None:
    found = after(
        Ledger(record("t1", "t2", properties="old")),
        {"": Standing("t2"), "a": Standing("t1"), "b": Standing("t2")},
        "t2",
        "new",
    )
    assert found.named == Ledger(record("t2", "", "t1", "old"), {"a": record("t1")})
    assert found.holds == (Hold("t1", ("a",)),)
    assert found.releases == (Release("t1", ("", "b")),)
    assert found.final == Ledger(record("t2", properties="old"), {"a": record("t1")})


def test_a_child_that_lags_with_a_token_keeps_what_the_token_asks_for() -> None:
    found = after(Ledger(record("t1", "t2")), {"": Standing("t2"), "a": Standing("t1", "between")}, "t2", "")
    assert found.final.lagging == {"a": record("t1", "between")}
    assert found.holds == (Hold("t1", ("a",)), Hold("between", ("a",)))


def test_what_its_own_record_names_is_held_once_more() -> None:
    """The run that wrote the record may have died before it held."""
    before = Ledger(record("t2", "t3"), {"a": record("t1")})
    found = after(before, {"": Standing("t3"), "a": Standing("t1")}, "t3", "")
    assert found.holds == (Hold("t1", ("a",)),)


def test_a_child_that_got_further_than_its_record_is_held_there() -> None:
    found = after(Ledger(record("t1", "t3")), {"": Standing("t3"), "a": Standing("t2")}, "t3", "")
    assert found.final.lagging == {"a": record("t2")}
    assert found.holds == (Hold("t2", ("a",)),)
    assert found.releases == (Release("t1", None),)


def test_a_child_that_caught_up_has_no_record_any_more() -> None:
    before = Ledger(record("t2", "t3"), {"a": record("t1")})
    found = after(before, {"": Standing("t3"), "a": Standing("t3")}, "t3", "")
    assert found.final == Ledger(record("t3"))
    assert found.named == Ledger(record("t3", "", "t2"), {"a": record("t1")})
    assert found.releases == (Release("t2", None), Release("t1", ("a",)))


def test_a_child_in_conflict_whose_copy_is_not_found_keeps_its_base() -> None:
    found = after(
        Ledger(record("t1", "t2")), {"": Standing("t2"), "a": Standing(None, conflicted=True)}, "t2", ""
    )
    assert found.final.lagging == {"a": record("t1")}
    assert found.releases == (Release("t1", ("",)),)


def test_a_child_in_conflict_keeps_what_may_have_arrived_under_another_name_too() -> None:
    """Of what this push announced nothing was sent; what an earlier one announced may be there."""
    hidden = {"": Standing("t3"), "a": Standing(None, conflicted=True)}
    found = after(Ledger(record("t1", "t2 t3")), hidden, "t3", "")
    assert found.final.lagging == {"a": record("t1", "t2")}
    found = after(
        Ledger(record("t3", "t4"), {"a": record("t1", "t2")}), {**hidden, "": Standing("t4")}, "t4", ""
    )
    assert found.final.lagging == {"a": record("t1", "t2")}
    same_again = Ledger(record("t1", "t3"))
    assert after(same_again, hidden, "t3", "", before=same_again).final.lagging == {"a": record("t1", "t3")}


def test_a_child_in_conflict_keeps_its_base_also_where_the_root_lags() -> None:
    standings = {"": Standing("t2"), "a": Standing(None, conflicted=True)}
    found = after(Ledger(record("t1", "t2 t3")), standings, "t3", "")
    assert found.final == Ledger(record("t2"), {"a": record("t1", "t2")})
    assert found.releases == (Release("t1", ("",)), Release("t3", None))


def test_of_datasets_that_nobody_asked_about_everything_stays() -> None:
    """One run with --exclude is no reason to forget what the copy of the excluded builds on."""
    lags = Ledger(record("t2", "t3"), {"out": record("t1")})
    found = after(lags, {"": Standing("t3"), "a": Standing("t3")}, "t3", "new")
    assert found.final == Ledger(record("t3", properties="new"), {"out": record("t1")})
    apart = set_apart(Ledger(record("t2", "t3")), Ledger(record("t2")), ["out"])
    assert apart.lagging == {"out": record("t2")}
    found = after(apart, {"": Standing("t3")}, "t3", "new")
    assert found.final == Ledger(record("t3", properties="new"), {"out": record("t2")})
    assert found.releases == (Release("t2", ("",)),)
    # What was under way when it last took part may have arrived, whatever its own record says.
    assert set_apart(lags, lags, ["out"]).lagging == {"out": record("t1", "t2 t3")}
    unfinished = Ledger(record("t3", "", "t2"), {"out": record("t1")})
    assert set_apart(unfinished, unfinished, ["out"]).lagging == {"out": record("t1", "t3")}
    calm = Ledger(record("t2"), {"out": record("t1")})
    assert set_apart(calm, calm, ["out"]).lagging == {"out": record("t1")}


def test_a_record_of_a_datasets_own_is_brought_up_also_where_the_root_lags() -> None:
    """Else it would still name what was, and hide that the root's names what is."""
    before = Ledger(record("t1"), {"a": record("t0")})
    found = after(before, {"": Standing("t1"), "a": Standing("t1")}, "t2", "")
    assert found.final == Ledger(record("t1"), {"a": record("t1")})


def test_where_nothing_was_seen_only_this_push_is_taken_back() -> None:
    before = Ledger(record("t1", "t2"), {"a": record("t0", "t3")})
    now = announced(before, ["t3", "t4"], {})
    assert withdrawn(before, now, ["", "a"]) == (Release("t3", ("",)), Release("t4", None))
    assert withdrawn(before, before, ["", "a"]) == ()
    now = announced(Ledger(record("t1")), ["t2"], {"a": ["old"], "b": ["old"], "c": ["older"]})
    assert withdrawn(Ledger(record("t1")), now, ["", "a", "b", "c"]) == (
        Release("t2", None),
        Release("old", ("a", "b")),
        Release("older", ("c",)),
    )


def test_a_child_of_which_nothing_is_there_pins_nothing() -> None:
    found = after(Ledger(record("t1", "t2")), {"": Standing("t2"), "a": Standing(None)}, "t2", "")
    assert found.final == Ledger(record("t2"))


def test_a_root_that_did_not_arrive_keeps_its_base_and_lets_go_of_the_target() -> None:
    found = after(Ledger(record("t1", "t2")), {"": Standing("t1"), "a": Standing("t1")}, "t2", "")
    assert found.named == Ledger(record("t1", "", "t2"))
    assert found.releases == (Release("t2", None),)
    assert found.final == Ledger(record("t1"))


def test_a_root_that_did_not_arrive_keeps_what_a_child_got() -> None:
    found = after(Ledger(record("t1", "t2")), {"": Standing("t1"), "a": Standing("t2")}, "t2", "")
    assert found.final == Ledger(record("t1", "t2"))
    assert found.releases == ()


def test_a_receiver_that_shows_nothing_costs_the_base_nothing() -> None:
    found = after(Ledger(record("t1", "t2")), {}, "t2", "")
    assert found.final == Ledger(record("t1"))


# What a stream that broke off may have brought


@pytest.mark.parametrize(
    ("ledger", "expected"),
    [
        (Ledger(record("s2")), ""),
        (Ledger(record("s2", "s4")), "s2 s3 s4"),
        (Ledger(record(None, "s3")), "s1 s2 s3"),
        (Ledger(record("elsewhere", "s3")), "s1 s2 s3"),
        (Ledger(record("s2", "elsewhere")), ""),
        (Ledger(record("s4", "s5"), {"": record("s2")}), "s2 s3 s4 s5"),
        (Ledger(record("s4"), {"": record("s2", "s3")}), "s2 s3"),
    ],
    ids=[
        "nothing pending",
        "from the base to the target",
        "a first push: from the oldest",
        "a dataset without the base: from the oldest",
        "a dataset without the target",
        "a dataset that lags: from its own base",
        "a dataset that lags with a token",
    ],
)
def test_in_flight(ledger: Ledger, expected: str) -> None:
    assert " ".join(in_flight(ledger, dataset("s1 s2 s3 s4 s5"))) == expected


# The property


@pytest.mark.parametrize(
    "given",
    [
        record(),
        record("2026-11-01T00:00:00Z"),
        Record(TO, "with space", ("a.b", "c:d"), ("e_f",), "0123456789abcdef"),
    ],
)
def test_what_is_written_is_read_back(given: Record) -> None:
    assert decode(encode(given)) == given


@pytest.mark.parametrize(
    "value",
    [
        "",
        "rubbish",
        "[]",
        "null",
        "1",
        "{}",
        '{"base":"t1"}',
        '{"base":5,"to":"x"}',
        '{"base":"a@b","to":"x"}',
        '{"base":"a,b","to":"x"}',
        '{"base":"-","pending":["a/b"],"to":"x"}',
        '{"base":"t1","pending":7,"to":"x"}',
        '{"base":"t1","pending":[["t2"]],"to":"x"}',
        '{"base":"t1","to":"x"',
    ],
)
def test_anything_else_is_refused(value: str) -> None:
    with pytest.raises(LedgerError):
        decode(value)


def test_a_record_follows_a_snapshot_that_is_renamed() -> None:
    given = Record(TO, "t1", ("t2", "t1"), ("t1",))
    assert renamed(given, "t1", "away") == Record(TO, "away", ("t2", "away"), ("away",))


def test_each_destination_has_a_tag_of_its_own() -> None:
    tags = {
        destination_tag(guid, host, name) for guid in (1, 2) for host in ("a", "b") for name in ("x/y", "x/z")
    }
    assert len(tags) == 8
    assert all(len(tag) == 16 for tag in tags)


def test_what_is_sent_to_one_that_lags_is_pending_though_the_root_has_it_as_base() -> None:
    """Else nothing would tell that the snapshots on the way to it may have arrived."""
    ledger = Ledger(Record("nas", "4"), {"a": Record("nas", "2")})
    after = announced(ledger, ["4"], {}, {"a": Going("2", "4")})
    assert after == Ledger(Record("nas", "4"), {"a": Record("nas", "2", ("4",))})
    whole = Dataset("a", tuple(Snapshot(str(number), number, number) for number in range(1, 6)))
    assert in_flight(after, whole) == ("2", "3", "4")
    assert announced(after, ["4"], {}, {"a": Going("2", "4")}) == after


def test_a_record_that_speaks_of_others_does_not_count_for_what_is_sent_now() -> None:
    ledger = Ledger(Record("nas", "4"))
    assert announced(ledger, ["4"], {}, {"new": Going(None, "4")}).lagging == {
        "new": Record("nas", None, ("4",))
    }
    assert announced(ledger, ["4"], {}, {"": Going("1", "4")}).root == Record("nas", "1", ("4",))
    assert announced(ledger, ["5"], {}, {"": Going("4", "5"), "a": Going("4", "5")}) == Ledger(
        Record("nas", "4", ("5",))
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the receiver drops after a push; see drawn.py for the pictures.

The rule of these tests keeps the newest and one daily; so on a receiver with the days 18 to 23 it would
destroy 18 to 21.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cyber_zfs_backup.model.trees import Tree
from cyber_zfs_backup.plan import mirror
from cyber_zfs_backup.plan.destroy import Destroy, DestroyPlan, DestroysLots, FutureSnapshot, Terms, finish
from cyber_zfs_backup.plan.retention import Buckets

from .drawn import day, days, guid_of, tree

TERMS = Terms(Buckets(days=1, weeks=0, months=0), datetime(2026, 11, 30, tzinfo=UTC))

RECEIVER = """
            hand 18 19 20 21 22 23
    .        x    x  x  x  x  x  x
"""


def plan(
    source: str, receiver: str = RECEIVER, base: str = "23", terms: Terms = TERMS, **bases: str
) -> DestroyPlan:
    """Mirror two pictures; ``base`` is the root's base, the others are given by path."""
    confirmed = {path: guid_of(path, label) for path, label in {"": base, **bases}.items() if label}
    found = mirror.candidates(tree(source), tree(receiver, "off/tank"), confirmed, terms)
    return finish(found, {})


def gone(result: DestroyPlan) -> dict[str, tuple[str, ...]]:
    return {each.path: each.destroy for each in result.datasets if each.destroy}


def kept(result: DestroyPlan, path: str = "") -> dict[str, str]:
    verdicts = next(each.verdicts for each in result.datasets if each.path == path)
    return {verdict.snapshot.name: str(verdict.reason) for verdict in verdicts if verdict.keep}


def test_what_the_source_expired_by_the_same_rule_goes() -> None:
    result = plan("""
            hand 18 19 20 21 22 23
    .        x    .  .  .  .  x  x
    """)
    assert result.commands == (Destroy("off/tank", days("18 19 20 21")),)
    assert kept(result) == {
        day("23"): "the source has it",
        day("22"): "the source has it",
        "hand": "foreign: not a name of ours",
    }


def test_what_the_source_still_has_stays() -> None:
    result = plan("""
            18 19 20 21 22 23
    .        x  .  x  .  x  x
    """)
    assert gone(result) == {"": days("19 21")}
    assert kept(result)[day("18")] == "the source has it"


def test_the_same_name_with_another_guid_on_the_source_is_another_snapshot() -> None:
    result = plan("""
            18 19 20 21 22 23
    .        z  x  x  x  x  x
    """)
    assert gone(result) == {"": days("18")}


def test_the_same_guid_under_another_name_is_the_same_snapshot() -> None:
    source = tree("""
            19 20 21 22 23
    .        x  x  x  x  x
    """)
    root = source.datasets[""]
    renamed = replace(root.snapshots[0], name="kept-by-hand")
    source = replace(source, datasets={"": replace(root, snapshots=(renamed, *root.snapshots[1:]))})
    receiver = tree(RECEIVER, "off/tank")
    result = finish(mirror.candidates(source, receiver, {"": guid_of("", "23")}, TERMS), {})
    assert gone(result) == {"": days("18")}


def test_nothing_that_is_newer_than_the_base_goes() -> None:
    # A source rolled back to 20: what the receiver has above it stays, and so does 20 itself.
    result = plan(
        """
            18 19 20
    .        .  .  x
    """,
        base="20",
    )
    assert gone(result) == {"": days("18 19")}
    above = f"not older than {day('20')}, the base that both sides have"
    assert kept(result) == {
        day("23"): above,
        day("22"): above,
        day("21"): above,
        day("20"): "the source has it",
        "hand": "foreign: not a name of ours",
    }


def test_a_source_thinned_by_hand_wipes_nothing_that_the_rule_keeps_on_the_receiver() -> None:
    result = plan(
        """
            18 19 20 21 22 23
    .        .  .  .  .  .  x
    """,
        terms=replace(TERMS, rule=Buckets(days=3, weeks=0, months=0)),
    )
    assert gone(result) == {"": days("18 19")}
    assert kept(result)[day("22")] == "daily 1 of 3"
    assert kept(result)[day("20")] == "daily 3 of 3"


def test_a_restored_source_with_nothing_in_common_wipes_nothing() -> None:
    result = plan("""
            18 19 20 21 22 23
    .        .  .  .  .  z  z
    """)
    assert result.commands == ()
    assert kept(result)[day("18")] == "the confirmed base is not on both sides"


def test_a_base_that_the_receiver_lacks_is_no_base() -> None:
    result = plan(
        """
            22 23 24
    .        x  x  x
    """,
        base="24",
    )
    assert result.commands == ()
    assert kept(result)[day("18")] == "the confirmed base is not on both sides"


def test_the_receivers_createtxg_decides_what_is_older_than_the_base() -> None:
    # The receiver took 20 after 23: by its pool's count it is above the base, whatever its name says.
    result = plan(
        """
            18 19 21 22 23
    .        .  .  .  x  x
    """,
        """
            18 19 21 22 23 20
    .        x  x  x  x  x  x
    """,
    )
    assert day("20") not in gone(result)[""]
    assert kept(result)[day("20")].startswith("not older than")


def test_datasets_without_base_and_orphans_and_excluded_ones_are_left_alone() -> None:
    result = plan(
        """
                18 19 20 21 22 23
    .            .  .  .  .  x  x
    cache        .  .  .  .  x  x
    failed       .  .  .  .  x  x
    home         .  .  .  .  x  x
    """,
        """
                18 19 20 21 22 23
    .            x  x  x  x  x  x
    cache        x  x  x  x  x  x
    failed       x  x  x  x  x  x
    gone         x  x  x  x  x  x
    home         x  x  x  x  x  x
    """,
        terms=replace(TERMS, excluded=frozenset({"cache"})),
        cache="23",
        gone="23",
        home="23",
    )
    assert gone(result) == {"": days("18 19 20 21"), "home": days("18 19 20 21")}
    assert not any(command.recursive for command in result.commands)
    assert set(kept(result, "cache").values()) == {"the dataset is excluded"}
    assert set(kept(result, "failed").values()) == {"no base was confirmed for this dataset"}
    assert set(kept(result, "gone").values()) == {"the source has no such dataset (an orphan)"}


def test_a_uniform_receiver_is_one_recursive_command_in_the_receivers_names() -> None:
    source = """
            20 21 22 23
    .        .  .  x  x
    home     .  .  x  x
    """
    receiver = """
            20 21 22 23
    .        x  x  x  x
    home     x  x  x  x
    """
    result = plan(source, receiver, home="23")
    assert result.commands == (Destroy("off/tank", days("20 21"), recursive=True),)
    orphan = receiver + "old      x  .  .  .\n"
    assert [command.recursive for command in plan(source, orphan, home="23").commands] == [False, False]


def test_held_snapshots_of_the_receiver_stay() -> None:
    source = tree("""
            20 21 22 23
    .        .  .  x  x
    """)
    found = mirror.candidates(source, tree(RECEIVER, "off/tank"), {"": guid_of("", "23")}, TERMS)
    assert found.full_names == tuple(f"off/tank@{name}" for name in days("18 19 20 21"))
    result = finish(found, {f"off/tank@{day('19')}": "held by auditor"})
    assert gone(result) == {"": days("18 20 21")}
    assert kept(result)[day("19")] == "held by auditor"
    assert kept(result)[day("23")] == "the source has it"


def test_lots_are_counted_on_the_receiver() -> None:
    labels = [f"{number:02}" for number in range(1, 24)]
    receiver = f"{' '.join(labels)}\n. {' '.join('x' * 23)}\n"
    source = f"{' '.join(labels)}\n. {' '.join('.' * 21 + 'xx')}\n"
    assert plan(source, receiver).refusals == (DestroysLots("off/tank", 21, 23),)
    assert plan(source, receiver, terms=replace(TERMS, force_lots=True)).count == 21


def test_a_snapshot_in_the_future_refuses_the_mirror_and_the_remedy_names_the_source() -> None:
    result = plan(
        """
            20 21 22 23
    .        .  .  x  x
    """,
        """
            20 21 22 23 30b
    .        x  x  x  x  x
    """,
    )
    assert result.commands == ()
    (refusal,) = result.refusals
    assert isinstance(refusal, FutureSnapshot)
    assert refusal.message.startswith("off/tank@2026-11-30T02:00:00Z is dated in the future")
    assert refusal.remedy.endswith("cyber-zfs-backup quarantine tank@2026-11-30T02:00:00Z")


@pytest.mark.parametrize("side", ["source", "receiver"])
def test_half_a_tree_is_no_ground_for_destroying(side: str) -> None:
    source = Tree("tank", {}, complete=side != "source")
    receiver = Tree("tank", {}, complete=side != "receiver")
    with pytest.raises(ValueError, match="every snapshot"):
        mirror.candidates(source, receiver, {}, TERMS)

# SPDX-License-Identifier: GPL-3.0-or-later
"""How many zfs commands each kind of run costs on either side: exactly, whatever the number of datasets.

A zfs command costs 0.2 to 0.5 s on a slow machine, a connection 3 s. Only sends and receives may grow
with the tree. Why each of an ordinary night's is there, on the source:

========  ==================================================================================
list 3    the newest own snapshot (clock and name); base and target by name; expire's whole list
snapshot  the snapshot
get 2     datasets and records for the push; again for expire, after the records moved
set 3     the target named; the target as base, with the former name; without it
hold      the target, before the first byte
release   the former base, after the receiver was asked
========  ==================================================================================

and on the receiver: get 1 (datasets, tokens), list 2 (base and target before, the target after).
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.unit.actions.rig import (
    FORCED,
    HARSH,
    LEVEL,
    NO_NETWORK,
    ONLY_EXPIRE,
    ONLY_PUSH,
    REPLICATE,
    ROOT,
    THERE,
    Rig,
)

Counts = dict[str, int]

NIGHT: Counts = {"list": 3, "snapshot": 1, "get": 3, "set": 3, "hold": 1, "release": 1}
NIGHT_THERE: Counts = {"get": 1, "list": 2}
WHOLE: Counts = {"list": 1}
"""The whole question costs one command more on the source, and two on the receiver."""
WHOLE_THERE: Counts = {"get": 1, "list": 1}


def plus(*parts: Counts) -> Counts:
    return dict(sum((Counter(part) for part in parts), Counter()))


@pytest.fixture(params=[5, 50], ids=lambda count: f"{count} datasets", scope="module")
def prepared(request: pytest.FixtureRequest) -> Rig:
    """A tree that is pushed; two nights old."""
    rig = Rig(*(f"c{number}" for number in range(request.param - 1)))
    rig.source.zfs("snapshot", "-r", f"{ROOT}@2026-01-01T00:00:00Z")
    return rig


@pytest.fixture
def rig(prepared: Rig) -> Rig:
    """The same, pushed by hand: the lock's folder is not there for fixtures of a module."""
    rig = prepared.copy()
    rig.wait()
    rig.run(force=FORCED)
    reset(rig)
    rig.wait()
    return rig


def reset(rig: Rig) -> None:
    rig.source.calls.clear()
    rig.receiver.calls.clear()
    rig.link.transfers.clear()


def counted(rig: Rig) -> tuple[Counts, Counts, int]:
    """Commands on the source, on the receiver, and data connections."""
    here, there = (Counter(call[1] for call in host.calls) for host in (rig.source, rig.receiver))
    return dict(here), dict(there), len(rig.link.transfers)


def size(rig: Rig) -> int:
    return len(rig.paths())


def test_a_first_push(prepared: Rig) -> None:
    rig = prepared.copy()
    rig.wait()
    rig.run(force=FORCED)
    here, there, connections = counted(rig)
    # No record yet: nothing to ask by name, the whole lists at once; nothing to release. The receiver
    # is asked for its root, for the dataset above it, and by name at the end.
    assert here == {"list": 3, "snapshot": 1, "get": 3, "set": 2, "hold": 1, "send": 1}
    assert there == {"get": 2, "list": 2, "receive": 1}
    assert connections == 1


def test_a_push_with_nothing_new(rig: Rig) -> None:
    rig.run(actions=ONLY_PUSH)
    # get: datasets and records; they also tell that no mirror is due.
    assert counted(rig) == ({"list": 2, "get": 1}, {"get": 1, "list": 1}, 0)


def test_an_ordinary_night_by_level(rig: Rig) -> None:
    rig.run(send_mode=LEVEL)
    streams = size(rig)
    assert counted(rig) == (plus(NIGHT, {"send": streams}), plus(NIGHT_THERE, {"receive": streams}), 2)


@pytest.mark.parametrize("lanes", [1, 3])
def test_as_many_data_connections_as_lanes(rig: Rig, lanes: int) -> None:
    rig.run(send_mode=LEVEL, lanes=lanes)
    assert len(rig.link.transfers) == lanes


def test_an_ordinary_night_by_replicate(rig: Rig) -> None:
    rig.run(send_mode=REPLICATE)
    assert counted(rig) == (plus(NIGHT, {"send": 1}), plus(NIGHT_THERE, {"receive": 1}), 1)


def test_a_new_child_by_level_costs_the_whole_question_and_no_connection_more(rig: Rig) -> None:
    rig.source.zfs("create", f"{ROOT}/new")
    rig.run(send_mode=LEVEL)
    streams = size(rig)
    assert counted(rig) == (
        plus(NIGHT, WHOLE, {"send": streams}),
        plus(NIGHT_THERE, WHOLE_THERE, {"receive": streams}),
        2,
    )


def test_a_new_child_by_replicate_costs_the_whole_question(rig: Rig) -> None:
    rig.source.zfs("create", f"{ROOT}/new")
    rig.run(send_mode=REPLICATE)
    assert counted(rig) == (
        plus(NIGHT, WHOLE, {"send": 1}),
        plus(NIGHT_THERE, WHOLE_THERE, {"receive": 1}),
        1,
    )


def test_expire_alone(rig: Rig) -> None:
    rig.run(actions=ONLY_EXPIRE)
    assert counted(rig) == ({"get": 1, "list": 1}, {}, 0)


def test_snapshot_and_expire_with_something_to_destroy(rig: Rig) -> None:
    rig.run(actions=NO_NETWORK, retention=HARSH)
    # list: newest own, whole, what uses the candidates; set: the mirror is due.
    assert counted(rig) == ({"list": 3, "snapshot": 1, "get": 2, "set": 1, "destroy": 1}, {}, 0)


def test_a_night_with_a_mirror_due(rig: Rig) -> None:
    rig.run(actions=ONLY_EXPIRE, retention=HARSH)
    reset(rig)
    rig.run(retention=HARSH, send_mode=LEVEL)
    streams = size(rig)
    # The source: records and two lists more (the mirror's whole list, what uses expire's candidates), a
    # destroy, and the mark removed. The receiver: datasets, whole list, what uses the candidates, a destroy.
    assert counted(rig) == (
        plus(NIGHT, {"get": 1, "list": 2, "destroy": 1, "inherit": 1, "send": streams}),
        plus(NIGHT_THERE, {"get": 1, "list": 2, "destroy": 1, "receive": streams}),
        2,
    )


def test_a_push_after_an_interrupted_one_asks_the_whole_question_once(rig: Rig) -> None:
    rig.snap()
    rig.receiver.faults.refuse_after = 2
    rig.run(send_mode=LEVEL, actions=ONLY_PUSH)
    rig.calm()
    rig.wait()
    rig.receiver.faults.refuse_after = None
    reset(rig)
    rig.run(send_mode=LEVEL)
    lists = [*rig.source.called("list"), *rig.receiver.called("list")]
    by_root = [call[-1] for call in lists if "-r" in call]
    # Expire's own is the second of the source.
    assert sorted(by_root) == [ROOT, ROOT, THERE]

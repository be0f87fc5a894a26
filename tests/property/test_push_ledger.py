# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger's law: whatever arrives, breaks or dies, all that a receiver may build on is named and,
once anything has been sent, held; and nothing is kept for ever once everything has arrived."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from cyber_zfs_backup.model.trees import Dataset, Snapshot
from cyber_zfs_backup.plan.ledger import Ledger, Record, Settlement, Standing, announced, in_flight, settled

PATHS = ("", "a", "b")

fates = st.fixed_dictionaries(
    {path: st.sampled_from(["arrives", "fails", "breaks at a part", "breaks in a part"]) for path in PATHS}
)
nights = st.lists(
    st.tuples(fates, st.integers(1, 3), st.sampled_from(["settles", "dies after sending", "dies settling"])),
    max_size=8,
)


@dataclass
class World:
    """Snapshots are numbers, alike on all datasets; the receiver has of each dataset the newest number,
    and perhaps a token for one more."""

    ledger: Ledger = field(default_factory=lambda: Ledger(Record("offsite:vault/copy")))
    newest: int = 0
    there: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    held: set[tuple[str, str]] = field(default_factory=set)

    def dataset(self, path: str) -> Dataset:
        return Dataset(path, tuple(Snapshot(f"s{n}", n, n) for n in range(1, self.newest + 1)))

    def check(self) -> None:
        for path in PATHS:
            kept = {*self.ledger.names_for(path), *in_flight(self.ledger, self.dataset(path))}
            for number in (self.there.get(path), self.tokens.get(path)):
                assert number is None or f"s{number}" in kept, (path, number, self.ledger)

    def check_held(self) -> None:
        """After a settlement: what the receiver was seen to build on is held, too."""
        for path in PATHS:
            for number in (self.there.get(path), self.tokens.get(path)):
                assert number is None or (path, f"s{number}") in self.held, (path, number)

    def announce(self, target: str) -> None:
        adopted = {
            path: [f"s{number}"]
            for path, number in self.there.items()
            if f"s{number}" not in self.ledger.names_for(path)
        }
        for path, number in self.tokens.items():
            adopted.setdefault(path, []).append(f"s{number}")
        for path in PATHS:
            if path not in self.there:
                adopted.setdefault(path, []).append("s1")
        self.before = self.ledger
        self.ledger = announced(self.ledger, [target], adopted)
        self.check()
        self.held |= {(path, target) for path in PATHS}
        self.held |= {(path, name) for path, names in adopted.items() for name in names}

    def send(self, fate: dict[str, str]) -> None:
        for path in PATHS:
            behind = self.newest - self.there.get(path, 0)
            if fate[path] == "arrives":
                self.there[path] = self.newest
                self.tokens.pop(path, None)
            elif fate[path].startswith("breaks") and behind:
                part = self.there.get(path, 0) + max(1, behind // 2)
                if fate[path] == "breaks in a part":
                    self.tokens[path] = part
                elif part > self.tokens.get(path, 0):
                    self.there[path] = part
                    self.tokens.pop(path, None)
            self.check()

    def settlement(self, target: str) -> Settlement:
        standings = {
            path: Standing(
                f"s{self.there[path]}" if path in self.there else None,
                f"s{self.tokens[path]}" if path in self.tokens else None,
            )
            for path in PATHS
        }
        return settled(self.ledger, self.before, standings, target, "")

    def settle(self, found: Settlement, *, dies: bool) -> None:
        self.ledger = found.named
        self.check()
        if dies:
            return
        for hold in found.holds:
            self.held |= {(path, hold.name) for path in hold.paths}
        for release in found.releases:
            paths = PATHS if release.paths is None else release.paths
            self.held -= {(path, release.name) for path in paths}
            self.check()
        self.ledger = found.final
        self.check()
        self.check_held()


@settings(max_examples=150, deadline=None)
@given(nights)
def test_all_that_the_receiver_may_build_on_is_kept_and_in_the_end_nothing_else(
    history: list[tuple[dict[str, str], int, str]],
) -> None:
    world = World()
    for fate, count, end in history:
        world.newest += count
        target = f"s{world.newest}"
        world.announce(target)
        world.send(fate)
        if end != "dies after sending":
            world.settle(world.settlement(target), dies=end == "dies settling")
    world.newest += 1
    target = f"s{world.newest}"
    world.announce(target)
    world.send(dict.fromkeys(PATHS, "arrives"))
    world.settle(world.settlement(target), dies=False)
    assert world.ledger == Ledger(Record("offsite:vault/copy", target))
    assert world.held == {(path, target) for path in PATHS}


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([("",), ("a",), ("a", "b")]), st.integers(5, 40))
def test_a_dataset_that_fails_for_months_does_not_pin_more_and_more(
    failing: tuple[str, ...], many: int
) -> None:
    world = World()
    kept = []
    for _ in range(many):
        world.newest += 1
        world.announce(f"s{world.newest}")
        first = world.newest == 1
        world.send({path: "fails" if path in failing and not first else "arrives" for path in PATHS})
        world.settle(world.settlement(f"s{world.newest}"), dies=False)
        kept.append(len(world.held))
    assert max(kept) <= 3 * len(PATHS)

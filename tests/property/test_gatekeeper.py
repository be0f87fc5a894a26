# SPDX-License-Identifier: GPL-3.0-or-later
"""The gatekeeper's grammar against its oracle, on lines that an attacker might think of.

``CYBER_ZFS_BACKUP_GATE_CASES=1000000`` plays so many, of a new seed each time; ``CYBER_ZFS_BACKUP_SEED``
those of another run again.
"""

from __future__ import annotations

import os
import random
import re
import secrets
from itertools import islice
from pathlib import Path

import pytest

from cyber_zfs_backup.gatekeeper.book import Book
from cyber_zfs_backup.gatekeeper.grammar import FORMS, Grammar, RefusedError, Words
from cyber_zfs_backup.gatekeeper.main import Gate, Programs
from cyber_zfs_backup.gatekeeper.policy import Mode, Policy

from .gate_oracle import NAMES, ROOT, allowed, lines, mutated

CASES = int(os.environ.get("CYBER_ZFS_BACKUP_GATE_CASES") or 10_000)
SEED = int(os.environ.get("CYBER_ZFS_BACKUP_SEED") or (secrets.randbelow(10**6) if CASES > 10_000 else 1))

_D = rf"{ROOT}(/[A-Za-z0-9_.: -]+)*"
_X = "".join(f"-x {name} " for name in (
    *("mountpoint", "canmount", "sharenfs", "sharesmb", "readonly", "setuid", "exec", "devices", "volmode"),
))  # fmt: skip
PERMITTED = re.compile(
    rf"zfs get -Hp -r -t filesystem,volume -o name,property,(value|received),source [a-z_,]+ {_D}"
    rf"|zfs list -Hp -o [a-z,]+ -t snapshot( -r)? {_D}"
    rf"|zfs list -Hp -o [a-z,]+ -t snapshot( {_D}@[A-Za-z0-9_.: -]+)+"
    rf"|zfs list -Hp -o guid -d 0 {_D}"
    rf"|zfs holds -H( {_D}@[A-Za-z0-9_.: -]+)+"
    rf"|zfs destroy -nvp( -r)? {_D}@[0-9TZ:,-]+"
    rf"|zfs destroy {_D}@[0-9TZ:,-]+"
    rf"|zfs receive -s -u {_X}{_D}"
    rf"|zfs receive -A {_D}"
    rf"|zfs send (-nvP )?-w (-R |-I @[A-Za-z0-9_.: -]+ )?{_D}@[A-Za-z0-9_.: -]+"
    r"|zfs send (-nvP )?-w -t 1(-[0-9a-f]+){3}|zfs send -nvt 1(-[0-9a-f]+){3}"
    rf"|zfs version|zfs allow {_D}|zpool status offsite|date -u \+%s"
    r"|zpool list -Hp -o name,size,allocated,free,health offsite"
)
"""What may ever be run, whatever was asked for."""


class Recorder(Programs):
    """Runs nothing, and notes what would have been run."""

    def __init__(self) -> None:
        self.seen: list[Words] = []

    def become(self, argv: Words) -> int:
        return self.run(argv, 0)

    def run(self, argv: Words, stdin: int) -> int:
        self.seen.append(argv)
        return 0

    def output(self, argv: Words) -> str:
        self.seen.append(argv)
        return "".join(f"{ROOT}/zippy@{name}\t{number}\t{number}\n" for number, name in enumerate(NAMES, 1))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def gate(recorder: Recorder, tmp_path: Path) -> Gate:
    (tmp_path / "offsite").mkdir()
    (tmp_path / "offsite/txgs").write_text("txg state\n9 0 O 0\n")
    return Gate(Policy(ROOT, Mode.MIRROR, restore=True), Book(tmp_path, kstat=tmp_path), recorder)


def decision(line: str) -> bool:
    try:
        Grammar(ROOT).understand(line)
    except RefusedError:
        return False
    return True


def test_the_decision_is_the_oracles(gate: Gate, recorder: Recorder) -> None:
    rng = random.Random(SEED)  # noqa: S311 - no secret
    good = list(islice(lines(rng), 1 + CASES // 20))
    served = 0
    for _ in range(CASES):
        line = rng.choice(good)
        for _ in range(rng.randint(1, 5)):
            line = mutated(rng, line, rng.choice(good))
        assert decision(line) is allowed(line), f"seed {SEED}: {line!r}"
        if allowed(line):
            served += 1
            gate.serve(line)
    assert served > CASES // 100
    assert [argv for argv in recorder.seen if not PERMITTED.fullmatch(" ".join(argv))] == []


def test_every_line_of_the_sender_is_allowed(gate: Gate, recorder: Recorder) -> None:
    for line in islice(lines(random.Random(2)), 500):  # noqa: S311 - no secret
        assert allowed(line), line
        gate.serve(line)
    assert [argv for argv in recorder.seen if not PERMITTED.fullmatch(" ".join(argv))] == []
    # All that is there is used: a form that no sender writes has no place in the grammar.
    used = {tuple(argv[:2]) for argv in recorder.seen}
    assert used == {form[:2] for _, form in FORMS}

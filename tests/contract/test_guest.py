# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract on real OpenZFS: one pair of pools, a dataset of its own for each case."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.contract.fronts import DESTINATION, SOURCE, Remote
from tests.contract.registry import CASES, Case
from tests.contract.zfs import Said
from tests.guest.guest import Guest
from tests.guest.lab import Lab

pytestmark = pytest.mark.guest
Shell = Callable[[str, bytes], Said]


@pytest.fixture(scope="module")
def shell(guest: Guest) -> Iterator[Shell]:
    """A root shell in the guest, with both pools and a key for encrypted datasets."""
    lab = Lab(guest)
    # On a guest that is shared, what an earlier run left behind is in the way.
    lab.pools.destroy(SOURCE, DESTINATION)
    for name in (SOURCE, DESTINATION):
        lab.pools.make(name, "1G")
    guest.script("echo a-passphrase-for-tests > /run/contract-key")

    def run(script: str, data: bytes) -> Said:
        done = guest.run(["sh", "-c", script], stdin=data, env={"TZ": "UTC"})
        assert not done.timed_out, script
        assert done.status is not None
        return Said(done.status, done.stdout.decode(), done.stderr.decode())

    yield run
    lab.pools.destroy(SOURCE, DESTINATION)


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """A number for each case."""
    return itertools.count(1)


@pytest.mark.parametrize("case", CASES)
def test_openzfs(case: Case, shell: Shell, numbers: Iterator[int]) -> None:
    """Every case holds on OpenZFS."""
    case(Remote(shell, next(numbers)))

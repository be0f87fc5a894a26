# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever dies while a push is under way, the next run alone brings all in order.

The short form plays every kind of fault once, always the same ones (two of them each time, the others where
nightly tests are asked for): it tells whether a change has broken something, and not whose turn it is to be
unlucky. ``CYBER_ZFS_BACKUP_FAULTS=200`` plays so many, of new
moments each time, and ``CYBER_ZFS_BACKUP_SEED`` those of another run again; the seed stands under the table.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator

import pytest

from . import evidence
from .faults.campaign import Campaign
from .faults.plan import ROUND, Kind, kind_of
from .faults.table import story, table
from .guest import Guest
from .lab import Lab, Product

COUNT = int(os.environ.get("CYBER_ZFS_BACKUP_FAULTS") or len(ROUND))
SHORT_SEED = 776772
"""Of it the last fault once hung: a cable cut while a question was under way."""


EACH_TIME = (Kind.KILL, Kind.RESET)
"""Our own death and the machine's: nothing but what is written down is left then. The others are nightly."""


def _numbered(number: int) -> object:
    kind = kind_of(number)
    marks = () if kind in EACH_TIME and number < len(ROUND) else (pytest.mark.nightly,)
    return pytest.param(number, id=f"{number:03}-{kind.name.lower()}", marks=marks)


@pytest.fixture(scope="module")
def campaign(guest: Guest, product: Product, tell: Callable[[str, str], None]) -> Iterator[Campaign]:
    """One campaign for all tests here; its tree goes from fault to fault, its table is shown at the end."""
    chosen = SHORT_SEED if len(ROUND) >= COUNT else secrets.randbelow(1_000_000)
    seed = int(os.environ.get("CYBER_ZFS_BACKUP_SEED") or chosen)
    lab = Lab(guest)
    made = Campaign(lab, product, seed)
    yield made
    lines = table(made.played, seed)
    evidence.save("\n".join([*lines, "", *(story(one, seed) for one in made.played)]), "faults")
    for line in lines:
        tell("faults", line)
    lab.tidy()


@pytest.mark.parametrize("number", [_numbered(number) for number in range(COUNT)])
def test_faults(campaign: Campaign, number: int) -> None:
    """A struck push, one ordinary run, and both sides are the same; nothing held or partial is left."""
    played = campaign.play(number)
    if not played.healed:
        pytest.fail(story(played, campaign.seed), pytrace=False)

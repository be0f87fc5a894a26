# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs allow`` and ``unallow`` for users, of what holds for a dataset and all below it.

Groups, everyone, sets, and what is local or for descendants alone are not imitated: our own program gives
none of it. Nothing here keeps anybody from anything; ``Faults.denied`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.fake.errors import RefusedError, UsageError
from tests.fake.model import Dataset, World
from tests.fake.names import open_head
from tests.fake.options import parse

Say = Callable[[str], None]
_WIDTH = 70


def allow(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
    """``zfs allow [-u USER PERMISSIONS] DATASET``."""
    options = parse("allow", "u", argv)
    if not options.has("u"):
        options.need(1, 1, "")
        _show(world, _open(world, options.operands[0]), out)
        return 0
    options.need(3, 3, "")
    user, permissions, name = options.operands
    _open(world, name).allowed.setdefault(user, set()).update(permissions.split(","))
    world.next_txg()
    return 0


def unallow(world: World, argv: Sequence[str], out: Say, err: Say) -> int:
    """``zfs unallow -u USER [PERMISSIONS] DATASET``; what is not given is taken all the same."""
    options = parse("unallow", "u", argv)
    if not options.has("u"):
        raise UsageError("unallow", "")
    options.need(2, 3, "")
    user, *permissions, name = options.operands
    given = _open(world, name).allowed
    left = given.get(user, set()) - set(permissions[0].split(",")) if permissions else set()
    if left:
        given[user] = left
    else:
        given.pop(user, None)
    world.next_txg()
    return 0


def _open(world: World, name: str) -> Dataset:
    try:
        return open_head(world, name)
    except RefusedError as refused:
        raise RefusedError(f"{refused.text}Failed to open dataset: {name}\n", status=255) from None


def _show(world: World, dataset: Dataset, out: Say) -> None:
    """What is given on it, then what is given on each dataset above it."""
    name = dataset.name
    while name:
        given = world.datasets[name].allowed
        if given:
            out(f"---- Permissions on {name} ".ljust(_WIDTH, "-") + "\nLocal+Descendent permissions:\n")
            for user, permissions in sorted(given.items()):
                out(f"\tuser {user} {','.join(sorted(permissions))}\n")
        name = name.rpartition("/")[0]

# SPDX-License-Identifier: GPL-3.0-or-later
"""``zfs destroy``: what a specification names, what stands in the way, and what it would free."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.fake.changes import walk
from tests.fake.errors import RefusedError
from tests.fake.model import Dataset, Snapshot, World
from tests.fake.names import open_head

Say = Callable[[str], None]


def named_by(dataset: Dataset, spec: str) -> list[Snapshot]:
    """The snapshots of one dataset that ``a,b%c`` names; names it does not have are passed over."""
    found: list[Snapshot] = []
    for part in spec.split(","):
        if "%" not in part:
            snap = dataset.snapshot(part)
            found.extend([snap] if snap is not None else [])
            continue
        first, last = part.split("%", 1)
        if last and dataset.snapshot(last) is None:
            continue
        inside = not first
        for snap in dataset.snapshots:
            inside = inside or snap.name == first
            if inside:
                found.append(snap)
            if snap.name == last:
                break
    unique: list[Snapshot] = []
    for snap in found:
        if snap not in unique:
            unique.append(snap)
    return unique


def frees(dataset: Dataset, doomed: Sequence[Snapshot]) -> int:
    """Bytes that go when these snapshots go."""
    gone = {id(snap) for snap in doomed}
    kept = {id(blob) for blob in dataset.files.values()}
    for snap in dataset.snapshots:
        if id(snap) not in gone:
            kept.update(id(blob) for blob in snap.files.values())
    sizes = {id(blob): blob.size for snap in doomed for blob in snap.files.values()}
    return sum(size for key, size in sizes.items() if key not in kept)


def remove_snapshots(world: World, names: Sequence[str], defer: bool = False) -> list[str]:
    """Destroy snapshots in one transaction: where one cannot go, none goes. Answers why not."""
    faults = []
    doomed: list[tuple[Dataset, Snapshot]] = []
    for name in names:
        pair = world.find_snapshot(name)
        if pair is None:
            continue
        dataset, snap = pair
        stuck = bool(snap.holds), bool(world.clones_of(name))
        if any(stuck) and not defer:
            why = _held(world, name) if stuck[0] else "snapshot is cloned"
            faults.append(f"cannot destroy snapshot {name}: {why}\n")
        doomed.append(pair)
    if faults:
        return faults
    world.next_txg()
    for dataset, snap in doomed:
        if snap.holds or world.clones_of(f"{dataset.name}@{snap.name}"):
            snap.defer_destroy = True
            continue
        dataset.snapshots.remove(snap)
        dataset.changed_at = world.now
    return faults


def _held(world: World, name: str) -> str:
    return f"it's being held. Run 'zfs holds -r {name}' to see holders." if world.newer else "dataset is busy"


def _let_go(world: World, clone: Dataset) -> None:
    """A snapshot that waits for its last clone to go, goes with it."""
    if clone.name in world.datasets or clone.origin is None:
        return
    pair = world.find_snapshot(clone.origin)
    if pair is None:
        return
    head, snap = pair
    if snap.defer_destroy and not snap.holds and not world.clones_of(clone.origin):
        head.snapshots.remove(snap)


def destroy_snapshots(world: World, target: str, flags: frozenset[str], say: Say) -> None:
    """``zfs destroy [-dnprRv] dataset@spec``."""
    head, _, spec = target.partition("@")
    root = open_head(world, head)
    below = walk(world, root) if flags & {"r", "R"} else [root]
    chosen = [(dataset, named_by(dataset, spec)) for dataset in below]
    doomed = [f"{dataset.name}@{snap.name}" for dataset, snaps in chosen for snap in snaps]
    loud = bool(flags & {"v", "p"})
    if loud:
        for dataset, snaps in chosen:
            for snap in sorted(snaps, key=dataset.snapshots.index):
                say(_destroy_line(f"{dataset.name}@{snap.name}", flags))
    blocked = [] if flags & {"R", "d"} else _cloned(world, doomed)
    if blocked:
        raise RefusedError("".join(blocked))
    if not doomed:
        raise RefusedError("could not find any snapshots to destroy; check snapshot names.")
    if loud:
        say(_reclaim_line(sum(frees(dataset, snaps) for dataset, snaps in chosen), flags))
    if "n" in flags:
        return
    if "R" in flags:
        for clone in [clone for name in doomed for clone in world.clones_of(name)]:
            destroy_dataset(world, clone.name, frozenset({"R"}), say)
    faults = remove_snapshots(world, doomed, defer="d" in flags)
    if faults:
        raise RefusedError("".join(faults))


def _cloned(world: World, names: Sequence[str]) -> list[str]:
    """What is said of each snapshot that has clones."""
    return [
        f"cannot destroy '{name}': snapshot has dependent clones\n"
        "use '-R' to destroy the following datasets:\n" + "".join(f"{clone.name}\n" for clone in clones)
        for name in names
        if (clones := world.clones_of(name))
    ]


def _destroy_line(name: str, flags: frozenset[str]) -> str:
    if "p" in flags:
        return f"destroy\t{name}\n"
    return f"{'would' if 'n' in flags else 'will'} destroy {name}\n"


def _reclaim_line(freed: int, flags: frozenset[str]) -> str:
    if "p" in flags:
        return f"reclaim\t{freed}\n"
    return f"{'would' if 'n' in flags else 'will'} reclaim {nice_bytes(freed)}\n"


def nice_bytes(count: int) -> str:
    """A size as zfs prints it without ``-p``."""
    return f"{count}B" if count < 1024 else nice_number(count)


def nice_number(count: int) -> str:
    """The same for a number that is not said to be one of bytes."""
    if count < 1024:
        return str(count)
    value, units = float(count), iter("KMGTPE")
    unit = ""
    while value >= 1024:
        value, unit = value / 1024, next(units)
    if value == int(value):
        return f"{int(value)}{unit}"
    for digits in (2, 1, 0):
        text = f"{value:.{digits}f}{unit}"
        if len(text) <= 5:
            return text
    return f"{value:.0f}{unit}"


def destroy_dataset(world: World, target: str, flags: frozenset[str], say: Say) -> None:
    """``zfs destroy [-fnprRv] filesystem|volume``."""
    head = open_head(world, target)
    recurse = bool(flags & {"r", "R"})
    if not recurse and "/" not in target:
        raise RefusedError(
            f"cannot destroy '{target}': operation does not apply to pools\n"
            f"use 'zfs destroy -r {target}' to destroy all datasets in the pool\n"
            f"use 'zpool destroy {target}' to destroy the pool itself"
        )
    below = walk(world, head)
    dependents: list[str] = []
    for dataset in reversed(below):
        dependents += [f"{dataset.name}@{snap.name}" for snap in reversed(dataset.snapshots)]
        dependents += [dataset.name] if dataset is not head else []
    if dependents and not recurse:
        raise RefusedError(
            f"cannot destroy '{target}': {head.kind.value} has children\n"
            "use '-r' to destroy the following datasets:\n" + "".join(f"{name}\n" for name in dependents)
        )
    inside = {dataset.name for dataset in below}
    clones = [c for name in dependents if "@" in name for c in world.clones_of(name) if c.name not in inside]
    if clones and "R" not in flags:
        raise RefusedError(
            f"cannot destroy '{target}': {head.kind.value} has dependent clones\n"
            "use '-R' to destroy the following datasets:\n" + "".join(f"{c.name}\n" for c in clones)
        )
    if flags & {"v", "p"}:
        for name in [*dependents, target]:
            say(_destroy_line(name, flags))
    if "n" not in flags:
        for clone in clones:
            destroy_dataset(world, clone.name, frozenset({"R"}), lambda text: None)
        _remove_tree(world, below)


def _remove_tree(world: World, below: Sequence[Dataset]) -> None:
    """Destroy from the leaves up; what cannot go keeps its parents."""
    faults: list[str] = []
    inside = {dataset.name for dataset in below}
    for dataset in reversed(below):
        if dataset.partial is not None and dataset.partial.receiver:
            faults.append(f"cannot destroy '{dataset.name}': dataset is busy\n")
            continue
        names = [f"{dataset.name}@{snap.name}" for snap in dataset.snapshots]
        for name in names:
            for clone in world.clones_of(name):
                if clone.name in inside:
                    clone.origin = None
        stuck = remove_snapshots(world, names)
        faults.extend(stuck)
        if stuck:
            continue
        if world.children(dataset.name):
            if dataset is below[0]:
                faults.append(f"cannot destroy '{dataset.name}': dataset already exists\n")
            continue
        if "/" in dataset.name:
            del world.datasets[dataset.name]
            _let_go(world, dataset)
        world.next_txg()
    if faults:
        raise RefusedError("".join(faults))

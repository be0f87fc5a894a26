# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be had: the dates of each destination, and where a file as it was then lies. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..config.restoring import RestoreFile, RestoreList
from ..hosts.quoting import as_typed
from ..model.names import join, own_time, relative
from ..model.trees import Snapshot
from ..plan.restore import At, Offer, best, wanted_of
from . import words
from .attempt import attempt
from .back import Back, Copy, read_copies, real_back, result_of
from .result import ActionResult, Outcome, Problem, RunResult, Surface


def restore_list(request: RestoreList, surface: Surface) -> RunResult:
    """Tell what each destination has of a dataset."""
    with real_back(request.destinations, surface) as back:
        return restore_list_on(request, back)


def restore_list_on(request: RestoreList, back: Back) -> RunResult:
    """The same on the given hosts."""
    return result_of(back, request.wanted, lambda: attempt("restore list", lambda: _list(request, back)))


def _list(request: RestoreList, back: Back) -> ActionResult:
    copies, troubles = read_copies(back, "restore list")
    if not copies:
        return troubles[0] if troubles else _nothing(request.wanted, "no destination has a copy of it")
    path = relative(request.dataset, request.wanted)
    rows = [
        (time, name, labels) for (time, name), labels in sorted(_dates(copies, path).items(), key=_by_date)
    ]
    lines = [f"{_shown(time)}  {request.wanted}@{name}  {', '.join(labels)}" for time, name, labels in rows]
    below = [each for copy in copies for each in copy.tree.datasets if each and _child(path, each)]
    lines += [f"below it: {join(request.dataset, each)}" for each in sorted(set(below))]
    if not lines:
        return _nothing(request.wanted, "no destination has such a dataset")
    outcome = Outcome.PARTIAL if troubles else Outcome.DONE
    problems = tuple(problem for trouble in troubles for problem in trouble.problems)
    what = f"{words.count(len(rows), 'snapshot')} of {request.wanted} can be had, the newest last"
    figures = {"snapshots": len(rows)}
    return ActionResult(
        "restore list", outcome, what, problems=problems, figures=figures, answer=tuple(lines)
    )


def _child(path: str, other: str) -> bool:
    return other.rpartition("/")[0] == path


def _dates(copies: list[Copy], path: str) -> dict[tuple[datetime | None, str], list[str]]:
    found: dict[tuple[datetime | None, str], list[str]] = {}
    for copy in copies:
        dataset = copy.tree.datasets.get(path)
        for snapshot in dataset.snapshots if dataset else ():
            found.setdefault((own_time(snapshot.name), snapshot.name), []).append(copy.label)
    return found


def _by_date(row: tuple[tuple[datetime | None, str], list[str]]) -> tuple[float, str]:
    (time, name), _ = row
    return (time.timestamp() if time else 0.0), name


def _shown(time: datetime | None) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S %Z}" if time else "no date in its name"


def _nothing(where: str, what: str) -> ActionResult:
    problem = Problem(what, where, "see what there is: cyber-zfs-backup restore list", "not-there")
    return ActionResult("restore list", Outcome.CONFLICT, what, problems=(problem,))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file lies: the dataset of this machine that holds it, where that is mounted, and the rest."""

    dataset: str
    mounted: Path
    inside: Path


def mounts_of(lines: str) -> dict[Path, str]:
    """The ZFS mounts in the text of /proc/self/mounts (proc(5)): mount point to dataset; the last counts."""
    found: dict[Path, str] = {}
    for line in lines.splitlines():
        fields = line.split(" ")
        if len(fields) > 2:
            point = Path(
                fields[1].encode().decode("unicode_escape").encode("latin-1").decode(errors="replace")
            )
            found.pop(point, None)
            if fields[2] == "zfs":
                found[point] = fields[0].replace("\\040", " ")
    return found


def place_of(file: Path, mounts: Mapping[Path, str]) -> Place | None:
    """The dataset that holds the file (or held it): by the longest mount point above it."""
    for above in file.parents:
        if above in mounts:
            return Place(mounts[above], above, file.relative_to(above))
    return None


def restore_file(request: RestoreFile, surface: Surface) -> RunResult:
    """Tell where a file as it was then can be had."""
    with real_back(request.destinations, surface) as back:
        text = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
        return restore_file_on(request, back, mounts_of(text))


def restore_file_on(
    request: RestoreFile,
    back: Back,
    mounts: Mapping[Path, str],
    exists: Callable[[Path], bool] = os.path.lexists,
) -> RunResult:
    """The same on the given hosts and mounts; ``exists`` tells whether a file is there."""
    # Links above it lead elsewhere; the file itself may be one.
    file = Path(os.path.realpath(request.file.parent)) / request.file.name
    place = place_of(file, mounts)
    return result_of(
        back,
        place.dataset if place else request.dataset,
        lambda: attempt("restore file", lambda: _file(request, back, place, exists)),
    )


def _file(
    request: RestoreFile, back: Back, place: Place | None, exists: Callable[[Path], bool]
) -> ActionResult:
    if place is None:
        what = f"{request.file} does not lie on ZFS, as far as this machine has it mounted"
        remedy = (
            "where its dataset is gone, see what the copies have of it: cyber-zfs-backup restore list DATASET"
        )
        problem = Problem(what, str(request.file), remedy, "not-there")
        return ActionResult("restore file", Outcome.CONFLICT, what, problems=(problem,))
    snapshots = [s for s in back.here.snapshots_of(place.dataset) if _fits(s, request.at)]
    for snapshot in sorted(snapshots, key=_newest_first, reverse=True):
        old = place.mounted / ".zfs/snapshot" / snapshot.name / place.inside
        if exists(old):
            target = request.file.with_name(f"{request.file.name}.{snapshot.name}")
            what = f"{request.file} as it was in {place.dataset}@{snapshot.name} is here on this machine"
            copying = as_typed(["cp", "-a", "-n", "--", str(old), str(target)])
            answer = (str(old), "to have it beside the present one:", f"  {copying}")
            return ActionResult("restore file", Outcome.DONE, what, answer=answer)
    return _elsewhere(request, back, place)


def _newest_first(snapshot: Snapshot) -> str:
    return snapshot.name


def _fits(snapshot: Snapshot, at: At) -> bool:
    time = own_time(snapshot.name)
    return snapshot.name == at.text or (time is not None and (at.moment is None or time <= at.moment))


def _elsewhere(request: RestoreFile, back: Back, place: Place) -> ActionResult:
    """No snapshot here has it: the destination that is nearest to the date, and the command to type."""
    what = f"no snapshot of {place.dataset} on this machine, of then or older, has {place.inside}"
    try:
        path = relative(request.dataset, place.dataset)
    except ValueError:
        remedy = f"it is not in the tree {request.dataset}; name its tree with --dataset"
        problem = Problem(what, place.dataset, remedy, "not-there")
        return ActionResult("restore file", Outcome.CONFLICT, what, problems=(problem,))
    copies, troubles = read_copies(back, "restore file")
    datasets = [copy.tree.datasets.get(path) for copy in copies]
    offers = [Offer(n, wanted_of(each, request.at) if each else None) for n, each in enumerate(datasets)]
    chosen = best(offers)
    if chosen is None or chosen.snapshot is None:
        remedy = "see what there is: " + as_typed(["cyber-zfs-backup", "restore", "list", place.dataset])
        problem = Problem(f"{what}, nor has any destination one", place.dataset, remedy, "not-there")
        gone = troubles[0].outcome if troubles and not copies else Outcome.CONFLICT
        return ActionResult("restore file", gone, what, problems=(problem,))
    to = f"{place.dataset.partition('/')[0]}/restored"
    command = restoring(request, copies[chosen.number], f"{place.dataset}@{chosen.snapshot.name}", to)
    answer = (
        f"{copies[chosen.number].label} has {place.dataset}@{chosen.snapshot.name};",
        "bring that one dataset here, look whether it has the file, copy it, and destroy what you brought:",
        f"  {command}",
        f"  zfs set mountpoint=/mnt/restored {to} && zfs mount {to}",
        f"  {as_typed(['ls', '-l', str(Path('/mnt/restored') / place.inside)])}",
    )
    return ActionResult("restore file", Outcome.DONE, what, answer=answer)


def restoring(request: RestoreFile, copy: Copy, wanted: str, to: str) -> str:
    """The restore of one dataset as it is typed."""
    where = copy.way.destination
    words = ["cyber-zfs-backup", "restore", wanted, "--to", to, "--no-recursive", "--no-history"]
    words += [
        "--dataset",
        request.dataset,
        "--ssh-destination",
        where.ssh,
        "--zfs-receive-dataset",
        where.dataset,
    ]
    words += ["--ssh-config", str(where.ssh_config)] if where.ssh_config else []
    return as_typed([*words, *(["--use-sudo"] if where.use_sudo else [])])

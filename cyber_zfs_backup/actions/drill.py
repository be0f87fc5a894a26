# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill: datasets of the copy are restored here, read, compared with the source, and taken away again."""

from __future__ import annotations

import json
import os
import random
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from ..config.drilling import Drill
from ..model.names import join
from ..model.trees import Kind, Tree
from ..plan.drill import Content, Exercise, disagreement, exercises
from ..zfs import commands, parse
from ..zfs.errors import ZfsError
from . import words
from .attempt import attempt
from .back import Back, Copy, read_copies, real_back, result_of
from .content import read_files, read_volume
from .drills import FILE
from .journal import Journal, state_folder
from .result import ActionResult, Outcome, Problem, RunResult, Surface
from .scratch import ScratchError, mounted, scratch_dataset
from .transfers import broken_side


class Verdict(Enum):
    """What one exercise came to."""

    EQUAL = "equal"
    """Read, and as it is on the source."""
    ARRIVED = "arrived"
    """Received whole, with the copy's GUID, and not read: no key, or the source has no such snapshot."""
    DIFFERS = "differs"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Exercised:
    """One exercise, finished. ``why`` says what was wrong, or what was not looked at."""

    exercise: Exercise
    verdict: Verdict
    why: str = ""
    size: int = 0

    @property
    def good(self) -> bool:
        """Whether nothing was found to be wrong."""
        return self.verdict in (Verdict.EQUAL, Verdict.ARRIVED)


def drill(request: Drill, surface: Surface) -> RunResult:
    """Do it on real hosts, and record the result."""
    with real_back((request.destination,), surface) as back:
        return drill_on(request, back, state_folder())


def drill_on(request: Drill, back: Back, state: Path) -> RunResult:
    """Do it on the given hosts; ``state`` is the folder of the record."""

    def do() -> ActionResult:
        return attempt("drill", lambda: _drill(request, back, state))

    return result_of(back, request.dataset, do, dry_run=request.dry_run)


def _drill(request: Drill, back: Back, state: Path) -> ActionResult:
    started = time.monotonic()
    about = back.here.back_properties(request.dataset)
    copies, troubles = read_copies(back, "drill")
    if not copies:
        return troubles[0] if troubles else _nothing(request)
    source = None
    if about is not None:
        source = parse.tree(request.dataset, about, back.here.all_snapshots(request.dataset), complete=True)
    todo = _chosen(request, exercises(copies[0].tree, source))
    if not todo:
        return _nothing(request)
    drilling = Drilling(request, back, copies[0], source, about or {}, uuid.uuid4().hex)
    what = f"{words.count(len(todo), 'dataset')} of {copies[0].label}, seed {request.seed}"
    lines = tuple(f"restore {drilling.there(each)} to {request.scratch}, and compare" for each in todo)
    if request.dry_run:
        return ActionResult("drill", Outcome.DONE, f"would restore {what}", lines=lines)
    back.surface.note(f"drill: {what}; scratch is {request.scratch}")
    done = [_tried(drilling, each) for each in todo]
    problems = [_problem(drilling, each) for each in done if not each.good]
    problems += _record(drilling, done, state, round(time.monotonic() - started, 1))
    return _summed_up(drilling, done, problems, lines)


def _chosen(request: Drill, all_of_them: Sequence[Exercise]) -> list[Exercise]:
    if not request.sample or request.sample >= len(all_of_them):
        return list(all_of_them)
    # No secret: the seed is told, so that the same can be drilled again.
    picked = random.Random(request.seed).sample(range(len(all_of_them)), request.sample)  # noqa: S311 - as above
    return [all_of_them[number] for number in sorted(picked)]


@dataclass(frozen=True, slots=True)
class Drilling:
    """One drill under way. ``mark`` is the number that its scratch datasets bear."""

    request: Drill
    back: Back
    copy: Copy
    source: Tree | None
    about: parse.Properties
    mark: str

    def there(self, exercise: Exercise) -> str:
        """The full name of the exercise's snapshot on the copy."""
        return f"{self.copy.tree.full(exercise.path)}@{exercise.snapshot.name}"

    def source_snapshot(self, exercise: Exercise) -> str:
        """The full name of the source's snapshot, which may have been named differently."""
        dataset = self.source.datasets[exercise.path] if self.source else None
        found = dataset.by_guid()[exercise.snapshot.guid] if dataset else exercise.snapshot
        return f"{join(self.request.dataset, exercise.path)}@{found.name}"


def _tried(drilling: Drilling, exercise: Exercise) -> Exercised:
    """One exercise; what goes wrong in it keeps no other back."""
    surface = drilling.back.surface
    try:
        done = _exercise(drilling, exercise)
    except (ZfsError, ScratchError, OSError) as error:
        text = error.text if isinstance(error, ZfsError) else str(error)
        done = Exercised(exercise, Verdict.FAILED, text)
    why = f": {done.why}" if done.why else ""
    surface.detail(f"drill: {drilling.there(exercise)}: {done.verdict.value}{why}")
    return done


def _exercise(drilling: Drilling, exercise: Exercise) -> Exercised:
    here, scratch = drilling.back.here, drilling.request.scratch
    with scratch_dataset(here, scratch, drilling.mark):
        moved = _receive(drilling, exercise)
        arrived = here.snapshots_of(scratch)
        if [snapshot.guid for snapshot in arrived] != [exercise.snapshot.guid]:
            return Exercised(exercise, Verdict.FAILED, "it did not arrive with the copy's GUID", moved)
        if not exercise.compared:
            why = "the source has no snapshot to compare it with"
            return Exercised(exercise, Verdict.ARRIVED, why, moved)
        if exercise.encrypted and not _unlocked(drilling, exercise):
            why = "its key is not at hand, so that only its GUID was compared"
            return Exercised(exercise, Verdict.ARRIVED, why, moved)
        theirs = f"{scratch}@{arrived[0].name}"
        if exercise.kind is Kind.VOLUME:
            return replace(_volumes(drilling, exercise), size=moved)
        return replace(_filesystems(drilling, exercise, theirs), size=moved)


def _receive(drilling: Drilling, exercise: Exercise) -> int:
    """Bring one snapshot into the scratch; answers the bytes. Raises ``ZfsError``, ``ScratchError``."""
    copy, here, scratch = drilling.copy.way.copy, drilling.back.here, drilling.request.scratch
    send = commands.send_back_full(drilling.there(exercise))
    needed = copy.estimate(send, 600.0)
    parent = scratch.rpartition("/")[0]
    free = here.available(parent)
    if free is None:
        raise ScratchError(
            f"there is no dataset {parent}, which the scratch would be below; name another --scratch"
        )
    if needed is not None and needed > free:
        raise ScratchError(
            f"{needed} bytes are needed, and {parent} has {free} available; name another --scratch"
        )
    receive = commands.receive_scratch(scratch, drilling.mark, volume=exercise.kind is Kind.VOLUME)
    with drilling.back.surface.progress(drilling.there(exercise), needed) as on_bytes:
        transfer = drilling.copy.way.link.transfer([copy.argv(send)], [here.argv(receive)], on_bytes=on_bytes)
    if not transfer.ok:
        raise broken_side(transfer, copy.label, here.label)
    return transfer.bytes_moved


def _unlocked(drilling: Drilling, exercise: Exercise) -> bool:
    """Load the scratch dataset's key where the source's lies in a file; answers whether that worked."""
    about = drilling.about.get(join(drilling.request.dataset, exercise.path), {})
    keeper = about["encryptionroot"].value if "encryptionroot" in about else ""
    location = drilling.about.get(keeper, {}).get("keylocation")
    if location is None or not location.value.startswith("file:///"):
        return False
    return drilling.back.here.load_key_from(drilling.request.scratch, location.value)


def _filesystems(drilling: Drilling, exercise: Exercise, restored: str) -> Exercised:
    here, request = drilling.back.here, drilling.request
    with mounted(here, drilling.source_snapshot(exercise)) as folder:
        source = read_files(folder, request.files, request.seed)
    with mounted(here, restored) as folder:
        return _judged(exercise, source, read_files(folder, request.files, request.seed))


def _volumes(drilling: Drilling, exercise: Exercise) -> Exercised:
    """A volume's blocks, against a clone of the source's snapshot; a clone must lie on the source's pool."""
    here, request = drilling.back.here, drilling.request
    if request.scratch.partition("/")[0] != request.dataset.partition("/")[0]:
        why = "a volume is compared only where --scratch is on its source's pool; its GUID is the same"
        return Exercised(exercise, Verdict.ARRIVED, why)
    beside = f"{request.scratch}-source"
    with scratch_dataset(here, beside, drilling.mark):
        here.clone_scratch(drilling.source_snapshot(exercise), beside, drilling.mark)
        source = read_volume(_device(beside), request.files, request.seed)
        return _judged(exercise, source, read_volume(_device(request.scratch), request.files, request.seed))


def _device(volume: str, patience: float = 30.0) -> str:
    """A volume's device; udev makes it some moments after the volume."""
    path = f"/dev/zvol/{volume.replace(' ', '+')}"
    until = time.monotonic() + patience
    while not os.path.exists(path):
        if time.monotonic() > until:
            raise ScratchError(f"{path} did not appear; look whether udev runs, and at volmode")
        time.sleep(0.2)
    return path


def _judged(exercise: Exercise, source: Content, restored: Content) -> Exercised:
    why = disagreement(source, restored)
    return Exercised(exercise, Verdict.DIFFERS if why else Verdict.EQUAL, why)


def _problem(drilling: Drilling, done: Exercised) -> Problem:
    if done.verdict is Verdict.DIFFERS:
        remedy = "look at both with zpool status; the copy of this dataset is not what the source has"
    else:
        remedy = "mend that, and drill again"
    return Problem(done.why, drilling.there(done.exercise), remedy, f"drill-{done.verdict.value}")


def _record(drilling: Drilling, done: Sequence[Exercised], state: Path, seconds: float) -> Iterator[Problem]:
    """Append one line to the record."""
    line = {
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "dataset": drilling.request.dataset,
        "destination": drilling.copy.label,
        "seed": drilling.request.seed,
        "seconds": seconds,
        "good": all(each.good for each in done),
        "datasets": [
            {
                "snapshot": drilling.there(each.exercise),
                "verdict": each.verdict.value,
                "why": each.why,
                "bytes": each.size,
            }
            for each in done
        ],
    }
    path = state / FILE
    try:
        Journal(path).add([f"{json.dumps(line)}\n"])
    except OSError as error:
        yield Problem(
            f"the result cannot be recorded: {error.strerror}", str(path), "make it writable", "record"
        )


def _summed_up(
    drilling: Drilling, done: Sequence[Exercised], problems: Sequence[Problem], lines: tuple[str, ...]
) -> ActionResult:
    counts = {verdict: sum(each.verdict is verdict for each in done) for verdict in Verdict}
    bad = counts[Verdict.DIFFERS] + counts[Verdict.FAILED]
    outcome = Outcome.FAILED if bad == len(done) or counts[Verdict.DIFFERS] else Outcome.PARTIAL
    what = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    not_read = [each for each in done if each.verdict is Verdict.ARRIVED]
    return ActionResult(
        "drill",
        outcome if problems else Outcome.DONE,
        f"{words.count(len(done), 'dataset')} of {drilling.copy.label} restored: {what} "
        f"(seed {drilling.request.seed}); the scratch is gone",
        lines=lines,
        problems=tuple(problems),
        figures={"datasets": len(done), **{verdict.value: count for verdict, count in counts.items()}},
        answer=tuple(f"not read: {drilling.there(each.exercise)}: {each.why}" for each in not_read),
    )


def _nothing(request: Drill) -> ActionResult:
    what = "there is no copy with a snapshot to restore"
    remedy = "look at it with: cyber-zfs-backup restore list"
    problem = Problem(what, request.destination.label, remedy, "not-there")
    return ActionResult("drill", Outcome.CONFLICT, what, problems=(problem,))

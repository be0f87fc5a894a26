# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore: choose, check, move, compare, and give the properties back. Overwrites nothing, mounts nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..config.job import UsageError
from ..config.restoring import Restore
from ..model.names import own_time
from ..model.trees import Kind, Tree
from ..plan import restore as plan
from ..plan.restore import At, BackStep, Cannot, Form, Found, Offer, Part, Selection
from ..zfs import commands, parse
from ..zfs.errors import Nature, ZfsError
from . import report, words
from .attempt import attempt
from .back import Back, Copy, read_copies, real_back, result_of
from .restored import Restoring, finish, last_words
from .result import ActionResult, Outcome, Problem, RunResult, Surface
from .transfers import broken_side


def restore(request: Restore, surface: Surface) -> RunResult:
    """Do it on real hosts. Raises ``UsageError`` for what makes no sense, before anything is changed."""
    with real_back(request.destinations, surface) as back:
        return restore_on(request, back)


def restore_on(request: Restore, back: Back) -> RunResult:
    """Do it on the given hosts."""
    dry = request.dry_run
    return result_of(
        back, request.wanted, lambda: attempt("restore", lambda: _restore(request, back)), dry_run=dry
    )


def _restore(request: Restore, back: Back) -> ActionResult:
    about = back.here.tree_properties(request.to)
    mark = _mark_of(request.to, about)
    copies, troubles = read_copies(back, "restore")
    if not copies:
        return (
            troubles[0]
            if troubles
            else _refused(Cannot("no destination has a copy", "look at the options"), "")
        )
    copy, at = _choose(request, copies, mark)
    if copy is None:
        return _refused(_nothing_from_then(request, copies), request.wanted)
    selection = plan.select(copy.tree, request.path, at, request.extent)
    if selection is None:
        # What was begun there is of a snapshot that the copy has no more.
        return _refused(_nothing_from_then(request, copies), request.wanted)
    ours = _mark(copy, selection)
    found = None if about is None else _found(request.to, about, mark, copy, back)
    cannot = plan.obstacle(selection, found, ours) or _no_room_above(request, back)
    if cannot is not None:
        return _refused(cannot, request.to)
    steps = plan.steps(selection, found, copy.tree)
    doing = Restoring(request, back, copy, selection, steps, ours)
    _say(doing, at)
    short = _too_small(doing)
    if short is not None:
        return _refused(short, request.to, kind="no-space")
    lines = tuple(_line(doing, step) for step in steps)
    if request.dry_run:
        what = f"would restore {words.count(len(selection.parts), 'dataset')} to {request.to}"
        return ActionResult("restore", Outcome.DONE, what, lines=lines)
    for line in lines:
        back.surface.detail(f"restore: {line}")
    return _move_and_finish(doing, lines)


def _mark_of(to: str, about: parse.Properties | None) -> str:
    prop = about[to].get(commands.RESTORE_MARK) if about else None
    return prop.value if prop is not None and prop.source == "local" else ""


def _mark(copy: Copy, selection: Selection) -> str:
    return f"{_place(copy, selection.top.origin)}@{selection.top.target.name}"


def _place(copy: Copy, path: str) -> str:
    return f"{copy.way.destination.host}:{copy.tree.full(path)}"


def _choose(request: Restore, copies: Sequence[Copy], mark: str) -> tuple[Copy | None, At]:
    """The copy that has what is nearest to what was asked for; where no date was, what was begun goes on."""
    if mark and not request.at.text:
        for copy in copies:
            place, _, name = mark.rpartition("@")
            if place == _place(copy, request.path) and request.path in copy.tree.datasets:
                return copy, At(name, own_time(name))
    datasets = [copy.tree.datasets.get(request.path) for copy in copies]
    offers = [
        Offer(number, plan.wanted_of(dataset, request.at) if dataset else None)
        for number, dataset in enumerate(datasets)
    ]
    chosen = plan.best(offers)
    if chosen is None and request.why_no_date:
        raise UsageError(
            f"no snapshot of {request.wanted} is called {request.at.text!r}, and {request.why_no_date}"
        )
    return (copies[chosen.number] if chosen else None), request.at


def _nothing_from_then(request: Restore, copies: Sequence[Copy]) -> Cannot:
    datasets = [copy.tree.datasets[request.path] for copy in copies if request.path in copy.tree.datasets]
    oldest = min(
        (each for dataset in datasets if (each := plan.oldest_own(dataset))),
        key=lambda s: s.name,
        default=None,
    )
    if not datasets:
        return Cannot(
            "no destination has such a dataset",
            "see what there is: cyber-zfs-backup restore list",
        )
    if oldest is None:
        return Cannot("no destination has a snapshot of it with a date", "name one: DATASET@SNAPSHOT")
    return Cannot(
        f"no destination has anything of it that is as old as {request.at.text!r}",
        f"the oldest is {request.wanted}@{oldest.name}",
    )


def _found(to: str, about: parse.Properties, mark: str, copy: Copy, back: Back) -> Found:
    """What stands where the restore is to go. Of the tokens of a foreign dataset nothing is asked."""
    tree = parse.tree(to, about, back.here.all_snapshots(to), complete=True)
    tokens: dict[str, int | None] = {}
    for path, dataset in tree.datasets.items() if mark else ():
        if dataset.resume_token:
            contents = copy.way.copy.token_contents(dataset.resume_token)
            tokens[path] = contents.to_guid if contents else None
    return Found(tree, mark, tokens)


def _no_room_above(request: Restore, back: Back) -> Cannot | None:
    parent = request.to.rpartition("/")[0]
    if back.here.exists(parent):
        return None
    return Cannot(
        f"there is no dataset {parent}, which it would be below",
        f"create it first: zfs create -p -o mountpoint=none -o canmount=off {parent}",
    )


def _say(doing: Restoring, at: At) -> None:
    """Tell which snapshot was taken, from where, and what is not quite what was asked for."""
    surface, selection = doing.back.surface, doing.selection
    target = selection.top.target
    full = f"{doing.request.wanted}@{target.name}"
    asked = f"the newest not younger than {at.text!r} ({_local(at)})" if at.moment else "the newest"
    if at.text == target.name:
        asked = "as named"
    surface.note(f"{full} from {doing.copy.label}: {asked}")
    for part in plan.lagging(selection):
        surface.warn(f"{doing.there(part)} has no @{target.name}; @{part.target.name} is taken instead")
    for left in selection.left_out:
        surface.warn(f"{doing.copy.tree.full(left.origin)} is left out: {left.why}")


def _local(at: At) -> str:
    return f"{at.moment.astimezone():%Y-%m-%d %H:%M:%S %Z}" if at.moment else ""


def _line(doing: Restoring, step: BackStep) -> str:
    there, here = doing.there(step.part), doing.here(step.part)
    if step.form is Form.TREE:
        return f"tree: {there} and all below it up to @{step.target}, to {here}"
    if step.form is Form.FULL:
        return f"full: {there}@{step.target}, to {here}"
    if step.form is Form.RESUME:
        return f"resume: {there}@{step.target}, where it was cut off, to {here}"
    return f"rest: {there} from @{step.base} to @{step.target}, to {here}"


def _send(doing: Restoring, step: BackStep) -> list[str]:
    target = f"{doing.there(step.part)}@{step.target}"
    if step.form is Form.TREE:
        return commands.send_back_tree(target)
    if step.form is Form.RESUME:
        return commands.send_back_resume(step.token)
    if step.form is Form.REST:
        return commands.send_back_rest(target, step.base)
    return commands.send_back_full(target)


def _receive(doing: Restoring, step: BackStep, mine: Sequence[str]) -> list[str]:
    here = doing.here(step.part)
    if step.part.path or step.form in (Form.REST, Form.RESUME):
        return commands.receive_plain(here)
    volume = step.part.kind is Kind.VOLUME
    return commands.receive_back(here, doing.mark, tree=step.form is Form.TREE, volume=volume, mine=mine)


def _too_small(doing: Restoring) -> Cannot | None:
    """Why the pool here is too small, by the sender's own estimate; nothing where it cannot tell."""
    sizes = [doing.copy.way.copy.estimate(_send(doing, step), 600.0) for step in doing.steps]
    if any(size is None for size in sizes):
        doing.back.surface.warn("how much it is cannot be told: see yourself that the pool has room")
        return None
    needed = sum(size for size in sizes if size is not None)
    parent = doing.request.to.rpartition("/")[0]
    free = doing.back.here.available(parent) or 0
    doing.back.surface.note(f"about {words.size(needed)} to bring, {words.size(free)} available in {parent}")
    if needed <= free:
        return None
    return Cannot(
        f"about {words.size(needed)} ({needed} bytes) are needed, and {parent} has {words.size(free)} "
        f"({free} bytes) available",
        "make room, name another pool, or restore less (--no-recursive, --no-history)",
    )


def _move_and_finish(doing: Restoring, lines: tuple[str, ...]) -> ActionResult:
    received = doing.copy.way.copy.received_values(doing.there(doing.selection.top))
    mine = sorted({n for about in received.values() for n in about if n.startswith(commands.PROPERTY_PREFIX)})
    moved = 0
    for step in doing.steps:
        send, receive = _send(doing, step), _receive(doing, step, mine)
        estimate = doing.copy.way.copy.estimate(send, 20.0) if doing.back.surface.estimates else None
        with doing.back.surface.progress(doing.here(step.part), estimate) as on_bytes:
            transfer = doing.copy.way.link.transfer(
                [doing.copy.way.copy.argv(send)], [doing.back.here.argv(receive)], on_bytes=on_bytes
            )
        moved += transfer.bytes_moved
        if not transfer.ok:
            return _broken(
                doing, broken_side(transfer, doing.copy.way.copy.label, doing.back.here.label), lines
            )
    problems = finish(doing, received)
    absent = plan.missing(doing.selection, _here(doing))
    if absent:
        problems = [_absent(doing, part) for part in absent] + problems
        outcome = Outcome.FAILED
    else:
        doing.back.here.inherit(commands.RESTORE_MARK, [doing.request.to])
        outcome = Outcome.PARTIAL if problems else Outcome.DONE
    parts = doing.selection.parts
    snapshots = sum(len(part.snapshots) for part in parts)
    brought = f"{words.count(len(parts), 'dataset')} with {words.count(snapshots, 'snapshot')}"
    return ActionResult(
        "restore",
        outcome,
        f"{doing.request.to}: {brought}, {words.size(moved)}; not mounted",
        lines=lines,
        problems=tuple(problems),
        figures={"datasets": len(parts), "snapshots": snapshots, "bytes": moved},
        answer=tuple(last_words(doing, received)),
    )


def _here(doing: Restoring) -> Tree | None:
    about = doing.back.here.partial_properties(doing.request.to)
    if about is None:
        return None
    return parse.tree(doing.request.to, about, doing.back.here.all_snapshots(doing.request.to), complete=True)


def _broken(doing: Restoring, error: ZfsError, lines: tuple[str, ...]) -> ActionResult:
    """A stream broke: what has arrived stays, and the same command goes on from it."""
    problem = report.failure_problem(doing.request.to, error)
    again = f"{problem.remedy}; what has arrived is kept, and the same command again goes on from it"
    outcome = Outcome.PASSING if error.trouble.nature is Nature.PASSING else Outcome.FAILED
    what = f"{doing.request.to} is not whole yet"
    return ActionResult("restore", outcome, what, lines=lines, problems=(replace(problem, remedy=again),))


def _absent(doing: Restoring, part: Part) -> Problem:
    what = f"every command succeeded, and yet @{part.target.name} is not there with the copy's GUID"
    return Problem(what, doing.here(part), "give the same command again", "not-arrived")


def _refused(cannot: Cannot, where: str, kind: str = "refused") -> ActionResult:
    problem = Problem(cannot.what, where, cannot.remedy, kind)
    return ActionResult("restore", Outcome.CONFLICT, f"nothing was done: {cannot.what}", problems=(problem,))

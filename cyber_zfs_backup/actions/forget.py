# SPDX-License-Identifier: GPL-3.0-or-later
"""Forget a destination that is gone: release its holds and remove its properties, after showing them."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

from ..config.job import Action, Job, UsageError
from ..config.requests import Forget, Tag
from ..model.names import join
from ..plan.ledger import bookmark_prefix, destination_tag
from ..zfs.client import Zfs
from ..zfs.parse import Properties
from ..zfs.properties import BASE_PREFIX, MIRROR_PREFIX, local_values
from .attempt import attempt
from .ends import hold_tag
from .result import ActionResult, Outcome, RunResult, Surface
from .run import real_home


def forget(request: Forget, surface: Surface) -> RunResult:
    """Forget the destination on this machine. Touches the source only; destroys nothing."""
    started, began = datetime.now(UTC), time.monotonic()
    job = Job(request.dataset, frozenset({Action.PUSH}), (), request.source)
    with real_home(job, surface) as home:
        result = attempt("forget", lambda: forget_on(home.source, request, surface))
        result = replace(result, destination=request.destination.label)
    return RunResult(
        dataset=request.dataset,
        destinations=(request.destination.label,),
        started=started,
        seconds=round(time.monotonic() - began, 3),
        dry_run=request.dry_run,
        actions=(result,),
    )


def forget_on(source: Zfs, request: Forget, surface: Surface) -> ActionResult:
    """Show, then release and remove, what the tree keeps for the destination.

    Raises ``UsageError`` where the source's dataset does not exist, ``ZfsError``.
    """
    about = source.tree_properties(request.dataset)
    if about is None:
        raise UsageError(
            f"{request.dataset}: there is no such dataset on {source.label}; name the tree with --dataset"
        )
    destination = request.destination
    tag = _tag(request, about)
    records = _with_property(about, BASE_PREFIX, tag)
    dues = _with_property(about, MIRROR_PREFIX, tag)
    held = _held(source, request.dataset, hold_tag(tag))
    marks = _bookmarks(source, request.dataset, tag)
    if not (records or dues or held or marks):
        known = _known(about, request.dataset)
        return ActionResult(
            "forget",
            Outcome.NOTHING,
            f"nothing is kept for {destination.label}; destinations on record: {known or 'none'}",
        )
    lines = (
        *(f"property {BASE_PREFIX}{tag} of {name}: {value}" for name, value in records.items()),
        *(f"property {MIRROR_PREFIX}{tag} of {name}: {value}" for name, value in dues.items()),
        *(f"hold {hold_tag(tag)} on {name}" for name in held),
        *(f"bookmark {dataset}#{name}" for dataset, name in marks),
    )
    for line in lines:
        surface.note(f"forget: {line}")
    with_marks = f", {len(marks)} bookmarks" if marks else ""
    count = f"{len(held)} holds{with_marks} and {len(records) + len(dues)} properties of {destination.label}"
    if request.dry_run:
        return ActionResult("forget", Outcome.DONE, f"would remove {count}", lines=lines)
    # The holds first: a property without a hold is found again, a hold without a property is not.
    source.release(hold_tag(tag), held)
    for prefix, named in ((BASE_PREFIX, records), (MIRROR_PREFIX, dues)):
        if named:
            source.inherit(f"{prefix}{tag}", list(named))
    for dataset, name in marks:
        source.destroy_bookmark(dataset, name)
    return ActionResult(
        "forget", Outcome.DONE, f"{count} removed; what they kept may expire from now on", lines=lines
    )


def _tag(request: Forget, about: Properties) -> str:
    destination = request.destination
    if isinstance(destination, Tag):
        return destination.text
    guid = int(about[request.dataset]["guid"].value)
    return destination_tag(guid, destination.host, destination.dataset)


def _with_property(about: Properties, prefix: str, tag: str) -> dict[str, str]:
    found = {}
    for name, each in about.items():
        values = local_values(each, prefix)
        if tag in values:
            found[name] = values[tag]
    return found


def _held(source: Zfs, root: str, tag: str) -> list[str]:
    held = [name for name, count in source.held_snapshots(root).items() if count]
    return [name for name, tags in source.holds(held).items() if tag in tags] if held else []


def _bookmarks(source: Zfs, root: str, tag: str) -> list[tuple[str, str]]:
    """Dataset and name of each bookmark that keeps a base of the destination."""
    return [
        (dataset, mark.name)
        for dataset, marks in source.bookmarks(root).items()
        for mark in marks
        if mark.name.startswith(bookmark_prefix(tag))
    ]


def _known(about: Properties, root: str) -> str:
    tags = local_values(about[join(root, "")], BASE_PREFIX)
    return ", ".join(f"{tag} ({value})" for tag, value in tags.items())

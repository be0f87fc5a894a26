# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows a result on stdout: as text for people, or as one JSON document.

The JSON document (``SCHEMA`` counts its meaning; members may be added without a new number):

``schema``       the number of this shape, 1
``version``      the version of this program
``dataset``      the root of the tree
``destination``  the receivers, ``HOST:DATASET``, separated by commas; empty where nothing was to be pushed
``destinations`` the same, each with its ``label`` and the ``exit_code`` of its own actions
``started``      when the run began, UTC, ``2026-11-23T01:02:03Z``; null where it never began
``seconds``      how long it took
``dry_run``      true where nothing was changed
``exit_code``    the exit code of the process
``error``        null; or ``{"kind", "message"}`` where the run broke off: kind is ``interrupted``,
                 ``missing-module``, ``usage`` or ``internal``
``actions``      in the order they were done, each with ``action``, ``destination`` (empty for what concerns
                 the source alone), ``dataset`` (only of ``run``, which has several), ``outcome``
                 (the values of ``actions.result.Outcome``), ``summary``, ``lines`` (the plan with its
                 reasons), ``answer`` (what was asked for, or what to do next), ``problems`` (each ``what``,
                 ``where``, ``remedy``, ``kind``) and ``figures`` (numbers and words by name); of a check-up
                 ``findings`` (each ``severity``: good, warning or fails, ``kind``, ``where``, ``what``,
                 ``remedy``), the worst first; of ``status`` and ``config show`` ``rows``
                 (by the names of the columns; of ``config show`` each with ``typed``, the setting's value as
                 the number, boolean, text, list or table that it is); of a simulation ``timeline``
                 (``begin``, ``end``, and ``rows``, each with its ``label`` and the ``times`` of the snapshots
                 that it keeps, in UTC)
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from .. import __version__
from ..actions.result import EXIT_CODES, ActionResult, Outcome, Problem, RunResult, Table
from ..config.job import Action, Destination, Job
from ..model.escape import escape
from ..plan.findings import Finding, Severity
from . import tables
from .request import Lines, Request, Show

if TYPE_CHECKING:
    from ..plan.simulation import Timeline
    from .request import Work

SCHEMA = 1

_COLOURS = {
    Outcome.DONE: "32",
    Outcome.NOTHING: "32",
    Outcome.PARTIAL: "33",
    Outcome.LOCKED: "33",
    Outcome.PASSING: "33",
    Outcome.SKIPPED: "33",
    Outcome.CONFLICT: "31",
    Outcome.FAILED: "31",
    Outcome.WARNINGS: "33",
    Outcome.CRITICAL: "31",
    Outcome.UNKNOWN: "31",
}
_SEVERITIES = {Severity.GOOD: "good", Severity.WARNING: "warning", Severity.FAILS: "fails"}
_SEVERITY_COLOURS = {Severity.GOOD: "32", Severity.WARNING: "33", Severity.FAILS: "31"}
_WORDS = {
    Outcome.DONE: "done",
    Outcome.NOTHING: "nothing to do",
    Outcome.PARTIAL: "done in part",
    Outcome.CONFLICT: "needs a person",
    Outcome.PASSING: "passing trouble",
    Outcome.LOCKED: "locked",
    Outcome.FAILED: "failed",
    Outcome.SKIPPED: "skipped",
    Outcome.WARNINGS: "look at this",
    Outcome.CRITICAL: "a backup would fail",
    Outcome.UNKNOWN: "not known",
}

_log = logging.getLogger(__name__)


def show(result: RunResult, how: Show) -> None:
    """Show a finished run: its problems on stderr, all else on stdout.

    Raises ``OSError`` where stdout cannot take it (a full disk); a reader that has gone is no error.
    """
    for action in result.actions:
        for problem in action.problems:
            _log.error("%s", problem_line(_name(result, action), problem))
    if how.json:
        emit(json_text(document(result)))
    elif not how.quiet:
        emit(text(result, how, colour=colourful(os.environ, sys.stdout)))


def show_error(request: Request, kind: str, message: str, exit_code: int) -> None:
    """Show on stdout, as JSON where that was asked for, that the run broke off without a result."""
    if not request.show.json:
        return
    work = request.work
    labels = _labels(work)
    emit(
        json_text(
            {
                "schema": SCHEMA,
                "version": __version__,
                "dataset": work.dataset,
                "destination": ", ".join(labels),
                "destinations": [{"label": label, "exit_code": exit_code} for label in labels],
                "started": None,
                "seconds": 0.0,
                "dry_run": work.dry_run,
                "exit_code": exit_code,
                "error": {"kind": kind, "message": message},
                "actions": [],
            }
        )
    )


def _labels(work: Work) -> list[str]:
    """By the fields' names: to import what all kinds of work are takes longer than most of the work."""
    if isinstance(work, Job) and Action.PUSH not in work.actions:
        return []
    one: Destination | str | None = getattr(work, "destination", None)
    if one is not None:
        return [one if isinstance(one, str) else one.label]
    all_of_them: Sequence[Destination] = getattr(work, "destinations", ())
    return [each.label for each in all_of_them]


def document(result: RunResult) -> dict[str, object]:
    """The JSON document of a result, as plain values."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "dataset": result.dataset,
        "destination": ", ".join(result.destinations),
        "destinations": [
            {"label": label, "exit_code": result.exit_code_of(label)} for label in result.destinations
        ],
        "started": _utc(result.started),
        "seconds": _number(round(result.seconds, 3)),
        "dry_run": result.dry_run,
        "exit_code": result.exit_code,
        "error": None,
        "actions": [_action(action) for action in result.actions],
    }


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def text(result: RunResult, how: Show, *, colour: bool) -> str:
    """A result as lines for people: one an action; in a dry run the plan below it.

    What a dry run would keep is shown with -v only: it is nearly everything. In a real run -v has
    shown each plan on stderr when it was decided.
    """
    if how.lines is Lines.SCRIPT:
        return "".join(f"{escape(line)}\n" for action in result.actions for line in action.lines)
    lines = []
    if result.dry_run:
        receiver = f" to {', '.join(result.destinations)}" if result.destinations else ""
        of = f" of {result.dataset}" if result.dataset else ""
        lines.append(escape(f"dry run{of}{receiver}: nothing has been changed"))
    for action in result.actions:
        word = _painted(_WORDS[action.outcome], _COLOURS[action.outcome], colour=colour)
        lines.append(f"{escape(_name(result, action))}: {word}: {escape(action.summary)}")
        lines += [f"  {escape(line)}" for line in action.answer]
        if action.timeline is not None:
            lines += [f"  {line}" for line in _drawn(action.timeline, colour=colour)]
        if action.table is not None:
            lines += tables.lines(action.table, sys.stdout)
        lines += [
            f"  {_finding(finding, colour=colour)}"
            for finding in action.findings
            if finding.severity is not Severity.GOOD or how.verbosity
        ]
        if result.dry_run or how.lines is Lines.ALL:
            shown = (line for line in action.lines if how.verbosity or not line.startswith("keep "))
            lines += [f"  {escape(line)}" for line in shown]
    if len(result.actions) > 1 and not result.dry_run:
        lines.append(escape(_verdict(result)))
    return "".join(f"{line}\n" for line in lines)


def _drawn(timeline: Timeline, *, colour: bool) -> list[str]:
    # Imported here, so that nothing else needs rich for its result.
    from .chart import draw  # noqa: PLC0415 - see above

    return draw(timeline, shutil.get_terminal_size((100, 24)).columns - 2, colour=colour)


def _painted(word: str, code: str, *, colour: bool) -> str:
    return f"\x1b[{code}m{word}\x1b[0m" if colour else word


def _finding(finding: Finding, *, colour: bool) -> str:
    """One finding in one line: how bad, where, what, and what mends it."""
    word = _painted(_SEVERITIES[finding.severity], _SEVERITY_COLOURS[finding.severity], colour=colour)
    remedy = f"; mend: {finding.remedy}" if finding.remedy else ""
    return f"{word}: {escape(f'{finding.where}: {finding.what}{remedy}')}"


def _verdict(result: RunResult) -> str:
    """The whole run in one line, the last: what `systemctl status` shows of it."""
    if not result.exit_code:
        return "all done"
    counted = {outcome for outcome, _code in EXIT_CODES}
    rest = (each for each in result.actions if each.outcome in counted)
    ended = (f"{_name(result, each)}: {_WORDS[each.outcome]}" for each in rest)
    return f"not all done (exit {result.exit_code}): {', '.join(ended)}"


def _name(result: RunResult, action: ActionResult) -> str:
    """How an action is called: with its destination, or its dataset, where there are several."""
    if action.destination and len(result.destinations) > 1:
        return f"{action.action} ({action.destination})"
    return f"{action.action} ({action.dataset})" if action.dataset else action.action


def problem_line(name: str, problem: Problem) -> str:
    """What went wrong, where, and what to do next, in one line; ``name`` is the action's."""
    where = f"{problem.where}: " if problem.where else ""
    remedy = f"; {problem.remedy}" if problem.remedy else ""
    return f"{name}: {where}{problem.what}{remedy}"


def json_text(value: Mapping[str, object]) -> str:
    """A document as text: ASCII, so that no terminal and no encoding can spoil it."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, indent=2) + "\n"


def colourful(environ: Mapping[str, str], stream: TextIO | None) -> bool:
    """True where colour is welcome: a terminal that can show it, and nobody has said no (no-color.org)."""
    if stream is None or environ.get("NO_COLOR") or environ.get("TERM", "dumb") == "dumb":
        return False
    return stream.isatty()


def emit(written: str) -> None:
    """Write to stdout. A reader that has gone (``| head``) is no error; other errors are ``OSError``."""
    stream = sys.stdout
    if stream is None:
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(written.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except OSError as error:
        _abandon(stream)
        if error.errno != errno.EPIPE:
            raise


def _abandon(stream: TextIO) -> None:
    """Let what is still buffered for a broken stdout go nowhere, so that the end of Python is silent."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, stream.fileno())
    finally:
        os.close(null)


def _action(action: ActionResult) -> dict[str, object]:
    findings = [
        {
            "severity": _SEVERITIES[finding.severity],
            "kind": finding.kind,
            "where": finding.where,
            "what": finding.what,
            "remedy": finding.remedy,
        }
        for finding in action.findings
    ]
    table = action.table or Table((), ())
    rows: list[dict[str, object]] = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    for row, members in zip(rows, table.members, strict=False):
        row.update(members)
    return {
        "action": action.action,
        "destination": action.destination,
        **({"dataset": action.dataset} if action.dataset else {}),
        "outcome": action.outcome.value,
        "summary": action.summary,
        "lines": list(action.lines),
        "answer": list(action.answer),
        "problems": [
            {"what": problem.what, "where": problem.where, "remedy": problem.remedy, "kind": problem.kind}
            for problem in action.problems
        ],
        "figures": {name: _number(value) for name, value in action.figures.items()},
        **({"findings": findings} if findings else {}),
        **({"rows": rows} if action.table is not None else {}),
        **({"timeline": _timeline(action.timeline)} if action.timeline else {}),
    }


def _timeline(timeline: Timeline) -> dict[str, object]:
    return {
        "begin": _utc(timeline.begin),
        "end": _utc(timeline.end),
        "rows": [{"label": row.label, "times": list(map(_utc, row.times))} for row in timeline.rows],
    }


def _number(value: float | str) -> float | str | None:
    """JSON knows no infinity and no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value

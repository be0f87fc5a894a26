# SPDX-License-Identifier: GPL-3.0-or-later
"""``config``: says what is wrong in the configuration file, and shows it as it counts. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from ..config.declared_requests import ConfigCheck, ConfigShow
from ..config.effective_text import Row, dataset_rows, monitoring_rows, notification_rows, receiver_rows
from . import words
from .configuration import read_declared
from .result import ActionResult, Outcome, RunResult, Surface, Table

COLUMNS = ("of", "setting", "value", "from")


def config_check(request: ConfigCheck, surface: Surface) -> RunResult:
    """Say that nothing is wrong. Raises ``UsageError`` with all that is."""
    began = time.monotonic()
    declared = read_declared(request.file, surface)
    counts = (
        words.count(len(declared.entries), "dataset"),
        words.count(len(declared.receivers), "destination"),
        words.count(len(declared.retentions), "retention"),
    )
    return _done(
        ActionResult("config check", Outcome.DONE, f"{request.file} can be used: {', '.join(counts)}"), began
    )


def config_show(request: ConfigShow, surface: Surface) -> RunResult:
    """Tell what counts, and where it comes from. Raises ``UsageError`` where the file cannot be used."""
    began = time.monotonic()
    declared = read_declared(request.file, surface)
    if request.dataset:
        rows, left_out = dataset_rows(declared, request.dataset)
        said = f"is not backed up: {left_out}" if left_out else "is backed up"
        what = f"{request.dataset} {said}"
    else:
        rows = [row for name in declared.entries for row in dataset_rows(declared, name)[0]]
        rows += receiver_rows(declared) + notification_rows(declared) + monitoring_rows(declared)
        what = f"what counts by {request.file}"
    return _done(ActionResult("config show", Outcome.DONE, what, table=_table(rows)), began)


def _table(rows: Sequence[Row]) -> Table:
    return Table(COLUMNS, tuple(row.cells for row in rows), tuple({"typed": row.typed} for row in rows))


def _done(result: ActionResult, began: float) -> RunResult:
    return RunResult("", (), datetime.now(UTC), round(time.monotonic() - began, 3), False, (result,))

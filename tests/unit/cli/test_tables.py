# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables: whole where nobody looks, as wide as the terminal where somebody does."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import jsonschema
import pytest

from cyber_zfs_backup.actions.result import Outcome, Table
from cyber_zfs_backup.cli import show
from cyber_zfs_backup.cli.request import Show
from cyber_zfs_backup.cli.tables import lines

from .results import Terminal, action, run_result
from .test_show import SCHEMA

TABLE = Table(
    ("dataset", "nothing here", "last error"),
    (("tank/src", "", "push: [bold]no[/bold] \x1b[2Jroute"), ("tank/a longer name", "", "")),
)


def test_whole_and_without_what_is_empty_everywhere() -> None:
    assert lines(TABLE, io.StringIO()) == [
        "dataset             last error",
        "tank/src            push: [bold]no[/bold] \\x1b[2Jroute",
        "tank/a longer name",
    ]


def test_no_line_is_longer_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    shown = lines(TABLE, Terminal())
    assert len(shown) > 3
    assert all(len(line) <= 30 for line in shown)


def test_a_table_in_the_text_and_in_the_document() -> None:
    result = run_result(replace(action("status", Outcome.DONE), table=TABLE))
    assert show.text(result, Show(), colour=False).splitlines()[1].split() == ["dataset", "last", "error"]
    document = json.loads(show.json_text(show.document(result)))
    jsonschema.validate(document, SCHEMA)
    assert document["actions"][0]["rows"][1] == {
        "dataset": "tank/a longer name",
        "nothing here": "",
        "last error": "",
    }

# SPDX-License-Identifier: GPL-3.0-or-later
"""The line of each thing in a TOML text."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyber_zfs_backup.config.toml_lines import Place, line_at, lines_of

TEXT = '''\
# [not.a.table]
title = "a # b"   # comment

[defaults]
exclude = [
  "one",   # ]
  'two',
]
long = """
[no]
x = 1"""""
hooks = [{ when = "now", command = ["/bin/true",
  "x"] }]

[retention."a.b"]
daily = 1
deep.er = 2

[[dataset]]
name = 'tank'
[[dataset.hooks]]
timeout = "1s"
[[dataset.hooks]]
timeout = "2s"

[[dataset]]
"name" = "tank/home"
since = 2026-12-24 10:00:00
'''


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("title",), 2),
        (("defaults",), 4),
        (("defaults", "exclude"), 5),
        (("defaults", "exclude", 0), 6),
        (("defaults", "exclude", 1), 7),
        (("defaults", "long"), 9),
        (("defaults", "hooks"), 12),
        (("defaults", "hooks", 0, "when"), 12),
        (("defaults", "hooks", 0, "command", 1), 13),
        (("retention",), 15),
        (("retention", "a.b"), 15),
        (("retention", "a.b", "daily"), 16),
        (("retention", "a.b", "deep", "er"), 17),
        (("dataset", 0), 19),
        (("dataset", 0, "name"), 20),
        (("dataset", 0, "hooks", 0), 21),
        (("dataset", 0, "hooks", 1, "timeout"), 24),
        (("dataset", 1), 26),
        (("dataset", 1, "name"), 27),
        (("dataset", 1, "since"), 28),
    ],
)
def test_where_things_stand(place: Place, line: int) -> None:
    assert tomllib.loads(TEXT)  # it is TOML, and so the scanner's affair
    assert lines_of(TEXT)[place] == line


def test_what_is_missing_has_the_line_of_its_table() -> None:
    lines = lines_of(TEXT)
    assert line_at(lines, ("dataset", 1, "hooks", 0)) == 26
    assert line_at(lines, ("destination", "offsite")) is None


PLAIN = st.text("ab-_1 .#\"'[]{}=,\\é→", max_size=5)
KEY = st.text("ab-_1", min_size=1, max_size=4) | PLAIN
SCALAR = st.booleans() | st.integers(-(2**40), 2**40) | PLAIN
VALUE = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
TABLE = st.dictionaries(KEY, VALUE, max_size=4)


def written(value: object) -> str:
    """A value as TOML, arrays over several lines."""
    if isinstance(value, list):
        return "[ # [\n" + "".join(f"  {written(each)}, # {{\n" for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def below(value: object, place: Place) -> Iterator[Place]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield (*place, key)
            yield from below(each, (*place, key))
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield (*place, number)
            yield from below(each, (*place, number))


@given(st.dictionaries(KEY, TABLE, max_size=3), st.lists(TABLE, max_size=3))
def test_everything_that_tomllib_finds_has_a_line(
    tables: dict[str, dict[str, object]], many: list[dict[str, object]]
) -> None:
    lines: list[str] = []
    for head, table in (
        *((f"[t.{json.dumps(name, ensure_ascii=False)}]", table) for name, table in tables.items()),
        *(("[[many]]", table) for table in many),
    ):
        lines.append(head)
        for key, value in table.items():
            lines += f"{json.dumps(key, ensure_ascii=False)} = {written(value)}".split("\n")
    text = "\n".join(lines)
    values = tomllib.loads(text)
    found = lines_of(text)
    assert set(found) == set(below(values, ()))
    for place, line in found.items():
        if isinstance(place[-1], str) and len(place) == 3:
            assert lines[line - 1].startswith(f"{json.dumps(place[-1], ensure_ascii=False)} = ")

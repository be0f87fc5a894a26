# SPDX-License-Identifier: GPL-3.0-or-later
"""The nearest entry at or above a dataset decides, [defaults] fills the rest: on any tree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyber_zfs_backup.config.best_fit import copy_of, effective
from cyber_zfs_backup.config.declared import Declared, Settings

from .worlds import declared

Said = Mapping[str, object]
NAME = st.lists(st.sampled_from("abc"), max_size=4).map(lambda path: "/".join(["tank", *path]))
SAID = st.fixed_dictionaries(
    {},
    optional={
        "recursive": st.booleans(),
        "honour-auto-snapshot": st.booleans(),
        "exclude": st.lists(st.sampled_from(["x", "*/x", "y?"]), max_size=2),
        "retention": st.sampled_from(["default", "short"]),
        "schedule": st.sampled_from(["02:00", "every 1h"]),
    },
)
TREE = st.dictionaries(NAME, SAID, min_size=1, max_size=6)


def written(defaults: Said, entries: Mapping[str, Said]) -> Declared:
    """The same as a file has it."""
    lines = ["[retention.short]", "daily = 1", "[defaults]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in defaults.items()]
    for name, said in entries.items():
        lines += ["[[dataset]]", f'name = "{name}"']
        lines += [f"{key} = {json.dumps(value)}" for key, value in said.items()]
    return declared("\n".join(lines))


def shown(value: object) -> object:
    return list(value) if isinstance(value, tuple | list) else str(value)


@settings(max_examples=40)
@given(SAID, TREE, NAME)
def test_the_law(defaults: Said, entries: Mapping[str, Said], dataset: str) -> None:
    found = effective(written(defaults, entries), dataset)
    above = [name for name in entries if f"{dataset}/".startswith(f"{name}/")]
    nearest = max(above, key=len, default=None)
    assert (found.entry.name if found.entry else None) == nearest
    built_in = Settings()
    for name in (each.name for each in fields(Settings)):
        key = name.replace("_", "-")
        value, where = getattr(built_in, name), "built in"
        for said, table in (
            (defaults, "[defaults]"),
            (entries.get(nearest or "", {}), f"[[dataset]] {nearest}"),
        ):
            if key in said:
                value, where = said[key], table
        assert shown(getattr(found.settings, name)) == shown(value)
        assert found.origins[name].endswith(where)


@settings(max_examples=40)
@given(SAID, TREE, NAME, NAME, SAID)
def test_only_an_entry_that_is_nearer_changes_anything(
    defaults: Said, entries: Mapping[str, Said], dataset: str, other: str, said: Said
) -> None:
    before = effective(written(defaults, entries), dataset)
    after = effective(written(defaults, {**entries, other: said}), dataset)
    nearer = f"{dataset}/".startswith(f"{other}/") and len(other) >= len(
        before.entry.name if before.entry else ""
    )
    if not nearer:
        assert (after.settings, after.left_out) == (before.settings, before.left_out)
    else:
        assert after.entry is not None
        assert after.entry.name == other


TEXT = """\
[destination.offsite]
dataset = "offsite/{hostname}"
[destination.usb]
ssh = ""
dataset = "usb/{hostname}/{name}"
[destination.all]
dataset = "vault/{dataset}"

[defaults]
exclude = ["*/tmp", "tank/x?"]
destinations = ["offsite"]

[[dataset]]
name = "tank"

[[dataset]]
name = "tank/home"
destinations = ["offsite", "usb"]

[[dataset]]
name = "tank/one"
recursive = false
destinations = ["all"]
exclude = []
"""


@pytest.mark.parametrize(
    ("dataset", "why"),
    [
        ("tank", ""),
        ("tank/var", ""),
        ("tank/home/tmp/x", "the pattern '*/tmp' of exclude fits tmp"),
        ("tank/home/me/tmp", "the pattern '*/tmp' of exclude fits it"),
        ("tank/home/me/tmp/deep/er", "the pattern '*/tmp' of exclude fits me/tmp"),
        ("tank/xy", "the pattern 'tank/x?' of exclude fits it"),
        ("tank/xy/z", "the pattern 'tank/x?' of exclude fits xy"),
        ("tank/one", ""),
        ("tank/one/two", "[[dataset]] tank/one is not recursive"),
        ("tank2", "no [[dataset]] is at or above it"),
        ("pool/tank", "no [[dataset]] is at or above it"),
    ],
)
def test_what_is_left_out(dataset: str, why: str) -> None:
    assert effective(declared(TEXT), dataset).left_out == why


@pytest.mark.parametrize(
    ("dataset", "receiver", "copy"),
    [
        ("tank", "offsite", "offsite/zippy"),
        ("tank/var", "offsite", "offsite/zippy/var"),
        ("tank/home/me", "offsite", "offsite/zippy/home/me"),
        ("tank/home", "usb", "usb/zippy/home"),
        ("tank/home/me", "usb", "usb/zippy/home/me"),
        ("tank/one", "all", "vault/tank/one"),
        ("tank", "usb", None),
        ("tank/one", "offsite", None),
        ("pool", "offsite", None),
    ],
)
def test_where_a_copy_lies(dataset: str, receiver: str, copy: str | None) -> None:
    config = declared(TEXT)
    assert copy_of(config, dataset, config.receivers[receiver]) == copy

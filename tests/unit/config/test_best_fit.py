# SPDX-License-Identifier: GPL-3.0-or-later
"""The nearest entry at or above a dataset decides, [defaults] fills the rest: on any tree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyber_zfs_backup.config.best_fit import base_for, copy_of, effective
from cyber_zfs_backup.config.declared import Declared, Entry, Layer, Receiver, Settings
from cyber_zfs_backup.model.names import join, relative

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
        ("tank/one/two", "all", None),
        ("tank/xy", "offsite", None),
        ("tank/home/me/tmp", "usb", None),
        ("pool", "offsite", None),
    ],
)
def test_where_a_copy_lies(dataset: str, receiver: str, copy: str | None) -> None:
    config = declared(TEXT)
    assert copy_of(config, dataset, config.receivers[receiver]) == copy


GAPS = """\
[destination.offsite]
dataset = "offsite/{name}"
[destination.usb]
ssh = ""
dataset = "usb/{name}"

[defaults]
destinations = ["offsite"]

[[dataset]]
name = "tank"
exclude = ["tmp"]

[[dataset]]
name = "tank/a"
destinations = []

[[dataset]]
name = "tank/a/deep"

[[dataset]]
name = "tank/a/deep/er"
destinations = ["offsite", "usb"]

[[dataset]]
name = "tank/tmp/kept"

[[dataset]]
name = "tank/one"
recursive = false

[[dataset]]
name = "tank/one/x/y"

[[dataset]]
name = "tank/one/x/y/z"
"""


@pytest.mark.parametrize(
    ("dataset", "receiver", "base"),
    [
        ("tank", "offsite", "tank"),
        ("tank/b/c", "offsite", "tank"),
        # An entry that goes nowhere, and what is below it.
        ("tank/a", "offsite", None),
        ("tank/a/b", "offsite", None),
        ("tank/a/deep", "offsite", "tank/a/deep"),
        ("tank/a/deep/x", "offsite", "tank/a/deep"),
        ("tank/a/deep/er", "offsite", "tank/a/deep"),
        ("tank/a/deep/er", "usb", "tank/a/deep/er"),
        ("tank/a/deep", "usb", None),
        # A pattern of exclude.
        ("tank/tmp", "offsite", None),
        ("tank/tmp/other", "offsite", None),
        ("tank/tmp/kept", "offsite", "tank/tmp/kept"),
        ("tank/tmp/kept/x", "offsite", "tank/tmp/kept"),
        # An entry that goes there alone, without what is below it.
        ("tank/one", "offsite", "tank"),
        ("tank/one/x", "offsite", None),
        ("tank/one/x/y", "offsite", "tank/one/x/y"),
        ("tank/one/x/y/z/0", "offsite", "tank/one/x/y"),
        ("pool", "offsite", None),
    ],
)
def test_with_which_entry_a_dataset_is_pushed(dataset: str, receiver: str, base: str | None) -> None:
    config = declared(GAPS)
    there = config.receivers[receiver]
    found = base_for(config, dataset, there)
    assert (found.name if found else None) == base
    if base is not None:
        root = f"{receiver}/{base.rpartition('/')[2]}"
        assert copy_of(config, dataset, there) == join(root, relative(base, dataset))


GOING = st.fixed_dictionaries(
    {"destinations": st.sampled_from([[], ["x"], ["x", "y"]])},
    optional={
        "recursive": st.booleans(),
        "exclude": st.lists(st.sampled_from(["b", "*/c", "a/*"]), max_size=1),
    },
)


@settings(max_examples=60)
@given(st.dictionaries(NAME, GOING, min_size=1, max_size=8), NAME, st.sampled_from("xy"))
def test_the_law_of_bases(entries: Mapping[str, Mapping[str, Any]], dataset: str, name: str) -> None:
    """From the base down to the dataset everything goes there; from no entry above the base does it."""
    config = Declared(
        "config.toml",
        "zippy",
        Layer("[defaults]"),
        {
            entry: Entry(entry, Layer(entry, 1, Settings(**said), dict.fromkeys(said, 1)))
            for entry, said in entries.items()
        },
        {each: Receiver(each, each, f"{each}/{{dataset}}") for each in "xy"},
        {},
    )
    above = ["/".join(dataset.split("/")[:end]) for end in range(1, dataset.count("/") + 2)]

    def goes(each: str) -> bool:
        found = effective(config, each)
        return not found.left_out and name in found.settings.destinations

    whole = [each for n, each in enumerate(above) if each in config.entries and all(map(goes, above[n:]))]
    base = base_for(config, dataset, config.receivers[name])
    assert (base.name if base else None) == (whole[0] if whole else None)
    assert (base is None) == (not goes(dataset))
    assert (copy_of(config, dataset, config.receivers[name]) is None) == (base is None)

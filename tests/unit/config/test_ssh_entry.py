# SPDX-License-Identifier: GPL-3.0-or-later
"""One entry of an ssh configuration is changed and put back; every other byte stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyber_zfs_backup.config.ssh_entry import changed, entry, with_entry, without
from tests.package.room import CHECKOUT

PACKAGED = (CHECKOUT / "etc/cyber-zfs-backup.ssh_config").read_text()
SETTINGS = {"HostName": "nas.example.org", "User": "zfs-zippy", "Port": "2222"}


def changed_entry(text: str, name: str, settings: dict[str, str]) -> str:
    found = entry(text, name)
    assert found is not None
    return changed(text, found, settings)


def taken_back(text: str, name: str) -> str:
    found = entry(text, name)
    assert found is not None
    return without(text, found)


def values(text: str, name: str) -> dict[str, str]:
    found = entry(text, name)
    assert found is not None
    return {key: found.values[key.lower()] for key in SETTINGS if key.lower() in found.values}


def test_the_packages_entry_is_changed_in_three_lines_and_put_back() -> None:
    text = changed_entry(PACKAGED, "offsite", SETTINGS)
    assert values(text, "offsite") == SETTINGS
    assert "    # cyber-zfs-backup setup: was HostName offsite.example.com\n" in text
    assert "    # cyber-zfs-backup setup: had no Port\n" in text
    assert set(PACKAGED.splitlines()) - set(text.splitlines()) == {
        "    HostName offsite.example.com",
        "    User root",
    }
    assert taken_back(text, "offsite") == PACKAGED


def test_changed_twice_it_still_goes_back_to_the_beginning() -> None:
    text = changed_entry(PACKAGED, "offsite", SETTINGS)
    text = changed_entry(text, "offsite", {"HostName": "third.example.org", "Port": "23"})
    assert values(text, "offsite") == {**SETTINGS, "HostName": "third.example.org", "Port": "23"}
    assert taken_back(text, "offsite") == PACKAGED


def test_a_new_entry_stands_before_all_others_and_behind_the_first_comment() -> None:
    text = with_entry(PACKAGED, "nas", SETTINGS)
    assert values(text, "nas") == SETTINGS
    found, old = entry(text, "nas"), entry(text, "offsite")
    assert found is not None
    assert old is not None
    assert found.start < old.start
    assert text.splitlines()[0] == PACKAGED.splitlines()[0]
    assert taken_back(text, "nas") == PACKAGED


@pytest.mark.parametrize(
    ("text", "name", "names"),
    [
        ("Host nas\n", "nas", ("nas",)),
        ("host=nas\n", "nas", ("nas",)),
        ('\tHOST   other  "nas"  \n', "nas", ("other", "nas")),
        ("Host nas.example.org\n", "nas", None),
        ("Host n*\n", "nas", None),
        ("# Host nas\nMatch host nas\n", "nas", None),
        ("", "nas", None),
    ],
)
def test_which_entry_is_a_names_own(text: str, name: str, names: tuple[str, ...] | None) -> None:
    found = entry(text, name)
    assert (None if found is None else found.names) == names


def test_an_entry_ends_where_another_begins_and_its_first_value_counts() -> None:
    text = "Host nas\n  User one\n  User two\n\nMatch all\n  Port 9\nHost other\n  Port 10\n"
    found = entry(text, "nas")
    assert found is not None
    assert found.values == {"user": "one"}
    assert (found.start, found.end) == (0, 3)


LINES = st.sampled_from(
    [
        *("Host one", "Host nas", "Host nas two", "Match all", "    User root", "\tPort=22", "HostName a.b"),
        *("", "# a comment", "    # another", "Include other\r", "  IdentityFile ~/x", "\u00e9\udcff"),
    ]
)


@given(st.lists(LINES, max_size=12), st.booleans())
def test_whatever_the_file_setup_and_undo_leave_every_byte(lines: list[str], final: bool) -> None:
    text = "\n".join(lines) + ("\n" if final and lines else "")
    found = entry(text, "nas")
    if found is None:
        made = with_entry(text, "nas", SETTINGS)
    else:
        made = changed(text, found, {k: v for k, v in SETTINGS.items() if found.values.get(k.lower()) != v})
    assert values(made, "nas") == SETTINGS
    # A file whose last line was not ended is ended.
    back = taken_back(made, "nas")
    assert back in (text, f"{text}\n")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Names: what ZFS takes, what it refuses, and the times that our own names tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyber_zfs_backup.model.names import (
    MAX_NAME_BYTES,
    BadNameError,
    check_dataset,
    check_snapshot,
    is_within,
    join,
    mentions,
    own_name,
    own_time,
    parent,
    relative,
)

GOOD_DATASETS = [
    "tank",
    "t",
    "Tank/Home",
    "zippy/zippy/var/tmp",
    "tank/a.b",
    "tank/.hidden",
    "tank/...",
    "tank/a_b",
    "tank/a:b",
    "tank/a-b",
    "tank/-rf",
    "tank/my data",
    "tank/ ",
    "tank/0",
    "tank/2026-11-22T00:00:00Z",
    "tank/mirror",
    "tank/log",
    "tank/raidz1",
    "logs",
    "log2",
    "t" * MAX_NAME_BYTES,
    "tank/" + "x" * (MAX_NAME_BYTES - 5),
]

BAD_DATASETS = [
    ("", "empty dataset name"),
    ("/", "empty part"),
    ("/tank", "empty part"),
    ("tank/", "empty part"),
    ("tank//home", "empty part"),
    (".", r"may not be '\.'"),
    ("tank/.", r"may not be '\.'"),
    ("tank/../other", r"may not be '\.\.'"),
    ("tank@snap", "character '@'"),
    ("tank/a@b", "character '@'"),
    ("tank#mark", "character '#'"),
    ("tank/a%b", "character '%'"),
    ("tank/a,b", "character ','"),
    ("tank/a;b", "character ';'"),
    ("tank/$(id)", r"character '\$'"),
    ("tank/a'b", "character"),
    ('tank/a"b', "character"),
    ("tank/a\\b", "character"),
    ("tank/a|b", "character"),
    ("tank/a&b", "character '&'"),
    ("tank/*", r"character '\*'"),
    ("tank/a+b", r"character '\+'"),
    ("tank/a=b", "character '='"),
    ("tank/a\tb", r"character '\\t'"),
    ("tank/a\nb", r"character '\\n'"),
    ("tank\n", r"character '\\n'"),
    ("tank/home\n", r"character '\\n'"),
    ("tank/a\0b", r"character '\\x00'"),
    ("tank/bücher", "character 'ü'"),
    ("tank/٣", "character '٣'"),  # a digit, but not of ASCII
    ("tank/a\u00a0b", "character"),  # a space, but not of ASCII
    ("0tank", "must begin with a letter"),
    ("_tank/home", "must begin with a letter"),
    ("-tank", "must begin with a letter"),
    (" tank", "must begin with a letter"),
    ("..tank", "must begin with a letter"),
    ("mirror", "reserved"),
    ("mirrored/home", "reserved"),
    ("raidz", "reserved"),
    ("raidz2-0/x", "reserved"),
    ("draid/x", "reserved"),
    ("spares", "reserved"),
    ("log/x", "reserved"),
    ("t" * (MAX_NAME_BYTES + 1), "longer than 255 bytes"),
    ("tank/" + "ü" * 126, "character 'ü'"),
    ("tank/\udcff", r"character '\\udcff'"),  # a byte that is no UTF-8, as argv has it
]


@pytest.mark.parametrize("name", GOOD_DATASETS)
def test_a_dataset_name_that_zfs_takes_comes_back_unchanged(name: str) -> None:
    assert check_dataset(name) == name


@pytest.mark.parametrize(("name", "why"), BAD_DATASETS)
def test_a_dataset_name_that_zfs_refuses_is_refused_with_the_reason_in_one_line(name: str, why: str) -> None:
    with pytest.raises(BadNameError, match=why) as caught:
        check_dataset(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "tank@2026-11-22T00:00:00Z",
        "tank/my data@before upgrade",
        "tank@a",
        "tank@-",
        "tank@0",
        "tank@mirror",
        "tank@" + "s" * (MAX_NAME_BYTES - 5),
    ],
)
def test_a_snapshot_name_that_zfs_takes_comes_back_unchanged(name: str) -> None:
    assert check_snapshot(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "no '@'"),
        ("tank", "no '@'"),
        ("tank#mark", "no '@'"),
        ("@snap", "empty dataset name"),
        ("tank@", "empty part"),
        ("tank@.", r"may not be '\.'"),
        ("tank@..", r"may not be '\.\.'"),
        ("tank@a@b", "character '@'"),
        ("tank@a/b", "character '/'"),
        ("tank@a,b", "character ','"),
        ("tank@a%b", "character '%'"),
        ("tank@a#b", "character '#'"),
        ("tank@a\n", r"character '\\n'"),
        ("tank@ä", "character 'ä'"),
        ("mirror@a", "reserved"),
        ("0tank@a", "must begin with a letter"),
        ("tank@" + "s" * (MAX_NAME_BYTES - 4), "longer than 255 bytes"),
        ("t" * MAX_NAME_BYTES + "@s", "longer than 255 bytes"),
    ],
)
def test_a_snapshot_name_that_zfs_refuses_is_refused_with_the_reason(name: str, why: str) -> None:
    with pytest.raises(BadNameError, match=why):
        check_snapshot(name)


def test_a_message_names_the_whole_name() -> None:
    with pytest.raises(BadNameError, match="'tank/a/b%c/d'"):
        check_dataset("tank/a/b%c/d")
    with pytest.raises(BadNameError, match="'tank/a@b%c'"):
        check_snapshot("tank/a@b%c")


# Own names and their times


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("2026-11-22T03:04:05Z", datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)),
        ("2024-02-29T23:59:59Z", datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_an_own_name_tells_its_time_in_utc(name: str, moment: datetime) -> None:
    assert own_time(name) == moment
    assert own_name(moment) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "daily-1",
        "2026-11-22",
        "2026-11-22T03:04:05",
        "2026-11-22T03:04:05z",
        "2026-11-22t03:04:05Z",
        "2026-11-22 03:04:05Z",
        "2026-11-22T03:04:05+00:00",
        "2026-11-22T03:04:05.0Z",
        "2026-11-22T03:04Z",
        "2026-1-22T03:04:05Z",
        "x2026-11-22T03:04:05Z",
        "2026-11-22T03:04:05Z-quarantine",
        "2026-11-22T03:04:05Z\n",
        " 2026-11-22T03:04:05Z",
        "12026-11-22T03:04:05Z",
        "٢٠٢٦-11-22T03:04:05Z",
        "2026-02-29T03:04:05Z",
        "2026-02-30T03:04:05Z",
        "2026-13-01T03:04:05Z",
        "2026-00-01T03:04:05Z",
        "2026-11-31T03:04:05Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T23:60:00Z",
        "2026-11-22T23:59:60Z",
        "2026-11-22T23:59:61Z",
        "0000-01-01T00:00:00Z",
    ],
)
def test_any_other_name_is_foreign(name: str) -> None:
    assert own_time(name) is None


def test_a_name_is_made_in_utc_and_in_whole_seconds() -> None:
    east = timezone(timedelta(hours=11))
    assert own_name(datetime(2027, 1, 1, 10, 59, 59, 999999, tzinfo=east)) == "2026-12-31T23:59:59Z"


def test_a_moment_without_a_time_zone_has_no_name() -> None:
    with pytest.raises(ValueError, match="time zone"):
        own_name(datetime(2026, 11, 22))  # noqa: DTZ001 -- that is what is refused


@given(st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0)))
def test_names_and_times_go_round(moment: datetime) -> None:
    assert own_time(own_name(moment)) == moment


@given(*[st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0))] * 2)
def test_own_names_sort_as_their_times_do(one: datetime, other: datetime) -> None:
    assert (own_name(one) < own_name(other)) is (one < other)


@given(st.text(max_size=300))
def test_whatever_is_accepted_is_within_the_grammar(name: str) -> None:
    try:
        check_dataset(name)
    except BadNameError:
        return
    assert name.isascii()
    assert name.isprintable()
    assert 0 < len(name) <= MAX_NAME_BYTES
    assert not set(name) & set("@#%,;'\"\\|&$`*?!<>(){}[]=+~^")


# Paths


@pytest.mark.parametrize(
    ("root", "path", "full"),
    [("tank", "", "tank"), ("tank", "home/ann", "tank/home/ann"), ("tank/a", "b c", "tank/a/b c")],
)
def test_join_and_relative_go_round(root: str, path: str, full: str) -> None:
    assert join(root, path) == full
    assert relative(root, full) == path


@pytest.mark.parametrize("dataset", ["tank2", "tank2/home", "tan", "other/tank", "", "tank@snap"])
def test_what_is_not_below_the_root_has_no_relative_path(dataset: str) -> None:
    with pytest.raises(ValueError, match="not at or below 'tank'"):
        relative("tank", dataset)


@pytest.mark.parametrize(
    ("path", "above"), [("", None), ("home", ""), ("home/ann", "home"), ("a/b/c", "a/b")]
)
def test_the_parent_of_a_path(path: str, above: str | None) -> None:
    assert parent(path) == above


@pytest.mark.parametrize(
    ("above", "path", "within"),
    [
        ("", "", True),
        ("", "a/b", True),
        ("a", "a", True),
        ("a", "a/b", True),
        ("a", "ab", False),
        ("a", "", False),
    ],
)
def test_what_lies_within_what(above: str, path: str, within: bool) -> None:
    assert is_within(above, path) is within


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("cannot restore to vault/copy/a@x: destination already exists", True),
        ("destination 'vault/copy/a' exists", True),
        ("destination vault/copy/a has been modified / since most recent snapshot", True),
        ("cannot open vault/copy/a.", True),
        ("cannot restore to vault/copy/a/b@x: destination already exists", False),
        ("cannot restore to vault/copy/ab@x", False),
        ("cannot restore to vault/copy/a.old@x", False),
        ("cannot restore to more/vault/copy/a@x", False),
    ],
)
def test_what_a_message_names(text: str, named: bool) -> None:
    assert mentions(text, "vault/copy/a") is named

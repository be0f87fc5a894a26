# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy file: made, and changed in nothing but what was asked for."""

from __future__ import annotations

import tomllib

import pytest

from cyber_zfs_backup.config.job import UsageError
from cyber_zfs_backup.config.policy_text import changed_policy, new_policy, root_in
from cyber_zfs_backup.config.setup import Counts, PolicyWish
from cyber_zfs_backup.gatekeeper.policy import Mode, understood
from cyber_zfs_backup.plan.floors import Keep

FILE = "zippy.toml"
HAND = """\
# mine
root = "offsite/zippy"
mode   =  "archive"   # the safe one
receives = 2
"""


def test_a_new_client_is_an_archive_with_floors() -> None:
    policy = understood(tomllib.loads(new_policy("zippy", "offsite/zippy", PolicyWish())))
    assert policy.root == "offsite/zippy"
    assert policy.mode is Mode.ARCHIVE
    assert policy.keep_at_least == Keep(7, 4, 12)
    assert policy.retention == Keep(31, 12, 36)
    assert (policy.quota, policy.restore) == (None, False)


def test_what_is_asked_for_stands_in_it() -> None:
    wish = PolicyWish("mirror", Counts(1, 2, 3), Counts(4, 5, 6), "100G", restore=True)
    policy = understood(tomllib.loads(new_policy("zippy", "offsite/zippy", wish)))
    assert policy.mode is Mode.MIRROR
    assert (policy.keep_at_least, policy.retention) == (Keep(1, 2, 3), Keep(4, 5, 6))
    assert (policy.quota, policy.restore) == (100 << 30, True)


@pytest.mark.parametrize(
    "wish", [PolicyWish(), PolicyWish(mode="archive"), PolicyWish(restore=False), PolicyWish(properties=True)]
)
def test_what_is_so_already_leaves_every_byte(wish: PolicyWish) -> None:
    assert changed_policy(HAND, wish, FILE) == HAND


def test_one_line_is_changed_and_the_others_stay() -> None:
    text = changed_policy(HAND, PolicyWish(mode="mirror"), FILE)
    assert text == HAND.replace('mode   =  "archive"   # the safe one', 'mode = "mirror"')
    text = changed_policy(HAND.rstrip("\n"), PolicyWish(quota="5G", restore=True), FILE)
    assert text == HAND + 'quota = "5G"\nrestore = true\n'


@pytest.mark.parametrize(
    ("text", "wish", "said"),
    [
        ("root = ", PolicyWish(), "cannot be read"),
        (HAND + "mood = 1\n", PolicyWish(), "unknown key 'mood'"),
        (HAND + 'quota = "lots"\n', PolicyWish(), "quota"),
        (HAND + "[keep-at-least]\ndays = 1\nweeks = 1\nmonths = 1\n", PolicyWish(quota="5G"), "by hand"),
    ],
)
def test_a_file_that_cannot_be_understood_is_left_to_a_person(text: str, wish: PolicyWish, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        changed_policy(text, wish, FILE)


def test_the_root_of_a_file() -> None:
    assert root_in(HAND, FILE) == "offsite/zippy"
    for text in ("", 'mode = "archive"\n', "root = 7\n"):
        with pytest.raises(UsageError, match="names no root"):
            root_in(text, FILE)

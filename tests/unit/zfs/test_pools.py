# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``zfs version``, ``zpool`` and ``date`` answer, as values."""

from __future__ import annotations

import pytest

from cyber_zfs_backup.plan.doctor_pools import Pool, Version
from cyber_zfs_backup.zfs import pools
from cyber_zfs_backup.zfs.delegation import granted
from cyber_zfs_backup.zfs.parse import GarbledError

STATUS = """\
  pool: tank
 state: ONLINE
  scan: scrub repaired 0B in 00:00:01 with 0 errors on Fri Nov 27 00:00:01 2026
config:

\tNAME        STATE     READ WRITE CKSUM
\ttank        ONLINE       0     0     0

errors: {}
"""


def test_versions() -> None:
    assert pools.parse_version("zfs-2.1.11-1+deb12u1\nzfs-kmod-2.3.9-1\n") == Version(
        "2.1.11-1+deb12u1", "2.3.9-1"
    )
    assert Version("", "2.3.9-1~bpo12").number == (2, 3, 9)


def test_a_pool() -> None:
    assert pools.parse_pool("tank\t1000\t400\t600\tONLINE\n") == Pool("tank", 1000, 400, 600, "ONLINE")


def test_the_last_word_of_a_status() -> None:
    assert pools.parse_errors(STATUS.format("No known data errors")) == "No known data errors"
    assert pools.parse_errors("  pool: tank\n") == ""


def test_features() -> None:
    text = "size\t1000\nfeature@encryption\tactive\nfeature@zstd_compress\tdisabled\n"
    assert pools.parse_features(text) == {"encryption": "active", "zstd_compress": "disabled"}


def test_the_clock() -> None:
    assert pools.parse_clock("1764201600\n") == 1764201600.0


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (pools.parse_version, "zfs-2.1.11-1\n"),
        (pools.parse_version, ""),
        (pools.parse_pool, "tank\t1000\t400\tONLINE\n"),
        (pools.parse_pool, "tank\t1000\t-\t600\tONLINE\n"),
        (pools.parse_pool, "a\t1\t2\t3\tONLINE\nb\t1\t2\t3\tONLINE\n"),
        (pools.parse_pool, "Welcome!\ntank\t1000\t400\t600\tONLINE\n"),
        (pools.parse_clock, "Fri Nov 27\n"),
        (pools.parse_clock, "Welcome!\n1764201600\n"),
    ],
)
def test_what_is_no_answer_is_refused(parse: object, text: str) -> None:
    with pytest.raises(GarbledError):
        parse(text)  # type: ignore[operator]


ALLOW = """\
---- Permissions on vault/copy ---------------------------------------
Local permissions:
\tuser bob hold
Local+Descendent permissions:
\tuser bob create,receive
\tuser eve destroy
---- Permissions on vault --------------------------------------------
Permission sets:
\t@all create,destroy
Local permissions:
\tuser bob snapshot
Descendent permissions:
\teveryone mount
Local+Descendent permissions:
\tgroup staff send
"""


def test_what_a_user_may_do_whoever_it_was_given_to() -> None:
    may = {"hold", "create", "receive", "mount", "send"}
    assert granted(ALLOW, "vault/copy", "bob") == may
    assert granted(ALLOW, "vault/copy", "eve") == {"destroy", "mount", "send"}
    assert granted("", "vault/copy", "bob") == frozenset()
    with pytest.raises(GarbledError):
        granted("\tuser bob create\n", "vault/copy", "bob")

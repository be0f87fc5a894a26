# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar of ``restore``."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyber_zfs_backup.cli.parser import parse
from cyber_zfs_backup.config.job import Destination, UsageError
from cyber_zfs_backup.config.restoring import Restore, RestoreFile, RestoreList
from cyber_zfs_backup.model.names import own_time
from cyber_zfs_backup.plan.restore import At, Extent

COPY = (Destination("offsite", "offsite/zippy"),)
NAME = "2026-11-22T02:00:00Z"
DATED = At(NAME, own_time(NAME))


def work(*words: str) -> object:
    return parse(["restore", *words], hostname="zippy.example.com").work


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (
            ("zippy/zippy/home", "--to", "zippy/back"),
            Restore("zippy/zippy", "zippy/zippy/home", At(), "zippy/back", COPY),
        ),
        (
            (f"zippy/zippy@{NAME}", "--to", "zippy/zippy", "--dry-run"),
            Restore("zippy/zippy", "zippy/zippy", DATED, "zippy/zippy", COPY, dry_run=True),
        ),
        (
            ("zippy/zippy", "--at", NAME, "--to", "p/back", "--no-recursive", "--no-history"),
            Restore("zippy/zippy", "zippy/zippy", DATED, "p/back", COPY, Extent(False, False)),
        ),
        (("list",), RestoreList("zippy/zippy", "zippy/zippy", COPY)),
        (("list", "zippy/zippy/a"), RestoreList("zippy/zippy", "zippy/zippy/a", COPY)),
        (
            ("file", "/home/me/letter", "--at", NAME),
            RestoreFile("zippy/zippy", Path("/home/me/letter"), DATED, COPY),
        ),
    ],
)
def test_what_is_meant(words: tuple[str, ...], meant: object) -> None:
    assert work(*words) == meant


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("zippy/zippy",), "--to POOL/DATASET"),
        (("zippy/zippy", "2026-11-22", "--to", "p/x"), "wants quotes"),
        (("zippy/zippy@", "--to", "p/x"), "nothing behind its '@'"),
        ((f"zippy/zippy@{NAME}", "--at", NAME, "--to", "p/x"), "both name a date"),
        (("zippy/zippy@3/4/2026", "--to", "p/x"), "two days"),
        (("zippy/zippy", "--to", "p"), "whole pool"),
        (("zippy/zippy", "--to", "p/../x"), "may not be"),
        (("tank/else", "--to", "p/x"), "outside the tree"),
        (
            ("zippy/zippy", "--to", "vault/c/x", "--ssh-destination", "", "--zfs-receive-dataset", "vault/c"),
            "lies in",
        ),
        (("list", "zippy/zippy", "zippy/zippy"), "one too many"),
        (("list", "--to", "p/x"), "--to does not belong"),
        (("file",), "write one path"),
        (("file", "letter"), "whole path"),
        (("file", "/letter", "--at", "3/4/2026"), "two days"),
        (("file", "/letter", "--no-history"), "--no-history does not belong"),
    ],
)
def test_what_is_refused(words: tuple[str, ...], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        work(*words)


def test_a_name_that_is_no_date_may_be_a_snapshots() -> None:
    meant = work("zippy/zippy@before-upgrade", "--to", "p/x")
    assert isinstance(meant, Restore)
    assert (meant.at, bool(meant.why_no_date)) == (At("before-upgrade"), True)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes of our own, and values that nobody thought of: one action fails, the others are done."""

from __future__ import annotations

import logging

import pytest

from cyber_zfs_backup.actions import retry
from cyber_zfs_backup.actions.attempt import attempt
from cyber_zfs_backup.actions.result import ActionResult, Outcome
from cyber_zfs_backup.config.job import Force, UsageError
from tests.unit.actions.rig import HARSH, ROOT, Rig, actions, kinds, problems

LATIN_1 = b"B\xfccher".decode(errors="surrogateescape")


def broken(error: Exception) -> ActionResult:
    """What comes of an action in which that happens."""

    def do() -> ActionResult:
        raise error

    return attempt("push", do)


def test_a_property_with_bytes_that_are_no_utf_8_is_pushed_night_after_night() -> None:
    rig = Rig("a")
    rig.source.zfs("set", f"site:owner={LATIN_1}", f"{ROOT}/a")
    rig.first()
    result = rig.night()
    assert result.exit_code == 0, problems(result)
    assert rig.here == rig.there


def test_a_mistake_of_ours_in_the_push_does_not_keep_expire_from_its_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig("a")
    rig.first()
    rig.night()
    rig.night()

    def push(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(retry, "push", push)
    with caplog.at_level(logging.DEBUG, "cyber_zfs_backup"):
        result = rig.night(retention=HARSH, force=Force(destroy_lots=True))
    assert result.exit_code == 1
    assert actions(result) == {"snapshot": "done", "push": "failed", "expire": "done"}
    assert problems(result) == [
        "push: internal: push: internal error: ZeroDivisionError: division by zero; "
        "please report it, run again with --debug"
    ]
    # What --debug shows of it.
    (told,) = [record for record in caplog.records if record.exc_info]
    assert (told.levelno, told.getMessage()) == (logging.DEBUG, "push: internal error")


def test_whatever_it_is_it_becomes_the_actions_result() -> None:
    for error in (ValueError("x"), KeyError("x"), UnicodeEncodeError("utf-8", "x", 0, 1, "x"), OSError("x")):
        result = broken(error)
        assert (result.outcome, result.problems[0].kind) == (Outcome.FAILED, "internal")
        assert type(error).__name__ in result.summary


@pytest.mark.parametrize(
    "error", [UsageError("x"), ModuleNotFoundError("x"), AssertionError("x")], ids=lambda e: type(e).__name__
)
def test_what_is_not_one_actions_alone_ends_the_run(error: Exception) -> None:
    """Usage and a module that is missing have exit codes of their own; after a broken assertion nothing
    that we believe is worth a destroy."""
    with pytest.raises(type(error)):
        broken(error)


def test_what_else_fails_keeps_its_own_words() -> None:
    rig = Rig("a")
    rig.first()
    rig.receiver.faults.unreachable = True
    assert kinds(rig.night()) == ["unreachable"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Forget: releases what is kept for a destination that is gone, after showing it."""

from __future__ import annotations

import shlex

import pytest

from cyber_zfs_backup.actions.forget import forget_on
from cyber_zfs_backup.actions.result import ActionResult
from cyber_zfs_backup.cli.parser import parse
from cyber_zfs_backup.config.job import Destination, Force, UsageError
from cyber_zfs_backup.config.requests import Forget
from cyber_zfs_backup.zfs.client import Zfs
from tests.unit.actions.rig import HARSH, ONLY_EXPIRE, ROOT, THERE, Rig, mutations

OFFSITE = Destination("offsite", THERE)


def forget(rig: Rig, destination: Destination = OFFSITE, *, dry_run: bool = False) -> ActionResult:
    return forget_on(Zfs(rig.source), Forget(ROOT, destination, dry_run=dry_run), rig.said)


def pushed() -> Rig:
    rig = Rig("a", "b")
    rig.first()
    rig.night()
    rig.source.calls.clear()
    return rig


def test_it_releases_the_holds_and_removes_the_record_and_destroys_nothing() -> None:
    rig = pushed()
    names = rig.names()
    result = forget(rig)
    assert result.outcome.value == "done"
    assert rig.held() == {}
    assert rig.ledger() is None
    assert rig.names() == names
    assert {call[1] for call in mutations(rig.source.calls)} == {"release", "inherit"}


def test_it_shows_all_of_it_first() -> None:
    rig = pushed()
    newest = rig.names()[-1]
    forget(rig)
    assert any(f"property cyber-zfs-backup:base.{rig.tag} of {ROOT}" in note for note in rig.said.notes)
    for path in ("", "/a", "/b"):
        assert f"forget: hold cyber-zfs-backup:{rig.tag} on {ROOT}{path}@{newest}" in rig.said.notes


def test_a_dry_run_only_shows() -> None:
    rig = pushed()
    before = rig.states()
    result = forget(rig, dry_run=True)
    assert "would remove 3 holds and 1 properties of offsite:vault/copy" in result.summary
    assert rig.states() == before
    assert mutations(rig.source.calls) == []


def test_records_of_lagging_datasets_and_a_due_mirror_go_too() -> None:
    rig = Rig("a")
    rig.first()
    rig.receiver.zfs("set", "readonly=off", f"{THERE}/a")
    rig.receiver.write(f"{THERE}/a", {"foreign": b"data"})
    for _ in range(3):
        rig.night(retention=HARSH)
    ledger = rig.ledger()
    assert ledger is not None
    assert set(ledger.lagging) == {"a"}
    assert rig.mirror_due()
    forget(rig)
    ours = [
        (dataset.name, key)
        for dataset in rig.source.world.datasets.values()
        for key in dataset.settings
        if key.startswith("cyber-zfs-backup:")
    ]
    assert (ours, rig.held()) == ([], {})


def test_afterwards_nothing_is_kept_for_it() -> None:
    rig = pushed()
    rig.snap()
    forget(rig)
    rig.run(actions=ONLY_EXPIRE, retention=HARSH, force=Force(destroy_lots=True))
    assert len(rig.names()) == 1


def test_another_destination_keeps_its_own() -> None:
    rig = pushed()
    rig.night(destination=Destination("offsite", "vault/second"), force=Force(non_incremental=True))
    held = rig.held()
    result = forget(rig, Destination("offsite", "vault/second"))
    assert result.outcome.value == "done"
    assert rig.held() == held
    assert rig.ledger() is not None


def test_a_destination_that_is_not_on_record_changes_nothing_and_names_those_that_are() -> None:
    rig = pushed()
    before = rig.states()
    result = forget(rig, Destination("nobody", "x/y"))
    assert result.outcome.value == "nothing"
    assert "offsite:vault/copy" in result.summary
    assert rig.states() == before


def test_a_source_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no such dataset"):
        forget_on(Zfs(Rig().source), Forget("tank/nowhere", OFFSITE), Rig().said)


def test_a_damaged_record_can_be_forgotten() -> None:
    """The way out that the error of a damaged record names."""
    rig = pushed()
    rig.source.zfs("set", f"cyber-zfs-backup:base.{rig.tag}=rubbish", ROOT)
    stuck = rig.night()
    assert stuck.exit_code == 1
    remedy = next(p.remedy for a in stuck.actions for p in a.problems if p.kind == "damaged-record")
    program, *words = shlex.split(remedy.partition("remove it and its holds with: ")[2])
    assert program == "cyber-zfs-backup"
    request = parse(words, hostname="elsewhere").work
    assert isinstance(request, Forget)
    assert forget_on(Zfs(rig.source), request, rig.said).outcome.value == "done"
    assert (rig.held(), rig.ledger()) == ({}, None)
    # The receiver still has the base: the next push finds it by the whole question.
    assert rig.night().exit_code == 0
    assert rig.here == rig.there

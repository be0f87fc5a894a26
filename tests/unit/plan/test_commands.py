# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that messages offer are understood by the command line, and mean the same tree and copy."""

from __future__ import annotations

import shlex

import pytest

from cyber_zfs_backup.cli.parser import parse
from cyber_zfs_backup.config.declared_requests import RunDue
from cyber_zfs_backup.config.job import Action, Destination, Job
from cyber_zfs_backup.config.requests import Doctor, Verify
from cyber_zfs_backup.plan.commands import of_copy, of_tree
from cyber_zfs_backup.plan.lateness import check_expired


def typed(command: str) -> object:
    program, *words = shlex.split(command)
    assert program == "cyber-zfs-backup"
    return parse(words, hostname="zippy").work


@pytest.mark.parametrize("ssh", ["off", "root@fe80::1", ""])
def test_a_copy_is_the_one_that_its_label_names(ssh: str) -> None:
    destination = Destination(ssh, "vault/a copy")
    work = typed(of_copy("verify", "tank/my src", destination.label))
    assert work == Verify("tank/my src", (destination,))


def test_a_label_that_names_none_leaves_the_tree() -> None:
    assert isinstance(typed(of_copy("doctor", "tank", "")), Doctor)
    assert of_copy("doctor", "tank", "odd") == of_tree("doctor", "tank")


def test_what_should_have_expired_is_done_by_whom_it_is_declared() -> None:
    (finding,) = check_expired("tank/x", 7, ()).findings
    work = typed(finding.remedy)
    assert isinstance(work, Job)
    assert (work.dataset, work.actions, work.dry_run) == ("tank/x", frozenset({Action.EXPIRE}), True)
    (finding,) = check_expired("tank/x", 7, (), declared=True).findings
    due = typed(finding.remedy)
    assert isinstance(due, RunDue)
    assert (due.datasets, due.actions, due.now) == (("tank/x",), frozenset({Action.EXPIRE}), True)

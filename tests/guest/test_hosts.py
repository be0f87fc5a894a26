# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to a receiver, through the product: what a run costs in connections, and what stands in its way.

What goes wrong on the way is said with what to do about it, and leaves both sides as they were.
"""

from __future__ import annotations

import re

import pytest

from .ground import SOURCE, Ground
from .lab import KNOWN_HOSTS, Lab, Product, saying_yes


@pytest.fixture
def ground(lab: Lab, product: Product) -> Ground:
    made = Ground(lab, product)
    made.sh(f"zfs create {SOURCE}; for i in a b c d e; do zfs create {SOURCE}/$i; done")
    made.push_first()
    return made


def logins(ground: Ground) -> int:
    """How many connections the receiver's sshd has let in: this test's, and who looked whether it is up."""
    return ground.host.log.count("Accepted publickey")


def test_what_a_run_costs_in_connections(ground: Ground) -> None:
    """One for control, one a lane for data; none for data without news; none at all without a push."""
    for arguments, cost in (
        (("--action", "snapshot", "push", "--send-mode", "replicate"), 2),
        (("--action", "snapshot", "push", "--send-mode", "level"), 3),
        (("--action", "push"), 1),
        (("--action", "snapshot", "expire"), 0),
        (("--action", "push", "--send-mode", "level", "--lanes", "1"), 2),
        (("--action", "expire", "--dry-run"), 0),
    ):
        before = logins(ground)
        ran = ground.run(*arguments)
        assert ran.status == 0, ran.errors
        assert logins(ground) - before == cost, arguments
        ground.sh("sleep 1")


def test_an_unknown_host_key_is_shown_and_the_printed_command_adds_it(ground: Ground) -> None:
    before = ground.both()
    known = ground.guest.get(KNOWN_HOSTS)
    ground.guest.put(b"", KNOWN_HOSTS)
    try:
        ran = ground.run("--action", "push")
        assert (ran.status, ran.problems()) == (1, ["host-key-unknown"]), ran.errors
        shown = ground.sh(f"ssh-keygen -lf {ground.host.folder}/host_key.pub").split()[1]
        assert shown in ran.errors
        command = re.search(r"\(answer yes\) with: (.*)", ran.errors)
        assert command is not None, ran.errors
        ground.guest.script(command.group(1), env=saying_yes(ground.guest), timeout=600)
        assert ground.both() == before
        ran = ground.run("--action", "snapshot", "push")
        assert ran.status == 0, ran.errors
    finally:
        ground.guest.put(known, KNOWN_HOSTS)


def test_a_host_key_that_has_changed_is_refused(ground: Ground) -> None:
    before = ground.both()
    known = ground.guest.get(KNOWN_HOSTS)
    ground.sh("rm -f /run/other; ssh-keygen -q -t ed25519 -N '' -f /run/other")
    other = ground.guest.get("/run/other.pub").decode().split()[1]
    mine = ground.host.host_key.split()[1]
    ground.guest.put(known.replace(mine.encode(), other.encode()), KNOWN_HOSTS)
    try:
        ran = ground.run("--action", "push")
    finally:
        ground.guest.put(known, KNOWN_HOSTS)
    assert (ran.status, ran.problems()) == (1, ["host-key-changed"]), ran.errors
    assert "somebody may be in between" in ran.errors
    assert ground.both() == before


@pytest.mark.nightly
def test_a_login_that_is_no_longer_allowed(ground: Ground) -> None:
    """The snapshot and the expiry of that night are done all the same."""
    ground.host.revoke("root")
    ran = ground.run()
    assert (ran.status, ran.problems()) == (1, ["login-refused"]), ran.errors
    assert "ssh-copy-id" in ran.errors
    assert [action["outcome"] for action in ran.document["actions"]] == ["done", "failed", "nothing"]


@pytest.mark.nightly
def test_a_receiver_whose_shell_greets_everybody(ground: Ground) -> None:
    """What its zfs says cannot be told from the greeting: nothing is taken for an answer."""
    before = ground.both()
    ground.host.authorize("root", options='command="echo Welcome; sh -c \\"$SSH_ORIGINAL_COMMAND\\""')
    ran = ground.run("--action", "push")
    assert ran.status == 1, ran.errors
    assert "Welcome" in ran.errors
    assert ground.both() == before


def test_a_receiver_without_zfs(ground: Ground) -> None:
    before = ground.both()
    ground.host.authorize("root", options='command="PATH=/nowhere; zfs"')
    ran = ground.run("--action", "push")
    assert (ran.status, ran.problems()) == (1, ["no-zfs"]), ran.errors
    assert "zfsutils-linux" in ran.errors
    assert ground.both() == before

# SPDX-License-Identifier: GPL-3.0-or-later
"""The package where something is not as it should be: it says what, and what to do, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.package.builds import Built

from .installed import CONFIG, NAME, Installed
from .lab import Lab

TREE = "guest/guest"


@pytest.fixture
def machine(lab: Lab, package: Installed) -> Installed:
    """The package on a machine with a tree of the default name."""
    lab.pools.make("guest")
    lab.pools.tree(TREE, ["home"])
    return package


@pytest.fixture
def no_zfs(lab: Lab) -> Iterator[None]:
    """A machine on which ZFS is not loaded."""
    lab.guest.script("modprobe -r zfs; test ! -e /sys/module/zfs")
    yield
    lab.guest.script("modprobe zfs; udevadm settle")


def test_without_zfs_it_is_skipped_and_not_failed(packaging: Installed, built: Built, no_zfs: None) -> None:
    packaging.tidy()
    packaging.install(built).check()
    assert packaging.start().ok
    assert packaging.show("ConditionResult") == "no"
    assert packaging.failed() == []
    status = packaging.guest.run(["systemctl", "status", "--no-pager", NAME]).text
    assert "ConditionPathExists=/sys/module/zfs was not met" in status


def test_without_ssh_the_snapshot_is_taken_all_the_same(machine: Installed) -> None:
    machine.guest.script("mv /usr/bin/ssh /usr/bin/ssh.away")
    try:
        assert not machine.start().ok
    finally:
        machine.guest.script("mv /usr/bin/ssh.away /usr/bin/ssh")
    assert "apt install openssh-client" in machine.said()
    assert "snapshot: done" in machine.said()
    assert "not all done (exit 1): push: failed" in machine.said()


def test_a_host_name_that_is_no_pool(machine: Installed) -> None:
    machine.guest.run(["hostname", "9lives"]).check()
    try:
        assert not machine.start().ok
    finally:
        machine.guest.run(["hostname", "guest"]).check()
    assert machine.show("ExecMainStatus") == "2"
    assert "host name '9lives' cannot be a pool's name" in machine.said()
    assert "name it with --dataset POOL/DATASET" in machine.said()
    assert machine.snapshots(TREE) == {}


def test_a_configuration_that_was_edited_badly(machine: Installed) -> None:
    """It fails at once, with the line, before any snapshot."""
    machine.guest.script(f"sed -i 's/    IdentityFile /    IdentifyFile /' {CONFIG}")
    line = machine.guest.script(f"grep -n IdentifyFile {CONFIG}").text.partition(":")[0]
    assert not machine.start().ok
    assert machine.show("ExecMainStatus") == "2"
    assert f"{CONFIG}: line {line}: Bad configuration option: identifyfile" in machine.said()
    assert f"correct {CONFIG}" in machine.said()
    assert [priority for priority, text in machine.messages() if "Bad configuration" in text] == [3]
    assert machine.snapshots(TREE) == {}
    assert machine.failed() == [f"{NAME}.service"]


def test_an_override_with_a_slip(machine: Installed) -> None:
    machine.runs("--datset=guest/guest")
    assert not machine.start().ok
    assert machine.show("ExecMainStatus") == "2"
    assert "unrecognized arguments: --datset=guest/guest" in machine.said()
    assert machine.snapshots(TREE) == {}

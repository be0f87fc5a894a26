# SPDX-License-Identifier: GPL-3.0-or-later
"""The package comes, is upgraded, goes and comes back, without a network."""

from __future__ import annotations

import pytest

from tests.package.builds import Built

from .installed import CONFIG, KEY, KNOWN, NAME, Installed
from .lab import Lab

UNITS = (f"{NAME}.timer", f"{NAME}.service", f"{NAME}-keygen.service")


@pytest.fixture
def machine(lab: Lab, packaging: Installed) -> Installed:
    """A machine with ZFS on which the package has never been."""
    packaging.tidy()
    return packaging


def states(machine: Installed) -> list[str]:
    """Whether the timer, the service and the key's unit are active."""
    return [machine.show("ActiveState", unit) for unit in UNITS]


def sh(machine: Installed, text: str) -> str:
    return machine.guest.script(text, timeout=300).text


def test_the_whole_life(machine: Installed, previous: Built, built: Built, lab: Lab) -> None:
    # It comes.
    machine.install(previous).check()
    assert machine.version() == "0.0.9"
    assert sh(machine, f"stat -c '%a %U' {KEY} {CONFIG}").splitlines() == ["600 root", "644 root"]
    key = sh(machine, f"cat {KEY}.pub")
    assert key.split()[0] == "ssh-ed25519"
    assert key.split()[2] == f"{NAME}@guest"
    assert states(machine) == ["active", "inactive", "inactive"]
    assert machine.show("InvocationID") == "", "the installation has started the service"
    assert machine.show("UnitFileState", f"{NAME}.timer") == "enabled"
    assert "02:00:00" in machine.show("NextElapseUSecRealtime", f"{NAME}.timer")
    assert (
        sh(machine, f"{NAME} --version; python3 -m cyber_zfs_backup --version").splitlines()
        == [f"{NAME} {built.control('Version')}"] * 2
    )  # the code is today's, only the package is older
    assert machine.failed() == []

    # What is enabled by hand outlives an upgrade, and nothing outlives a removal.
    declared = f"{NAME}-run.timer"
    assert machine.show("ActiveState", declared) == "inactive"
    machine.guest.run(["systemctl", "enable", "--now", declared]).check()

    # An upgrade with another conffile, which nobody has changed here.
    assert "ConnectTimeout 20" in sh(machine, f"cat {CONFIG}")
    machine.install(built).check()
    assert "ConnectTimeout 30" in sh(machine, f"cat {CONFIG}")
    assert sh(machine, f"cat {KEY}.pub") == key
    assert states(machine) == ["active", "inactive", "inactive"]
    assert machine.show("InvocationID") == ""
    assert machine.show("ActiveState", declared) == "active"

    # A night has been, and there is a copy.
    lab.pools.make("guest")
    lab.pools.make("offsite")
    lab.pools.tree("guest/guest", ["home"])
    machine.reach(lab.alpha)
    machine.runs("--force-non-incremental")
    machine.start().check()
    before = sh(machine, "zfs list -Hp -o name,guid,userrefs -t all -r guest offsite")
    assert "@" in before

    # It goes, and comes back as it was.
    machine.apt("remove", NAME).check()
    assert machine.version() == ""
    assert states(machine) == ["inactive"] * 3
    assert machine.show("ActiveState", declared) == "inactive"
    assert machine.show("LoadState", f"{NAME}.timer") in {"not-found", "masked"}
    assert sh(machine, f"cat {KEY}.pub") == key
    machine.install(built).check()
    assert states(machine) == ["active", "inactive", "inactive"]
    assert sh(machine, f"cat {KEY}.pub") == key
    assert "10.77.1.2" in sh(machine, f"cat {CONFIG}")
    machine.start().check()

    # It goes for good. Datasets, snapshots and holds are nobody's business of the package.
    kept = sh(machine, "zfs list -Hp -o name,guid,userrefs -t all -r guest offsite")
    machine.apt("purge", NAME).check()
    left = sh(
        machine, f"ls -d /etc/ssh/{NAME}* /var/lib/{NAME} /var/lib/systemd/timers/stamp-{NAME}* || true"
    )
    assert left == ""
    assert sh(machine, "zfs list -Hp -o name,guid,userrefs -t all -r guest offsite") == kept
    assert machine.failed() == []


@pytest.mark.nightly
def test_a_key_that_is_there_is_kept(machine: Installed, built: Built) -> None:
    machine.guest.script(f"ssh-keygen -q -t ed25519 -N '' -C by-hand -f {KEY}; echo mine > {KNOWN}")
    before = sh(machine, f"cat {KEY} {KEY}.pub {KNOWN}")
    machine.install(built).check()
    assert sh(machine, f"cat {KEY} {KEY}.pub {KNOWN}") == before
    assert machine.failed() == []
    machine.guest.run(["systemctl", "start", f"{NAME}-keygen"]).check()
    assert sh(machine, f"cat {KEY} {KEY}.pub {KNOWN}") == before


@pytest.mark.nightly
def test_in_an_image_no_key_is_made(machine: Installed, built: Built) -> None:
    """Machines that are cloned from it would share it. Each makes its own when it is first up."""
    hidden = "unshare --mount sh -euc"
    machine.put(built)
    # As in a chroot: systemd is not there, and dpkg's helpers see that by this folder.
    install = "DEBIAN_FRONTEND=noninteractive dpkg -i /root/debs/*.deb"
    sh(machine, f"{hidden} 'mount -t tmpfs none /run/systemd; {install}'")
    assert not machine.guest.run(["test", "-e", KEY]).ok
    sh(machine, f"systemctl daemon-reload; systemctl start {NAME}-keygen")
    assert sh(machine, f"stat -c '%a %U' {KEY}").strip() == "600 root"
    assert machine.show("UnitFileState", f"{NAME}-keygen") == "enabled"
    assert machine.show("UnitFileState", f"{NAME}.timer") == "enabled"

# SPDX-License-Identifier: GPL-3.0-or-later
"""The package at work: the timer fires, the sandbox lets through what is needed, and what fails is seen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from tests.package.builds import Built
from tests.package.room import CHECKOUT

from .installed import CONFIG, KEY, KNOWN, NAME, Installed
from .lab import Lab

TREE = "guest/guest"
COPY = "offsite/guest"
NO_DEVICE = "/dev/zfs and /proc/self/mounts are required"
ONLY_SSH = "/etc/ssh/only-ssh.conf"
ROUND_TRIP = CHECKOUT / "debian/tests/round-trip"


@pytest.fixture
def machine(lab: Lab, package: Installed) -> Installed:
    """The package on a machine with a tree of the default name, and a receiver that is set up for it."""
    lab.pools.make("guest")
    lab.pools.make("offsite")
    lab.pools.tree(TREE, ["home"])
    package.guest.script(f"zfs create -V 8M {TREE}/disk")
    package.reach(lab.alpha)
    return package


def equal(machine: Installed) -> bool:
    """Whether both sides have the same snapshots, and any."""
    here = machine.snapshots(TREE)
    return bool(here) and here == machine.snapshots(COPY)


def fill(machine: Installed, megabytes: int) -> None:
    """Something new to send."""
    machine.guest.script(f"head -c {megabytes}000000 /dev/urandom > /{TREE}/home/file; zpool sync")


def in_mid_push(machine: Installed) -> None:
    """Start a run, and wait until its receive is under way."""
    machine.guest.run(["systemctl", "start", "--no-block", NAME]).check()
    # The brackets: without them the shell that asks is found by its own pattern, and nothing is waited for.
    machine.guest.script(
        "i=0; until pgrep -f '[z]fs receive' > /dev/null; do i=$((i + 1)); [ $i -lt 600 ]; sleep 0.1; done"
    )


def lifetime(machine: Installed, unit: str, since: str) -> tuple[int, int]:
    """Microseconds at which a run was started and had ended, by the journal: systemd forgets an instance."""
    argv = ["journalctl", "-u", unit, f"--since=@{since}", "-o", "json", "--no-pager"]
    rows = [json.loads(line) for line in machine.guest.run(argv).check().text.splitlines()]
    times = [int(row["__REALTIME_TIMESTAMP"]) for row in rows]
    return min(times), max(times)


def test_the_timer_fires(machine: Installed) -> None:
    """At the second that its override says; the run is a whole backup, seen in the journal and by systemd."""
    machine.runs("--force-non-incremental")
    now = datetime.fromisoformat(machine.guest.script("date '+%Y-%m-%d %H:%M:%S'").text.strip())
    due = now + timedelta(seconds=10)
    machine.edit(f"{NAME}.timer", f"[Timer]\nOnCalendar=\nOnCalendar={due}")
    machine.guest.run(["systemctl", "restart", f"{NAME}.timer"]).check()
    machine.wait("ActiveState", "activating")
    machine.wait("ActiveState", "inactive")
    started = machine.show("ExecMainStartTimestamp")
    at = datetime.strptime(started.split()[-2], "%H:%M:%S").time()  # noqa: DTZ007 - both are the guest's own
    assert due.time() <= at <= (due + timedelta(seconds=3)).time()
    assert machine.show("Result") == "success"
    assert equal(machine)
    status = machine.guest.run(["systemctl", "status", "--no-pager", NAME]).text
    assert re.search(r"IP: .*in, .*out", status), status
    assert [line.partition("]: ")[2] for line in status.splitlines() if f" {NAME}[" in line][-1] == "all done"
    assert {priority for priority, text in machine.messages() if "done" in text} == {6}
    assert machine.guest.script(f"stat -c %a /var/lib/{NAME}").text.strip() == "700"
    assert machine.failed() == []


def test_what_fails_is_seen(machine: Installed, lab: Lab) -> None:
    machine.runs("--force-non-incremental", "--retries", "0")
    lab.alpha.stop()
    assert not machine.start().ok
    assert machine.failed() == [f"{NAME}.service"]
    assert machine.show("ExecMainStatus") == "75"
    messages = machine.messages()
    errors = [text for priority, text in messages if priority == 3]
    assert any("Connection refused" in text for text in errors), messages
    own = [text for _priority, text in messages if text.startswith(("snapshot:", "push:", "expire:", "not "))]
    assert own[-1] == "not all done (exit 75): push: passing trouble"
    # The night's snapshot is there all the same, and the next run makes it good.
    assert len(machine.snapshots(TREE)) == 3
    lab.alpha.begin()
    machine.start().check()
    assert machine.failed() == []
    assert equal(machine)


def test_an_upgrade_leaves_a_running_push_alone(
    machine: Installed, packaging: Installed, lab: Lab, previous: Built, built: Built
) -> None:
    packaging.settle(previous)
    machine.reach(lab.alpha)
    machine.runs("--force-non-incremental", "--bwlimit", "300k")
    fill(machine, 6)
    in_mid_push(machine)
    # However long an upgrade takes here, the push is not over before it.
    machine.guest.run(["pkill", "-STOP", "-f", "zfs receive"]).check()
    run, process = machine.show("InvocationID"), machine.show("MainPID")
    machine.install(built, "-o", "Dpkg::Options::=--force-confold").check()
    assert machine.version() == built.control("Version")
    assert machine.show("ActiveState") == "activating"
    assert (machine.show("InvocationID"), machine.show("MainPID")) == (run, process)
    machine.guest.run(["pkill", "-CONT", "-f", "zfs receive"]).check()
    machine.wait("ActiveState", "inactive")
    assert (machine.show("InvocationID"), machine.show("Result")) == (run, "success")
    assert equal(machine)
    # What somebody had written into the conffile stands; the package's new one lies beside it.
    assert "10.77.1.2" in machine.guest.script(f"cat {CONFIG}").text
    assert "ConnectTimeout 30" in machine.guest.script(f"cat {CONFIG}.dpkg-dist").text
    assert machine.show("ActiveState", f"{NAME}.timer") == "active"


def test_a_removal_says_that_it_ends_a_running_push(machine: Installed, built: Built) -> None:
    machine.runs("--force-non-incremental", "--bwlimit", "300k")
    fill(machine, 12)
    in_mid_push(machine)
    # Until a transaction group or two of it are on the receiver's disk, also on a busy machine.
    machine.guest.script("sleep 15")
    removed = machine.apt("remove", NAME).check()
    assert f"a backup is under way ({NAME}.service) and is ended now" in removed.text + removed.errors
    left = machine.guest.run(["pgrep", "-af", "zfs (send|receive)"])
    assert left.text == ""
    assert machine.guest.script(f"zfs get -H -r -o value receive_resume_token {COPY}").text.strip("-\n")
    # It comes back, and goes on from what has arrived.
    machine.install(built).check()
    machine.runs("-v")
    machine.start().check()
    assert "repaired" in machine.said()
    assert equal(machine)


@pytest.mark.nightly
def test_two_instances_at_once(machine: Installed, lab: Lab) -> None:
    lab.pools.make("tank")
    lab.pools.tree("tank/data", ["a"])
    units = [f"{NAME}@guest-guest.service", f"{NAME}@tank-data.service"]
    for unit, copy in zip(units, ("guest", "data"), strict=True):
        options = f"--zfs-receive-dataset=offsite/{copy} --force-non-incremental"
        line = f"{NAME} --ssh-config={CONFIG} --dataset=%I {options}"
        machine.edit(unit, f"[Service]\nExecStart=\nExecStart={line}")
    since = machine.guest.script("date +%s").text.strip()
    machine.guest.run(["systemctl", "start", *units], timeout=600).check()
    times = [lifetime(machine, unit, since) for unit in units]
    assert max(begun for begun, _ in times) < min(ended for _, ended in times), "one waited for the other"
    assert equal(machine)
    assert machine.snapshots("tank/data") == machine.snapshots("offsite/data") != {}
    # As it is enabled, an instance works on the dataset of its name.
    machine.guest.run(["systemctl", "enable", "--now", f"{NAME}@tank-data.timer"]).check()
    assert machine.show("ActiveState", f"{NAME}@tank-data.timer") == "active"
    machine.apt("remove", NAME).check()
    assert machine.show("ActiveState", f"{NAME}@tank-data.timer") == "inactive"


@pytest.fixture
def roots_own_ssh(machine: Installed, lab: Lab) -> Iterator[None]:
    """``offsite`` in root's own ~/.ssh, with a key of its own."""
    machine.guest.script(
        f"mkdir -m 700 -p /root/.ssh; cp {KEY} /root/.ssh/id_ed25519; cp {KNOWN} /root/.ssh/known_hosts\n"
        f"printf 'Host offsite\\nHostName {lab.alpha.address}\\n' > /root/.ssh/config"
    )
    yield
    machine.guest.script(f"rm -rf /root/.ssh {ONLY_SSH}")


def for_ssh_alone(machine: Installed) -> str:
    """A configuration of a cipher that paramiko does not have; answers its path."""
    machine.guest.script(f"sed 's/Ciphers .*/Ciphers chacha20-poly1305@openssh.com/' {CONFIG} > {ONLY_SSH}")
    return ONLY_SSH


@pytest.mark.nightly
def test_the_sandbox_lets_every_way_through(machine: Installed, roots_own_ssh: None) -> None:
    """The four ways to a receiver; snapshots that are mounted expire; what the sandbox is for holds."""
    first = "--force-non-incremental"
    nothing_kept = ("--retention-policy", "0", "0", "0")
    only_ssh = for_ssh_alone(machine)
    machine.guest.script(
        # Of a year the newest is kept; both are mounted.
        f"zfs snapshot -r {TREE}@2020-01-01T00:00:00Z; zfs snapshot -r {TREE}@2020-02-01T00:00:00Z\n"
        f"ls /{TREE}/home/.zfs/snapshot/*/; grep -c @2020 /proc/mounts"
    )
    ways = {
        "paramiko": (f"--ssh-config={CONFIG}", first),
        "ssh alone": (f"--ssh-config={only_ssh}", *nothing_kept),
        "root's own": (),
        "this machine": ("--ssh-destination", "", "--zfs-receive-dataset", "offsite/near", first),
    }
    for name, options in ways.items():
        line = " ".join([NAME, *(f"'{option}'" for option in options)])
        machine.edit(NAME, f"[Service]\nExecStart=\nExecStart={line}")
        assert machine.start().ok, f"{name}:\n{machine.said()}"
        said = machine.said()
        assert ("control goes through ssh instead of paramiko" in said) == (name == "ssh alone"), said
        machine.guest.script("sleep 1")
    assert not [name for name in machine.snapshots(TREE) if "2020-01" in name]
    # What it keeps out, as the run would see it.
    machine.edit(
        NAME,
        "[Service]\nExecStart=\n"
        "ExecStart=sh -c 'touch /etc/x /root/x /var/x /usr/x; ls /dev/vda; cat /proc/meminfo; "
        f"mount -t tmpfs x /tmp; ls /{TREE} > /dev/null && zfs list -H -o name {TREE}'",
    )
    machine.start()
    said = machine.said()
    assert said.count("Read-only file system") == 4, said
    assert "cannot access '/dev/vda'" in said
    assert "/proc/meminfo: No such file" in said
    assert TREE in said.splitlines()


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("taken", "broken"),
    [
        ("CapabilityBoundingSet=", ["permission denied"]),
        ("PrivateUsers=yes", ["permission denied", "there is no such dataset"]),
        ("BindPaths=", [NO_DEVICE]),
        ("DeviceAllow=", ["Failed to initialize the libzfs library", NO_DEVICE]),
    ],
)
def test_what_is_allowed_is_needed(machine: Installed, taken: str, broken: list[str]) -> None:
    """``broken``: what OpenZFS 2.1 or 2.3 says; the unit's comments have it."""
    machine.runs("--action", "snapshot", settings=taken)
    assert not machine.start().ok
    assert any(words in machine.said() for words in broken)
    comments = (CHECKOUT / f"debian/{NAME}.service").read_text().replace("\n# ", " ")
    assert [words for words in broken if words not in comments] == []


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("taken", "config", "broken"),
    [
        (
            "RestrictAddressFamilies=\nRestrictAddressFamilies=AF_INET AF_INET6",
            f"--ssh-config={ONLY_SSH} ",
            "unix_listener: socket: Address family not supported by protocol",
        ),
        ("ProtectHome=yes", "", "the name offsite cannot be resolved"),
    ],
)
def test_what_ssh_is_allowed_is_needed(
    machine: Installed, roots_own_ssh: None, taken: str, config: str, broken: str
) -> None:
    for_ssh_alone(machine)
    line = f"{NAME} {config}--force-non-incremental --retries 0"
    machine.edit(NAME, f"[Service]\nExecStart=\nExecStart={line}\n{taken}")
    assert not machine.start().ok
    assert broken in machine.said()
    # And it is nothing else that is wrong.
    machine.edit(NAME, f"[Service]\nExecStart=\nExecStart={line}\n")
    assert machine.start().ok, machine.said()


@pytest.mark.nightly
def test_the_round_trip_of_the_package(package: Installed) -> None:
    """What Debian's own autopkgtest runs."""
    package.guest.put(ROUND_TRIP, "/run/round-trip")
    done = package.guest.run(["sh", "/run/round-trip"], timeout=600)
    assert done.ok, done.errors
    assert "both sides are the same after two pushes" in done.text
    assert package.guest.script("zpool list -H; ls /run/systemd/system").text == ""

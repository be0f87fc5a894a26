# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared backups at work: the package's timer does what is due, with hooks, in its sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from .installed import CONFIG, NAME, Installed
from .lab import Lab

TREE = "guest/guest"
RUN = f"{NAME}-run"
FILE = f"/etc/{NAME}/config.toml"
TOLD = "/run/hooks-told"
DECLARED = f"""\
[defaults]
destinations = ["offsite", "usb"]
schedule = "02:00"

[defaults.conditions]
max-load = 1000.0
on-ac-power = true
command = ["/bin/sh", "-c", "! systemctl --quiet is-active nobody.service"]

[destination.offsite]
dataset = "offsite/{{name}}"
ssh-config = "{CONFIG}"

[destination.usb]
ssh = ""
dataset = "usb/{{name}}"

[[dataset]]
name = "{TREE}"
exclude = ["cache"]

[[dataset.hooks]]
when = "before-snapshot"
# Somebody else than root, and outside of the sandbox: as a database's own user.
command = ["/usr/bin/systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--uid=nobody",
           "-E", "CYBER_ZFS_BACKUP_DATASET", "/bin/sh", "-c",
           "id -un >> {TOLD}; echo $CYBER_ZFS_BACKUP_DATASET >> {TOLD}"]
timeout = "60s"

[[dataset.hooks]]
when = "after-push"
command = ["/bin/sh", "-c", "logger -t pushed $CYBER_ZFS_BACKUP_DESTINATION $CYBER_ZFS_BACKUP_RESULT"]

[[dataset]]
name = "{TREE}/scratch"
destinations = []
schedule = "every 1min"
"""


@pytest.fixture
def machine(lab: Lab, package: Installed) -> Iterator[Installed]:
    """A machine whose tree is declared, with a receiver and a pool for a copy beside it."""
    for pool in ("guest", "offsite", "usb"):
        lab.pools.make(pool)
    lab.pools.tree(TREE, ["home", "cache", "scratch"])
    package.reach(lab.alpha)
    guest = package.guest
    guest.script(f"rm -f /var/lib/{NAME}/*.json*; install -m 666 /dev/null {TOLD}; mkdir -p /etc/{NAME}")
    declare(package, DECLARED)
    yield package
    guest.script(
        f"systemctl disable --now --quiet {RUN}.timer; systemctl stop {RUN}; rm -f {FILE} {TOLD}\n"
        f"rm -f /var/lib/{NAME}/*.json*"
    )


def declare(machine: Installed, text: str) -> None:
    machine.guest.put(text.encode(), FILE)


def look(machine: Installed, *, good: bool = True) -> str:
    """What the timer starts; answers what it said."""
    # systemd forgets a unit that has ended well and that no timer needs, and with it which run that was.
    cursor = machine.guest.script("journalctl -n 0 --show-cursor").text.rpartition("cursor: ")[2].strip()
    done = machine.guest.run(["systemctl", "start", RUN], timeout=600)
    argv = ["journalctl", "-u", RUN, "-o", "cat", "--no-pager", f"--after-cursor={cursor}"]
    said = machine.guest.run(argv).check().text
    assert done.ok is good, said
    return said


def times(machine: Installed, dataset: str) -> list[str]:
    argv = ["zfs", "list", "-H", "-t", "snapshot", "-o", "name", "-d", "1", dataset]
    return [line.partition("@")[2] for line in machine.guest.run(argv).check().text.splitlines()]


def test_the_timer_does_what_is_due_and_then_nothing(machine: Installed) -> None:
    assert machine.show("UnitFileState", f"{RUN}.timer") == "disabled"
    machine.edit(f"{RUN}.timer", "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/10")
    machine.guest.run(["systemctl", "enable", "--now", f"{RUN}.timer"]).check()
    machine.guest.script(
        "i=0; until zfs list -H -t snapshot -r usb | grep -q . && "
        f"[ $(systemctl show -p ActiveState --value {RUN}.service) = inactive ]\n"
        "do i=$((i + 1)); [ $i -lt 120 ]; sleep 1; done",
        timeout=300,
    )
    machine.guest.run(["systemctl", "stop", f"{RUN}.timer", RUN]).check()
    assert machine.failed() == []
    here = machine.snapshots(TREE)
    tree = {name: guid for name, guid in here.items() if not name.startswith("/scratch")}
    assert tree == machine.snapshots("offsite/guest") == machine.snapshots("usb/guest") != {}
    # What the file leaves out is not even snapshotted; what it names apart is a tree of its own.
    assert times(machine, f"{TREE}/cache") == []
    assert times(machine, f"{TREE}/scratch") != []
    assert len(times(machine, TREE)) == 1
    assert machine.guest.script(f"cat {TOLD}").text.split() == ["nobody", TREE]
    pushed = machine.guest.script("journalctl -t pushed -o cat --no-pager").text.splitlines()
    assert sorted(pushed) == ["offsite:offsite/guest done", "this machine:usb/guest done"]

    # Nothing is due: nothing is done, and it is said when something is.
    machine.guest.script(f"sed -i s/every.1min/hourly/ {FILE}")
    said = look(machine)
    assert "nothing is due; next, at " in said
    assert len(times(machine, TREE)) == 1
    used = int(machine.show("CPUUsageNSec", RUN)) / 1e9
    print(f"a look at which nothing is due took {used:.2f} s of CPU in the guest")


def test_a_night_that_was_missed_is_made_up_for(machine: Installed) -> None:
    machine.guest.script(
        f"zfs snapshot -r {TREE}@$(date -u -d '3 days ago' +%Y-%m-%dT%H:%M:%SZ)\n"
        f"sed -i s/every.1min/yearly/ {FILE}"
    )
    look(machine)
    assert len(times(machine, TREE)) == 2
    assert len(times(machine, "usb/guest")) == 2
    look(machine)
    assert len(times(machine, TREE)) == 2


def test_a_hook_that_hangs_or_fails_is_ended_and_seen(machine: Installed) -> None:
    """Nothing of it is left behind, and no snapshot is taken of a database that was not made quiet."""
    hook = (
        f'[[dataset]]\nname = "{TREE}"\n[[dataset.hooks]]\nwhen = "before-snapshot"\n'
        'command = ["/bin/sh", "-c", "sleep 777 & sleep 777"]\ntimeout = "2s"\n'
    )
    declare(machine, hook)
    said = look(machine, good=False)
    assert "/bin/sh failed: " in said
    assert times(machine, TREE) == []
    assert machine.failed() == [f"{RUN}.service"]
    assert machine.guest.run(["pgrep", "-f", "[s]leep 777"]).text == ""
    # It is put off, and not failed, while what it waits for holds.
    declare(machine, f'[defaults.conditions]\ncommand = ["/bin/false"]\n[[dataset]]\nname = "{TREE}"\n')
    assert f"{TREE}: is put off: " in look(machine)
    assert machine.failed() == []
    declare(machine, f'[[dataset]]\nname = "{TREE}"\npause = true\n')
    assert f"{TREE}: is paused" in look(machine)
    assert times(machine, TREE) == []
    # A slip in the file ends it at once, with its line.
    declare(machine, f'[[dataset]]\nname = "{TREE}"\nretension = "x"\n')
    said = look(machine, good=False)
    assert f"{FILE}:3" in said
    assert "did you mean retention?" in said


def test_a_database_is_quiet_in_its_snapshot(machine: Installed) -> None:
    """The example as it is shipped, and something that stands for MariaDB: it writes whether it is locked."""
    example = f"/usr/share/doc/{NAME}/examples/quiet-mariadb"
    state = f"/{TREE}/home/state"
    fake = (
        "#!/bin/sh\n"
        f"trap 'echo at work > {state}' EXIT; trap 'exit 1' TERM\n"
        f"while read -r line; do case $line in FLUSH*) echo quiet | tee {state};; esac; done\n"
    )
    machine.guest.put(fake.encode(), "/usr/local/bin/mariadb", mode=0o755)
    machine.guest.script(f"install -m 755 {example} /usr/local/sbin/quiet-mariadb; echo at work > {state}")
    hooks = "".join(
        f'[[dataset.hooks]]\nwhen = "{when}"\ncommand = ["/usr/local/sbin/quiet-mariadb"]\n'
        for when in ("before-snapshot", "after-snapshot")
    )
    declare(machine, f'[[dataset]]\nname = "{TREE}"\n{hooks}')
    look(machine)
    (taken,) = times(machine, f"{TREE}/home")
    then = machine.guest.script(f"cat /{TREE}/home/.zfs/snapshot/{taken}/state; cat {state}").text
    assert then.split("\n")[:2] == ["quiet", "at work"]
    # One that cannot be locked is not snapshotted.
    machine.guest.put(b"#!/bin/sh\nexit 1\n", "/usr/local/bin/mariadb", mode=0o755)
    done = machine.guest.run([NAME, "run", "--now"], timeout=120)
    assert not done.ok
    assert times(machine, f"{TREE}/home") == [taken]
    machine.guest.script("rm /usr/local/bin/mariadb /usr/local/sbin/quiet-mariadb")


def test_what_is_declared_is_what_is_looked_at(machine: Installed) -> None:
    machine.guest.script(f"sed -i s/every.1min/yearly/ {FILE}")
    look(machine)
    status = json.loads(machine.guest.run([NAME, "status", "--offline", "--json"]).check().text)
    assert status["actions"]
    checked = machine.guest.run([NAME, "check"])
    assert checked.ok, checked.text
    metrics = machine.guest.run([NAME, "metrics"]).check().text
    assert f'dataset="{TREE}"' in metrics
    assert f'dataset="{TREE}/scratch"' in metrics

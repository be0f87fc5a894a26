# SPDX-License-Identifier: GPL-3.0-or-later
"""README.rst as a newcomer follows it, command by command, on a machine of the name that it uses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.readme import blocks, section

from .installed import CONFIG, KEY, NAME, Installed
from .lab import Lab
from .typist import Typist

OLD = "2026-11-22T02:00:00Z"
DISK = "/run/lab/pools/usb"


@pytest.fixture
def zippy(lab: Lab, package: Installed) -> Iterator[Installed]:
    """The source of README.rst; its receiver is a host of the lab, under the name that is used there."""
    guest = package.guest
    lab.alpha.server("AuthorizedKeysFile /root/.ssh/authorized_keys")
    guest.script(
        f"""
        cp /etc/hosts /run/hosts
        hostname zippy
        echo '{lab.alpha.address} offsite.example.com' >> /etc/hosts
        mkdir -m 700 -p /root/.ssh
        cp {lab.alpha.folder}/host_key.pub /etc/ssh/ssh_host_ed25519_key.pub
        """
    )
    lab.pools.make("zippy", options=["-O", "mountpoint=none"])
    lab.pools.make("offsite", options=["-O", "mountpoint=none"])
    guest.script(
        f"""
        zfs create -o mountpoint=/srv/zippy zippy/zippy
        zfs create zippy/zippy/home
        echo treasure > /srv/zippy/home/file
        echo 'correct horse' > /root/zippy.key
        zfs create -o encryption=on -o keyformat=passphrase -o keylocation=file:///root/zippy.key \\
            zippy/zippy/secret
        zfs snapshot -r zippy/zippy@{OLD}
        """
    )
    yield package
    guest.script(
        f"! id zfs-zippy 2> /dev/null || {NAME} setup receiver --client zippy --undo\n"
        "hostname guest; cat /run/hosts > /etc/hosts\n"
        f"rm -rf /etc/ssh/ssh_host_* /root/zippy.key /root/.ssh {DISK}"
    )


@pytest.fixture
def typist(zippy: Installed) -> Typist:
    key = zippy.guest.get(f"{KEY}.pub").decode().strip()
    return Typist(zippy, {"ssh-ed25519 AAAAC3... cyber-zfs-backup@zippy": key})


def assert_equal(machine: Installed) -> None:
    here = machine.snapshots("zippy/zippy")
    assert here == machine.snapshots("offsite/zippy") != {}


def assert_page(zippy: Installed, typist: Typist, block: str) -> None:
    """By hand as it is printed, and from within the timer's sandbox."""
    typist.type(block)
    zippy.guest.run(["systemctl", "start", f"{NAME}-report"]).check()
    for folder in ("/tmp/backups", f"/var/cache/{NAME}/report"):
        assert "zippy/zippy" in zippy.guest.script(f"cat {folder}/index.html").text


def test_from_the_first_backup_to_the_restore(zippy: Installed, typist: Typist) -> None:
    first = blocks(section("The first backup, in five minutes"))
    assert len(first) == 6
    for block in first:
        said = typist.type(block)
    assert_equal(zippy)
    assert any(line.endswith("all done") for line in said[1].text.splitlines())
    assert f"{NAME}.service" in said[2].text

    # Daily life: what shows, then what changes.
    daily = blocks(section("Daily life"))
    shown, stands, page, late, when, _what, numbers, template = daily
    status, failed, journal, warnings = typist.type(shown)
    assert "all done" in status.text
    assert f"{NAME}.service" not in failed.text
    assert "all done" in journal.text
    assert "all done" not in warnings.text
    (table,) = typist.type(stands)
    row = table.text.splitlines()[-1].split()
    assert row[:2] == ["zippy/zippy", "offsite:offsite/zippy"]
    assert f"@{row[2]}" in zippy.snapshots("offsite/zippy")
    assert_page(zippy, typist, page)
    for told in typist.type(late):
        assert told.text.startswith("CYBER-ZFS-BACKUP OK - ")
    typist.type(when)
    assert "13:00:00" in zippy.show("NextElapseUSecRealtime", f"{NAME}.timer")
    typist.type(numbers)
    zippy.start().check()
    assert "--retention-policy" in zippy.show("ExecStart")
    assert_equal(zippy)
    lines = template.splitlines()
    typist.type(lines[0])
    typist.type("\n".join(lines[1:]))
    assert zippy.show("ActiveState", f"{NAME}@tank-data.timer") == "active"
    assert ":00:00" in zippy.show("NextElapseUSecRealtime", f"{NAME}@tank-data.timer")

    (well,) = typist.type(blocks(section("Is everything well? The doctor"))[0])
    assert well.text.startswith("doctor: done: all is well")

    setting, file, listed, dataset, whole = blocks(section("To get something back"))
    program = setting.partition('"')[2].rstrip('"')

    def restore(line: str) -> str:
        (said,) = typist.type(line.replace("$restore", program))
        return said.text

    here = "/srv/zippy/home/file"
    assert f"{here.rpartition('/')[0]}/.zfs/snapshot/" in restore(
        file.replace("/home/me/letter", here).replace("yesterday", "now")
    )
    assert f"zippy/zippy/home@{OLD}" in restore(listed)
    restore(dataset.splitlines()[0])
    zippy.guest.script("zfs set mountpoint=/mnt/restored zippy/restored && zfs mount zippy/restored")
    assert zippy.guest.script("cat /mnt/restored/file").text == "treasure"
    restore(whole.replace("--to zippy/zippy", "--to zippy/whole"))
    assert zippy.guest.script("zfs list -H -o name -r zippy/whole").text.split()[-1] == "zippy/whole/secret"
    assert zippy.guest.script("zfs mount | grep -c zippy/whole || true").text == "0"

    look, try_it = blocks(section("Copies of encryption keys"))
    assert "file:///root/zippy.key" in typist.type(look)[0].text
    typist.type(try_it)
    assert zippy.guest.script("zfs get -H -o value keystatus offsite/zippy/secret").text == "unavailable"


@pytest.mark.nightly
def test_a_receiver_that_trusts_nobody(zippy: Installed, typist: Typist, lab: Lab) -> None:
    lab.alpha.server("AuthorizedKeysFile .ssh/authorized_keys", "StrictModes yes")
    sender, receiver, first = blocks(section("A receiver that trusts nobody"))
    # There is no terminal here.
    shown = zippy.guest.script("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").text.split()[1]
    (said,) = typist.type(f"{sender} --fingerprint {shown}")
    assert "setup receiver --client zippy --root offsite/zippy" in said.text
    zippy.guest.script(f"cp {KEY}.pub /root/zippy.pub")
    typist.type(f"cd /root && {receiver}")
    typist.type(first)
    here = zippy.snapshots("zippy/zippy")
    assert here == zippy.snapshots("offsite/zippy/zippy") != {}
    assert zippy.guest.run(["ssh", "-F", CONFIG, "offsite", "id"]).status == 77
    # And back, which touches no data.
    typist.type(f"{NAME} setup sender offsite --undo")
    typist.type(f"{NAME} setup receiver --client zippy --undo")
    assert here == zippy.snapshots("offsite/zippy/zippy")
    assert not zippy.guest.run(["id", "zfs-zippy"]).ok


@pytest.mark.nightly
def test_the_first_copy_by_disk(zippy: Installed, typist: Typist, lab: Lab) -> None:
    zippy.reach(lab.alpha)
    # As README has it the key is allowed on the receiver.
    zippy.guest.script(f"cat {KEY}.pub > /root/.ssh/authorized_keys; truncate -s 256M {DISK}")
    typist.instead |= {
        "/dev/disk/by-id/usb-Your_Disk": DISK,
        "zpool import usb": "zpool import -d /run/lab/pools usb",
    }
    here, there, then = blocks(section("The first copy by disk"))
    typist.type(here)
    # A disk on its way for weeks: what it has cannot expire meanwhile.
    zippy.guest.run([NAME, "--action", "snapshot", "expire", "--retention-policy", "0", "0", "0"]).check()
    newest, receive = there.splitlines()[1:3]
    typist.type("\n".join([there.splitlines()[0], f"{newest}; {receive}", there.splitlines()[3]]))
    typist.type(then)
    # The receiver keeps more: what expired here by a harsh rule in between would not by the usual one.
    assert zippy.snapshots("zippy/zippy").items() < zippy.snapshots("offsite/zippy").items()
    holds = zippy.guest.script("zfs list -H -o name -t snapshot -r zippy/zippy | xargs zfs holds -H").text
    assert len({line.split("\t")[1] for line in holds.splitlines()}) == 1


def test_the_override_as_it_is_printed(zippy: Installed, typist: Typist, lab: Lab) -> None:
    """Another dataset, by root's own ssh configuration."""
    lab.pools.make("morpheus")
    lab.pools.tree("morpheus/my-funny-dataset-name", options=["-o", "mountpoint=/srv/funny"])
    zippy.guest.script(
        f"cp {KEY} /root/.ssh/id_ed25519; cat {KEY}.pub > /root/.ssh/authorized_keys\n"
        f"echo 'offsite.example.com {lab.alpha.host_key}' > /root/.ssh/known_hosts\n"
        "printf 'Host offsite\\n    HostName offsite.example.com\\n' > /root/.ssh/config"
    )
    (what,) = (block for block in blocks(section("Daily life")) if "my-funny-dataset-name" in block)
    typist.type(what)
    assert not zippy.start().ok
    assert zippy.show("ExecMainStatus") == "65", zippy.said()
    assert "run once with --force-non-incremental" in zippy.said()
    by_hand = [NAME, "--dataset=morpheus/my-funny-dataset-name", "--force-non-incremental"]
    zippy.guest.run(by_hand, timeout=300).check()
    zippy.start().check()
    here = zippy.snapshots("morpheus/my-funny-dataset-name")
    assert here == zippy.snapshots("offsite/zippy") != {}
    # A whole tree comes back with the source's own properties.
    name = "morpheus/my-funny-dataset-name"
    back = [NAME, "restore", name, "--dataset", name, "--to", "zippy/whole", "--keep-mountpoints"]
    zippy.guest.run(back, timeout=300).check()
    values = "zfs get -H -o value mountpoint,readonly,canmount zippy/whole"
    assert zippy.guest.script(values).text.split() == ["/srv/funny", "off", "noauto"]

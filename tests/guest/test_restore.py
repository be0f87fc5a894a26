# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores on real OpenZFS, from a copy that the product itself has made behind sshd."""

from __future__ import annotations

import json
import signal

import pytest

from .ground import RECEIVER, SOURCE, Ground, Ran
from .lab import Lab, Product

KEY = "/run/lab/restore.key"
WHOLE = ["/", "/home", "/home/kid", "/secret", "/secret/below", "/disk"]


@pytest.fixture
def ground(lab: Lab, product: Product) -> Ground:
    """A tree with everything that makes restores hard: keys, a volume, mount points, properties."""
    made = Ground(lab, product)
    made.sh(
        f"""
        echo passphrase > {KEY}
        zfs create -o mountpoint=/srv/tree -o atime=off {SOURCE}
        zfs create -o mountpoint=/srv/home -o compression=gzip -o org.example:note='a b' {SOURCE}/home
        zfs create {SOURCE}/home/kid
        zfs create -o encryption=on -o keyformat=passphrase -o keylocation=file://{KEY} {SOURCE}/secret
        zfs create {SOURCE}/secret/below
        zfs create -V 8M {SOURCE}/disk
        echo tree > /srv/tree/file
        head -c 3000000 /dev/urandom > /srv/home/file
        echo kid > /srv/home/kid/file
        echo below > /srv/tree/secret/below/file
        """
    )
    made.push_first()
    made.sh("echo second > /srv/home/second")
    ran = made.run("--action", "snapshot", "push")
    assert ran.status == 0, ran.errors
    made.sh("sleep 1")
    return made


def restore(ground: Ground, *words: str) -> Ran:
    where = ("--ssh-destination", ground.host.name, "--zfs-receive-dataset", RECEIVER)
    return ground.call("restore", *words, "--dataset", SOURCE, *where)


def lose(ground: Ground) -> None:
    """The source's tree is gone, with its pool."""
    ground.sh(
        f"""
        zfs list -H -o name -t snapshot -r {SOURCE} | while read name; do
            zfs holds -H $name | while read held tag rest; do zfs release $tag $held; done
        done
        zfs destroy -r {SOURCE}
        """
    )


def mounted(ground: Ground, root: str) -> set[str]:
    return set(ground.sh(f"zfs get -H -r -t filesystem -o value mounted {root}").split())


def test_a_whole_tree_in_place_and_the_next_push_goes_on(ground: Ground) -> None:
    here = ground.snapshots(SOURCE)
    lose(ground)
    ran = restore(ground, SOURCE, "--to", SOURCE)
    assert ran.status == 0, ran.errors
    assert ground.snapshots(SOURCE) == here == ground.snapshots(RECEIVER)
    assert mounted(ground, SOURCE) == {"no"}
    # The properties of the source, and none of the copy's.
    assert ground.value(SOURCE, "mountpoint") == "/srv/tree"
    assert ground.value(f"{SOURCE}/home", "mountpoint") == "/srv/home"
    assert ground.value(f"{SOURCE}/home/kid", "mountpoint") == "/srv/home/kid"
    assert ground.value(f"{SOURCE}/home", "compression") == "gzip"
    assert ground.value(f"{SOURCE}/home", "org.example:note") == "a b"
    assert ground.value(SOURCE, "atime") == "off"
    assert ground.value(SOURCE, "readonly") == "off"
    assert ground.value(f"{SOURCE}/disk", "volmode") == "default"
    assert ground.value(SOURCE, "cyber-zfs-backup:restore") == "-"
    # The key still has one keeper, and is where it was.
    assert ground.value(f"{SOURCE}/secret/below", "encryptionroot") == f"{SOURCE}/secret"
    assert ground.value(f"{SOURCE}/secret", "keylocation") == f"file://{KEY}"
    told = ran.action("restore")["answer"]
    assert f"  zfs load-key {SOURCE}/secret" in told
    # The last lines do what they say.
    ground.sh(f"zfs load-key {SOURCE}/secret")
    ground.sh(next(line for line in told if "zfs mount" in line))
    assert (
        ground.sh("cat /srv/tree/file /srv/home/second /srv/tree/secret/below/file") == "tree\nsecond\nbelow"
    )
    verified = ground.call(
        "verify",
        "--dataset",
        SOURCE,
        "--ssh-destination",
        ground.host.name,
        "--zfs-receive-dataset",
        RECEIVER,
    )
    assert verified.status == 0, verified.errors
    # The next night needs no yes, holds what it must, and is an increment.
    ground.sh("sleep 1; echo third > /srv/home/third; echo new > /srv/tree/secret/below/new")
    ran = ground.run()
    assert ran.status == 0, ran.errors
    assert ran.action("push")["figures"]["bytes"] < 1_000_000
    assert ground.snapshots(SOURCE) == ground.snapshots(RECEIVER)
    assert {name.partition("@")[2] for name in ground.holds()} == {ground.newest()}
    ground.sh("sleep 1; echo fourth > /srv/home/fourth")
    ran = ground.run()
    assert ran.status == 0, ran.errors
    assert ground.snapshots(SOURCE) == ground.snapshots(RECEIVER)


@pytest.mark.nightly
def test_beside_the_source_one_dataset_of_a_date(ground: Ground) -> None:
    first = (
        ground.sh(f"zfs list -H -o name -s createtxg -t snapshot {SOURCE}/home").split()[0].partition("@")[2]
    )
    ran = restore(ground, f"{SOURCE}/home@{first}", "--to", "tank/back", "--no-recursive")
    assert ran.status == 0, ran.errors
    assert ground.snapshots("tank/back") == {f"@{first}": ground.snapshots(f"{SOURCE}/home")[f"@{first}"]}
    assert ground.value("tank/back", "mountpoint") == "none"
    assert ground.value("tank/back", "compression") == "gzip"
    assert mounted(ground, "tank/back") == {"no"}
    for line in ran.action("restore")["answer"]:
        if line.startswith("  "):
            ground.sh(line)
    assert ground.sh("ls /mnt/restored") == "file\nkid"
    assert ground.sh("cmp /mnt/restored/file /srv/home/file && echo same") == "same"
    # What exists is never touched.
    again = restore(ground, f"{SOURCE}/home", "--to", "tank/back")
    assert (again.status, again.problems()) == (65, ["refused"])


@pytest.mark.nightly
def test_an_encrypted_dataset_alone(ground: Ground) -> None:
    ran = restore(ground, f"{SOURCE}/secret/below", "--to", "tank/back")
    assert ran.status == 0, ran.errors
    assert ground.value("tank/back", "keystatus") == "unavailable"
    assert "  zfs load-key tank/back" in ran.action("restore")["answer"]
    ground.sh(
        f"zfs load-key -L file://{KEY} tank/back; zfs set mountpoint=/mnt/back tank/back; zfs mount tank/back"
    )
    assert ground.sh("cat /mnt/back/file") == "below"


@pytest.mark.nightly
def test_a_cut_restore_goes_on(ground: Ground) -> None:
    name = ground.newest("/home")
    # What a restore begins, by hand, as its first stream is cut.
    mark = f"cyber-zfs-backup:restore={ground.host.name}:{RECEIVER}/home@{name}"
    ground.sh(
        f"zfs send -w -R {RECEIVER}/home@{name} | head -c 1500000 | "
        f"zfs receive -s -u -o {mark} -o readonly=on -o mountpoint=none tank/back || true"
    )
    assert ground.value("tank/back", "receive_resume_token") != "-"
    ran = restore(ground, f"{SOURCE}/home", "--to", "tank/back")
    assert ran.status == 0, ran.errors
    assert any(line.startswith("resume: ") for line in ran.action("restore")["lines"])
    assert ran.action("restore")["figures"]["bytes"] < 2_500_000
    assert ground.snapshots("tank/back") == ground.snapshots(f"{RECEIVER}/home")
    assert ground.value("tank/back", "cyber-zfs-backup:restore") == "-"


def test_the_list_and_a_file(ground: Ground) -> None:
    ran = restore(ground, "list", f"{SOURCE}/home")
    assert ran.status == 0, ran.errors
    dates = [line for line in ran.action("restore list")["answer"] if "@" in line]
    assert len(dates) == 2
    assert f"{SOURCE}/home@{ground.newest()}" in dates[-1]
    ground.sh("rm /srv/home/second")
    ran = restore(ground, "file", "/srv/home/second", "--at", "now")
    assert ran.status == 0, ran.errors
    told = ran.action("restore file")["answer"]
    ground.sh(told[-1])
    assert ground.sh(f"cat /srv/home/second.{ground.newest()}") == "second"


@pytest.mark.nightly
def test_a_pool_too_small(ground: Ground, lab: Lab) -> None:
    lab.pools.make("small", "64M")
    ground.sh("zfs create -V 20M small/fill")
    ground.sh("head -c 30000000 /dev/urandom > /srv/tree/big")
    assert ground.run("--action", "snapshot", "push").status == 0
    ran = restore(ground, SOURCE, "--to", "small/back")
    assert (ran.status, ran.problems()) == (65, ["no-space"]), ran.errors
    assert ground.sh("zfs list -H -o name -r small").split() == ["small", "small/fill"]


def drill(ground: Ground, *words: str) -> Ran:
    where = ("--ssh-destination", ground.host.name, "--zfs-receive-dataset", RECEIVER)
    return ground.call("drill", "--dataset", SOURCE, *where, *words)


@pytest.mark.nightly
def test_a_drill_reads_everything_and_leaves_nothing(ground: Ground) -> None:
    before = ground.sh("zfs list -H -o name,guid -t all -r tank; findmnt -rn -o TARGET; ls -A /tmp")
    ground.sh("rm -rf /var/lib/cyber-zfs-backup")
    ran = drill(ground, "--seed", "3")
    assert ran.status == 0, ran.errors
    figures = ran.action("drill")["figures"]
    assert (figures["equal"], figures["arrived"]) == (6, 0), ran.action("drill")
    assert ground.sh("zfs list -H -o name,guid -t all -r tank; findmnt -rn -o TARGET; ls -A /tmp") == before
    (line,) = ground.sh("cat /var/lib/cyber-zfs-backup/drills.jsonl").splitlines()
    record = json.loads(line)
    assert record["good"] is True
    assert len(record["datasets"]) == len(WHOLE)
    # Without the key's file only the GUIDs are compared, and that is said.
    ground.sh(f"mv {KEY} {KEY}.away")
    ran = drill(ground, "--seed", "3")
    assert ran.status == 0, ran.errors
    assert ran.action("drill")["figures"]["arrived"] == 2
    assert all("key is not at hand" in line for line in ran.action("drill")["answer"])


def test_a_drill_finds_what_is_not_the_same(ground: Ground) -> None:
    """Snapshots of one GUID never differ; so something else is mounted in the place of what was restored."""
    ground.sh(
        """
        cat > /usr/local/bin/mount <<'END'
#!/bin/sh
# The second mount of a drill, that of what was restored, shows an empty folder instead.
case "$5" in */cyber-zfs-backup-drill@*) exec /usr/bin/mount -t tmpfs none "$6" ;; esac
exec /usr/bin/mount "$@"
END
        chmod 755 /usr/local/bin/mount
        """
    )
    try:
        # This seed chooses home, a filesystem.
        ran = drill(ground, "--sample", "1", "--seed", "7")
        assert (ran.status, ran.problems()) == (1, ["drill-differs"]), ran.errors
    finally:
        ground.sh("rm /usr/local/bin/mount")
    assert "cyber-zfs-backup-drill" not in ground.sh("zfs list -H -o name -r tank; findmnt -rn")


@pytest.mark.nightly
def test_a_drill_that_is_ended_leaves_nothing(ground: Ground) -> None:
    before = ground.sh("zfs list -H -o name -t all -r tank; findmnt -rn -o TARGET; ls -A /tmp")
    running = ground.product.start(
        "drill", "--dataset", SOURCE, "--ssh-destination", ground.host.name, "--zfs-receive-dataset", RECEIVER
    )
    ground.sh("until zfs list tank/cyber-zfs-backup-drill > /dev/null 2>&1; do sleep 0.05; done")
    running.signal(signal.SIGTERM)
    assert running.wait().status == 143
    assert ground.sh("zfs list -H -o name -t all -r tank; findmnt -rn -o TARGET; ls -A /tmp") == before

# SPDX-License-Identifier: GPL-3.0-or-later
"""`setup` on real machines, without a terminal: a key, a user and permissions, a push, and all taken back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cyber_zfs_backup.gatekeeper.grammar import RECEIVE
from cyber_zfs_backup.hosts.quoting import command_line
from cyber_zfs_backup.zfs import commands
from cyber_zfs_backup.zfs.delegation import READING, RECEIVING

from .channel import Result
from .ground import SOURCE, Ground
from .guest import Guest
from .lab import Lab, Product, snapshots

CHECKOUT = Path(__file__).parents[2]
FOLDER = "/run/setup"
CONFIG = f"{FOLDER}/ssh_config"
ROOT = "vault/zippy"
COPY = f"{ROOT}/src"
HOME = "/var/lib/cyber-zfs-receive/zippy"
TIMER = "cyber-zfs-backup-receiver.timer"
UNITS = ("cyber-zfs-backup-receiver.service", TIMER)
SENDER = ("setup", "sender", "nas", "--client", "zippy", "--root", ROOT, "--ssh-config", CONFIG)
RECEIVER = ("setup", "receiver", "--client", "zippy")


@pytest.fixture
def ground(lab: Lab, product: Product) -> Iterator[Ground]:
    """A source here, a receiver's pool, and a sshd that reads the users' own authorized_keys."""
    made = Ground(lab, product)
    guest = lab.guest
    lab.beta.server("AuthorizedKeysFile .ssh/authorized_keys", "StrictModes yes")
    made.sh(f"zfs create {SOURCE}; zfs create {SOURCE}/a; zfs create -V 8M {SOURCE}/v; mkdir -p {FOLDER}")
    script = f"import sys; sys.path.insert(0, {product.folder!r}); from cyber_zfs_backup"
    guest.put(
        f"#!/usr/bin/python3 -I\n{script}.gatekeeper.main import main; sys.exit(main())\n".encode(),
        "/usr/bin/cyber-zfs-receive",
        mode=0o755,
    )
    guest.put(
        f"#!/usr/bin/python3 -I\n{script}.__main__ import main; sys.exit(main())\n".encode(),
        "/usr/local/bin/cyber-zfs-backup",
        mode=0o755,
    )
    for unit in UNITS:
        text = (CHECKOUT / "debian" / f"cyber-zfs-backup.{unit}").read_bytes()
        guest.put(text, f"/etc/systemd/system/{unit}")
    guest.script("systemctl daemon-reload")
    yield made
    guest.try_script(
        f"""
        systemctl disable --now {TIMER}
        userdel zfs-zippy
        rm -rf {FOLDER} /etc/cyber-zfs-backup /var/lib/cyber-zfs-receive /usr/bin/cyber-zfs-receive
        rm -f /usr/local/bin/cyber-zfs-backup {" ".join(f"/etc/systemd/system/{unit}" for unit in UNITS)}
        systemctl daemon-reload
        """
    )


def call(guest: Guest, *words: str) -> Result:
    return guest.run(["cyber-zfs-backup", *words], timeout=300)


def test_both_sides_a_push_and_back(ground: Ground, lab: Lab) -> None:
    guest = lab.guest
    where = ("--hostname", lab.beta.address)

    # Nobody is there to say yes: it tells the fingerprint, and writes nothing.
    result = call(guest, *SENDER, *where)
    assert result.status == 2
    shown = re.search(r"with --fingerprint (SHA256:\S+)", result.errors)
    assert shown is not None, result.errors
    assert shown[1] in guest.script(f"ssh-keygen -lf {lab.beta.folder}/host_key.pub").text
    wrong = call(guest, *SENDER, *where, "--fingerprint", f"SHA256:{'A' * 43}")
    assert wrong.status == 2
    assert "somebody may be in between" in wrong.errors
    assert guest.script(f"ls {FOLDER}").text == ""

    result = call(guest, *SENDER, *where, "--fingerprint", shown[1])
    assert result.status == 0, result.errors
    assert "not tried yet: nas lets this key in once" in result.text
    there = re.search(r"on the receiver, as root: (.*)", result.text)
    assert there is not None

    # What it prints is what the receiver's root pastes.
    result = guest.run(["sh", "-c", there[1]], timeout=300)
    assert result.status == 0, result.errors
    about = guest.script(f"zfs get -Hp -o property,value,source all {ROOT}").text
    for setting in commands.CONTAINER:
        assert "\t".join((*setting.split("="), "local")) in about
    assert "user zfs-zippy create,destroy,mount,receive\n" in guest.script(f"zfs allow {ROOT}").text + "\n"
    stat = guest.script(
        f"stat -c '%U %a %n' {HOME} {HOME}/.ssh {HOME}/.ssh/authorized_keys {HOME}/state"
    ).text
    assert [line.rsplit(" ", 1)[0] for line in stat.splitlines()] == [
        *("root 755", "root 755", "root 644", "zfs-zippy 700"),
    ]
    assert guest.script(f"systemctl is-enabled {TIMER}").text == "enabled"

    # Again: all is so already, and the way is tried.
    again = guest.run(["sh", "-c", there[1]], timeout=300)
    assert again.status == 0
    assert "nothing to do" in again.text, again.text
    again = call(guest, *SENDER)
    assert again.status == 0, again.errors
    assert f"tried: nas answers, and {ROOT} is there" in again.text

    two_nights(ground)
    and_back(guest)


def two_nights(ground: Ground) -> None:
    """As the client's user, and through the gatekeeper."""
    push = ["--ssh-config", CONFIG, "--ssh-destination", "nas", "--zfs-receive-dataset", COPY]
    push += ["--dataset", SOURCE, "--retries", "0", "-v"]
    guest = ground.guest
    for more in (["--force-non-incremental"], []):
        ran = call(guest, *push, *more)
        assert ran.status == 0, ran.errors
        ground.sh("sleep 1")
    # The receiver's own expiry, in its sandbox; and an archive keeps what has expired on the source.
    expired = guest.run(["systemctl", "start", UNITS[0]], timeout=300)
    assert expired.ok, guest.script(f"journalctl --no-pager -n 20 -u {UNITS[0]}").text
    assert snapshots(guest, SOURCE).items() < snapshots(guest, COPY).items()
    assert guest.script(f"zfs get -H -o value -r -t filesystem mounted {ROOT}").text.split() == ["no"] * 3


def and_back(guest: Guest) -> None:
    """The data stay, and nobody gets in."""
    printed = call(guest, *RECEIVER, "--undo", "--print")
    assert printed.status == 0
    result = call(guest, *RECEIVER, "--undo")
    assert result.status == 0, result.errors
    assert f"zfs list -t all -r {ROOT}" in result.text
    assert snapshots(guest, SOURCE).items() < snapshots(guest, COPY).items()
    assert "zfs-zippy" not in guest.script(f"zfs allow {ROOT}; cat /etc/passwd").text
    assert guest.script(f"ls -d {HOME} /etc/cyber-zfs-backup/clients/* 2> /dev/null || true").text == ""
    assert guest.try_script(f"systemctl is-enabled {TIMER}").text.strip() == "disabled"
    assert not guest.run(["ssh", "-F", CONFIG, "nas", "true"]).ok
    assert call(guest, *RECEIVER, "--undo").status == 0
    assert call(guest, *SENDER, "--undo").status == 0
    assert "Host nas" not in guest.script(f"cat {CONFIG}").text
    assert guest.script(f"cat {FOLDER}/cyber-zfs-backup.known_hosts; ls {FOLDER}/*25519 || true").text == ""


@pytest.mark.nightly
def test_the_printed_commands_do_the_same(ground: Ground, lab: Lab) -> None:
    """For whoever gives no tool root: what --print prints is pasted into a shell."""
    guest = lab.guest
    guest.script(f"ssh-keygen -q -t ed25519 -N '' -f {FOLDER}/key")
    words = (*RECEIVER, "--root", ROOT, "--quota", "1G", f"{FOLDER}/key.pub")
    printed = call(guest, *words, "--print")
    assert printed.status == 0, printed.errors
    assert not guest.run(["id", "zfs-zippy"]).ok
    guest.put(printed.stdout, f"{FOLDER}/lines.sh")
    guest.script(f"sh -eu {FOLDER}/lines.sh")
    again = call(guest, *words)
    assert again.status == 0, again.errors
    assert "nothing to do" in again.text, again.text
    # Adopted as it is, with another key and another policy; then everything in its way is refused.
    guest.script(f"ssh-keygen -q -t ed25519 -N '' -f {FOLDER}/other; zfs create -V 8M vault/volume")
    changed = call(guest, *RECEIVER, "--root", ROOT, "--mode", "mirror", f"{FOLDER}/other.pub")
    assert changed.status == 0, changed.errors
    assert guest.script(f"grep -c ssh-ed25519 {HOME}/.ssh/authorized_keys").text == "1"
    for root, said in (
        (ROOT, "is the client zippy's"),
        (f"{ROOT}/below", "lies below vault/zippy, the client zippy's root"),
        ("vault/volume", "is a volume"),
        ("nowhere/zippy", "there is no pool nowhere"),
        (SOURCE, "is mounted"),
    ):
        refused = call(
            guest, "setup", "receiver", "--client", "morpheus", "--root", root, f"{FOLDER}/key.pub"
        )
        assert refused.status == 2
        assert said in refused.errors
    assert not guest.run(["id", "zfs-morpheus"]).ok


@pytest.mark.nightly
def test_each_permission_is_needed_and_no_other(ground: Ground, lab: Lab) -> None:
    """What the manual says of each permission, on this OpenZFS."""
    guest = lab.guest
    user = "zfs-zippy"
    guest.script(f"useradd --system --no-create-home --shell /bin/sh --password '*' {user}")
    guest.run(commands.create_container(ROOT)).check()
    guest.script(
        f"zfs snapshot -r {SOURCE}@1; zfs clone {SOURCE}/a@1 {SOURCE}/clone; zfs snapshot -r {SOURCE}@2"
    )
    as_user = f"runuser -u {user} --"
    receive = f"{as_user} {command_line(RECEIVE)}"

    def allowed(*permissions: str) -> None:
        guest.try_script(f"zfs unallow -u {user} {ROOT}")
        guest.run(commands.allow(user, permissions, ROOT)).check()

    full = f"zfs send -w -R {SOURCE}@1 | {receive} {COPY}"
    increment = f"zfs send -w -R -I @1 {SOURCE}@2 | {receive} {COPY}"
    allowed(*RECEIVING)
    guest.script(full)
    # Each of the three is asked for at every receive.
    for missing in RECEIVING:
        allowed(*(p for p in RECEIVING if p != missing))
        for stream in (increment, full.replace(COPY, f"{ROOT}/new")):
            result = guest.try_script(stream)
            assert not result.ok
            assert "permission denied" in result.errors
    allowed(*RECEIVING)
    guest.script(increment)
    assert snapshots(guest, COPY) == snapshots(guest, SOURCE) != {}

    # destroy: a partial receive, and a snapshot; not without mount.
    guest.script(f"head -c 3000000 /dev/urandom > /{SOURCE}/a/file; zfs snapshot {SOURCE}/a@3")
    guest.try_script(f"zfs send -w {SOURCE}/a@3 | head -c 1500000 | {receive} {ROOT}/part")
    abort = f"{as_user} zfs receive -A {ROOT}/part"
    assert guest.script(f"zfs get -H -o value receive_resume_token {ROOT}/part").text != "-"
    for permissions in (RECEIVING, ("receive", "create", "destroy")):
        allowed(*permissions)
        for line in (abort, f"{as_user} zfs destroy {COPY}/v@1", f"{as_user} zfs destroy {COPY}@1"):
            result = guest.try_script(line)
            assert not result.ok
            assert "permission denied" in result.errors
    allowed(*RECEIVING, "destroy")
    guest.script(f"{abort}; {as_user} zfs destroy {COPY}/v@1")

    # send: to read it back.
    send = f"{as_user} zfs send -w {COPY}/v@2"
    assert not guest.try_script(f"{send} > {FOLDER}/stream").ok
    allowed(*RECEIVING, "send")
    guest.script(f"{send} > {FOLDER}/stream")
    # hold: to read back more than one snapshot of one dataset.
    for many in (f"zfs send -w -R {COPY}@2", f"zfs send -w -I @1 {COPY}@2"):
        allowed(*RECEIVING, "send")
        refused = guest.try_script(f"{as_user} {many} > {FOLDER}/stream")
        assert not refused.ok
        assert "cannot hold: permission denied" in refused.errors
        allowed(*RECEIVING, *READING)
        guest.script(f"{as_user} {many} > {FOLDER}/stream")
    # Nothing that would make a copy act can be set with all of them.
    allowed(*RECEIVING, "destroy", "send")
    for setting in ("mountpoint=/mnt", "canmount=on", "sharenfs=on", "setuid=on", "readonly=off", "a:b=c"):
        assert not guest.run(["runuser", "-u", user, "--", "zfs", "set", setting, COPY]).ok
    for line in (f"zfs rename {COPY} {ROOT}/x", f"zfs hold x {COPY}@2", f"zfs rollback {COPY}@2"):
        assert not guest.try_script(f"{as_user} {line}").ok


@pytest.fixture
def sudoer(lab: Lab) -> Iterator[str]:
    """A login that may run what etc/sudoers.example allows, for ``vault/copy``."""
    text = (CHECKOUT / "etc/sudoers.example").read_text()
    text = text.replace("offsite/zippy", "vault/copy").replace(" offsite(/zippy", " vault(/copy")
    lab.alpha.authorize("replica")
    lab.alpha.client(User="replica")
    path = "/etc/sudoers.d/lab-setup"
    lab.guest.put(text.encode(), path, mode=0o440)
    lab.guest.script(f"visudo -cf {path}")
    yield "replica"
    lab.guest.script(f"rm -f {path}")


@pytest.mark.nightly
def test_a_whole_push_by_the_sudoers_example_and_nothing_else(
    lab: Lab, product: Product, sudoer: str
) -> None:
    ground = Ground(lab, product)
    ground.sh(
        f"zfs create {SOURCE}; zfs create {SOURCE}/a; zfs create -V 8M {SOURCE}/v; zfs create vault/other"
    )
    for more in (["--force-non-incremental"], [], ["--send-mode", "level"]):
        ran = ground.run("--use-sudo", "--action", "snapshot", "push", *more)
        assert ran.status == 0, ran.errors
        ground.sh("sleep 1")
    where = ("--ssh-destination", "alpha", "--zfs-receive-dataset", "vault/copy")
    assert ground.call("verify", "--dataset", SOURCE, *where, "--use-sudo").status == 0
    before = snapshots(lab.guest, "vault")
    newest = ground.newest()
    plain = "zfs receive -s -u vault/copy"
    for line in (
        "zfs destroy vault/copy",
        "zfs destroy -r vault/copy",
        f"zfs destroy vault/copy@{newest}",
        f"zfs destroy -r vault/copy@{newest}",
        "zfs receive -F vault/copy",
        "zfs receive -s -u -F vault/copy",
        f"zfs receive -s -u -o origin=vault/copy@{newest} vault/copy/x",
        "zfs receive -s -u -o mountpoint=/root vault/copy/x",
        "zfs receive -s -u -d vault/copy",
        plain.replace("vault/copy", "vault/other"),
        plain.replace("vault/copy", "vault/copy2"),
        plain.replace("vault/copy", "vault"),
        f"{plain} vault/other",
        "zfs set mountpoint=/root vault/copy",
        f"zfs rollback vault/copy@{newest}",
        "zpool destroy vault",
        "sh -c id",
    ):
        refused = lab.alpha.ssh(f"sudo -n {line} < /dev/null")
        assert not refused.ok, line
        assert "sudo: a password is required" in refused.errors, refused.errors
    assert snapshots(lab.guest, "vault") == before != {}

# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver that trusts nobody, on real OpenZFS behind real sshd: what an honest sender needs works, and a
stolen key can add to its own copies and nothing else.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from cyber_zfs_backup.model.names import own_name

from .gatekept import Client, everything
from .ground import Ran
from .lab import SSH_CONFIG, Lab, Product, snapshots

POLICY = "/run/lab/zippy.toml"


@pytest.fixture
def client(lab: Lab, product: Product) -> Client:
    """The client ``zippy`` with a tree of all kinds, which is let in to an archive."""
    lab.pools.make("tank")
    lab.pools.make("vault")
    lab.guest.script(
        """
        rm -f /run/lab/since
        echo passphrase > /run/lab/key
        zfs create -o compression=lz4 -o user:x=y tank/src
        zfs create -o quota=100M -o mountpoint=/run/lab/away tank/src/home
        # Without an NFS server OpenZFS 2.3 sets it, and then says that it cannot share.
        zfs set sharenfs=on tank/src/home || [ "$(zfs get -H -o value sharenfs tank/src/home)" = on ]
        zfs create -V 8M tank/src/disk
        zfs create -o encryption=on -o keyformat=passphrase -o keylocation=file:///run/lab/key tank/src/secret
        zfs create tank/src/base; echo base > /tank/src/base/file; zfs snapshot tank/src/base@origin
        zfs clone tank/src/base@origin tank/src/clone
        install -m 4755 /bin/true /run/lab/away/setuid
        head -c 200000 /dev/urandom > /run/lab/away/file
        """
    )
    made = Client(lab, lab.alpha, product, "zippy")
    made.let_in()
    return made


def holds_all(client: Client) -> bool:
    """Whether the copy has all that the source has; it may have what has expired there."""
    here = snapshots(client.guest, "tank/src")
    return bool(here) and here.items() <= client.snapshots().items()


def mounted(client: Client) -> str:
    return client.guest.script("grep '^vault/' /proc/mounts || true").text


def test_what_an_honest_sender_needs(client: Client) -> None:
    first = client.run("--force-non-incremental")
    assert first.status == 0, first.errors
    assert first.action("push")["figures"]["properties_left_out"] > 0
    client.guest.script("head -c 100000 /dev/urandom > /run/lab/away/file; zfs create tank/src/new; sleep 1")
    second = client.run()
    assert second.status == 0, second.errors
    assert holds_all(client)
    verify = client.product.run(
        *("verify", "--dataset", "tank/src", "--ssh-destination", client.host.name),
        *("--zfs-receive-dataset", client.copy),
    )
    assert verify.ok, verify.text + verify.errors
    # Nothing that came may act: all is inherited from the root, which the client cannot change.
    settings = client.guest.script(
        "zfs get -H -r -t filesystem -s local,received -o name,property "
        f"mountpoint,readonly,setuid,exec,devices,sharenfs,sharesmb,quota,canmount {client.copy}"
    ).text
    assert settings == ""
    client.guest.script("zfs mount -a; zfs share -a")
    assert mounted(client) == ""
    # An expiry here is none there, and no error; the sender has not even asked.
    client.guest.script("sleep 1")
    third = client.run("--retention-policy", "0", "0", "0")
    assert third.status == 0, third.errors
    assert [action["action"] for action in third.document["actions"]] == ["snapshot", "push", "expire"]
    assert len(client.snapshots()) > len(snapshots(client.guest, "tank/src"))
    # What its doctor asks is answered; what it would not be told it does not ask.
    where = ("--ssh-destination", client.host.name, "--zfs-receive-dataset", client.copy)

    def doctor() -> dict[str, str]:
        done = client.product.run("doctor", "--dataset", "tank/src", *where, "--json")
        found = Ran(done.status, json.loads(done.text), done.errors).action("doctor")["findings"]
        return {
            each["kind"]: each["remedy"]
            for each in found
            if each["severity"] != "good" and each["kind"] not in ("timer", "last-run")
        }

    assert doctor() == {}
    client.guest.script(f"zfs unallow -u {client.name} create {client.root}")
    (said,) = doctor().items()
    assert said[0] == "permissions"
    client.guest.script(said[1].removeprefix("as root there: "))
    assert doctor() == {}
    journal = client.journal()
    assert "allowed: zfs receive -s -u -x mountpoint" in journal
    assert "user zippy from 10.77.1.1 " in journal
    assert "refused" not in journal


@pytest.mark.nightly
def test_a_cut_receive_is_gone_on_with(client: Client) -> None:
    assert client.run("--force-non-incremental").status == 0
    client.guest.script("head -c 6000000 /dev/urandom > /run/lab/away/file; sleep 1; zpool sync")
    name = client.guest.script(
        "now=$(date -u +%Y-%m-%dT%H:%M:%SZ); zfs snapshot -r tank/src@$now; echo $now"
    ).text.strip()
    (base,) = {full.partition("@")[2] for full in client.snapshots()} - {"origin"}
    send = f"zfs send -w -I @{base} tank/src/home@{name} | head -c 3000000"
    client.feeds(send, f"zfs receive -s -u {client.copy}/home")
    assert "1-" in client.guest.script(f"zfs get -H -o value receive_resume_token {client.copy}/home").text
    client.guest.script("sleep 1")
    ran = client.run()
    assert ran.status == 0, ran.errors
    assert ran.action("push")["figures"]["repaired"] == 1
    assert holds_all(client)


@pytest.mark.nightly
def test_a_restore_through_it_where_the_policy_lets_the_client_read(client: Client) -> None:
    client.guest.script("zfs create tank/src/secret/below")
    assert client.run("--force-non-incremental").status == 0
    words = ("restore", "tank/src", "--to", "tank/back", "--dataset", "tank/src", "--json")
    where = ("--ssh-destination", client.host.name, "--zfs-receive-dataset", client.copy)

    def restore() -> Ran:
        done = client.product.run(*words, *where)
        return Ran(done.status, json.loads(done.text), done.errors)

    refused = restore()
    assert (refused.status, refused.problems()) == (1, ["refused"]), refused.errors
    assert "this client may not read" in refused.errors
    assert "--allow-restore" in refused.errors
    assert "tank/back" not in client.guest.script("zfs list -H -o name -r tank").text.split()
    client.let_in("--set", "restore=true", permissions="receive,create,mount,send,hold")
    ran = restore()
    assert ran.status == 0, ran.errors
    assert snapshots(client.guest, "tank/back") == client.snapshots() != {}
    # Each came as an encryption root of its own; what is told opens and joins them.
    told = ran.action("restore")["answer"]
    for line in told:
        if "zfs load-key" in line or "zfs change-key" in line:
            client.guest.script(f"echo passphrase | {line}" if "load-key" in line else line)
    keeper = client.guest.script("zfs get -H -o value encryptionroot tank/back/secret/below").text
    assert keeper == "tank/back/secret", told
    assert client.guest.script("zfs get -H -o value keystatus tank/back/secret/below").text == "available"


HOSTILE = (
    "id",
    "sh -c id",
    "zfs list",
    "zfs version; id",
    "zfs version && id",
    "zfs version | id",
    "zfs version\nid",
    "zfs version > /home/zippy/x",
    "$(id)",
    "`id`",
    "zfs list -Hp -o guid -d 0 vault/zippy/$(id)",
    "zfs list -Hp -o guid -d 0 'vault/zippy/$(id)'",
    "zfs list -Hp -o guid -d 0 vault/other",
    "zfs list -Hp -o guid -d 0 vault",
    "zfs list -Hp -o guid -d 0 tank/src",
    "zfs list -Hp -o guid -d 0 vault/zippy/../other",
    "zfs list -Hp -o guid -d 0 vault/zippyx",
    "zfs destroy -r vault/zippy",
    "zfs destroy -r vault/zippy/src@2026-01-01T00:00:00Z",
    "zfs destroy vault/zippy/src@%",
    "zfs destroy -R vault/zippy/src@2026-01-01T00:00:00Z",
    "zfs rollback -r vault/zippy/src@2026-01-01T00:00:00Z",
    "zfs rename vault/zippy/src vault/other/src",
    "zfs promote vault/zippy/src/clone",
    "zfs set mountpoint=/root/.ssh vault/zippy/src",
    "zfs inherit readonly vault/zippy/src",
    "zfs allow everyone destroy vault/zippy",
    "zfs unallow -u zippy vault/zippy",
    "zfs send -w vault/zippy/src@2026-01-01T00:00:00Z",
    "zfs hold keep vault/zippy/src@2026-01-01T00:00:00Z",
    "zfs mount -a",
    "zfs program vault /home/zippy/x.lua",
    "zpool destroy vault",
    "zpool status tank",
    "sudo -n zfs version",
    "/usr/sbin/zfs version",
    "zfs receive -F vault/zippy/src",
    "zfs receive -s -u -F vault/zippy/src",
    "zfs receive -s -u -d vault/zippy",
    "zfs receive -s -u -e vault/zippy",
    "zfs receive -s -u -M vault/zippy/src",
    "zfs receive -s -u -o origin=vault/other/src@x vault/zippy/src",
    "zfs receive -s -u -o mountpoint=/root/.ssh vault/zippy/src",
    "zfs receive -s vault/zippy/src",
    "zfs receive -u -s vault/zippy/src",
    "zfs receive -s -u vault/other/src",
    "zfs receive -s -u vault/zippy/src@x",
    "zfs receive -s -u vault/zippy/src && zfs destroy -r vault/zippy/src",
    "zfs receive -s -u vault/zippy/src && zfs receive -s -u vault/other/src",
    "zfs receive -A vault/other/src",
    "internal-sftp",
    "/usr/lib/openssh/sftp-server",
    "scp -t /home/zippy",
    "rsync --server . /",
    "cyber-zfs-receive vault",
    "\u200bzfs version",
    "zfs receive -s -u vault\uff0fzippy\uff0fsrc",
)  # fmt: skip


def test_a_hostile_client_gets_nothing_but_a_line(client: Client) -> None:
    client.guest.script("zfs create -o mountpoint=none vault/other; zfs create vault/other/src")
    assert client.run("--force-non-incremental").status == 0
    before = everything(client.guest, ("vault", "tank"))
    for line in HOSTILE:
        said = client.tries(line)
        assert said.status == 77, f"{line!r}: {said.status} {said.text} {said.errors}"
        assert said.text == ""
        assert said.errors.startswith("cyber-zfs-receive: refused: "), said.errors
        assert said.errors.count("\n") == 0
    # No shell, no terminal, no subsystem, no forwarding, no agent, no environment.
    assert client.tries("", "-tt").status == 77
    assert "PTY allocation request failed" in client.tries("id", "-tt").errors
    assert client.tries("sftp", "-s").status == 77
    forwarded = client.guest.run(
        [
            "sh",
            "-c",
            f"ssh -F {SSH_CONFIG} -o ExitOnForwardFailure=yes -R 9999:127.0.0.1:22 alpha 'zfs version'",
        ]
    )
    assert "remote port forwarding failed" in forwarded.errors
    odd = client.tries("zfs version", "-o", "SetEnv=LC_ALL=tr_TR PATH=/home/zippy PYTHONPATH=/home/zippy")
    assert odd.ok
    assert odd.text.startswith("zfs-")
    assert everything(client.guest, ("vault", "tank")) == before
    assert "x" not in client.guest.script("ls /home/zippy").text.split()
    journal = client.journal()
    for line in HOSTILE[:20]:
        assert ascii(line) in journal, line


@pytest.mark.nightly
def test_hostile_streams(client: Client) -> None:
    """What a stream may carry: nothing mounts, nothing is shared, renamed, held or written outside."""
    guest = client.guest
    guest.script(
        """
        zfs create -o mountpoint=none vault/other; zfs create vault/other/theirs
        zfs snapshot vault/other/theirs@kept
        zfs create -o mountpoint=/root/.ssh -o canmount=on -o readonly=off -o exec=on tank/evil
        zfs create -o setuid=on -o devices=on tank/evil/below
        zfs set sharenfs=on tank/evil || [ "$(zfs get -H -o value sharenfs tank/evil)" = on ]
        install -m 4755 /bin/sh /root/.ssh/rootshell; mknod /root/.ssh/below/vda b 254 0
        zfs snapshot -r tank/evil@1; zfs hold -r for-ever tank/evil@1
        """
    )
    assert client.run("--force-non-incremental").status == 0
    outside = everything(guest, ("vault/other",))
    for number, how in enumerate(("-w -p", "-w -R", "-w -R -h", "-p -h")):
        said = client.feeds(f"zfs send {how} tank/evil@1", f"zfs receive -s -u {client.root}/evil{number}")
        assert said.ok, said.errors
    # A package whose children were renamed since: nothing there gets another name.
    guest.script(
        "zfs rename tank/evil/below tank/evil/moved; touch /root/.ssh/x; zfs snapshot -r tank/evil@2"
    )
    client.feeds("zfs send -w -R -I @1 tank/evil@2", f"zfs receive -s -u {client.root}/evil1")
    # A stream that continues another client's dataset; one that is cut; one that is none.
    client.feeds("zfs send -w -i tank/evil@1 tank/evil@2", f"zfs receive -s -u {client.root}/gone")
    client.feeds("head -c 100000 /dev/urandom", f"zfs receive -s -u {client.root}/noise")
    guest.script("zfs release -r for-ever tank/evil@1; zfs destroy -r tank/evil; rm -rf /root/.ssh")
    assert everything(guest, ("vault/other",)) == outside
    guest.script("zfs mount -a; zfs share -a || true; exportfs -v 2> /dev/null || true")
    assert mounted(client) == ""
    listed = guest.script(f"zfs list -H -o name -r {client.root}").text.split()
    assert f"{client.root}/evil1/below" in listed
    assert f"{client.root}/evil1/moved" not in listed
    held = guest.script(f"zfs list -H -o userrefs -t snapshot -r {client.root}").text.split()
    assert set(held) == {"0"}
    set_there = guest.script(
        f"zfs get -H -r -t filesystem -s local,received -o name,property,value all {client.root} | "
        f"grep -v -e '^{client.root}\t' -e keylocation || true"
    ).text
    assert set_there == ""
    guest.script("zpool export vault; zpool import -d /run/lab/pools -o cachefile=none vault; zfs mount -a")
    assert mounted(client) == ""


def history(client: Client, days: int) -> list[str]:
    """So many nights that are over, each pushed and seen in its own; answers the names."""
    today = datetime.fromisoformat(client.guest.script("date -u +%Y-%m-%dT%H:%M:%S+00:00").text.strip())
    nights = [
        today.replace(hour=2, minute=0, second=0) - timedelta(days=days - number) for number in range(days)
    ]
    names = [own_name(night) for night in nights]
    client.guest.script(
        "\n".join(f"echo {name} > /run/lab/away/night; zfs snapshot -r tank/src@{name}" for name in names),
        timeout=300,
    )
    ran = client.run("--action", "push", "--force-non-incremental")
    assert ran.status == 0, ran.errors
    rows = client.guest.script(f"zfs list -Hp -o name,createtxg -t snapshot -d 1 {client.copy}").text
    txgs = {row.split("\t")[0].partition("@")[2]: int(row.split("\t")[1]) for row in rows.splitlines()}
    marks = [
        f"{(night + timedelta(minutes=5)).timestamp():.0f} {max(txgs[name] + 1, 0)}"
        for night, name in zip(nights, names, strict=True)
    ]
    client.guest.put("".join(f"{mark}\n" for mark in marks).encode(), f"{client.state}/seen")
    client.guest.script(f"chown {client.name} {client.state}/seen")
    return names


@pytest.mark.nightly
def test_a_stolen_sender_of_a_mirror_cannot_go_below_the_floors(client: Client) -> None:
    client.guest.put(
        b'root = "vault/zippy"\nmode = "mirror"\ndestroy-percent = 100\n'
        b"keep-at-least = { days = 5, weeks = 0, months = 0 }\n",
        POLICY,
    )
    client.let_in("--policy", POLICY, permissions="receive,create,mount,destroy")
    names = history(client, 9)
    # Today's snapshot, whoever takes it, begins a day of its own: the oldest of the five is none any more.
    floor = names[-4:]
    guids = client.snapshots()
    listed = ",".join(names)
    # It destroys all that it can, in every way, and forges what might push the rest out.
    for line in (
        f"zfs destroy -r {client.copy}@{listed}",
        f"zfs destroy {client.copy}@{listed}",
        *(f"zfs destroy -r {client.copy}@{name}" for name in names[-6:]),
    ):
        client.tries(line)
    client.guest.script(
        "zfs create tank/forged; "
        + "".join(f"zfs snapshot tank/forged@2025-0{month}-01T00:00:00Z; " for month in range(1, 8))
        + "zfs snapshot tank/forged@2037-01-01T00:00:00Z"
    )
    for name in ("2025-07-01T00:00:00Z", "2037-01-01T00:00:00Z"):
        client.feeds(f"zfs send -w tank/forged@{name}", f"zfs receive -s -u {client.root}/forged-{name[:4]}")
    newest = names[-1]
    client.guest.script(
        "zfs snapshot -r tank/src@2025-05-05T00:00:00Z; zfs snapshot -r tank/src@2036-01-01T00:00:00Z"
    )
    send = f"zfs send -w -I @{newest} tank/src@2036-01-01T00:00:00Z"
    assert client.feeds(send, f"zfs receive -s -u {client.copy}").ok
    client.tries(f"zfs destroy -r {client.copy}@{listed},2025-05-05T00:00:00Z")
    left = client.snapshots()
    for name in floor:
        assert left[f"@{name}"] == guids[f"@{name}"], f"{name} is gone"
        assert left[f"/home@{name}"] == guids[f"/home@{name}"]
    assert f"@{names[0]}" not in left, "an honest sender could not mirror its expiry either"
    assert "kept by the floors" in client.journal()


def test_an_archive_expires_by_itself_and_the_push_goes_on(client: Client) -> None:
    names = history(client, 9)
    before = everything(client.guest)
    for name in names[:2]:
        assert client.tries(f"zfs destroy -r {client.copy}@{name}").status == 77
    assert everything(client.guest) == before
    client.guest.script(
        f"""
        mkdir -p /etc/cyber-zfs-backup/clients /var/lib/cyber-zfs-receive
        ln -s /home/{client.name} /var/lib/cyber-zfs-receive/{client.name}
        """
    )
    policy = (
        f'root = "{client.root}"\nretention = {{ days = 4, weeks = 0, months = 0 }}\n'
        "keep-at-least = { days = 1, weeks = 0, months = 0 }\n"
    )
    client.guest.put(policy.encode(), f"/etc/cyber-zfs-backup/clients/{client.name}.toml")
    try:
        argv = ["python3", "-m", client.product.package, "receiver", "expire", "--json"]
        env = {"PYTHONPATH": client.product.folder}
        done = client.guest.run(argv, env=env, timeout=300)
        assert done.ok, done.text + done.errors
        assert json.loads(done.text)["actions"][0]["destination"] == client.name
    finally:
        client.guest.script("rm -rf /etc/cyber-zfs-backup /var/lib/cyber-zfs-receive")
    left = {name.partition("@")[2] for name in client.snapshots()} - {"origin"}
    # One a year is kept for ever, and so is the first of the names' own years.
    assert set(names[-4:]) <= left
    assert len(left) <= 6
    client.guest.script("echo news > /run/lab/away/night; sleep 1")
    ran = client.run()
    assert ran.status == 0, ran.errors


@pytest.mark.nightly
def test_a_quota_a_slow_client_and_many_connections(lab: Lab, product: Product, client: Client) -> None:
    """One client's limits are its own: another is not disturbed, and nothing is lost."""
    client.guest.put(b'root = "vault/zippy"\nreceives = 1\nquota = "3M"\n', POLICY)
    client.let_in("--policy", POLICY)
    first = client.run("--force-non-incremental", "--lanes", "1")
    assert first.status == 0, first.errors
    # Over the quota: what has come is kept, and said.
    client.guest.script("head -c 6000000 /dev/urandom > /run/lab/away/file; sleep 1")
    over = client.run("--lanes", "1")
    assert over.status in (1, 3), over.errors
    assert "daily quota exceeded" in over.errors
    assert "over-quota" in over.problems()
    # A receive that brings nothing holds the one place that this client has ...
    guest = client.guest
    guest.script(f"rm {client.state}/bytes-*")
    slow = guest.start(
        ["sh", "-c", f"sleep 600 | ssh -F {SSH_CONFIG} alpha 'zfs receive -s -u {client.root}/slow'"],
        timeout=600,
    )
    guest.script(
        "i=0; until pgrep -u zippy -x zfs > /dev/null; do i=$((i + 1)); [ $i -lt 300 ]; sleep 0.1; done"
    )
    busy = client.feeds("zfs send -w tank/src/base@origin", f"zfs receive -s -u {client.root}/more")
    assert busy.status == 77
    assert "busy: 1 receives of this client run already" in busy.errors
    # ... while another client, and a hundred connections that say nothing, change nothing for each other.
    held = guest.start(
        ["python3", "-c",
         "import socket, time\n"
         f"all = [socket.create_connection(('{client.host.address}', 22)) for _ in range(100)]\n"
         "time.sleep(20)"], timeout=120,
    )  # fmt: skip
    other = Client(lab, lab.alpha, product, "other")
    held.wait()
    other.let_in()
    # Since 9.8 OpenSSH keeps an address off for a while from which somebody connects and says nothing. To the
    # sender that is trouble that passes, and it does.
    ran = other.run("--force-non-incremental")
    for _ in range(15):
        if ran.status != 75:
            break
        guest.script("sleep 15")
        ran = other.run("--force-non-incremental")
    assert ran.status == 0, ran.errors
    assert holds_all(other)
    guest.script("pkill -x -f 'sleep 600'")
    slow.wait()
    # Neither reaches what is the other's.
    assert other.tries(f"zfs list -Hp -o guid -d 0 {client.root}").status == 77
    refused = other.run("--action", "push", copy=f"{client.root}/src")
    assert refused.status == 1
    assert "refused" in refused.problems()


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("missing", "broken"),
    [("receive", "permission denied"), ("create", "permission denied"), ("mount", "permission denied")],
)
def test_no_permission_can_be_left_out(client: Client, missing: str, broken: str) -> None:
    given = [word for word in ("receive", "create", "mount") if word != missing]
    client.let_in(permissions=",".join(given))
    said = client.feeds("zfs send -w tank/src/base@origin", f"zfs receive -s -u {client.root}/base")
    assert not said.ok
    assert broken in said.errors
    client.let_in()
    assert client.feeds("zfs send -w tank/src/base@origin", f"zfs receive -s -u {client.root}/base").ok


def test_a_partial_receive_is_thrown_away_only_with_destroy(client: Client) -> None:
    client.feeds("zfs send -w tank/src/home@x 2> /dev/null; true", "zfs version")
    client.guest.script("zfs snapshot tank/src/home@2026-01-01T00:00:00Z")
    cut = "zfs send -w tank/src/home@2026-01-01T00:00:00Z | head -c 150000"
    client.feeds(cut, f"zfs receive -s -u {client.root}/home")
    abort = f"zfs receive -A {client.root}/home"
    assert "permission denied" in client.tries(abort).errors
    client.let_in(permissions="receive,create,mount,destroy")
    assert client.tries(abort).ok
    # And it touches nothing that is whole.
    whole = f"zfs receive -s -u {client.root}/home"
    assert client.feeds("zfs send -w tank/src/home@2026-01-01T00:00:00Z", whole).ok
    before = everything(client.guest)
    assert not client.tries(abort).ok
    assert everything(client.guest) == before

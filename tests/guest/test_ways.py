# SPDX-License-Identifier: GPL-3.0-or-later
"""More receivers than one, a receiver on this machine, a source on another; bookmarks, verify, waits."""

from __future__ import annotations

import time

import pytest

from .ground import RECEIVER, SOURCE, Ground
from .lab import Lab, Product

OTHER = "shelf/copy"


@pytest.fixture
def ground(lab: Lab, product: Product) -> Ground:
    made = Ground(lab, product)
    made.sh(f"zfs create {SOURCE}; for i in a b; do zfs create {SOURCE}/$i; done")
    return made


def verify(ground: Ground, *more: str) -> tuple[int, list[str]]:
    where = ("--ssh-destination", ground.host.name, "--zfs-receive-dataset", RECEIVER)
    ran = ground.call("verify", "--dataset", SOURCE, *where, *more)
    return ran.status, ran.problems()


@pytest.mark.nightly
def test_two_receivers_of_which_one_is_down_for_a_while(ground: Ground, lab: Lab) -> None:
    """Each has its own record, result and exit; the one that is down keeps its base, and one is told."""
    lab.pools.make("shelf")
    two = [
        "--dataset", SOURCE, "--ssh-destination", "alpha", "--zfs-receive-dataset", RECEIVER,
        "--ssh-destination", "beta", "--zfs-receive-dataset", OTHER, "--retries", "0",
    ]  # fmt: skip
    harsh = ["--retention-policy", "0", "0", "0", "--force-destroy-lots"]
    ran = ground.call(*two, "--force-non-incremental")
    assert ran.status == 0, ran.errors
    here = ground.snapshots(SOURCE)
    assert here == ground.snapshots(RECEIVER) == ground.snapshots(OTHER)
    base = ran.action("push")["figures"]["target"]
    lab.beta.stop()
    for _ in range(2):
        ground.sh(f"sleep 1; echo $(date) > /{SOURCE}/a/file")
        ran = ground.call(*two, *harsh)
        assert ran.status == 75, ran.errors
        exits = {each["label"]: each["exit_code"] for each in ran.document["destinations"]}
        assert exits == {f"alpha:{RECEIVER}": 0, f"beta:{OTHER}": 75}
        assert f"beta:{OTHER} is behind since {base}: what is kept for it takes" in ran.errors
    assert f"@{base}" in ground.snapshots(SOURCE)
    assert len(ground.snapshots(SOURCE)) == 2 * 3
    lab.beta.begin()
    ground.sh("sleep 1")
    ran = ground.call(*two, *harsh)
    assert ran.status == 0, ran.errors
    assert ground.snapshots(SOURCE) == ground.snapshots(RECEIVER)
    assert ground.snapshots(SOURCE).items() <= ground.snapshots(OTHER).items()
    # One record and one hold a dataset for each of them, and nothing else.
    assert len(set(ground.holds().values())) == 1 or len(ground.holds()) == 3
    assert len(ground.sh(f"zfs get -H -s local -o property all {SOURCE} | grep base").split()) == 2


def test_a_receiver_on_this_machine_needs_no_ssh(ground: Ground) -> None:
    ground.host.stop()
    local = ["--dataset", SOURCE, "--ssh-destination", "", "--zfs-receive-dataset", RECEIVER]
    ran = ground.call(*local, "--force-non-incremental")
    assert ran.status == 0, ran.errors
    ground.sh("sleep 1")
    ran = ground.call(*local)
    assert ran.status == 0, ran.errors
    here, there = ground.both()
    assert here == there
    inside = [*local[:-1], f"{SOURCE}/copy"]
    result = ground.product.run(*inside)
    assert result.status == 2
    assert "lie in each other" in result.errors


def test_localhost_by_ssh_is_pushed_to_by_ssh(ground: Ground) -> None:
    """Nothing is left out because the name looks near: here nobody listens there."""
    ran = ground.call(
        "--dataset", SOURCE, "--ssh-destination", "localhost", "--zfs-receive-dataset", RECEIVER,
        "--retries", "0", "--force-non-incremental",
    )  # fmt: skip
    assert ran.status == 75, ran.errors
    assert ran.action("snapshot")["outcome"] == "done"


@pytest.mark.nightly
@pytest.mark.parametrize("receiver", ["", "beta"], ids=["pull", "both far"])
def test_a_source_on_another_host(ground: Ground, receiver: str) -> None:
    """The same engine: snapshot, push, expire and mirror; a cut stream goes on."""
    way = [
        "--source-ssh-destination", "alpha", "--dataset", SOURCE,
        "--ssh-destination", receiver, "--zfs-receive-dataset", RECEIVER,
    ]  # fmt: skip
    ran = ground.call(*way, "--force-non-incremental")
    assert ran.status == 0, ran.errors
    here, there = ground.both()
    assert here == there
    base = ran.action("push")["figures"]["target"]
    ground.sh(f"head -c 8M /dev/urandom > /{SOURCE}/b/bulk; sleep 1")
    ground.cut("/b", ground.snapshot_now(), base)
    ground.sh("sleep 1")
    ran = ground.call(*way, "--retention-policy", "0", "0", "0", "--force-destroy-lots")
    assert ran.status == 0, ran.errors
    assert "push: resume: " in ran.errors
    here, there = ground.both()
    assert here == there
    assert ground.call("verify", *way).status == 0
    assert {name.partition("@")[2] for name in ground.holds()} == {ran.action("push")["figures"]["target"]}


@pytest.mark.nightly
def test_bookmarks_keep_the_base_while_the_receiver_is_away(ground: Ground) -> None:
    """Encrypted datasets and volumes too: the snapshots expire, the push goes on from the bookmarks."""
    ground.sh(
        f"head -c 32 /dev/urandom > /run/ways-key; zfs create -V 8M {SOURCE}/disk; zfs create "
        f"-o encryption=on -o keyformat=raw -o keylocation=file:///run/ways-key {SOURCE}/secret"
    )
    harsh = ["--bookmark-base", "--retention-policy", "0", "0", "0", "--force-destroy-lots"]
    ran = ground.run("--force-non-incremental", *harsh)
    assert ran.status == 0, ran.errors
    assert ground.holds() == {}
    marks = "zfs list -H -o name -t bookmark -r " + SOURCE
    assert len(ground.sh(marks).split()) == 5
    base = ran.action("push")["figures"]["target"]
    ground.host.stop()
    for _ in range(2):
        ground.sh(f"sleep 1; echo $(date) | tee /{SOURCE}/a/file > /{SOURCE}/secret/file")
        assert ground.run(*harsh).status == 75
    assert all(base not in name for name in ground.snapshots(SOURCE))
    ground.host.begin()
    ground.sh("sleep 1")
    ran = ground.run(*harsh)
    assert ran.status == 0, ran.errors
    assert "from bookmark" in ran.errors
    assert ground.snapshots(SOURCE).items() <= ground.snapshots(RECEIVER).items()
    target = ran.action("push")["figures"]["target"]
    assert ground.holds() == {}
    assert all(name.endswith(f".{target}") for name in ground.sh(marks).split())
    assert len(ground.sh(marks).split()) == 5
    # The option left out again: holds, and no bookmark.
    ran = ground.run("--action", "push")
    assert ran.status == 0, ran.errors
    assert (len(ground.holds()), ground.sh(marks)) == (5, "")


def test_verify_tells_what_differs(ground: Ground) -> None:
    assert verify(ground) == (3, ["no-receiver-tree"])
    ground.push_first()
    assert verify(ground) == (0, [])
    ground.sh(f"zfs snapshot {SOURCE}/a@more; zfs create {RECEIVER}/stray; zfs snapshot {RECEIVER}/b@theirs")
    assert verify(ground) == (3, ["snapshots-missing", "orphan"])
    ground.sh(
        f"""
        zfs snapshot {RECEIVER}/a@more; mkdir -p /run/ways
        zfs set readonly=off mountpoint=/run/ways {RECEIVER}/b; zfs mount {RECEIVER}/b 2> /dev/null || true
        echo written > /run/ways/file; zfs unmount {RECEIVER}/b
        """
    )
    status, kinds = verify(ground)
    assert status == 65
    assert kinds == ["same-name-other-guid", "orphan"] or set(kinds) == {
        "same-name-other-guid",
        "modified-since",
        "orphan",
    }


@pytest.mark.nightly
def test_no_progress_ends_both_sides(ground: Ground) -> None:
    """With the cable out nothing is refused; the run ends by itself, and the next one goes on."""
    ground.push_first()
    ground.sh(f"head -c 24M /dev/urandom > /{SOURCE}/b/bulk; zpool sync tank")
    with ground.host.netem(rate="16mbit"):
        running = ground.start("--action", "snapshot", "push", "--stall-timeout", "5")
        limit = time.monotonic() + 240
        while not ground.guest.run(["pgrep", "-f", f"^zfs receive .*{RECEIVER}"]).ok:
            assert time.monotonic() < limit
            time.sleep(0.5)
        time.sleep(4)
        with ground.host.unplugged():
            ended = ground.ran(running.wait(300))
    assert ended.status == 75, ended.errors
    assert {"stalled", "link-lost", "unreachable"} & set(ended.problems()), ended.errors
    assert not ground.guest.run(["pgrep", "-f", "^(zfs send|ssh .*alpha)"]).ok
    # The receive there outlives its connection: that is waited for.
    again = ground.run("--action", "push")
    assert again.status == 0, again.errors
    here, there = ground.both()
    assert here == there


def test_a_dead_link_under_a_question_is_noticed(ground: Ground) -> None:
    """What waits for an answer sends nothing: only signs of life tell that nobody is there any more."""
    ground.push_first()
    slow = 'command="sleep 4; eval \\"$SSH_ORIGINAL_COMMAND\\""'
    ground.host.authorize("root", options=slow)
    ground.host.client(ServerAliveInterval="3", ServerAliveCountMax="2")
    logins = ground.host.log.count("Accepted publickey")
    running = ground.start("--action", "push", "--retries", "0")
    while ground.host.log.count("Accepted publickey") == logins:
        time.sleep(0.2)
    time.sleep(1)
    with ground.host.unplugged():
        began = time.monotonic()
        ended = ground.ran(running.wait(120))
    assert (ended.status, set(ended.problems())) == (75, {"link-lost"}), ended.errors
    # Six seconds of silence, and some for an emulated machine: far from TCP's quarter of an hour.
    assert time.monotonic() - began < 60


def test_a_receive_that_outlives_its_connection_is_waited_for(ground: Ground) -> None:
    ground.push_first()
    base = ground.newest()
    ground.sh(f"head -c 8M /dev/urandom > /{SOURCE}/b/bulk; rm -f /run/slow; mkfifo /run/slow; sleep 1")
    name = ground.snapshot_now()
    send = f"zfs send -w -I @{base} {SOURCE}/b@{name}"
    ground.sh(
        f"({send} | head -c 4000000; sleep 25) > /run/slow 2> /dev/null & "
        f"(zfs receive -s -u {RECEIVER}/b < /run/slow > /dev/null 2>&1) & sleep 3"
    )
    ran = ground.run("--action", "push")
    assert ran.status == 0, ran.errors
    assert "trying again in" in ran.errors
    here, there = ground.both()
    assert here == there
    assert ground.value(f"{RECEIVER}/b", "receive_resume_token") == "-"

# SPDX-License-Identifier: GPL-3.0-or-later
"""The harness itself, in a real guest."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from . import evidence
from .channel import GuestError
from .guest import Guest
from .lab import KNOWN_HOSTS, SSH_CONFIG, Host, Lab, Pools, Product


class TestCommands:
    def test_status_output_and_errors(self, guest: Guest) -> None:
        result = guest.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
        assert (result.status, result.stdout, result.stderr) == (7, b"out\n", b"err\n")

    def test_environment_folder_and_input(self, guest: Guest) -> None:
        result = guest.run(
            ["sh", "-c", 'pwd; echo "$WORD"; cat'], env={"WORD": "a b"}, cwd="/tmp", stdin=b"\0\xff"
        )
        assert result.stdout == b"/tmp\na b\n\0\xff"

    def test_megabytes_in_and_out(self, guest: Guest) -> None:
        data = os.urandom(6_000_000)
        assert guest.run(["cat"], stdin=data).stdout == data

    def test_input_that_nobody_reads_does_no_harm(self, guest: Guest) -> None:
        assert guest.run(["true"], stdin=bytes(1_000_000)).ok

    def test_commands_run_at_the_same_time(self, guest: Guest) -> None:
        guest.script("rm -f /run/meet; mkfifo /run/meet")
        reader = guest.start(["cat", "/run/meet"])
        guest.run(["sh", "-c", "echo hello > /run/meet"]).check()
        assert reader.wait(60).stdout == b"hello\n"

    def test_what_takes_too_long_is_killed_with_its_children(self, guest: Guest) -> None:
        result = guest.run(["sh", "-c", "sleep 1000 & echo $!; wait"], timeout=2)
        assert result.timed_out
        assert result.status == -signal.SIGKILL
        gone = f"for _ in $(seq 300); do kill -0 {result.text} || exit 0; sleep 0.1; done; exit 1"
        assert guest.run(["sh", "-c", gone]).ok

    def test_a_signal_reaches_the_process_group(self, guest: Guest) -> None:
        running = guest.start(
            ["sh", "-c", "trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 1; done"]
        )
        running.wait_for(b"ready")
        running.signal(signal.SIGTERM)
        result = running.wait(60)
        assert (result.status, result.text) == (3, "ready\ncaught")

    def test_a_child_left_behind_does_not_hold_the_answer_back(self, guest: Guest) -> None:
        result = guest.run(["sh", "-c", "sleep 1000 & echo $!"])
        assert guest.run(["kill", result.text]).ok

    def test_a_program_that_is_not_there(self, guest: Guest) -> None:
        with pytest.raises(GuestError, match="FileNotFoundError"):
            guest.run(["no-such-program"])

    def test_a_script_stops_at_the_first_failure(self, guest: Guest) -> None:
        with pytest.raises(GuestError, match=r"exit status 1(.|\n)*before"):
            guest.script("echo before\nfalse\necho after")

    def test_python_source(self, guest: Guest) -> None:
        assert guest.python("import sys; print(sys.version_info >= (3, 11))").text == "True"


class TestFiles:
    def test_a_file_goes_in_and_out(self, guest: Guest) -> None:
        data = os.urandom(300_000)
        guest.put(data, "/tmp/some/where/file", mode=0o600)
        assert guest.get("/tmp/some/where/file") == data
        assert guest.run(["stat", "-c", "%a", "/tmp/some/where/file"]).text == "600"

    def test_a_file_that_is_not_there(self, guest: Guest) -> None:
        with pytest.raises(GuestError, match="FileNotFoundError"):
            guest.get("/no/such/file")

    def test_a_folder_goes_in_and_out(self, guest: Guest, tmp_path: Path) -> None:
        (tmp_path / "in" / "deep").mkdir(parents=True)
        (tmp_path / "in" / "deep" / "file").write_bytes(b"content")
        guest.put_tree(tmp_path / "in", "/tmp/folder")
        guest.get_tree("/tmp/folder", tmp_path / "out")
        assert (tmp_path / "out" / "deep" / "file").read_bytes() == b"content"


def test_the_guests_clock_is_right(guest: Guest) -> None:
    earliest = time.time()
    said = float(guest.run(["date", "+%s.%N"]).text)
    assert earliest - 1 < said < time.time() + 1
    assert guest.run(["date", "+%Z"]).text == "UTC"


class TestPools:
    def test_a_pool_has_the_size_and_the_options_asked_for(self, pools: Pools) -> None:
        pools.make("small", "64M", options=["-O", "compression=lz4"])
        said = pools.guest.script("zpool list -Hpo size small; zfs get -Ho value compression small").text
        size, compression = said.split()
        assert 32 << 20 < int(size) <= 64 << 20
        assert compression == "lz4"

    def test_a_pool_can_be_destroyed_whatever_holds_it(self, pools: Pools) -> None:
        pools.make("busy")
        pools.tree("busy/a", ["b", "c"])
        pools.guest.script("zfs snapshot -r busy/a@x; zfs hold -r keep busy/a@x")
        sitting = pools.guest.start(["sleep", "1000"], cwd="/busy/a/b")
        pools.destroy("busy")
        assert pools.guest.run(["zpool", "list", "-H", "-o", "name"]).text == ""
        assert sitting.wait(60).status == -signal.SIGKILL


class TestHosts:
    def test_two_hosts_are_two_machines_to_ssh(self, alpha: Host, beta: Host) -> None:
        where = "ip -4 -o addr show dev eth0 | grep -o 'inet [0-9.]*'"
        assert alpha.ssh(where).check().text == f"inet {alpha.address}"
        assert beta.ssh(where).check().text == f"inet {beta.address}"
        assert alpha.host_key != beta.host_key

    def test_both_see_zfs(self, alpha: Host, pools: Pools) -> None:
        pools.make("tank")
        assert alpha.ssh("zfs", "list", "-H", "-o", "name").check().text == "tank"

    def test_a_user_without_rights_logs_in_with_options(self, alpha: Host) -> None:
        alpha.authorize("backup-user", options='command="id -un",restrict')
        alpha.client(User="backup-user")
        assert alpha.ssh("ignored").check().text == "backup-user"

    def test_a_revoked_key_and_a_stopped_daemon_refuse(self, alpha: Host) -> None:
        alpha.revoke("root")
        assert "Permission denied" in alpha.ssh("true").errors
        alpha.stop()
        assert "Connection refused" in alpha.ssh("true").errors

    def test_a_host_for_one_test_alone(self, lab: Lab) -> None:
        gamma = lab.host("gamma", port=2222)
        assert gamma.ssh("true").ok
        lab.tidy()
        assert "gamma" not in lab.guest.run(["ip", "netns"]).text
        assert gamma.address not in lab.guest.get(KNOWN_HOSTS).decode()

    def test_a_delay_is_there_within_the_block_alone(self, alpha: Host) -> None:
        ends = "tc qdisc show dev v-alpha; tc -n alpha qdisc show dev eth0"
        with alpha.netem(delay_ms=100):
            assert alpha.guest.script(ends).text.count("delay 100ms") == 2
        assert "netem" not in alpha.guest.script(ends).text


def test_after_a_test_all_is_as_before(guest: Guest) -> None:
    lab = Lab(guest)
    lab.pools.make("left")
    lab.alpha.authorize("someone")
    lab.alpha.server("MaxSessions 1")
    lab.alpha.client(User="someone")
    lab.beta.stop()
    lab.tidy()
    assert guest.run(["zpool", "list", "-H"]).text == ""
    assert not guest.run(["id", "someone"]).ok
    assert [lab.alpha.ssh("id", "-un").text, lab.beta.ssh("id", "-un").text] == ["root", "root"]
    assert "MaxSessions" not in guest.get(f"{lab.alpha.folder}/sshd_config").decode()


def test_the_checkouts_package_is_importable(product: Product) -> None:
    source = f"import {product.package} as it; print(it.__path__[0])"
    result = product.guest.run(["python3", "-c", source], env={"PYTHONPATH": product.folder})
    assert result.check().text == f"{product.folder}/{product.package}"
    assert SSH_CONFIG in product.argv()


def test_evidence_has_commands_pools_and_journal(guest: Guest, pools: Pools) -> None:
    mark = evidence.Mark.now(guest)
    pools.make("tank")
    guest.run(["sh", "-c", "echo spoken; logger marked-in-the-journal; exit 9"])
    text = evidence.gather(guest, mark)
    assert "[status 9" in text
    assert "out| spoken" in text
    assert "--- history of tank" in text
    assert "marked-in-the-journal" in text

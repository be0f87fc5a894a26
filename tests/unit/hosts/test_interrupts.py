# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals' exceptions: whatever they cut short, no child is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sshd.server import ScratchSshd
from tests.unit.hosts.conftest import Hosts

ROOT = Path(__file__).parents[3]

_START = """
import json, signal, sys
from cyber_zfs_backup.hosts.local import LocalHost
from cyber_zfs_backup.hosts.ssh import SshHost
from cyber_zfs_backup.hosts.stream import ProcessLink

class Ended(Exception):
    pass

def end(*_):
    raise Ended

signal.signal(signal.SIGTERM, end)
# What a shell starts in the background ignores it, and so would all that this test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
env, config = json.loads(sys.argv[1]), sys.argv[2]
here = LocalHost(extra_env=env)
there = SshHost("scratch", config, extra_env=env)
begun = []

def say(*_):
    if not begun:
        begun.append(1)
        print("begun", flush=True)

try:
    if sys.argv[3] == "run":
        print("begun", flush=True)
        while True:
            here.run(["sh", "-c", "sleep 600 & echo a; sleep 0.02; kill $!"])
    elif sys.argv[3] == "transfers":
        print("begun", flush=True)
        while True:
            ProcessLink(here, here).transfer([["echo", "a"], ["echo", "b"]], [["cat"], ["sleep", "0.01"]])
    elif sys.argv[3] == "connect":
        print("begun", flush=True)
        while True:
            there = SshHost("scratch", config, extra_env=env)
            there.connect()
            there.close()
    else:
        ProcessLink(here, there).transfer([["yes"]], [["sh", "-c", "cat >/dev/null"]], on_bytes=say)
except KeyboardInterrupt:
    print("interrupted", flush=True)
except Ended:
    print("ended", flush=True)
finally:
    there.close()
"""


def interrupted(hosts: Hosts, config: Path, what: str, number: signal.Signals, after: float) -> str:
    """Start work in a process of its own, send it a signal, answer its last word."""
    argv = [sys.executable, "-c", _START, json.dumps(hosts.env), str(config), what]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(after)
        process.send_signal(number)
        return process.stdout.read().strip()


@pytest.mark.parametrize(
    ("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "ended")], ids=["INT", "TERM"]
)
def test_a_signal_in_a_transfer_ends_both_sides(
    hosts: Hosts, sshd: ScratchSshd, number: signal.Signals, word: str
) -> None:
    assert interrupted(hosts, sshd.config_file, "stream", number, 0.3) == word
    assert hosts.gone() == []


@pytest.mark.parametrize("what", ["run", "transfers"])
def test_a_signal_at_any_moment_leaves_nothing(hosts: Hosts, sshd: ScratchSshd, what: str) -> None:
    """Also between the birth of a process and the line that remembers it."""
    for number in range(12):
        word = interrupted(hosts, sshd.config_file, what, signal.SIGINT, 0.003 * number)
        assert word == "interrupted"
        assert hosts.gone() == []


@pytest.mark.parametrize(
    "line",
    ["Ciphers chacha20-poly1305@openssh.com", "ProxyCommand sh -c 'sleep 600 & sleep 600'"],
    ids=["master", "proxy"],
)
def test_a_signal_while_connecting_leaves_nothing(hosts: Hosts, sshd: ScratchSshd, line: str) -> None:
    config = sshd.client_config("interrupted_config", line)
    for number in range(6):
        assert interrupted(hosts, config, "connect", signal.SIGINT, 0.1 * number) == "interrupted"
        assert hosts.gone() == []

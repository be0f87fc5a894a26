# SPDX-License-Identifier: GPL-3.0-or-later
"""run-demo, run-tests, the examples under etc/, and what README.rst says of all that."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cyber_zfs_backup.actions.result import ActionResult, Outcome, Problem, RunResult
from cyber_zfs_backup.cli.helptext import EXIT_CODES
from cyber_zfs_backup.cli.parser import run_parser
from cyber_zfs_backup.cli.show import document
from cyber_zfs_backup.config.public_key import PublicKey
from cyber_zfs_backup.config.receiver_plan import key_line
from cyber_zfs_backup.hosts.ssh import SshHost
from cyber_zfs_backup.plan.retention import Buckets
from tests.demo.calendar import past
from tests.demo.ground import LOCKS
from tests.readme import README, blocks
from tests.sshd.server import ScratchSshd

CHECKOUT = Path(__file__).parents[2]
SSH_CONFIG = CHECKOUT / "etc" / "cyber-zfs-backup.ssh_config"


def run(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def block(after: str) -> str:
    """The literal block of README.rst that follows a text, without its indentation."""
    return blocks(README[README.index(after) :])[0]


# README.rst


def test_the_readme_begins_with_the_two_commands() -> None:
    commands = block("cyber-zfs-backup\n=").splitlines()
    assert commands == ["./run-demo", "./run-tests"]
    for command in commands:
        assert os.access(CHECKOUT / command, os.X_OK)


def test_every_option_is_in_the_readme_and_the_other_way_round() -> None:
    known = {word for action in run_parser()._actions for word in action.option_strings}
    table = README[README.index("\nOptions\n") : README.index("\nExit codes:\n")]
    column = re.search(r"^(=+) =+$", table, re.MULTILINE)
    assert column is not None
    named = {
        word
        for line in table.splitlines()
        for word in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", line[: len(column[1])])
    }
    assert named == known


def test_the_exit_codes_are_those_of_the_help() -> None:
    def codes(text: str) -> list[str]:
        return re.findall(r"^ *(\d+) ", text, re.MULTILINE)

    table = README[README.index("\nExit codes:\n") : README.index("``--json`` prints")]
    assert codes(table) == codes(EXIT_CODES)
    assert len(codes(table)) == 9


def test_the_json_example_has_the_shape_of_the_real_document() -> None:
    problem = Problem("what", "where", "remedy", "kind")
    action = ActionResult("push", Outcome.DONE, "summary", problems=(problem,))
    real = document(RunResult("a/a", ("b:b/a",), datetime.now(UTC), 1.0, False, (action,)))
    shown = json.loads(block("``--json`` prints one document"))
    assert set(shown) == set(real)
    assert set(shown["actions"][0]) == set(json.loads(json.dumps(real))["actions"][0])
    assert set(shown["actions"][0]["problems"][0]) == {"what", "where", "remedy", "kind"}


def test_the_retention_example_is_what_the_rule_does() -> None:
    newest = datetime(2026, 11, 23, 2, tzinfo=UTC)
    names = [(newest - timedelta(days=count)).strftime("%Y-%m-%dT%H:%M:%SZ") for count in range(80)]
    rulings = zip(names, Buckets(3, 2, 2).judge(names), strict=True)
    kept = [f"{name}  {ruling.reason}" for name, ruling in rulings if ruling.keep]
    assert block("A snapshot counts once").splitlines() == kept


def test_the_files_that_the_readme_names_are_there() -> None:
    for name in re.findall(r"\betc/[\w.-]+\w", README.replace("/etc/", "")):
        assert (CHECKOUT / name).is_file()


# etc/


def settings(config: Path, host: str) -> dict[str, str]:
    done = run("ssh", "-G", "-F", str(config), host)
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def test_ssh_takes_the_example() -> None:
    found = settings(SSH_CONFIG, "offsite")
    assert found["hostname"] == "offsite.example.com"
    assert found["batchmode"] == "yes"
    assert found["stricthostkeychecking"] in {"ask", "true", "yes"}
    assert int(found["serveraliveinterval"]) > 0
    assert found["identityfile"] == "/etc/ssh/cyber-zfs-backup.id_ed25519"


def test_the_examples_ciphers_need_no_second_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ciphers = settings(SSH_CONFIG, "offsite")["ciphers"]
    server = ScratchSshd(tmp_path)
    try:
        host = SshHost("scratch", str(server.client_config("config", f"Ciphers {ciphers}")))
        with caplog.at_level(logging.WARNING):
            assert host.run(["echo", "there"]).stdout == "there\n"
        host.close()
    finally:
        server.stop()
    assert not caplog.records


def test_the_example_of_authorized_keys_is_what_setup_writes(tmp_path: Path) -> None:
    """And it lets nothing through but the forced command."""
    line = (CHECKOUT / "etc" / "authorized_keys.example").read_text().splitlines()[-1]
    options, _, key = line.partition(" ssh-ed25519 ")
    assert line == key_line("offsite/zippy", "zippy", PublicKey("ssh-ed25519", *key.split()))
    options = options.replace("/usr/bin/cyber-zfs-receive", "echo forced:")
    server = ScratchSshd(tmp_path)
    try:
        server.authorized_keys.write_text(f"{options} {server.identity.with_suffix('.pub').read_text()}")
        host = SshHost("scratch", str(server.config_file))
        policy = "/etc/cyber-zfs-backup/clients/zippy.toml"
        assert host.run(["echo", "there"]).stdout == f"forced: offsite/zippy --policy {policy}\n"
        host.close()
    finally:
        server.stop()


# run-tests


def test_run_tests_says_how_it_is_used() -> None:
    done = run("./run-tests", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(
        "usage: ./run-tests [quick | guest [EXPRESSION] | nightly] [--suite bookworm|trixie]"
    )


@pytest.mark.parametrize("words", [["--fast"], ["quick", "guest"], ["slow"], ["--suite", "sid"], ["--suite"]])
def test_run_tests_refuses_what_it_does_not_know(words: Sequence[str], tmp_path: Path) -> None:
    done = run("./run-tests", *words, CYBER_ZFS_BACKUP_CACHE=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("run-tests: ")
    assert not list(tmp_path.iterdir())


SKIPPED = "import pytest\ndef test_a(): pass\n@pytest.mark.skip\ndef test_b(): pass\n"
GUEST = "import pytest\npytestmark = pytest.mark.guest\ndef test_c(): pass\n"
QUICK = "def test_d(): pass\n"


@pytest.mark.parametrize("lanes", [[], ["-n", "2"]])
@pytest.mark.parametrize(
    ("files", "needs", "status", "complaint"),
    [
        ([QUICK, GUEST], ["quick", "guest"], 0, ""),
        ([QUICK], ["quick", "guest"], 1, "no test of the guest part ran"),
        ([GUEST], ["quick", "guest"], 1, "no test of the quick part ran"),
        ([SKIPPED], ["quick"], 1, "1 skipped: a test that is skipped has not passed"),
    ],
)
def test_a_run_that_left_something_out_fails(
    tmp_path: Path, files: list[str], needs: list[str], status: int, complaint: str, lanes: list[str]
) -> None:
    for number, text in enumerate(files):
        (tmp_path / f"test_{number}.py").write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = guest: g\n")
    argv = [sys.executable, "-m", "pytest", "-p", "tests.scripts.whole", "-p", "no:cacheprovider", *lanes]
    done = run(*argv, *(f"--needs={part}" for part in needs), str(tmp_path), PYTHONPATH=str(CHECKOUT))
    assert done.returncode == status, done.stdout
    assert complaint in done.stdout
    assert ("NOT WHOLE" in done.stdout) is bool(complaint)
    assert re.search(r"=+ .*passed.* in .*=+\n$", done.stdout)


# run-demo


def left_behind(folder: Path) -> list[str]:
    """What still has to do with a folder: files in it, processes, locks."""
    found = [str(path) for path in folder.rglob("*")]
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in (process / "cmdline").read_bytes():
                found.append((process / "cmdline").read_text(errors="replace"))
    return found


def locks_of(said: str) -> list[Path]:
    """The locks of the demo that said this, and of no other that plays beside it."""
    (name,) = set(re.findall(r"\b(demo[0-9a-f]{6})-there", said))
    return list(LOCKS.glob(f"*{name}*"))


def test_the_rehearsal_plays_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run("./run-demo", "--rehearse", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "this is no ZFS" in lines[0]
    assert "checks held" in done.stdout
    assert len(lines) <= 120
    assert not left_behind(tmp_path)
    assert not locks_of(done.stdout)


@pytest.mark.parametrize(
    ("number", "whom", "status"), [(signal.SIGINT, "all", 130), (signal.SIGTERM, "one", 143)]
)
def test_an_interrupted_rehearsal_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals, whom: str, status: int
) -> None:
    """A terminal's ^C reaches every process of the group, ``kill`` one alone."""
    process = subprocess.Popen(
        ["./run-demo", "--rehearse"],
        cwd=CHECKOUT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    said = []
    for line in process.stdout or ():
        said.append(line)
        if "--force-non-incremental" in line and line.startswith("  $ backup"):
            time.sleep(1)  # into the push; that it is still before it would be as good
            if whom == "all":
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
    assert process.wait() == status, "".join(said)
    assert "Interrupted; cleaned up." in said[-1]
    assert not left_behind(tmp_path)


def test_the_simulated_past_is_in_order_on_any_day() -> None:
    for count in range(0, 800, 7):
        now = datetime(2026, 1, 1, 1, tzinfo=UTC) + timedelta(days=count)
        names = past(now)
        assert names == sorted(set(names))
        assert names[-1] < now.strftime("%Y-%m-%dT%H:%M:%SZ")

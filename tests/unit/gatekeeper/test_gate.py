# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done with a command that is understood: by policy, by floors, within the day's allowances."""

from __future__ import annotations

import argparse
import ast
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import cyber_zfs_backup.gatekeeper as package
from cyber_zfs_backup.gatekeeper import main as gatekeeper
from cyber_zfs_backup.gatekeeper.book import Book
from cyber_zfs_backup.gatekeeper.grammar import RefusedError, Words
from cyber_zfs_backup.gatekeeper.main import Gate, Programs
from cyber_zfs_backup.gatekeeper.policy import understood
from cyber_zfs_backup.hosts.quoting import command_line, joined
from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.zfs import commands

ROOT = "offsite/zippy"
COPY = f"{ROOT}/zippy"
NOW = datetime.now(UTC).replace(microsecond=0)


class Noting(Programs):
    """Notes what is run; a receive takes what is on its stdin."""

    def __init__(self, listing: str = "", takes: int = 0, statuses: tuple[int, ...] = ()) -> None:
        self.listing = listing
        self.takes = takes
        self.statuses = list(statuses)
        self.became: list[Words] = []
        self.ran: list[Words] = []
        self.taken: list[bytes] = []

    def become(self, argv: Words) -> int:
        self.became.append(argv)
        return 0

    def run(self, argv: Words, stdin: int) -> int:
        self.ran.append(argv)
        if "receive" in argv:
            taken = b""
            while (
                self.takes and len(taken) < self.takes and (more := os.read(stdin, self.takes - len(taken)))
            ):
                taken += more
            self.taken.append(taken)
        return self.statuses.pop(0) if self.statuses else 0

    def output(self, argv: Words) -> str:
        return self.listing


Make = Callable[..., Gate]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    (tmp_path / "offsite").mkdir()
    (tmp_path / "offsite/txgs").write_text("txg birth state\n900 0 O 0\n")
    return tmp_path / "state"


@pytest.fixture
def gate(state: Path) -> Make:
    def make(programs: Programs, stdin: int = 0, **policy: object) -> Gate:
        values = {"root": ROOT} | {name.replace("_", "-"): value for name, value in policy.items()}
        return Gate(understood(values), Book(state, kstat=state.parent), programs, stdin)

    return make


def test_a_question_is_run_in_our_place(gate: Make, capsys: pytest.CaptureFixture[str]) -> None:
    programs = Noting()
    assert gate(programs).serve(command_line(commands.list_snapshots(COPY))) == 0
    assert programs.became == [tuple(commands.list_snapshots(COPY))]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("policy", "told"),
    [({}, "archive"), ({"mode": "mirror"}, "mirror"), ({"restore": True}, "archive,restore")],
)
def test_the_policy_is_told(
    gate: Make, capsys: pytest.CaptureFixture[str], policy: dict[str, object], told: str
) -> None:
    programs = Noting()
    gate(programs, **policy).serve(command_line(commands.get_partial(COPY)))
    assert capsys.readouterr().out == f"{COPY}\tcyber-zfs-backup:policy\t{told}\tgatekeeper\n"
    assert programs.became == [tuple(commands.get_partial(COPY))]


def test_a_receive_is_ours_whatever_was_asked_for(gate: Make) -> None:
    own = ["cyber-zfs-backup:base.0123456789abcdef"]
    asked = (
        commands.receive_root(COPY, own),
        commands.receive_root_volume(COPY, own),
        commands.receive_below(COPY, own),
        commands.receive_plain(COPY),
    )
    programs = Noting()
    for argv in asked:
        gate(programs).serve(command_line(argv))
    assert len(set(programs.became)) == 1
    assert programs.became[0][:4] == ("zfs", "receive", "-s", "-u")
    assert programs.became[0][-1] == COPY
    for name in ("mountpoint", "canmount", "readonly", "setuid", "exec", "devices", "sharenfs", "sharesmb"):
        assert f"-x {name} " in " ".join(programs.became[0])


def test_joined_receives_are_run_in_order_and_stop_at_the_first_that_fails(gate: Make) -> None:
    programs = Noting(statuses=(0, 1))
    line = joined([commands.receive_plain(f"{COPY}/{name}") for name in "abc"])
    assert gate(programs).serve(line) == 1
    assert [argv[-1] for argv in programs.ran] == [f"{COPY}/a", f"{COPY}/b"]
    assert programs.became == []


def test_receives_at_a_time(gate: Make, state: Path) -> None:
    book = Book(state)
    line = command_line(commands.receive_plain(COPY))
    with book.slot(2), book.slot(2), pytest.raises(RefusedError, match="busy: 2 receives"):
        gate(Noting(), receives=2).serve(line)
    programs = Noting()
    gate(programs, receives=2).serve(line)
    assert len(programs.became) == 1


def through(gate: Make, programs: Noting, line: str, data: bytes, **policy: object) -> int:
    """Serve a line with that stream, as sshd's pipe brings it."""
    reads, writes = os.pipe()

    def feed() -> None:
        try:
            os.write(writes, data)
        except BrokenPipeError:
            pass
        finally:
            os.close(writes)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        return gate(programs, reads, **policy).serve(line)
    finally:
        os.close(reads)
        feeder.join()


def test_a_quota_counts_and_ends_a_stream(
    gate: Make, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = command_line(commands.receive_plain(COPY))
    programs = Noting(takes=50_000)
    assert through(gate, programs, line, b"x" * 30_000, quota="64k") == 0
    assert len(programs.taken[0]) == 30_000
    assert Book(state).spend("bytes", 0, 10**9) == 0
    programs = Noting(takes=50_000)
    through(gate, programs, line, b"y" * 50_000, quota="64k")
    assert len(programs.taken[0]) == 65536 - 30_000
    assert "daily quota exceeded: 65536 bytes" in capsys.readouterr().err


def test_joined_receives_share_one_counted_stream(gate: Make) -> None:
    programs = Noting(takes=1000)
    line = joined([commands.receive_plain(f"{COPY}/{name}") for name in "ab"])
    assert through(gate, programs, line, b"a" * 1000 + b"b" * 1000, quota="1G") == 0
    assert programs.taken == [b"a" * 1000, b"b" * 1000]


def test_an_archive_destroys_nothing(gate: Make) -> None:
    programs = Noting()
    line = command_line(commands.destroy_snapshots(COPY, [own_name(NOW)], recursive=True))
    with pytest.raises(RefusedError, match="an archive"):
        gate(programs).serve(line)
    assert programs.ran == programs.became == []


def history(state: Path, days: int, dataset: str = COPY) -> tuple[list[str], str]:
    """Names of one snapshot a day up to today, and the listing of a copy that has them."""
    times = [NOW - timedelta(days=days - number) for number in range(1, days + 1)]
    with (state / "seen").open("a") as file:
        file.writelines(f"{time.timestamp():.0f} {number * 10 + 5}\n" for number, time in enumerate(times, 1))
    names = [own_name(time) for time in times]
    rows = (f"{dataset}@{name}\t{number + 1}\t{number * 10}\n" for number, name in enumerate(names, 1))
    return names, "".join(rows)


MIRROR = {"mode": "mirror", "keep_at_least": {"days": 3, "weeks": 0, "months": 0}, "destroy_percent": 100}


def test_a_mirror_destroys_down_to_its_floors(
    gate: Make, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names, listing = history(state, 10)
    programs = Noting(listing)
    line = command_line(commands.destroy_snapshots(COPY, names, recursive=False))
    assert gate(programs, **MIRROR).serve(line) == 0
    assert programs.ran == [("zfs", "destroy", f"{COPY}@{','.join(names[:7])}")]
    assert "kept by the floors: 3; kept until tomorrow: 0" in capsys.readouterr().err


def test_a_destroy_of_a_tree_is_decided_dataset_by_dataset(gate: Make, state: Path) -> None:
    names, listing = history(state, 5)
    below = listing.splitlines(keepends=True)[0].replace(COPY, f"{COPY}/home").replace("\t2\t", "\t99\t")
    beside = listing.replace(COPY, f"{COPY}2")
    programs = Noting(listing + below + beside)
    gate(programs, **MIRROR).serve(command_line(commands.destroy_snapshots(COPY, names[:2], recursive=True)))
    # Of /home it is the only one, and so the newest.
    assert programs.ran == [("zfs", "destroy", f"{COPY}@{','.join(names[:2])}")]


def test_a_days_share(gate: Make, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names, listing = history(state, 20)
    programs = Noting(listing)
    line = command_line(commands.destroy_snapshots(COPY, names[:10], recursive=False))
    policy = MIRROR | {"destroy_percent": 20}
    gate(programs, **policy).serve(line)
    assert programs.ran == [("zfs", "destroy", f"{COPY}@{','.join(names[:4])}")]
    assert "kept until tomorrow: 6" in capsys.readouterr().err
    gate(programs, **policy).serve(line)
    assert len(programs.ran) == 1


def test_a_mirror_that_knows_no_times_destroys_nothing(gate: Make, state: Path) -> None:
    (state.parent / "offsite/txgs").unlink()
    programs = Noting()
    with pytest.raises(RefusedError, match="nobody knows since when"):
        gate(programs, **MIRROR).serve(f"zfs destroy {COPY}@2026-01-01T00:00:00Z")
    assert programs.ran == []


def test_reading_needs_a_permission(gate: Make) -> None:
    line = f"zfs send -w -R {COPY}@2026-11-26T02:00:00Z"
    with pytest.raises(RefusedError, match="restore = true"):
        gate(Noting()).serve(line)
    programs = Noting()
    gate(programs, restore=True).serve(line)
    assert programs.became == [tuple(line.split())]
    for base in ("offsite/other@x", "oy@x", "x@y", "@x/y", "@"):
        with pytest.raises(RefusedError):
            gate(Noting(), restore=True).serve(f"zfs send -w -I {base} {COPY}@2026-11-26T02:00:00Z")


# As a program

SCRIPT = Path(package.__file__).parent / "cyber-zfs-receive"


def as_program(*options: str, command: str | None = "zfs version") -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin"} | ({} if command is None else {"SSH_ORIGINAL_COMMAND": command})
    code = "import os, sys; os.geteuid = lambda: 65534; from cyber_zfs_backup.gatekeeper.main import main"
    argv = [sys.executable, "-c", f"{code}; sys.exit(main())"]
    root = Path(package.__file__).parents[2]
    return subprocess.run([*argv, *options], cwd=root, env=env, capture_output=True, text=True, check=False)


def test_root_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(sys, "argv", ["cyber-zfs-receive", ROOT])
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", "zfs version")
    assert gatekeeper.main() == 77
    assert "it must not run as root" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["offsite/zippy", "--set", "quotta=5G"], "unknown key 'quotta'"),
        (
            ["offsite/zippy", "--set", "root=offsite/other"],
            "the policy is for offsite/other and not for offsite/zippy",
        ),
        (["offsite/zippy", "--policy", "/nonexistent.toml"], "No such file"),
        (["offsite/@x"], "root = 'offsite/@x'"),
        (["offsite/zippy"], "zfs cannot be run: No such file"),
    ],
)
def test_what_it_is_started_with(
    options: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    monkeypatch.setattr(sys, "argv", ["cyber-zfs-receive", *options])
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", "zfs version")
    assert gatekeeper.main() == 77
    error = capsys.readouterr().err
    assert error.startswith("cyber-zfs-receive: refused: ")
    assert error.count("\n") == 1
    assert said in error
    # What could not be run in our place has left us as we were.
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN


def test_options_stand_for_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    options = argparse.Namespace(
        root=ROOT, policy=None, set=["mode=mirror", "receives=2", "keep-at-least={days=1, weeks=1, months=1}"]
    )
    policy = gatekeeper._policy(options)
    assert (policy.mode.value, policy.receives, policy.keep_at_least.days) == ("mirror", 2, 1)


@pytest.mark.parametrize("command", [None, "", "internal-sftp", "scp -t /", "bash -i", "zfs version; id"])
def test_what_is_no_command_of_ours(command: str | None) -> None:
    said = as_program(ROOT, command=command)
    assert said.returncode == 77
    assert said.stdout == ""
    assert said.stderr.startswith("cyber-zfs-receive: refused: ")
    assert said.stderr.count("\n") == 1


def test_it_can_be_audited_in_one_sitting() -> None:
    folder = Path(package.__file__).parent
    lines = [line for path in folder.glob("*.py") for line in path.read_text().splitlines() if line.strip()]
    assert len(lines) < 500
    assert SCRIPT.read_text().startswith("#!/usr/bin/python3 -I\n")
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(folder.parents[1])!r})\n"
         "import cyber_zfs_backup.gatekeeper.main\n"
         "print([name for name in sys.modules if name.startswith('cyber')])\n"
         "print([n for n, m in sys.modules.items() if 'site-packages' in str(getattr(m, '__file__', ''))])"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    ours = {name.partition(".")[2] for name in ast.literal_eval(loaded[0])} - {""}
    assert ours == {
        *("gatekeeper", "gatekeeper.main", "gatekeeper.book", "gatekeeper.grammar", "gatekeeper.policy"),
        *("plan", "plan.floors", "model", "model.names"),
    }
    assert [name for name in ast.literal_eval(loaded[1]) if not name.startswith("_")] == []

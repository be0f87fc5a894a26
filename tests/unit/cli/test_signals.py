# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals end a run by one exception that unwinds everything, once."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cyber_zfs_backup.cli.signals import EXIT_CODES, Interrupted, interruptible

CHECKOUT = Path(__file__).resolve().parents[3]

RUN = """\
import sys, threading
from cyber_zfs_backup.cli import main

def work(request, surface):
    try:
        surface.note('working')
        threading.Event().wait(60)
    finally:
        surface.note('unwinding')
        sys.stdin.readline()
        surface.note('unwound')

main._dispatch = work
sys.exit(main.main(['--dataset', 'a/b', '--zfs-receive-dataset', 'c/d']))
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
@pytest.mark.parametrize("second", [None, signal.SIGINT, signal.SIGTERM])
def test_a_signal_unwinds_the_run_and_a_second_one_does_not_break_the_unwinding(
    number: signal.Signals, code: int, second: signal.Signals | None
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs these tests may ignore SIGHUP or SIGINT (nohup, a background job); the run does not.
        preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL) for each in EXIT_CODES],  # noqa: PLW1509
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        assert process.stderr.readline() == "cyber-zfs-backup: working\n"
        process.send_signal(number)
        assert process.stderr.readline() == "cyber-zfs-backup: unwinding\n"
        if second is not None:
            process.send_signal(second)
        process.stdin.write("\n")
        process.stdin.close()
        assert process.stderr.read() == (
            f"cyber-zfs-backup: unwound\ncyber-zfs-backup: error: interrupted by {number.name}\n"
        )
    assert process.returncode == code


def test_the_former_handlers_come_back() -> None:
    former = {number: signal.getsignal(number) for number in EXIT_CODES}
    with interruptible():
        assert {number: signal.getsignal(number) for number in EXIT_CODES} != former
    assert {number: signal.getsignal(number) for number in EXIT_CODES} == former


def test_only_the_first_signal_raises() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with interruptible():
            with pytest.raises(Interrupted) as caught:
                signal.raise_signal(signal.SIGTERM)
            assert caught.value.signal is signal.SIGTERM
            assert caught.value.exit_code == 143
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, former)


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)


def test_no_handler_of_errors_swallows_it() -> None:
    assert not issubclass(Interrupted, Exception)


def test_in_another_thread_signals_are_left_alone() -> None:
    former = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def elsewhere() -> None:
        with interruptible():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [former]

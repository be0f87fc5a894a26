# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress: a bar on a terminal, a line a minute elsewhere, nothing where nothing was wanted."""

from __future__ import annotations

import io
import logging
import sys
import threading

import pytest

from cyber_zfs_backup.cli import logs, progress
from cyber_zfs_backup.cli.request import Show

from .results import Terminal

XTERM = {"TERM": "xterm"}


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("how", "environ", "terminal", "meter"),
    [
        (Show(), XTERM, True, progress.Bars),
        (Show(), {"TERM": "dumb"}, True, progress.Lines),
        (Show(), {}, True, progress.Lines),
        (Show(), XTERM, False, progress.Lines),
        (Show(quiet=True), XTERM, True, progress.Silence),
        (Show(quiet=True), XTERM, False, progress.Silence),
        (Show(quiet=True, progress=True), XTERM, True, progress.Bars),
        (Show(quiet=True, progress=True), XTERM, False, progress.Lines),
        (Show(progress=False), XTERM, True, progress.Silence),
        (Show(progress=False, verbosity=2), XTERM, False, progress.Silence),
        (Show(json=True), XTERM, True, progress.Bars),
        (Show(json=True), XTERM, False, progress.Lines),
    ],
)
def test_which_way_fits(how: Show, environ: dict[str, str], terminal: bool, meter: type) -> None:
    stderr = Terminal() if terminal else io.StringIO()
    assert type(progress.choose(how, logs.Handler(logs.to_stderr), environ, stderr)) is meter


def test_without_rich_a_terminal_gets_lines_and_the_name_of_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = logs.configure(Show())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    meter = progress.choose(Show(), handler, XTERM, Terminal())
    assert isinstance(meter, progress.Lines)
    assert capsys.readouterr().err == (
        "cyber-zfs-backup: warning: no progress bar: python3-rich is missing: apt install python3-rich\n"
    )


def test_a_line_a_minute() -> None:
    clock, lines = Clock(), list[str]()
    with progress.Lines(lines.append, clock).transfer("zippy/zippy", 4 << 30) as advance:
        advance(1 << 20)
        assert lines == []
        clock.now += 59
        advance(1 << 20)
        assert lines == []
        clock.now += 1
        advance((1 << 30) - (2 << 20))
        assert lines == ["zippy/zippy: 1.0 GiB of 4.0 GiB (25 %), 17.1 MiB/s"]
        advance(1 << 20)
        clock.now += 30
        advance(1 << 20)
        assert len(lines) == 1
        clock.now += 90
        advance((1 << 30) - (2 << 20))
        clock.now += 59
        advance(1)
        assert lines[1:] == ["zippy/zippy: 2.0 GiB of 4.0 GiB (50 %), 11.4 MiB/s"]


@pytest.mark.parametrize(
    ("moved", "total", "seconds", "said"),
    [
        (0, None, 0.0, "0 B"),
        (512, None, 2.0, "512 B, 256 B/s"),
        (1536, 1024, 1.0, "1.5 KiB of 1.0 KiB (100 %), 1.5 KiB/s"),
        (3 << 40, 4 << 40, 1.0, "3.0 TiB of 4.0 TiB (75 %), 3.0 TiB/s"),
        (5 << 50, None, 1.0, "5.0 PiB, 5.0 PiB/s"),
        (10, 0, 1.0, "10 B, 10 B/s"),
    ],
)
def test_how_far_it_has_come(moved: int, total: int | None, seconds: float, said: str) -> None:
    assert progress.describe(moved, total, seconds) == said


@pytest.mark.parametrize(
    ("how", "shown"),
    [(Show(), True), (Show(quiet=True, progress=True), True), (Show(verbosity=1), True)],
)
def test_a_line_passes_what_hides_other_messages(
    how: Show, shown: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = logs.configure(how)
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    meter = progress.choose(how, handler, {}, io.StringIO())
    with meter.transfer("zippy/zippy", None) as advance:
        advance(1024)
    assert ("zippy/zippy: 1.0 KiB" in capsys.readouterr().err) is shown


def test_a_bar_shows_bytes_and_lines_come_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    handler = logs.configure(Show())
    bars = progress.Bars(handler)
    with bars.transfer("zippy/[red]home\x1b[2J", 2 << 20) as advance:
        advance(1 << 19)
        advance(1 << 19)
        logging.getLogger("cyber_zfs_backup.x").warning("something [bold]odd")
        assert bars._display is not None
        (task,) = bars._display.tasks
        assert (task.completed, task.total) == (1 << 20, 2 << 20)
    shown = terminal.getvalue()
    assert "zippy/[red]home\\x1b[2J" in shown
    assert "/2.0 MiB" in shown
    assert "cyber-zfs-backup: warning: something [bold]odd" in shown
    terminal.truncate(0)
    logging.getLogger("cyber_zfs_backup.x").warning("afterwards")
    assert terminal.getvalue().lstrip("\0") == "cyber-zfs-backup: warning: afterwards\n"


def test_bars_of_several_threads_share_one_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    handler = logs.configure(Show())
    bars = progress.Bars(handler)
    barrier = threading.Barrier(2)
    failures: list[BaseException] = []

    def lane(name: str) -> None:
        try:
            with bars.transfer(name, None) as advance:
                barrier.wait(10)
                advance(10)
                barrier.wait(10)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=lane, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert handler.write is logs.to_stderr


def test_a_transfer_that_breaks_takes_its_bar_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    handler = logs.configure(Show())
    bars = progress.Bars(handler)
    with bars.transfer("one", 1):
        with pytest.raises(ZeroDivisionError), bars.transfer("two", 1):
            raise ZeroDivisionError
        assert bars._display is not None
        assert [task.description for task in bars._display.tasks] == ["one"]
    assert handler.write is logs.to_stderr

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
from cyber_zfs_backup.cli.surface import LogSurface

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
        assert lines == ["zippy/zippy: 1.0 GiB of about 4.0 GiB, 25%, 17.1 MiB/s, about 3 min left"]
        advance(1 << 20)
        clock.now += 30
        advance(1 << 20)
        assert len(lines) == 1
        clock.now += 90
        advance((1 << 30) - (2 << 20))
        clock.now += 59
        advance(1)
        assert lines[1:] == ["zippy/zippy: 2.0 GiB of about 4.0 GiB, 50%, 8.5 MiB/s, about 4 min left"]


def test_a_line_of_a_transfer_whose_size_is_not_known() -> None:
    clock, lines = Clock(), list[str]()
    with progress.Lines(lines.append, clock).transfer("zippy/zippy", None) as advance:
        clock.now += 64
        advance(1 << 30)
    assert lines == ["zippy/zippy: 1.0 GiB, 16.0 MiB/s"]


def test_lines_of_several_transfers_at_once_do_not_disturb_each_other() -> None:
    clock, lines = Clock(), list[str]()
    meter = progress.Lines(lines.append, clock)
    with meter.transfer("one", 1 << 30) as one, meter.transfer("two", None) as two:
        clock.now += 64
        one(1 << 29)
        two(1 << 20)
    assert lines == [
        "one: 512.0 MiB of about 1.0 GiB, 50%, 8.0 MiB/s, about 64 s left",
        "two: 1.0 MiB, 16.0 KiB/s",
    ]


@pytest.mark.parametrize(
    ("moved", "total", "rate", "said", "beside_a_bar"),
    [
        (0, None, None, "0 B", "0 B"),
        (512, None, 256, "512 B, 256 B/s", "512 B 256 B/s"),
        (5 << 50, None, 1, "5.0 PiB, 1 B/s", "5.0 PiB 1 B/s"),
        (
            *(3 << 40, 4 << 40, 1 << 30),
            "3.0 TiB of about 4.0 TiB, 75%, 1.0 GiB/s, about 17 min left",
            "3.0 TiB/4.0 TiB 75% 1.0 GiB/s 17 min left",
        ),
        (0, 1024, None, "0 B of about 1.0 KiB, 0%", "0 B/1.0 KiB 0%"),
        # A stream that does not move has no end in sight.
        (1, 1024, 0, "1 B of about 1.0 KiB, 0%, 0 B/s", "1 B/1.0 KiB 0% 0 B/s"),
        (
            1023,
            1024,
            1,
            "1023 B of about 1.0 KiB, 99%, 1 B/s, about 1 s left",
            "1023 B/1.0 KiB 99% 1 B/s 1 s left",
        ),
        # Estimates are too low now and then: never more than 100%, and no time that is negative.
        (1024, 1024, 1, "1.0 KiB of about 1.0 KiB, 100%, 1 B/s", "1.0 KiB/1.0 KiB 100% 1 B/s"),
        (1536, 1024, 1, "1.5 KiB, more than the estimated 1.0 KiB, 1 B/s", "1.5 KiB 1 B/s"),
        # zfs says 0 where it has no idea.
        (10, 0, 10, "10 B, 10 B/s", "10 B 10 B/s"),
    ],
)
def test_how_far_it_has_come(
    moved: int, total: int | None, rate: float | None, said: str, beside_a_bar: str
) -> None:
    assert progress.describe(moved, total, rate) == said
    assert progress.brief(moved, total, rate) == beside_a_bar


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.1, "1 s"),
        (119.9, "120 s"),
        (120, "2 min"),
        (3600, "60 min"),
        (7199, "120 min"),
        (7200, "2 h"),
        (172799, "48 h"),
        (172800, "2 days"),
        (1e9, "11574 days"),
    ],
)
def test_a_time_for_people(seconds: float, said: str) -> None:
    assert progress.duration(seconds) == said


@pytest.mark.parametrize(
    ("how", "terminal", "wanted"),
    [
        (Show(), True, True),
        # A command for each stream of every nightly run, for lines that seldom come: only where asked for.
        (Show(), False, False),
        (Show(progress=True), False, True),
        (Show(quiet=True, progress=True), False, True),
        (Show(progress=False), True, False),
        (Show(quiet=True), True, False),
    ],
)
def test_whether_totals_are_worth_asking_for(how: Show, terminal: bool, wanted: bool) -> None:
    stderr = Terminal() if terminal else io.StringIO()
    meter = progress.choose(how, logs.Handler(logs.to_stderr), XTERM, stderr)
    assert LogSurface(meter).estimates is wanted


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
        bars._display.refresh()
    shown = terminal.getvalue()
    assert "zippy/[red]home\\x1b[2J" in shown
    assert "1.0 MiB/2.0 MiB 50%" in shown
    assert "cyber-zfs-backup: warning: something [bold]odd" in shown
    terminal.truncate(0)
    logging.getLogger("cyber_zfs_backup.x").warning("afterwards")
    assert terminal.getvalue().lstrip("\0") == "cyber-zfs-backup: warning: afterwards\n"


@pytest.mark.parametrize("exactly_full_before", [False, True])
def test_a_bar_whose_estimate_is_too_low_has_no_end(
    exactly_full_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    bars = progress.Bars(logs.configure(Show()))
    with bars.transfer("zippy/zippy", 1 << 20) as advance:
        assert bars._display is not None
        if exactly_full_before:
            advance(1 << 20)
            assert bars._display.tasks[0].percentage == 100
        advance(3 << 20)
        advance(1 << 20)
        (task,) = bars._display.tasks
        assert (task.total, task.finished, task.time_remaining) == (None, False, None)
        terminal.truncate(0)
        bars._display.refresh()
    shown = terminal.getvalue()
    assert f"{4 + exactly_full_before}.0 MiB" in shown
    assert "left" not in shown
    assert "%" not in shown


def test_bars_keep_to_one_line_each_where_there_is_little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    bars = progress.Bars(logs.configure(Show()))
    with (
        bars.transfer("zippy/zippy/home/somebody/with/a/long/name", 4 << 30) as one,
        bars.transfer("b", None),
    ):
        one(500 << 20)
        assert bars._display is not None
        lines = bars._display.console.render_lines(bars._display.get_renderable())
    assert len(lines) == 2
    assert "500.0 MiB/4.0 GiB 12%" in "".join(segment.text for segment in lines[0])


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

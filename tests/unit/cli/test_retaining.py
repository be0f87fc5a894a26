# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of retention, the grammar of ``retention``, and the drawn timeline."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from cyber_zfs_backup.actions.result import Outcome
from cyber_zfs_backup.cli import main as command
from cyber_zfs_backup.cli import show
from cyber_zfs_backup.cli.chart import draw
from cyber_zfs_backup.cli.parser import parse
from cyber_zfs_backup.cli.request import Lines, Request, Show
from cyber_zfs_backup.config.job import Exclude, Force, Job, RetentionPolicy, SourceHost, UsageError
from cyber_zfs_backup.config.retaining import Explain, Simulate
from cyber_zfs_backup.model.ages import Age
from cyber_zfs_backup.plan.kinds import KeepLast, Union
from cyber_zfs_backup.plan.retention import Buckets
from cyber_zfs_backup.plan.simulation import Row, Schedule, Timeline, simulate
from cyber_zfs_backup.plan.windows import Window, Windows
from tests.readme import blocks, section

from .results import action, run_result

DAY, HOUR = Age(seconds=86400), Age(seconds=3600)
ALL = Show(lines=Lines.ALL)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def parsed(*words: str) -> Request:
    return parse(words, hostname="zippy.example.com")


@pytest.mark.parametrize(
    ("words", "policy"),
    [
        ([], RetentionPolicy()),
        (["--retention-policy", "7", "forever", "12"], RetentionPolicy(7, None, 12)),
        (["--hourlies", "24"], RetentionPolicy(hours=24)),
        (["--hourlies", "Forever"], RetentionPolicy(hours=None)),
        (["--yearlies", "5"], RetentionPolicy(years=5)),
        (["--yearlies", "forever"], RetentionPolicy()),
        (["--keep-last", "10"], RetentionPolicy(last=10)),
        (["--keep-within", "3 months"], RetentionPolicy(within=Age(months=3))),
        (
            ["--window", "7d/1h", "--window=forever/1d"],
            RetentionPolicy(windows=(Window(Age(seconds=604800), HOUR), Window(None, DAY))),
        ),
    ],
)
def test_what_is_kept_is_said_in_the_same_way_everywhere(words: list[str], policy: RetentionPolicy) -> None:
    run, simulate, explain = (parsed(*first, *words).work for first in ([], SIMULATE, EXPLAIN))
    assert isinstance(run, Job)
    assert isinstance(simulate, Simulate)
    assert isinstance(explain, Explain)
    assert run.retention == simulate.retention == explain.retention == policy


SIMULATE, EXPLAIN = ["retention", "simulate"], ["retention", "explain"]


def test_a_policy_is_one_rule() -> None:
    assert RetentionPolicy().rule(NOW) == Buckets(31, 12, 36)
    assert RetentionPolicy(0, 0, 0).rule(NOW) == Buckets(0, 0, 0)
    assert RetentionPolicy(last=3).rule(NOW) == Union((Buckets(31, 12, 36), KeepLast(3)))
    # Without any bucket the rest stands alone; without anything only the newest is kept.
    none = RetentionPolicy(0, 0, 0, years=0)
    assert replace(none, last=3).rule(NOW) == KeepLast(3)
    assert replace(none, windows=(Window(None, DAY),)).rule(NOW) == Windows((Window(None, DAY),), NOW)
    assert none.rule(NOW) == Buckets(0, 0, 0, years=0)


def test_simulate() -> None:
    words = "--from 2024-02-29 --years 2 --snapshots-per-day 4 --on 2025-12-31 --output x.svg -v --json"
    assert parsed(*SIMULATE, *words.split()) == Request(
        Simulate(
            RetentionPolicy(), date(2024, 2, 29), 2, per_day=4, on=date(2025, 12, 31), output=Path("x.svg")
        ),
        Show(verbosity=1, json=True, lines=Lines.ALL),
    )


def test_without_a_beginning_it_ends_today() -> None:
    today = datetime.now(UTC).date()
    work = parsed(*SIMULATE).work
    assert isinstance(work, Simulate)
    assert today <= work.end - timedelta(days=1) <= datetime.now(UTC).date()
    assert (work.years, work.per_day, work.on, work.output) == (3, 1, None, None)


@pytest.mark.parametrize(
    ("begin", "years", "end"),
    [("2026-01-01", 3, "2029-01-01"), ("2024-02-29", 1, "2025-03-01"), ("2024-02-29", 4, "2028-02-29")],
)
def test_so_many_years_end_on_the_same_day(begin: str, years: int, end: str) -> None:
    work = Simulate(RetentionPolicy(), date.fromisoformat(begin), years)
    assert work.end == date.fromisoformat(end)
    assert work.first + timedelta(days=work.days) == datetime.fromisoformat(f"{end}T00:00:00+00:00")


def test_explain() -> None:
    assert parsed(*EXPLAIN) == Request(Explain("zippy/zippy", "zippy/zippy"), ALL)
    assert parsed(*EXPLAIN, "zippy/zippy/home", "--no-recursive") == Request(
        Explain("zippy/zippy", "zippy/zippy/home", recursive=False), ALL
    )
    # Outside of the default tree a dataset is a tree of its own, unless its tree is named.
    assert parsed(*EXPLAIN, "tank/a/b") == Request(Explain("tank/a/b", "tank/a/b"), ALL)
    words = ["--dataset", "tank/a", "--exclude", "tmp", "--force-destroy-lots"]
    far = ["--source-ssh-destination", "nas", "--source-use-sudo"]
    assert parsed(*EXPLAIN, "tank/a/b", *words, *far) == Request(
        Explain(
            dataset="tank/a",
            wanted="tank/a/b",
            source=SourceHost("nas", use_sudo=True),
            exclude=Exclude(("tmp",)),
            force=Force(destroy_lots=True),
        ),
        ALL,
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--retention-policy", "31", "12", "x"], "'x' is not a whole number, nor the word 'forever'"),
        (["--hourlies", "-1"], "--hourlies -1; write a whole number of snapshots, 0 or more"),
        (["--yearlies", "-2"], "--yearlies -2; write"),
        (["--keep-last", "-3"], "--keep-last -3; write"),
        (["--keep-last", "forever"], "'forever' is not a whole number"),
        (["--keep-within", "5m"], "--keep-within: '5m' could mean minutes or months; write 5min"),
        (["--keep-within", "0d"], "it is nothing"),
        (["--window", "7d"], "--window: '7d' is no window; write for how long"),
        (["--window", "1h/7d"], "which is shorter; write the age first"),
        (["retention"], "the following arguments are required: WHAT"),
        (["retention", "draw"], "'draw' is nothing that it does; write simulate or explain"),
        ([*SIMULATE, "tank/a"], "it needs no dataset; 'tank/a' is one word too many"),
        ([*SIMULATE, "--dataset", "tank/a"], "retention simulate: --dataset does not belong to it"),
        ([*SIMULATE, "--force-destroy-lots"], "--force-destroy-lots does not belong"),
        ([*SIMULATE, "--source-ssh-destination", "a"], "--source-ssh-destination does not belong"),
        ([*SIMULATE, "--from", "1.2.2026"], "'1.2.2026' is no day; write one as 2026-11-23"),
        ([*SIMULATE, "--from", "2026-02-30"], "'2026-02-30' is no day: "),
        ([*SIMULATE, "--from", "9998-01-01"], "--from 9998-01-01: write an earlier day"),
        ([*SIMULATE, "--years", "0"], "--years 0: write a number from 1 to 100"),
        ([*SIMULATE, "--years", "101"], "--years 101: write a number from 1 to 100"),
        ([*SIMULATE, "--snapshots-per-day", "0"], "--snapshots-per-day 0: write a number from 1 to 1440"),
        ([*SIMULATE, "--snapshots-per-day", "1441"], "--snapshots-per-day 1441: write a number"),
        ([*SIMULATE, "--snapshots-per-day", "48"], "would take minutes; ask for fewer --years"),
        (
            [*SIMULATE, "--from", "2026-01-01", "--on", "2029-01-01"],
            "--on 2029-01-01 is not simulated; write a day from 2026-01-01 to 2028-12-31",
        ),
        ([*EXPLAIN, "a/b", "c/d"], "one dataset at a time; 'c/d' is one too many"),
        ([*EXPLAIN, "a/b", "--years", "3"], "retention explain: --years does not belong to it"),
        ([*EXPLAIN, "a/b", "--from", "2026-01-01"], "retention explain: --from does not belong to it"),
        ([*EXPLAIN, "a/b", "--dataset", "c/d"], "'a/b' is outside the tree 'c/d'; name its tree"),
        ([*EXPLAIN, "a//b"], "retention explain: name 'a//b' has an empty part"),
    ],
)
def test_a_mistake_says_what_to_write(words: list[str], said: str) -> None:
    with pytest.raises(UsageError) as error:
        parsed(*words)
    assert said in str(error.value)


def test_a_day_that_is_shown_needs_no_more_than_it_takes() -> None:
    work = parsed(*SIMULATE, "--from", "2026-01-01", "--snapshots-per-day", "144", "--on", "2026-01-10").work
    assert isinstance(work, Simulate)
    assert work.days == 10


# What is shown

LINE = Timeline(
    BEGIN,
    BEGIN + timedelta(days=1000),
    (
        Row("newest", (BEGIN + timedelta(days=999),)),
        Row("daily", tuple(BEGIN + timedelta(days=day) for day in range(960, 1000))),
        Row("window forever/1 month", tuple(BEGIN + timedelta(days=day) for day in (0, 500))),
    ),
)


@pytest.mark.parametrize("columns", [1, 60, 100, 5000])
def test_a_timeline_is_drawn_in_the_columns_that_there_are(columns: int) -> None:
    lines = draw(LINE, columns, colour=False)
    assert len(lines) == 4
    assert max(map(len, lines)) <= min(max(columns, 60), 200)
    newest, daily, window, axis = lines
    assert newest.split()[:2] == ["newest", "1"]
    assert newest.count("·") + 1 == len(newest.split()[2])
    assert newest[-1] in "▁▂▃▄▅▆▇█"
    assert daily.split()[1] == "40"
    assert daily.rstrip("▁▂▃▄▅▆▇█").endswith("·")
    assert "█" in daily
    first = next(at for at, char in enumerate(window) if char in "▁▂")
    assert len(window[first:].replace("·", "")) == 2
    assert axis.strip().startswith("2026-01-01")
    assert axis.endswith("2028-09-27")
    assert axis.index("2026") == first


def test_years_stand_where_they_begin() -> None:
    lines = draw(LINE, 134, colour=False)
    cells = 100
    at = lines[3].index("2027") - lines[3].index("2026-01-01")
    assert abs(at - 365 * cells // 1000) <= 1


def test_colour_only_where_it_is_welcome() -> None:
    assert not any("\x1b" in line for line in draw(LINE, 100, colour=False))
    assert any("\x1b[3" in line for line in draw(LINE, 100, colour=True))


def test_a_result_with_a_timeline() -> None:
    result = run_result(replace(action("retention simulate", Outcome.DONE), timeline=LINE))
    lines = show.text(result, ALL, colour=False).splitlines()
    assert lines[0].startswith("retention simulate: done: ")
    assert lines[1].split()[:2] == ["newest", "1"]
    (shown,) = json.loads(show.json_text(show.document(result)))["actions"]
    assert shown["timeline"]["begin"] == "2026-01-01T00:00:00Z"
    assert shown["timeline"]["rows"][2] == {
        "label": "window forever/1 month",
        "times": ["2026-01-01T00:00:00Z", "2027-05-16T00:00:00Z"],
    }


def test_the_drawing_in_the_readme_is_what_the_command_draws() -> None:
    """And the options beside it are those of the znapzend plan that it is said to be."""
    found = blocks(section("What is kept, and what expires"))
    (drawing,) = (block for block in found if " simulate " in block)
    typed, _, drawn = drawing.partition("\n\n")
    work = parsed(*typed.split()[1:]).work
    assert isinstance(work, Simulate)
    simulated = simulate(work.retention.rule, Schedule(work.first, work.days, work.per_day))
    assert drawn.splitlines() == draw(simulated.timeline, 95, colour=False)
    (plan,) = (block for block in found if block.startswith("--retention-policy 0 0 0"))
    job = parsed(*shlex.split(plan)).work
    assert isinstance(job, Job)
    assert [str(window) for window in job.retention.windows] == ["1w/1h", "3 months/1d", "5y/1 month"]


def test_a_whole_call(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--from", "2026-01-01", "--years", "1", "--retention-policy", "2", "0", "0"]
    assert command.main([*SIMULATE, *words]) == 0
    out, err = capsys.readouterr()
    assert (out.splitlines()[0], err) == (
        "retention simulate: done: at the end of 2026-12-31 3 snapshots of 365 would exist; at most 3 "
        "existed at a time",
        "",
    )
    assert command.main([*SIMULATE, *words, "-v"]) == 0
    assert "  keep 2026-12-30T00:00:00Z: daily 1 of 2\n" in capsys.readouterr().out
    assert command.main([*SIMULATE, *words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["actions"][0]["figures"] == {"snapshots": 3, "taken": 365, "most": 3}

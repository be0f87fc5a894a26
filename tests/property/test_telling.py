# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of being told that hold whatever breaks, comes back or cannot be delivered, whatever is on record."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cyber_zfs_backup.plan.findings import Severity
from cyber_zfs_backup.plan.telling import SETTLED, Message, Policy, Seen, after, telling
from cyber_zfs_backup.plan.told import Record, Topic, Trouble, read, written

BEGIN = datetime(2026, 11, 27, tzinfo=UTC)
DAY = timedelta(days=1)
KEYS, CHANNELS = ("a", "b", "c"), ("mail", "chat")
POLICY = Policy(CHANNELS, frozenset(Topic), recovery=True, repeat=DAY)


@dataclass(frozen=True)
class Run:
    """One run: so long after the one before, with these troubles, while these channels are down."""

    pause: timedelta
    there: frozenset[str]
    silent: frozenset[str] = frozenset()
    down: frozenset[str] = frozenset()


def some(words: tuple[str, ...]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(words))


pauses = st.one_of(st.integers(1, 90), st.integers(1, 3000)).map(lambda minutes: timedelta(minutes=minutes))
all_answered = st.lists(st.builds(Run, pauses, some(KEYS), down=some(CHANNELS)), max_size=25)
always_up = st.lists(st.builds(Run, pauses, some(KEYS)), max_size=25)
anything = st.lists(st.builds(Run, pauses, some(KEYS), some(KEYS), some(CHANNELS)), max_size=25)


def trouble(key: str) -> Trouble:
    return Trouble(key, f"asked {key}", Topic.LATE, Severity.FAILS, f"{key} is wrong", f"mend {key}")


def seen(run: Run) -> Seen:
    """What is silent has no answer; all else has."""
    there = tuple(trouble(key) for key in sorted(run.there - run.silent))
    questions = {key: f"asked {key}" for key in KEYS}
    silent = frozenset(questions[key] for key in run.silent)
    return Seen(there, frozenset(questions.values()) - silent, silent)


@dataclass(frozen=True)
class Happened:
    """One run: when, what was to be told, and which of it arrived."""

    now: datetime
    run: Run
    messages: tuple[Message, ...]
    arrived: tuple[Message, ...]


NOTHING = Record()


def happened(runs: list[Run], record: Record = NOTHING, now: datetime = BEGIN) -> list[Happened]:
    """The runs one after the other, the record going through its text each time."""
    found = []
    for run in runs:
        now += run.pause
        plan = telling(seen(run), record, now, POLICY)
        record = plan.record
        arrived = tuple(each for each in plan.messages if each.channel not in run.down)
        for message in arrived:
            record = after(record, message, now)
        record = read(written(record))
        found.append(Happened(now, run, plan.messages, arrived))
    return found


def signs(message: Message) -> dict[str, str]:
    """``+`` new, ``=`` lasting, ``-`` well, by the keys."""
    kinds = (("+", message.new), ("=", message.lasting), ("-", message.well))
    return {told.trouble.key: sign for sign, those in kinds for told in those}


def events(story: list[Happened]) -> dict[tuple[str, str], list[tuple[datetime, str]]]:
    """What arrived of each trouble at each channel."""
    found = defaultdict(list)
    for each in story:
        for message in each.arrived:
            for key, sign in signs(message).items():
                found[message.channel, key].append((each.now, sign))
    return found


@given(anything)
def test_one_message_a_channel_and_never_an_empty_one(runs: list[Run]) -> None:
    for each in happened(runs):
        channels = [message.channel for message in each.messages]
        assert len(channels) == len(set(channels))
        for message in each.messages:
            told = (*message.new, *message.lasting, *message.well)
            assert len({each.trouble.key for each in told}) == len(told) > 0


@given(anything)
def test_while_it_lasts_it_is_not_told_twice_within_a_repeat(runs: list[Run]) -> None:
    last: dict[tuple[str, str], datetime] = {}
    for each in happened(runs):
        for key in KEYS:
            if key not in each.run.there and key not in each.run.silent:
                last = {where: at for where, at in last.items() if where[1] != key}
        for message in each.arrived:
            for key, sign in signs(message).items():
                where = (message.channel, key)
                if sign != "-":
                    assert where not in last or each.now - last[where] >= DAY
                    last[where] = each.now


@given(all_answered)
def test_what_is_told_and_ends_has_one_end(runs: list[Run]) -> None:
    calm = [Run(timedelta(minutes=61), frozenset())] * 3
    for told in events(happened([*runs, *calm])).values():
        line = "".join(sign for _at, sign in told)
        assert line.replace("=", "").replace("+-", "") == "", line
        assert line.startswith("+")
        assert "-=" not in line


@given(always_up)
def test_nothing_that_stands_stays_untold(runs: list[Run]) -> None:
    """At once, or an hour after an end; and again before two times the repeat are over."""
    story = happened(runs)
    since: dict[str, datetime] = {}
    for number, each in enumerate(story):
        told = events(story[: number + 1])
        since = {key: since.get(key, each.now) for key in each.run.there}
        for key, begin in since.items():
            for channel in CHANNELS:
                line = told.get((channel, key), [])
                first = all(key not in before.run.there for before in story[:number])
                if first or each.now - begin >= SETTLED:
                    assert line
                    assert line[-1][1] != "-"
                    assert each.now - line[-1][0] < 2 * DAY


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=60))
def test_what_comes_and_goes_makes_three_messages_an_hour_at_most(steps: list[tuple[int, bool]]) -> None:
    runs = [Run(timedelta(minutes=pause), frozenset("a" if there else "")) for pause, there in steps]
    times = [each.now for each in happened(runs) if any(one.channel == "mail" for one in each.arrived)]
    for number, at in enumerate(times[3:]):
        assert at - times[number] >= SETTLED


@given(always_up, st.data())
def test_a_damaged_record_silences_nothing(runs: list[Run], data: st.DataObject) -> None:
    """Whatever a byte of it becomes: all that stands is told again within two days."""
    now, record = BEGIN, Record()
    for run in runs:
        now += run.pause
        plan = telling(seen(run), record, now, POLICY)
        record = plan.record
        for message in plan.messages:
            record = after(record, message, now)
    text = written(record)
    at = data.draw(st.integers(0, len(text) - 1))
    cut = data.draw(st.integers(0, 3))
    damaged = text[:at] + data.draw(st.text(max_size=3)) + text[at + cut :]
    everything = frozenset(KEYS)
    hourly = [Run(timedelta(hours=1), everything)] * 50
    arrived = events(happened(hourly, read(damaged), now))
    for channel in CHANNELS:
        for key in KEYS:
            assert any(sign != "-" for _at, sign in arrived.get((channel, key), []))


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_is_a_record(text: str) -> None:
    assert isinstance(read(text), Record)

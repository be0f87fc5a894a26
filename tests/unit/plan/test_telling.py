# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told of what, and when: a story at a time, in the hours of a clock."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from cyber_zfs_backup.plan.findings import Severity
from cyber_zfs_backup.plan.telling import Message, Policy, Seen, after, on_channel, telling, together
from cyber_zfs_backup.plan.telling_text import body, document, notice, notice_id, subject
from cyber_zfs_backup.plan.told import Record, Told, Topic, Trouble, read, written

BEGIN = datetime(2026, 11, 27, 2, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MAIL, CHAT = "mail:root", "command"
EVERYTHING = Policy((MAIL,), frozenset(Topic), recovery=True, repeat=timedelta(days=1))


def trouble(key: str, topic: Topic = Topic.FAILURE, question: str = "") -> Trouble:
    return Trouble(key, question or f"asked {key}", topic, Severity.FAILS, f"{key} is wrong", f"mend {key}")


A, B = trouble("a"), trouble("b", Topic.LATE)
QUESTIONS = frozenset(each.question for each in (A, B))


@dataclass
class Story:
    """Runs one after the other, at hours since the beginning, with the record between them."""

    policy: Policy = EVERYTHING
    record: Record = field(default_factory=Record)

    def run(self, hours: float, *there: Trouble, **how: object) -> dict[str, str]:
        """What each channel was told: ``+a`` new, ``=a`` lasting, ``-a`` well. ``down``: the channels that
        do not work."""
        down = how.get("down", ())
        assert isinstance(down, Iterable)
        seen = how.get("seen", Seen(there, QUESTIONS))
        assert isinstance(seen, Seen)
        now = BEGIN + hours * HOUR
        found = telling(seen, self.record, now, self.policy)
        self.record = found.record
        said = {}
        for message in found.messages:
            said[message.channel] = in_short(message)
            if message.channel not in down:
                self.record = after(self.record, message, now)
        self.record = read(written(self.record))
        return said


def in_short(message: Message) -> str:
    kinds = (("+", message.new), ("=", message.lasting), ("-", message.well))
    return " ".join(f"{sign}{told.trouble.key}" for sign, those in kinds for told in those)


def test_one_message_when_it_breaks_one_a_day_and_one_when_it_is_well() -> None:
    story = Story()
    said = {hour: story.run(hour, A) for hour in range(50)}
    assert {hour: what for hour, what in said.items() if what} == {
        0: {MAIL: "+a"},
        24: {MAIL: "=a"},
        48: {MAIL: "=a"},
    }
    assert [story.run(50), story.run(51), story.run(200)] == [{MAIL: "-a"}, {}, {}]
    assert story.record.troubles == {}


def test_all_that_is_new_is_one_message() -> None:
    story = Story()
    assert story.run(0, A, B) == {MAIL: "+a +b"}
    assert story.run(1, B) == {MAIL: "-a"}
    # What is told anyway takes the reminder along; no second message.
    assert story.run(25, B, A) == {MAIL: "+a =b"}


def test_reminders_come_together() -> None:
    story = Story()
    said = {hour: story.run(hour, *((A,) if hour < 10 else (A, B))) for hour in range(75)}
    assert {hour: what[MAIL] for hour, what in said.items() if what} == {
        0: "+a",
        10: "+b",
        24: "=a",
        48: "=a =b",
        72: "=a =b",
    }


def test_a_channel_that_is_down_is_told_later_and_the_other_not_twice() -> None:
    story = Story(replace(EVERYTHING, channels=(MAIL, CHAT)))
    assert story.run(0, A, down=[MAIL]) == {MAIL: "+a", CHAT: "+a"}
    assert story.run(1, A, down=[MAIL]) == {MAIL: "+a"}
    assert story.run(2, A) == {MAIL: "+a"}
    assert story.run(3, A) == {}
    assert story.run(4, down=[CHAT]) == {MAIL: "-a", CHAT: "-a"}
    assert story.run(30, down=[CHAT]) == {CHAT: "-a"}
    assert story.run(31) == {CHAT: "-a"}
    assert story.run(32) == {}


def test_an_end_that_cannot_be_told_is_given_up_after_a_week() -> None:
    story = Story()
    story.run(0, A)
    assert story.run(1, down=[MAIL]) == {MAIL: "-a"}
    assert story.run(24 * 6, down=[MAIL]) == {MAIL: "-a"}
    assert story.run(24 * 8) == {}
    assert story.record.troubles == {}


def test_what_is_over_before_it_could_be_told_is_not_told() -> None:
    story = Story()
    assert story.run(0, A, down=[MAIL]) == {MAIL: "+a"}
    assert story.run(1) == {}
    assert story.run(1.1, A) == {MAIL: "+a"}


def test_what_comes_and_goes_is_told_seldom() -> None:
    story = Story()
    said = {quarter: story.run(quarter / 4, *([A] if quarter % 2 == 0 else [])) for quarter in range(200)}
    assert {quarter: what[MAIL] for quarter, what in said.items() if what} == {
        0: "+a",
        1: "-a",
        # Its first end was at 1; the first time that it is there an hour later is at 6.
        6: "+a",
        # It never is well for an hour after that.
        102: "=a",
        198: "=a",
    }


def test_what_comes_back_soon_and_stays_is_told_an_hour_after_its_end() -> None:
    story = Story()
    assert [story.run(0, A), story.run(1)] == [{MAIL: "+a"}, {MAIL: "-a"}]
    assert [story.run(1.5, A), story.run(1.9, A), story.run(2, A)] == [{}, {}, {MAIL: "+a"}]
    # Restless from then on: its end counts once it lasts.
    assert [story.run(3), story.run(3.5), story.run(4), story.run(5)] == [{}, {}, {MAIL: "-a"}, {}]
    # What comes back after that is new, and is told at once; so is its end.
    assert [story.run(9, A), story.run(9.2)] == [{MAIL: "+a"}, {MAIL: "-a"}]


def test_only_what_is_wanted_is_told() -> None:
    story = Story(replace(EVERYTHING, topics=frozenset({Topic.LATE}), recovery=False))
    assert story.run(0, A, B) == {MAIL: "+b"}
    assert story.run(1, A) == {}
    assert story.run(3, A, B) == {MAIL: "+b"}
    # Whoever does not want to hear of it any more hears of no end either.
    story.policy = replace(EVERYTHING, topics=frozenset({Topic.FAILURE}))
    assert story.run(4) == {}


def test_a_question_without_an_answer_ends_nothing() -> None:
    story = Story()
    story.run(0, A)
    silent = Seen(unanswered=frozenset({A.question}))
    assert story.run(1, seen=silent) == {}
    assert story.run(24, seen=silent) == {MAIL: "=a"}
    assert story.run(25) == {MAIL: "-a"}


def test_what_somebody_else_asks_ends_nothing_and_is_forgotten_once_nobody_does() -> None:
    story = Story()
    story.run(0, A)
    assert story.run(1, seen=Seen((B,), frozenset({B.question}))) == {MAIL: "+b"}
    assert story.run(2, A, B) == {}
    other = Seen((B,), frozenset({B.question}))
    said = [story.run(hour, seen=other) for hour in range(3, 40)]
    assert [each for each in said if each] == [{MAIL: "=b"}]
    assert set(story.record.troubles) == {"b"}


def test_one_question_that_two_ask_is_answered_where_both_are() -> None:
    one, two = Seen((A,), frozenset({"x", "y"})), Seen((B,), frozenset({"z"}), frozenset({"x"}))
    assert together([one, two]) == Seen((A, B), frozenset({"y", "z"}), frozenset({"x"}))


def test_a_clock_that_went_back_keeps_nobody_silent() -> None:
    story = Story()
    story.run(24 * 400, A)
    assert story.run(0, A) == {MAIL: "=a"}
    assert story.run(1, A) == {}
    assert story.run(24, A) == {MAIL: "=a"}
    # A second or two is what clocks do.
    assert story.run(24 - 1 / 3600, A) == {}
    # Ended tomorrow: its end is told once, and it is new when it comes back.
    story.run(24 * 400)
    assert story.run(50, A) == {MAIL: "+a"}


def test_the_record_survives_as_text_and_a_damaged_row_is_one_that_was_not_told() -> None:
    story = Story()
    story.run(0, A, B)
    story.run(1, B)
    text = written(story.record)
    assert read(text) == story.record
    rows = json.loads(text)
    rows["troubles"][0]["channels"] = {MAIL: "yesterday"}
    assert set(read(json.dumps(rows)).troubles) == {"a"}
    for damaged in (
        "",
        "[]",
        "{",
        '{"schema": 2, "troubles": []}',
        '{"schema": 1, "troubles": 3}',
        "[" * 9999,
    ):
        assert read(damaged) == Record()


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("key", 3),
        ("restless", "no"),
        ("topic", "other"),
        ("severity", 9),
        ("since", "2026-11-27T02:00:00"),
        ("since", 12),
        ("looked", "9999-12-31T23:59:59-23:00"),
        ("channels", []),
    ],
)
def test_each_member_is_checked(member: str, value: object) -> None:
    story = Story()
    story.run(0, A)
    rows = json.loads(written(story.record))
    rows["troubles"][0][member] = value
    assert read(json.dumps(rows)).troubles == {}


def told(key: str, **changes: object) -> Told:
    at = BEGIN + timedelta(minutes=5)
    return replace(Told(trouble(key), BEGIN, at), **changes)  # type: ignore[arg-type]


def test_a_message_in_words() -> None:
    message = Message(MAIL, (told("a"),), (told("b"),), (told("c", ended=BEGIN + HOUR),))
    assert subject(message, "zippy") == "[zippy] backup: 1 new, 1 still there, 1 well again"
    assert body(message, "zippy") == (
        "New:\n"
        "- a is wrong\n"
        "  seen since 2026-11-27 02:00 UTC\n"
        "  what to do: mend a\n"
        "\n"
        "Still so (told before):\n"
        "- b is wrong\n"
        "  seen since 2026-11-27 02:00 UTC\n"
        "  what to do: mend b\n"
        "\n"
        "Well again:\n"
        "- c is wrong\n"
        "  was so from 2026-11-27 02:00 UTC to 2026-11-27 03:00 UTC\n"
        "\n"
        "This is the machine zippy. How it stands now: cyber-zfs-backup status --offline\n"
    )


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (Message(MAIL, (told("a"),)), "[zippy] backup: a is wrong"),
        (Message(MAIL, lasting=(told("a"),)), "[zippy] backup: still: a is wrong"),
        (Message(MAIL, well=(told("a"),)), "[zippy] backup: well again: a is wrong"),
        (Message(MAIL, (told("a" * 500),)), f"[zippy] backup: {'a' * 101}..."),
        (
            Message(MAIL, (told("a\nBcc: x\x1b[2J\u202e"),)),
            r"[zippy] backup: a\nBcc: x\x1b[2J\u202e is wrong",
        ),
    ],
)
def test_a_subject_is_one_short_line(message: Message, said: str) -> None:
    assert subject(message, "zippy") == said


def test_nothing_in_a_message_moves_a_cursor() -> None:
    message = Message(MAIL, (told("\x1b]0;x\x07\r\n."),))
    assert [char for char in body(message, "zi\x1bppy") if not char.isprintable() and char != "\n"] == []
    assert "\n.\n" not in body(message, "zippy")


def test_a_document_is_for_programs() -> None:
    message = Message(MAIL, (told("a"),), (), (told("c", ended=BEGIN + HOUR),))
    values = json.loads(document(message, "zippy"))
    assert values["text"].startswith("[zippy] backup: 1 new, 1 well again\n\nNew:\n- a is wrong\n")
    (row,) = values["new"]
    assert (row["key"], row["severity"], row["topic"]) == ("a", "fails", "failure")
    assert row["since"] == "2026-11-27 02:00 UTC"
    assert values["well"][0]["ended"] == "2026-11-27 03:00 UTC"


def test_a_document_has_the_same_id_when_it_is_sent_again_and_a_reminder_another() -> None:
    def identity(message: Message) -> str:
        found: str = json.loads(document(message, "zippy"))["id"]
        return found

    first = Message(MAIL, (told("a"),))
    older = replace(told("a"), trouble=replace(trouble("a"), what="a is 31 h old"))
    assert identity(first) == identity(Message(MAIL, (older,)))
    reminders = [Message(MAIL, lasting=(told("a", channels={MAIL: BEGIN + day * HOUR}),)) for day in (1, 2)]
    assert len({identity(each) for each in (first, *reminders)}) == 3


def test_the_notice_is_all_that_stands_and_new_once_something_is_told() -> None:
    story = Story(replace(EVERYTHING, channels=("login",)))
    story.run(0, A)
    one = on_channel(story.record, "login")
    story.run(1, A, B)
    both = on_channel(story.record, "login")
    story.run(2, A, B)
    assert [each.trouble.key for each in both] == ["a", "b"]
    ids = [notice_id(each, "login") for each in (one, both, on_channel(story.record, "login"))]
    assert ids[0] != ids[1] == ids[2]
    assert notice(one, "zippy") == (
        "Backups of zippy need you:\n- a is wrong\n  seen since 2026-11-27 02:00 UTC\n  what to do: mend a\n"
    )
    story.run(3, A)
    assert [each.trouble.key for each in on_channel(story.record, "login")] == ["a"]
    story.run(4)
    assert on_channel(story.record, "login") == ()

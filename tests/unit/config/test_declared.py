# SPDX-License-Identifier: GPL-3.0-or-later
"""What a configuration file declares, and that its examples and its schema say the same."""

from __future__ import annotations

import json
import re
import runpy
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cyber_zfs_backup.config.best_fit import effective
from cyber_zfs_backup.config.declared import (
    Conditions,
    Hook,
    Notification,
    OnFailure,
    Pause,
    Receiver,
    Settings,
    Stage,
    Tell,
)
from cyber_zfs_backup.config.effective_text import (
    dataset_rows,
    kept_text,
    monitoring_rows,
    notification_rows,
    receiver_rows,
)
from cyber_zfs_backup.config.faults import ConfigError
from cyber_zfs_backup.config.job import Action, Delivery, Destination, Force, Job, RetentionPolicy
from cyber_zfs_backup.config.reading import declared_in
from cyber_zfs_backup.config.setting_values import settings
from cyber_zfs_backup.config.shape import SCHEMA, plain, schema
from cyber_zfs_backup.config.tasks import tasks
from cyber_zfs_backup.gatekeeper.policy import Mode
from cyber_zfs_backup.model.ages import Age
from cyber_zfs_backup.model.schedules import Schedule, parse_schedule
from cyber_zfs_backup.plan.cost import SendMode
from cyber_zfs_backup.plan.windows import Window

from .worlds import ZIPPY, declared

ETC = Path(__file__).parents[3] / "etc"
FULL = (ETC / "config-full.toml").read_text()
HOUR, DAY = 3600, 86400


def test_the_small_example_is_what_the_command_line_does_without_options() -> None:
    text = (ETC / "config.toml").read_text()
    assert len(text.splitlines()) <= 10
    small = declared(text)
    (entry,) = small.entries.values()
    found = effective(small, "zippy/zippy")
    assert (entry.name, found.settings.exclude, found.settings.recursive) == ("zippy/zippy", (), True)
    assert small.retentions[found.settings.retention].policy == RetentionPolicy()
    assert str(found.settings.schedule) == "02:00"
    receiver = small.receivers["offsite"]
    config = Path("/etc/ssh/cyber-zfs-backup.ssh_config")
    (task,) = tasks(small)
    assert task.push(task.routes[0]) == Job(
        "zippy/zippy",
        frozenset({Action.PUSH}),
        (Destination("offsite", "offsite/zippy", config),),
        force=Force(first_push=True),
    )
    assert (receiver.mode, receiver.delivery) == (Mode.MIRROR, Delivery())


def test_the_full_example_is_understood() -> None:
    full = declared(FULL)
    assert list(full.entries) == ["tank/home", "tank/home/scratch", "tank/db"]
    assert full.receivers["offsite"] == Receiver(
        "offsite",
        "backup@offsite.example.com",
        "offsite/{hostname}/{name}",
        Mode.ARCHIVE,
        "long",
        Path("/etc/ssh/cyber-zfs-backup.ssh_config"),
        delivery=Delivery(SendMode.AUTO, 2, 900, 2, 20 << 20),
        line=full.receivers["offsite"].line,
        written=full.receivers["offsite"].written,
    )
    assert full.receivers["usb"].delivery.bookmark_base is True
    assert {name: each.policy for name, each in full.retentions.items()} == {
        "default": RetentionPolicy(),
        "short": RetentionPolicy(0, 0, 0, 0, 0, within=Age(seconds=3 * DAY)),
        "long": RetentionPolicy(31, 12, 36, 48, None, last=10),
        "windows": RetentionPolicy(
            *(0, 0, 0, 0, 0),
            windows=(
                Window(Age(seconds=7 * DAY), Age(seconds=HOUR)),
                Window(Age(months=6), Age(seconds=DAY)),
                Window(None, Age(months=1)),
            ),
        ),
    }
    home = effective(full, "tank/home/me").settings
    assert (home.schedule, home.push_schedule) == (Schedule(every=Age(seconds=900)), Schedule("hourly"))
    assert home.conditions == Conditions(
        True, 8.0, ("/bin/sh", "-c", "! systemctl --quiet is-active updates.service")
    )
    assert effective(full, "tank/db").settings.hooks == (
        Hook(
            Stage.BEFORE_SNAPSHOT,
            ("/usr/bin/sync", "-f", "/tank/db"),
            timedelta(seconds=30),
            {"LANG": "C"},
        ),
        Hook(Stage.AFTER_PUSH, ("/usr/bin/logger", "tank/db is pushed"), on_failure=OnFailure.IGNORE),
    )
    assert full.notification == Notification(
        True,
        ("root",),
        ("/usr/bin/logger", "-t", "backup"),
        ("https://chat.example.com/hooks/backup",),
        (Tell.FAILURE, Tell.LATE, Tell.RECOVERY),
        timedelta(days=1),
        full.notification.written,
    )


def test_a_machine_that_only_receives_says_who_is_told() -> None:
    only = declared('[notification]\nmail = ["root"]\n')
    assert (only.notification.mail, dict(only.entries)) == (("root",), {})
    for more in ("[retention.x]\ndaily = 1\n", "[defaults]\nrecursive = true\n"):
        with pytest.raises(ConfigError, match="dataset: is missing"):
            declared(f'[notification]\nmail = ["root"]\n{more}')


def keys_of(
    said: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Each key that the schema knows, with what it says of it; elements of arrays have none of their own."""
    if "$ref" in said:
        said = schema()["definitions"][said["$ref"].rpartition("/")[2]]
    if path:
        yield path, said
    for key, each in said.get("properties", {}).items():
        yield from keys_of(each, (*path, key))
    for part in ("items", "additionalProperties"):
        if isinstance(said.get(part), dict):
            yield from ((at, each) for at, each in keys_of(said[part], path) if at != path)


def test_the_full_example_has_every_key() -> None:
    """Of what [defaults] and [[dataset]] have in common, one of them is enough."""
    written = set(re.findall(r"[\w-]+(?= = )", FULL)) | {
        "defaults",
        "notification",
        "monitoring",
        "retention",
        "destination",
    }
    written |= {"dataset", "hooks", "conditions"}
    assert {path[-1] for path, _ in keys_of(schema())} - written == set()


def test_the_schema_is_one_and_says_what_to_write() -> None:
    jsonschema.Draft7Validator.check_schema(schema())
    for path, said in keys_of(schema()):
        assert "x-write" in said, path
        assert "description" in said or path[-1] in ("max-age", "period"), path
    for said in json.loads(SCHEMA.read_text())["definitions"].values():
        assert "x-write" in said


def test_the_manual_is_made_of_the_schema() -> None:
    made = runpy.run_path(str(ETC.parent / "debian/config5.py"))
    page = "\n".join(made["tables"]()).replace("\\-", "-")
    for path, said in keys_of(schema()):
        if path[:2] != ("dataset", "hooks") and path[0] != "dataset" and "windows" not in path[:-1]:
            assert f".B {'.'.join(path[1:])}\n" in page or len(path) == 1
        assert said["x-write"] in page.replace("\\(aq", "'") or "windows" in path[:-1] or len(path) == 1, path
    assert ".B windows.max-age\n" in page
    assert not [line for line in page.splitlines() if line.startswith("'")]


def test_the_schema_and_the_values_know_the_same_settings() -> None:
    known = {each.name.replace("_", "-") for each in fields(Settings)}
    assert set(schema()["properties"]["defaults"]["properties"]) == known
    assert set(schema()["properties"]["dataset"]["items"]["properties"]) == {*known, "name"}
    assert set(settings(tuple)) == known


def test_the_schema_tells_what_is_built_in() -> None:
    """By what ``config show`` says of a file that says nothing."""
    nothing = declared('[destination.x]\ndataset = "a/b"\n[[dataset]]\nname = "tank"\n')
    whole = schema()["properties"]
    tables = (
        ([row for row in dataset_rows(nothing, "tank")[0] if row.setting != "keeps"], whole["defaults"]),
        (receiver_rows(nothing), whole["destination"]["additionalProperties"]),
        (notification_rows(nothing), whole["notification"]),
        (monitoring_rows(nothing), whole["monitoring"]),
    )
    words = {
        "[]": "none",
        "{}": "none",
        '["failure", "late"]': "failure, late",
        "the destination's name": "x",
    }
    for rows, table in tables:
        for row in rows:
            _, key, value, where = row.cells
            if (key, where) == ("dataset", "config.toml:2 [destination.x]"):
                continue
            assert where == "built in"
            said = table["properties"][key]
            said = schema()["definitions"][said["$ref"].rpartition("/")[2]] if "$ref" in said else said
            default = said["x-default"].split(", or ")[0]
            wanted = "no" if key == "pause" else words.get(default, default.strip('"'))
            assert value == wanted, key


@pytest.mark.parametrize(
    ("text", "pause"),
    [
        ("pause = true", Pause()),
        ("pause = false", None),
        ("pause = 2026-12-24", Pause(date(2026, 12, 24))),
        ('pause = "2026-12-24"', Pause(date(2026, 12, 24))),
    ],
)
def test_a_pause(text: str, pause: Pause | None) -> None:
    found = effective(declared(f'[defaults]\npause = true\n[[dataset]]\nname = "tank"\n{text}\n'), "tank")
    assert (found.settings.pause, found.origins["pause"]) == (pause, "config.toml:5 [[dataset]] tank")


def test_schedules() -> None:
    assert parse_schedule("every 15 min") == Schedule(every=Age(seconds=900))
    assert parse_schedule(" Every  2 months ") == Schedule(every=Age(months=2))
    assert parse_schedule("Mon  02:00") == Schedule("Mon 02:00")
    assert str(parse_schedule("every 15 min")) == "every 15min"


def test_a_default_retention_of_ones_own() -> None:
    mine = declared('[retention.default]\ndaily = 7\nyearly = "forever"\n[[dataset]]\nname = "tank"\n')
    (kept,) = [row for row in dataset_rows(mine, "tank")[0] if row.setting == "keeps"]
    assert kept.cells[2:] == ("7 daily, all yearly", "config.toml:1 [retention.default]")


def test_what_is_kept_in_words() -> None:
    windows = (Window(Age(seconds=DAY), Age(seconds=HOUR)), Window(None, Age(months=12)))
    everything = RetentionPolicy(1, 2, 3, 4, None, 5, Age(months=6), windows)
    assert kept_text(everything) == (
        "4 hourly, 1 daily, 2 weekly, 3 monthly, all yearly, the last 5, all within 6 months, "
        "one every 1h up to 1d, one every 1y for ever"
    )
    assert kept_text(RetentionPolicy(0, 0, 0, 0, 0)) == "the newest"


def test_calendar_expressions_are_asked_about_once_and_together() -> None:
    asked: list[tuple[str, ...]] = []

    def calendars(expressions: Any) -> Mapping[str, str]:
        asked.append(tuple(expressions))
        return {}

    text = FULL + '\n[[dataset]]\nname = "more"\nschedule = "hourly"\n'
    declared_in(text, "config.toml", type(ZIPPY)("zippy", calendars, ZIPPY.is_there))
    assert asked == [("02:00", "hourly", "Mon..Fri 8..18:00")]


def test_programs_get_the_values_that_the_file_has() -> None:
    """Of the full example: whatever is written there is found again, by its own type."""
    full, raw = declared(FULL), plain(tomllib.loads(FULL))
    rows = [row for name in full.entries for row in dataset_rows(full, name)[0]]
    rows += receiver_rows(full) + notification_rows(full) + monitoring_rows(full)
    found: dict[tuple[str, str], Any] = {(row.of, row.setting): row.typed for row in rows}
    tables = {f"[destination.{name}]": table for name, table in raw["destination"].items()}
    tables |= {table["name"]: raw["defaults"] | table for table in raw["dataset"]}
    tables["[notification]"] = raw["notification"]
    tables["[monitoring]"] = raw["monitoring"]
    compared = set()
    for of, table in tables.items():
        for key, value in table.items():
            if key in ("name", "bwlimit", "webhook"):
                continue
            if key == "hooks":  # with what is built in beside what is written
                pairs = zip(found[of, key], value, strict=True)
                assert all(each.items() >= said.items() for each, said in pairs)
            else:
                assert found[of, key] == value, (of, key)
            assert type(found[of, key]) is type(value), (of, key)
            compared.add(type(value))
    assert compared == {bool, int, str, list, dict}
    assert found["[destination.offsite]", "bwlimit"] == 20 << 20
    assert found["[notification]", "webhook"] == ["https://chat.example.com/..."]
    for entry in full.entries.values():
        name = effective(full, entry.name).settings.retention
        built_in = {"daily": 31, "weekly": 12, "monthly": 36, "yearly": "forever"}
        kept = (
            json.dumps(raw["retention"].get(name, built_in)).replace('"7d"', '"1w"').replace("3 days", "3d")
        )
        assert found[entry.name, "keeps"] == json.loads(kept)
    json.dumps(list(found.values()), allow_nan=False)


def test_programs_are_told_what_is_not_there() -> None:
    found = {
        row.setting: row.typed for row in dataset_rows(declared('[[dataset]]\nname = "tank"\n'), "tank")[0]
    }
    assert found == {
        "recursive": True,
        "exclude": [],
        "honour-auto-snapshot": False,
        "destinations": [],
        "retention": "default",
        "schedule": "02:00",
        "push-schedule": None,
        "pause": False,
        "hooks": [],
        "conditions": {"on-ac-power": False},
        "warn-after": None,
        "critical-after": None,
        "keeps": {"daily": 31, "weekly": 12, "monthly": 36, "yearly": "forever"},
    }


@pytest.mark.parametrize(("pause", "typed"), [("true", True), ("false", False), ("2026-12-24", "2026-12-24")])
def test_programs_are_told_of_a_pause(pause: str, typed: object) -> None:
    rows, _ = dataset_rows(declared(f'[[dataset]]\nname = "tank"\npause = {pause}\n'), "tank")
    assert [row.typed for row in rows if row.setting == "pause"] == [typed]


@pytest.mark.parametrize("digits", ["9" * 5000, "0x" + "f" * 5000, "-" + "9" * 20, "9223372036854775808"])
def test_a_number_that_is_too_big_is_told(digits: str) -> None:
    """Python can neither read the first one nor show the second."""
    where = "" if len(digits) == 5000 else ":3"
    text = f'[retention.x]\nweekly = "no"\ndaily = {digits}\n[[dataset]]\nname = "tank"\n'
    with pytest.raises(ConfigError) as caught:
        declared(text)
    (line,) = caught.value.lines
    assert line.startswith(f"config.toml{where}: ")
    assert line.endswith(" beyond what TOML knows (64 bits); write a smaller one")


def test_the_greatest_number() -> None:
    most = declared('[retention.x]\ndaily = 9223372036854775807\n[[dataset]]\nname = "tank"\n')
    assert most.retentions["x"].policy.days == 2**63 - 1


@pytest.mark.parametrize(
    "address", ["root", "me@example.com", "_x", "0@[192.0.2.1]", "a.b+c@d-e.example", "ü@x"]
)
def test_addresses(address: str) -> None:
    text = f'[notification]\nmail = [{json.dumps(address)}]\n[[dataset]]\nname = "tank"\n'
    if address[0] == "ü":
        with pytest.raises(ConfigError):
            declared(text)
    else:
        assert declared(text).notification.mail == (address,)


BAD_ADDRESSES = [
    "-oQ/tmp",
    "-t",
    "",
    "a@",
    "@b",
    "a@-b",
    "a b",
    "a@b@c",
    "a,b",
    "root\n",
    "root\nBcc: x",
    "a\0",
]


@pytest.mark.parametrize("address", [*BAD_ADDRESSES, "a@b\n", "|x", "<a@b>", "a\x85", "\ta", 'a"b', "a\\b"])
def test_what_is_no_address(address: str) -> None:
    """Nothing that a mail program could take for an option, for two, or for a line of a header."""
    text = f'[notification]\nmail = [{json.dumps(address)}]\n[[dataset]]\nname = "tank"\n'
    with pytest.raises(ConfigError, match=r"mail 1: .* cannot be used; write a mail address or a local user"):
        declared(text)


@pytest.mark.parametrize(
    "text",
    [
        '[destination."x\\n"]\ndataset = "a/b"\n',
        '[retention."x\\n"]\ndaily = 1\n',
        '[[defaults.hooks]]\nwhen = "after-push"\ncommand = ["/bin/true"]\nenvironment = { "X\\n" = "" }\n',
    ],
)
def test_no_name_ends_with_a_line(text: str) -> None:
    declared(text.replace("\\n", "") + '[[dataset]]\nname = "tank"\n')
    with pytest.raises(ConfigError, match=r"is no name for it"):
        declared(text + '[[dataset]]\nname = "tank"\n')


def test_a_copy_of_the_same_name_elsewhere() -> None:
    text = '[destination.x]\ndataset = "{dataset}"\n[[dataset]]\nname = "tank/home"\ndestinations = ["x"]\n'
    config = declared(text)
    assert config.receivers["x"].copy_of("tank/home", "zippy") == "tank/home"


def test_too_deep_is_told() -> None:
    with pytest.raises(ConfigError, match=r"config\.toml: .*too deep"):
        declared("a = " + "[" * 10_000 + "]" * 10_000)


def test_a_great_many_entries() -> None:
    """Where everything were compared with everything, this would take minutes."""
    text = "".join(f'[[dataset]]\nname = "tank/{n // 100}/{n}"\n' for n in range(2000))
    assert len(declared(text).entries) == 2000
    assert len(tomllib.loads(text)["dataset"]) == 2000

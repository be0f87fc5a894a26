# SPDX-License-Identifier: GPL-3.0-or-later
"""``notify`` as a whole: what is sent, what is on record, and what goes on where something cannot be done."""

from __future__ import annotations

import email.policy
import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from pathlib import Path

import pytest

from cyber_zfs_backup.actions import notify as notifying
from cyber_zfs_backup.actions.channels import Means
from cyber_zfs_backup.actions.notify import notify, told
from cyber_zfs_backup.actions.notify import tested as try_out
from cyber_zfs_backup.actions.result import ActionResult, Outcome, Surface
from cyber_zfs_backup.config.declared import Notification, Tell
from cyber_zfs_backup.config.requests import Check, Notify
from cyber_zfs_backup.model.history import Finished
from cyber_zfs_backup.plan.findings import Severity
from cyber_zfs_backup.plan.telling import Seen
from cyber_zfs_backup.plan.told import Topic, Trouble
from tests.unit.actions.rig import Said

BEGIN = datetime(2026, 11, 27, 2, tzinfo=UTC)
BROKEN = Trouble("a", "q", Topic.FAILURE, Severity.FAILS, "the backup of tank failed", "look")
WISH = Notification(login=True, mail=("root",), on=tuple(Tell))


@dataclass
class Machine:
    """A machine with a sendmail that keeps what it gets, unless ``broken`` is there."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "mails").mkdir()
        mails, broken = self.folder / "mails", self.folder / "broken"
        text = f"#!/bin/sh\n[ ! -e {broken} ] || exit 75\ncat > {mails}/$(ls {mails} | wc -l)\n"
        sendmail = self.folder / "sendmail"
        sendmail.write_text(text)
        sendmail.chmod(0o755)
        self.means = Means("zippy", str(sendmail), self.folder / "run/notice", 20)

    def run(
        self, hours: float, *troubles: Trouble, wish: Notification = WISH, dry_run: bool = False
    ) -> ActionResult:
        seen = Seen(troubles, frozenset({"q"}))
        return told(seen, wish, self.means, BEGIN + timedelta(hours=hours), dry_run=dry_run)

    @property
    def subjects(self) -> list[str]:
        mails = sorted((self.folder / "mails").iterdir(), key=lambda path: int(path.name))
        parser = BytesParser(policy=email.policy.default)
        subjects = (str(parser.parsebytes(mail.read_bytes())["Subject"]) for mail in mails)
        return [subject.removeprefix("[zippy] backup: ") for subject in subjects]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setattr(notifying, "lock_folder", lambda: tmp_path / "lock")
    return Machine(tmp_path)


def test_one_mail_when_it_breaks_and_one_when_it_is_well(machine: Machine) -> None:
    assert machine.run(0, BROKEN).outcome is Outcome.DONE
    assert machine.means.notice.exists()
    assert [machine.run(hour, BROKEN).outcome for hour in (1, 2, 23)] == [Outcome.NOTHING] * 3
    assert machine.subjects == ["the backup of tank failed"]
    machine.run(24, BROKEN)
    assert machine.run(25).outcome is Outcome.DONE
    assert not machine.means.notice.exists()
    assert machine.run(26).summary == "nothing is wrong, nothing new to tell"
    assert machine.subjects == [
        *("the backup of tank failed", "still: the backup of tank failed"),
        "well again: the backup of tank failed",
    ]


def test_a_mail_that_is_not_taken_is_sent_by_the_next_run(machine: Machine) -> None:
    (machine.folder / "broken").touch()
    result = machine.run(0, BROKEN)
    assert (result.outcome, [problem.where for problem in result.problems]) == (
        Outcome.FAILED,
        ["mail to root"],
    )
    # The others were told all the same, and are not told again.
    identity = machine.means.notice.read_text().splitlines()[0]
    (machine.folder / "broken").unlink()
    assert machine.run(1, BROKEN).outcome is Outcome.DONE
    assert machine.subjects == ["the backup of tank failed"]
    assert machine.means.notice.read_text().splitlines()[0] == identity


def test_a_mistake_of_ours_in_one_channel_does_not_silence_the_others(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_words: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr("cyber_zfs_backup.actions.channels._letter", break_down)
    result = machine.run(0, BROKEN)
    assert "internal error: ZeroDivisionError" in result.problems[0].what
    assert machine.means.notice.exists()


def test_the_notice_comes_back_after_a_restart(machine: Machine) -> None:
    machine.run(0, BROKEN)
    before = machine.means.notice.read_text()
    machine.means.notice.unlink()
    machine.run(1, BROKEN)
    assert machine.means.notice.read_text() == before


def test_whoever_wants_no_notice_gets_none(machine: Machine) -> None:
    machine.run(0, BROKEN)
    machine.run(1, BROKEN, wish=Notification(login=False, mail=("root",)))
    assert not machine.means.notice.exists()


@pytest.mark.parametrize("damage", [b"", b"\xff\x00", b"{}", b'{"schema": 1, "troubles": [{"key": "a"}]}'])
def test_a_damaged_record_is_told_anew(machine: Machine, damage: bytes) -> None:
    machine.run(0, BROKEN)
    (machine.folder / "state/told.json").write_bytes(damage)
    machine.run(1, BROKEN)
    assert machine.subjects == ["the backup of tank failed"] * 2


def test_the_record_is_for_nobody_else(machine: Machine) -> None:
    machine.run(0, BROKEN)
    record = machine.folder / "state/told.json"
    assert record.stat().st_mode & 0o777 == 0o600
    assert record.parent.stat().st_mode & 0o777 == 0o700
    assert [row["key"] for row in json.loads(record.read_text())["troubles"]] == ["a"]


def test_where_the_state_cannot_be_written_it_is_told_once_all_the_same(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in the folder's place, since root may write everywhere."""
    (machine.folder / "state").write_text("")
    machine.run(0, BROKEN)
    machine.run(1, BROKEN)
    assert machine.subjects == ["the backup of tank failed"]
    # Later it can: what was told until then counts.
    (machine.folder / "state").unlink()
    machine.run(2, BROKEN)
    assert machine.subjects == ["the backup of tank failed"]
    assert (machine.folder / "state/told.json").exists()
    assert os.listdir(machine.means.notice.parent) == ["notice"]


def test_where_nothing_can_be_put_on_record_nobody_is_told_each_hour(machine: Machine) -> None:
    (machine.folder / "state").write_text("")
    (machine.folder / "run").write_text("")
    result = machine.run(0, BROKEN)
    assert result.outcome is Outcome.FAILED
    assert "cannot be put on record" in result.problems[0].what
    assert result.problems[0].where
    assert machine.subjects == []


def test_a_dry_run_says_what_would_be_told_and_does_nothing(machine: Machine) -> None:
    result = machine.run(0, BROKEN, dry_run=True)
    assert result.summary == "would deliver 2 messages"
    assert result.lines[0] == "mail to root: [zippy] backup: the backup of tank failed"
    assert "  - the backup of tank failed" in result.lines
    assert sorted(os.listdir(machine.folder)) == ["mails", "sendmail"]
    assert machine.run(0, dry_run=True).outcome is Outcome.NOTHING


def test_a_test_goes_to_every_channel_and_says_how(machine: Machine) -> None:
    wish = Notification(mail=("root",), command=("/bin/false",))
    result = try_out(wish, machine.means, BEGIN, dry_run=False)
    assert result.outcome is Outcome.FAILED
    assert [line.split(":")[0] for line in result.answer] == [
        *("mail to root", "the command /bin/false"),
        f"the notice at the next login ({machine.means.notice}, until the next run)",
    ]
    assert [line.endswith("was taken") for line in result.answer] == [True, False, True]
    assert "this is a test" in machine.means.notice.read_text()
    assert machine.subjects == ["this is a test of cyber-zfs-backup notify: nothing is wrong"]
    assert not (machine.folder / "state").exists()
    machine.run(0)
    assert not machine.means.notice.exists()


def test_a_test_that_is_dry_and_one_of_nobody(machine: Machine) -> None:
    result = try_out(WISH, machine.means, BEGIN, dry_run=True)
    assert (result.outcome, len(result.answer)) == (Outcome.DONE, 2)
    assert machine.subjects == []
    nobody = try_out(Notification(login=False), machine.means, BEGIN, dry_run=False)
    assert nobody.summary.startswith("nobody is told")


# The whole, with a file


@pytest.fixture
def whole(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """This very machine, but for where things lie, and a systemd that knows nothing of us."""
    monkeypatch.setattr(notifying, "Means", lambda _host: machine.means)
    tool = machine.folder / "bin/systemctl"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nexit 1\n")
    tool.chmod(0o755)
    zfs = machine.folder / "bin/zfs"
    zfs.write_text("#!/bin/sh\necho \"cannot open 'tank': dataset does not exist\" >&2\nexit 1\n")
    zfs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    return machine


def test_a_machine_that_was_never_set_up_is_silent(whole: Machine) -> None:
    result = notify(Notify(whole.folder / "none.toml", guess="tank"), Said())
    assert result.exit_code == 0
    assert result.actions[0].summary == "nothing is wrong, nothing new to tell"
    assert not whole.means.notice.exists()


def test_a_file_that_cannot_be_used_is_told_at_the_login(whole: Machine) -> None:
    file = whole.folder / "config.toml"
    file.write_text("[notification]\nmial = 3\n")
    file.chmod(0o644)
    assert notify(Notify(file), Said()).exit_code == 0
    assert "the configuration cannot be used" in whole.means.notice.read_text()
    file.write_text('[notification]\nmail = ["root"]\n')
    notify(Notify(file), Said())
    assert not whole.means.notice.exists()


@pytest.mark.parametrize(
    ("rest", "told"),
    [("[[dataset]]\nnane = 3\n", True), ('[destination.off]\ndataset = "a//b"\n', True), ("[", False)],
)
def test_a_slip_elsewhere_in_the_file_silences_nobody(whole: Machine, rest: str, *, told: bool) -> None:
    file = whole.folder / "config.toml"
    file.write_text(f'[notification]\nmail = ["root"]\n{rest}')
    file.chmod(0o644)
    assert notify(Notify(file), Said()).exit_code == 0
    assert ["the configuration cannot be used" in subject for subject in whole.subjects] == [True] * told
    assert "the configuration cannot be used" in whole.means.notice.read_text()


def test_the_datasets_of_the_file_are_looked_at(whole: Machine) -> None:
    file = whole.folder / "config.toml"
    file.write_text('[notification]\nmail = ["root"]\n[[dataset]]\nname = "tank"\n')
    file.chmod(0o644)
    assert notify(Notify(file), Said()).exit_code == 0
    assert len(whole.subjects) == 1
    assert "tank" in whole.subjects[0]
    assert notify(Notify(file), Said()).actions[0].outcome is Outcome.NOTHING


@pytest.mark.parametrize(
    ("text", "told_of"),
    [
        ("", ["tank"]),
        ('[[dataset]]\nname = "vault"\n', ["tank", "vault"]),
        ('[[dataset]]\nname = "tank/a"\n', ["tank"]),
        ('[[dataset]]\nname = "tank"\npause = true\n', []),
    ],
)
def test_the_plain_timers_tree_is_looked_at_whatever_else_a_file_says(
    whole: Machine, monkeypatch: pytest.MonkeyPatch, text: str, told_of: list[str]
) -> None:
    """A file that says only who is told must not make what nobody looked after disappear."""
    (whole.folder / "bin/systemctl").write_text("#!/bin/sh\necho ActiveState=active\n")
    long_ago = Finished("tank", "off:a/b", datetime(2026, 1, 1, tzinfo=UTC), 1.0, 0)
    monkeypatch.setattr(notifying, "runs_on_record", lambda: [long_ago])
    looked: list[Check] = []

    def look(check: Check, _surface: Surface, _runs: object) -> ActionResult:
        looked.append(check)
        return ActionResult("check", Outcome.DONE, "well")

    monkeypatch.setattr(notifying, "_check", look)
    file = whole.folder / "config.toml"
    file.write_text(f'[notification]\nmail = ["root"]\n{text}')
    file.chmod(0o644)
    assert notify(Notify(file, guess="tank"), Said()).exit_code == 0
    assert [name for name in ("tank", "vault") if name in {each.dataset for each in looked}] == told_of


def test_a_run_that_has_just_begun_is_waited_for(whole: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that wakes up runs both at once; what is caught up with is not late."""
    unit = ("Id=cyber-zfs-backup-run.service", "ActiveState=activating")
    begun = "".join(f"echo {each}\n" for each in (*unit, f"ExecMainStartTimestamp=@{int(time.time())}"))
    systemctl = whole.folder / "bin/systemctl"
    systemctl.write_text(f"#!/bin/sh\n{begun}")
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    file = whole.folder / "config.toml"
    file.write_text('[notification]\nmail = ["root"]\n[[dataset]]\nname = "tank"\n')
    file.chmod(0o644)
    # Then it is at work.
    assert notify(Notify(file), Said()).actions[0].outcome is Outcome.NOTHING
    assert 50 < slept[0] <= 60
    # Or has found nothing to do.
    monkeypatch.setattr(time, "sleep", lambda _seconds: systemctl.write_text("#!/bin/sh\nexit 1\n"))
    notify(Notify(file), Said())
    assert len(whole.subjects) == 1

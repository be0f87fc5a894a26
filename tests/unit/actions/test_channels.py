# SPDX-License-Identifier: GPL-3.0-or-later
"""What each channel does with a message: a letter for sendmail, a command's input, a notice in its file."""

from __future__ import annotations

import email.policy
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

import pytest

from cyber_zfs_backup.actions.channels import LOGIN, Means, UndeliveredError, channels, show_at_login
from cyber_zfs_backup.config.declared import Notification
from cyber_zfs_backup.plan.findings import Severity
from cyber_zfs_backup.plan.telling import Message
from cyber_zfs_backup.plan.told import Told, Topic, Trouble

NOW = datetime(2026, 11, 27, 2, tzinfo=UTC)
SENDMAIL = """\
#!/bin/sh
printf '%s\\n' "$@" > {folder}/words
cat > {folder}/letter
"""


def told(what: str = "the backup of tank to off:a/b failed", **changes: object) -> Told:
    trouble = Trouble("a", "run a", Topic.FAILURE, Severity.FAILS, what, "look")
    return Told(trouble, NOW, NOW, **changes)  # type: ignore[arg-type]


def script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def means(tmp_path: Path) -> Means:
    sendmail = script(tmp_path / "sendmail", SENDMAIL.format(folder=tmp_path))
    return Means("zippy", sendmail, tmp_path / "run/notice", patience=20)


def letter(folder: Path) -> EmailMessage:
    found = BytesParser(policy=email.policy.default).parsebytes((folder / "letter").read_bytes())
    assert isinstance(found, EmailMessage)
    return found


def send(notification: Notification, means: Means, message: Message) -> None:
    (channel,) = channels(notification, means)
    channel.send(message)


def undelivered(notification: Notification, means: Means) -> UndeliveredError:
    with pytest.raises(UndeliveredError) as caught:
        send(notification, means, Message("x", (told(),)))
    assert caught.value.remedy
    return caught.value


def test_a_mail_is_a_letter_for_sendmail(means: Means, tmp_path: Path) -> None:
    message = Message("mail:me@example.com", (told("tank/größe failed"),))
    send(Notification(mail=("me@example.com",)), means, message)
    assert (tmp_path / "words").read_text().splitlines() == ["-i", "--", "me@example.com"]
    found = letter(tmp_path)
    assert found["To"] == "me@example.com"
    assert found["Subject"] == "[zippy] backup: tank/größe failed"
    assert found["From"].startswith("cyber-zfs-backup on zippy <")
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["Date"].datetime == NOW
    assert found.get_content_charset() == "utf-8"
    assert "- tank/größe failed\n" in found.get_content()
    # Of ASCII, with short lines: every way takes that.
    assert (tmp_path / "letter").read_bytes().isascii()


@pytest.mark.parametrize(
    "what", ["a\nBcc: evil@example.com\n\nx", "a\r\nBcc: evil@example.com", "\n.\nQUIT", "\udcff"]
)
def test_no_error_writes_a_header(means: Means, tmp_path: Path, what: str) -> None:
    send(Notification(mail=("me",)), means, Message("mail:me", (told(what),)))
    found = letter(tmp_path)
    assert sorted(found.keys()) == sorted(
        [
            *("From", "To", "Subject", "Date", "Auto-Submitted"),
            *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
        ]
    )
    assert "\n.\n" not in found.get_content()


@pytest.mark.parametrize("address", ["-oQ/tmp", "me@größe.example", "a,b@example.com"])
def test_an_address_is_nothing_else(means: Means, tmp_path: Path, address: str) -> None:
    send(Notification(mail=(address,)), means, Message("x", (told(),)))
    assert (tmp_path / "words").read_text() == f"-i\n--\n{address}\n"


@pytest.mark.parametrize("address", ["a\nBcc: b@example.com", "a@b\n", "a\x1b@b"])
def test_what_is_no_address_gets_no_letter(means: Means, tmp_path: Path, address: str) -> None:
    assert undelivered(Notification(mail=(address,)), means).what
    assert not (tmp_path / "letter").exists()


def test_each_address_is_told_for_itself(means: Means, tmp_path: Path) -> None:
    script(Path(means.sendmail), f"#!/bin/sh\n[ $3 = good ] && cat > {tmp_path}/$3\n")
    bad, good = channels(Notification(mail=("bad", "good")), means)
    with pytest.raises(UndeliveredError):
        bad.send(Message(bad.name, (told(),)))
    good.send(Message(good.name, (told(),)))
    assert (tmp_path / "good").exists()


def test_without_sendmail_and_with_one_that_fails(means: Means, tmp_path: Path) -> None:
    script(Path(means.sendmail), "#!/bin/sh\necho 'postdrop: denied' >&2; exit 75\n")
    assert (
        undelivered(Notification(mail=("me",)), means).what
        == f"{means.sendmail} ended with 75: postdrop: denied"
    )
    Path(means.sendmail).unlink()
    error = undelivered(Notification(mail=("me",)), means)
    assert "command not found" in error.what
    assert "apt install" in error.remedy


def test_a_command_gets_the_message_and_how_many(means: Means, tmp_path: Path) -> None:
    tell = script(
        tmp_path / "tell", f"#!/bin/sh\nenv > {tmp_path}/env; cat > {tmp_path}/in; echo $# > {tmp_path}/n\n"
    )
    message = Message("command", (told(), told()), (told(),))
    send(Notification(command=(tell, "a b", "$(id)")), means, message)
    environment = dict(line.partition("=")[::2] for line in (tmp_path / "env").read_text().splitlines())
    assert environment["CYBER_ZFS_BACKUP_SUBJECT"] == "[zippy] backup: 2 new, 1 still there"
    assert [environment[f"CYBER_ZFS_BACKUP_{name}"] for name in ("HOST", "NEW", "LASTING", "WELL")] == [
        *("zippy", "2", "1", "0")
    ]
    assert (tmp_path / "n").read_text() == "2\n"
    assert (tmp_path / "in").read_text().startswith("New:\n- the backup of tank")


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    tell = script(tmp_path / "tell", f"#!/bin/sh\necho $$ > {tmp_path}/pid; sleep 100 & wait\n")
    means = Means("zippy", patience=0.5)
    error = undelivered(Notification(command=(tell,)), means)
    assert "had not ended after 0.5 s and was ended" in error.what
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_a_command_with_a_line_break_is_told_what_to_do(means: Means) -> None:
    error = undelivered(Notification(command=("/bin/sh", "-c", "cat\ntrue")), means)
    assert "a control character in the argument" in error.what
    assert "into a script" in error.remedy


def test_a_command_that_reads_nothing_has_taken_it(means: Means) -> None:
    send(Notification(command=("/bin/true",)), means, Message("command", (told("x" * 200_000),)))


def test_the_names_on_record_have_no_secret_and_are_different(means: Means) -> None:
    urls = ("https://chat.example.com/hooks/S3cret1", "https://chat.example.com/hooks/S3cret2")
    found = channels(Notification(mail=("root",), command=("/bin/true",), webhook=urls), means)
    assert len({channel.name for channel in found}) == 4
    assert "S3cret" not in "".join(channel.name + channel.label for channel in found)
    assert [channel.label for channel in found[:3]] == [
        *("mail to root", "the command /bin/true", "webhook https://chat.example.com/...")
    ]


@pytest.fixture
def tight() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_the_notice_is_for_everybody_and_goes(means: Means, tight: None) -> None:
    standing = [told("a\x1b[2J", channels={LOGIN: NOW})]
    show_at_login(standing, means)
    assert stat.S_IMODE(means.notice.stat().st_mode) == 0o644
    assert stat.S_IMODE(means.notice.parent.stat().st_mode) == 0o755
    identity, title, line, *_ = means.notice.read_text().splitlines()
    assert (len(identity), title, line) == (16, "Backups of zippy need you:", r"- a\x1b[2J")
    # Its age changes nothing of what was seen; what is told anew does.
    show_at_login([told("another age", channels={LOGIN: NOW})], means)
    assert means.notice.read_text().splitlines()[0] == identity
    show_at_login([told("a", channels={LOGIN: NOW.replace(day=28)})], means)
    assert means.notice.read_text().splitlines()[0] != identity
    for _ in range(2):
        show_at_login([], means)
        assert not means.notice.exists()
    assert list(means.notice.parent.iterdir()) == []


def test_a_notice_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    means = Means("zippy", notice=tmp_path / "file/notice")
    with pytest.raises(UndeliveredError, match="Not a directory"):
        show_at_login([told(channels={LOGIN: NOW})], means)

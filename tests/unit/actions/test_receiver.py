# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive gives up on the receiver: by its own retention and its own knowledge of time."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cyber_zfs_backup.actions import receiver
from cyber_zfs_backup.actions.result import RunResult
from cyber_zfs_backup.config.job import UsageError
from cyber_zfs_backup.config.requests import ExpireReceived
from cyber_zfs_backup.gatekeeper.policy import PolicyError
from cyber_zfs_backup.model.names import own_name
from cyber_zfs_backup.zfs.client import Zfs
from tests.fake.host import FakeHost, make_hosts

from .rig import Said, kinds, problems

ROOT = "vault/zippy"
COPY = f"{ROOT}/zippy"
START = datetime(2026, 3, 2, 2, tzinfo=UTC)
POLICY = """
root = "vault/zippy"
keep-at-least = { days = 2, weeks = 0, months = 0 }
retention = { days = 3, weeks = 1, months = 1 }
"""


class Receiver:
    """A receiver with one client, whose snapshots arrive each night at two."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = make_hosts("tank", "vault")[1]
        self.host.zfs("create", "-p", COPY)
        self.now = START
        self.state = folder / "homes/zippy/state"
        self.state.mkdir(parents=True)
        (folder / "clients").mkdir()
        self.policy(POLICY)

    def policy(self, text: str, client: str = "zippy") -> None:
        (self.folder / "clients" / f"{client}.toml").write_text(text)

    def night(self, name: str | None = None) -> str:
        """A snapshot comes, and the gatekeeper notes that the pool is beyond it."""
        self.now += timedelta(days=1)
        self.host.world.now = int(self.now.timestamp())
        name = name or own_name(self.now)
        self.host.zfs("snapshot", f"{COPY}@{name}")
        txg = int(self.host.zfs("get", "-Hp", "-o", "value", "createtxg", f"{COPY}@{name}"))
        with (self.state / "seen").open("a") as file:
            file.write(f"{self.now.timestamp() + 60:.0f} {txg + 1}\n")
        return name

    def expire(self, *, dry_run: bool = False, force_lots: bool = False) -> RunResult:
        request = ExpireReceived(self.folder / "clients", self.folder / "homes", force_lots, dry_run)
        return receiver.expire_received_on(
            request, Zfs(self.host), Said(), lambda: self.now + timedelta(hours=1)
        )

    def names(self, dataset: str = COPY) -> list[str]:
        return [snapshot.name for snapshot in self.host.world.datasets[dataset].snapshots]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    # Who may have written the file is the gatekeeper's affair, and tested there.
    monkeypatch.setattr(receiver, "load", lambda path: tomllib.loads(Path(path).read_text()))
    return Receiver(tmp_path)


def test_nights_and_what_is_kept_of_them(there: Receiver) -> None:
    for _ in range(20):
        there.night()
        result = there.expire()
        assert result.exit_code == 0, problems(result)
    # 22 March 2026 is a Sunday. The first of the month and year, of the week, of three days.
    assert there.names() == [
        *("2026-03-03T02:00:00Z", "2026-03-16T02:00:00Z"),
        *("2026-03-20T02:00:00Z", "2026-03-21T02:00:00Z", "2026-03-22T02:00:00Z"),
    ]


def test_each_has_its_reason(there: Receiver) -> None:
    names = [there.night() for _ in range(6)]
    result = there.expire(dry_run=True)
    assert there.names() == names
    (lines,) = [action.lines for action in result.actions]
    assert f"keep {COPY}@{names[-1]}: newest" in lines
    assert f"keep {COPY}@{names[-2]}: daily 2 of 3 (seen)" in lines
    assert f"keep {COPY}@{names[-3]}: daily 3 of 3 (seen)" in lines
    gone = f"destroy {COPY}@{names[1]}: not the first of a day, week, month or year that is kept"
    assert gone in lines


def test_a_snapshot_of_2037_stops_nothing(there: Receiver) -> None:
    there.night("2037-01-01T00:00:00Z")
    for _ in range(10):
        there.night()
    assert there.expire().exit_code == 0
    assert len(there.names()) < 8


def test_forged_dates_push_nothing_out(there: Receiver) -> None:
    for _ in range(12):
        there.night()
        there.expire()
    before = there.names()
    for number in range(40):
        there.night(own_name(datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=9 * number)))
        there.now -= timedelta(days=1)
    there.night()
    there.expire(force_lots=True)
    # One day has passed: the oldest of the three days may go, and nothing else.
    assert set(before) - set(there.names()) <= {before[-3]}
    assert len(there.names()) < 12


def test_what_is_held_or_cloned_or_foreign_stays(there: Receiver) -> None:
    names = [there.night() for _ in range(8)]
    there.night("by hand")
    there.host.zfs("hold", "keep", f"{COPY}@{names[1]}")
    there.host.zfs("clone", f"{COPY}@{names[2]}", f"{ROOT}/clone")
    there.night()
    assert there.expire().exit_code == 0
    assert {names[1], names[2], "by hand"} <= set(there.names())
    assert names[3] not in there.names()


def test_many_at_once_need_a_yes(there: Receiver) -> None:
    for _ in range(30):
        there.night()
    result = there.expire()
    assert kinds(result) == ["lots"]
    assert len(there.names()) == 30
    assert there.expire(force_lots=True).exit_code == 0
    assert len(there.names()) < 10


def test_a_mirror_and_a_client_that_has_not_been_here_are_left_alone(there: Receiver) -> None:
    for _ in range(9):
        there.night()
    there.policy(POLICY + 'mode = "mirror"\n')
    there.policy(POLICY.replace("zippy", "other"), "other")
    result = there.expire()
    assert [action.outcome.value for action in result.actions] == ["nothing", "nothing"]
    assert [action.destination for action in result.actions] == ["other", "zippy"]
    assert len(there.names()) == 9
    # Nothing was made where the client's user writes.
    assert not (there.folder / "homes/other").exists()


@pytest.mark.parametrize(
    "text", ["root = 5\n", 'root = "vault/zippy"\nretension = 3\n', 'root = "vault/gone"\n']
)
def test_one_clients_trouble_does_not_stop_the_others(there: Receiver, text: str) -> None:
    for _ in range(9):
        there.night()
    there.policy(text, "another")
    (there.folder / "homes/another/state").mkdir(parents=True)
    (there.folder / "homes/another/state/seen").write_text("1 1\n")
    result = there.expire()
    assert [action.outcome.value for action in result.actions] == ["failed", "done"]
    assert result.exit_code == 1


def test_a_damaged_record_stops_that_client(there: Receiver) -> None:
    for _ in range(9):
        there.night()
    (there.state / "seen").write_text("soon 5\n")
    result = there.expire()
    assert kinds(result) == ["client"]
    assert "seen" in problems(result)[0]
    assert len(there.names()) == 9


def test_counts_of_days_that_are_over_go(there: Receiver) -> None:
    there.night()
    for name in ("bytes-2026-02-28", "bytes-2026-03-03", "destroyed-2025-01-01", "slot-0"):
        (there.state / name).write_text("0")
    there.expire()
    assert sorted(path.name for path in there.state.iterdir()) == ["bytes-2026-03-03", "seen", "slot-0"]


def test_no_client(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no client has a policy"):
        receiver.expire_received_on(
            ExpireReceived(tmp_path), Zfs(FakeHost(make_hosts("a", "b")[0].world)), Said(), lambda: START
        )


def test_a_policy_that_others_can_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Receiver(tmp_path)
    there.night()

    def refused(path: str) -> dict[str, object]:
        raise PolicyError(f"{path} can be written by others than root")

    monkeypatch.setattr(receiver, "load", refused)
    assert kinds(there.expire()) == ["client"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""``run``: what is due by the configuration file is done, once, and nothing else."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cyber_zfs_backup.actions import lock
from cyber_zfs_backup.actions.due_jobs import Stops
from cyber_zfs_backup.actions.history import history
from cyber_zfs_backup.actions.lock import push_lock, run_lock
from cyber_zfs_backup.actions.result import Outcome, RunResult
from cyber_zfs_backup.actions.troubles import from_history
from cyber_zfs_backup.config.job import Action, Destination, Job, UsageError
from cyber_zfs_backup.hosts.protocol import Transfer
from cyber_zfs_backup.model.history import Finished
from tests.fake.host import FakeLink, make_hosts
from tests.unit.actions.fleet import ONE, Fleet
from tests.unit.actions.rig import ROOT, THERE, problems

HOUR = 3600


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What these runs leave behind."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path / "state"


def did(result: RunResult) -> list[tuple[str, str, str]]:
    return [(each.action, each.dataset, each.outcome.value) for each in result.actions]


def nothing(result: RunResult) -> bool:
    return [each.outcome for each in result.actions] == [Outcome.NOTHING]


def words(result: RunResult) -> list[str]:
    return [each.action for each in result.actions]


def test_what_is_due_is_done_once() -> None:
    fleet = Fleet()
    first = fleet.due()
    assert words(first) == ["snapshot", "expire", "push"]
    assert first.exit_code == 0, problems(first)
    assert fleet.here == fleet.there != {"": {}}
    assert nothing(fleet.due())
    assert nothing(fleet.later(HOUR // 2 - 60))
    # Hours are those of the clock: not an hour after the last, which would wander.
    assert words(fleet.later(HOUR // 2 + 60)) == ["snapshot", "expire", "push"]
    assert fleet.here == fleet.there
    assert len(fleet.names()) == 2


def test_a_look_at_nothing_costs_one_list() -> None:
    fleet = Fleet(ONE.replace("every 1h", "02:00"))
    fleet.due()
    fleet.due()
    fleet.source.calls.clear()
    fleet.receiver.calls.clear()
    fleet.asked.clear()
    assert nothing(fleet.due())
    assert [call[:2] for call in fleet.source.calls] == [("zfs", "list")]
    assert fleet.receiver.calls == []
    assert fleet.asked == [], "systemd was asked again for what is known"


def test_a_lock_that_cannot_be_made_is_said_and_nothing_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(lock, "lock_folder", lambda: tmp_path / "file")
    fleet = Fleet()
    (only,) = fleet.due().actions
    assert only.outcome is Outcome.FAILED
    assert "the lock of runs by the configuration file cannot be made" in only.summary
    assert only.problems[0].remedy == "make it writable, then run again"
    assert fleet.names() == []


def test_a_job_that_begins_when_all_are_ended_is_ended_too() -> None:
    fleet, stops, ended = Fleet(), Stops(), []
    home = fleet.home()
    home.source.host.close = lambda: ended.append(True)  # type: ignore[method-assign]
    with stops.of(home, []):
        assert not ended
    stops.all()
    assert not ended
    with stops.of(home, []):
        assert ended


def test_metrics_that_are_old_are_due_though_nothing_else_is(tmp_path: Path) -> None:
    """Else a pause is never told, and what is due once a week looks as if nothing ran any more."""
    file = tmp_path / "x.prom"
    fleet = Fleet(f'[monitoring]\nmetrics = "{file}"\n{ONE.replace("every 1h", "every 1w")}')
    assert not fleet.due().outdated
    file.write_text("")
    os.utime(file, (fleet.now.timestamp(), fleet.now.timestamp()))
    assert not fleet.due().outdated
    fleet.wait(HOUR)
    result = fleet.due()
    assert nothing(result)
    assert result.outdated
    assert not fleet.due(dry_run=True).outdated


def test_it_says_what_comes_next() -> None:
    fleet = Fleet()
    fleet.due()
    (only,) = fleet.due().actions
    assert only.summary.startswith("nothing is due; next, at ")
    assert only.summary.endswith("UTC: a snapshot of tank/src")


def test_a_night_that_was_missed_is_made_up_once() -> None:
    fleet = Fleet(ONE.replace("every 1h", "02:00"))
    fleet.due()
    fleet.wait(9 * 86400)
    assert words(fleet.due()) == ["snapshot", "expire", "push"]
    assert nothing(fleet.due())


def test_a_push_that_failed_is_made_up_but_not_at_once() -> None:
    fleet = Fleet()
    fleet.due()
    fleet.receiver.faults.unreachable = True
    broken = fleet.later(HOUR)
    assert (words(broken), broken.exit_code) == (["snapshot", "expire", "push"], 75)
    assert nothing(fleet.later(9 * 60))
    assert words(fleet.later(2 * 60)) == ["push"]
    assert nothing(fleet.later(11 * 60)), "the second pause is twice as long"
    fleet.calm()
    again = fleet.later(10 * 60)
    assert (words(again), again.exit_code) == (["push"], 0), problems(again)
    assert fleet.here == fleet.there
    assert nothing(fleet.due())
    runs = [run for run in history() if run.destination]
    assert [(run.job, run.exit) for run in runs] == [(ROOT, code) for code in (0, 75, 75, 0)]


def test_a_first_push_needs_no_word_but_a_copy_that_is_gone_is_not_sent_anew() -> None:
    fleet = Fleet()
    assert fleet.due().exit_code == 0
    for name in sorted(fleet.receiver.world.datasets, reverse=True):
        if name.startswith(THERE):
            fleet.receiver.zfs("destroy", "-r", name)
    lost = fleet.later(HOUR)
    assert lost.exit_code == 65, problems(lost)
    assert "--force-non-incremental" in problems(lost)[0]


def test_pushes_by_a_schedule_of_their_own() -> None:
    fleet = Fleet(ONE + 'push-schedule = "02:00"\n')
    assert words(fleet.due()) == ["snapshot", "expire", "push"]
    assert words(fleet.later(HOUR)) == ["snapshot", "expire"]
    assert words(fleet.later(86400)) == ["snapshot", "expire", "push"]
    assert fleet.here == fleet.there


MANY = """
[destination.offsite]
dataset = "vault/{name}"

[defaults]
destinations = ["offsite"]
schedule = "every 1h"

[[dataset]]
name = "tank/home"

[[dataset]]
name = "tank/home/me"
schedule = "every 15min"

[[dataset]]
name = "tank/home/tmp"
destinations = []

[[dataset]]
name = "tank/flat"
recursive = false
"""


@pytest.fixture
def many() -> Fleet:
    fleet = Fleet(MANY)
    for name in ("home", "home/me", "home/me/deep", "home/tmp", "home/you", "flat", "flat/below"):
        fleet.source.zfs("create", f"tank/{name}")
    return fleet


def copies(fleet: Fleet) -> dict[str, int]:
    return {name: len(each.snapshots) for name, each in sorted(fleet.receiver.world.datasets.items())}


def test_each_entry_is_a_job_of_its_own(many: Fleet) -> None:
    result = many.due()
    assert result.exit_code == 0, problems(result)
    assert copies(many) == {
        "vault": 0,
        "vault/flat": 1,
        "vault/home": 1,
        "vault/home/me": 1,
        "vault/home/me/deep": 1,
        "vault/home/you": 1,
    }
    assert sum(len(each.snapshots) for each in many.source.world.tree("tank/home/tmp")) == 1
    assert not many.source.world.datasets["tank/flat/below"].snapshots
    again = many.later(900)
    assert {each.dataset for each in again.actions} == {"tank/home/me"}
    assert again.exit_code == 0, problems(again)
    assert copies(many)["vault/home/me/deep"] == 2


def test_one_that_fails_keeps_no_other_back(many: Fleet) -> None:
    many.text += '\n[[dataset]]\nname = "tank/gone"\n\n[[dataset]]\nname = "tank/odd"\nschedule = "broken"\n'
    many.source.zfs("create", "tank/odd")
    many.source.zfs("snapshot", "tank/odd@2026-01-01T00:00:00Z")
    result = many.due()
    bad = {(each.dataset, each.problems[0].kind) for each in result.actions if each.problems}
    assert bad == {("tank/gone", "usage"), ("tank/odd", "schedule")}
    (gone,) = [each.problems[0] for each in result.actions if each.dataset == "tank/gone"]
    assert (gone.what, gone.where) == ("there is no such dataset on this machine", "tank/gone")
    assert "in the configuration file" in gone.remedy
    assert result.exit_code == 1
    assert copies(many)["vault/home/me/deep"] == 1


def test_only_what_is_named(many: Fleet) -> None:
    result = many.due(datasets=("tank/flat",), actions=frozenset({Action.SNAPSHOT}))
    assert did(result) == [("snapshot", "tank/flat", "done")]
    with pytest.raises(UsageError, match=r"no \[\[dataset\]\] 'tank/flit'; did you mean tank/flat"):
        many.due(datasets=("tank/flit",))


def test_now_does_it_due_or_not() -> None:
    fleet = Fleet()
    fleet.due()
    fleet.wait(5)
    assert words(fleet.due(now=True)) == ["snapshot", "expire", "push"]
    assert words(fleet.due(now=True, actions=frozenset({Action.PUSH}))) == ["push"]
    assert words(fleet.due(now=True, actions=frozenset({Action.EXPIRE}))) == ["expire"]


def test_a_dry_run_tells_and_does_nothing() -> None:
    fleet = Fleet()
    before = fleet.states()
    (only,) = fleet.due(dry_run=True).actions
    assert only.lines == ("would take a snapshot of tank/src", "would push it to offsite:vault/copy")
    assert fleet.states() == before
    assert list(history()) == []


@pytest.mark.parametrize("pause", ["true", '"2026-12-24"', "2026-12-24"])
def test_what_is_paused_rests(pause: str) -> None:
    fleet = Fleet(f"{ONE}pause = {pause}\n")
    assert fleet.now < datetime.fromisoformat("2026-12-23T00:00:00+00:00")
    assert nothing(fleet.due(now=True))
    assert "is paused" in fleet.said.notes[0]
    assert fleet.names() == []
    if pause != "true":
        fleet.wait(400 * 86400)
        assert words(fleet.due()) == ["snapshot", "expire", "push"]


def test_a_paused_dataset_by_default_is_not_paused() -> None:
    assert words(Fleet(f"{ONE}pause = false\n").due()) == ["snapshot", "expire", "push"]


def test_an_archive_keeps_what_its_own_retention_says() -> None:
    text = ONE.replace(
        'dataset = "vault/copy"', 'dataset = "vault/copy"\nmode = "archive"\nretention = "long"'
    )
    text += 'retention = "short"\n[retention.short]\nkeep-last = 1\n[retention.long]\nkeep-last = 4\n'
    fleet = Fleet(text)
    for _ in range(9):
        result = fleet.later(HOUR)
        assert result.exit_code == 0, problems(result)
    # What it had before, the base of the last push among it, and what has just come.
    assert len(fleet.names()) <= 2
    assert 4 <= len(fleet.names_there()) <= 5
    assert fleet.names_there()[-1] == fleet.names()[-1]


def test_another_run_that_looks_is_left_alone() -> None:
    fleet = Fleet()
    with run_lock() as free:
        assert free
        assert nothing(fleet.due())
    assert fleet.names() == []
    assert words(fleet.due()) == ["snapshot", "expire", "push"]


def test_a_push_that_another_run_is_at_is_no_failure() -> None:
    fleet = Fleet()
    with push_lock(ROOT, Destination("offsite", THERE)) as free:
        assert free
        result = fleet.due()
    assert (words(result), result.exit_code) == (["snapshot", "expire", "push"], 0)
    assert [run for run in history() if run.destination] == []
    assert words(fleet.due()) == ["push"]


def test_a_slow_push_keeps_nothing_else_back(many: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one destination takes its time, what becomes due is snapshotted, and pushed elsewhere."""
    monkeypatch.setattr("cyber_zfs_backup.actions.due_run._EVERY", 0.01)
    many.text = MANY.replace('destinations = ["offsite"]', 'destinations = ["offsite", "slow"]').replace(
        "[defaults]", '[destination.slow]\ndataset = "store/{name}"\n\n[defaults]'
    )
    _, store, _ = make_hosts("unused", "store")
    store.world.now = many.source.world.now
    many.elsewhere["slow"] = store
    released = threading.Event()
    began = threading.Event()

    class Slow(FakeLink):
        def transfer(self, *arguments: Any, **options: Any) -> Transfer:
            began.set()
            assert released.wait(60)
            return super().transfer(*arguments, **options)

    many.links["slow"] = Slow(many.source, store)
    results: list[RunResult] = []
    thread = threading.Thread(target=lambda: results.append(many.due()))
    thread.start()
    assert began.wait(60)
    me = many.source.world.datasets["tank/home/me"]

    def there() -> int:
        copy = many.receiver.world.datasets.get("vault/home/me")
        return len(copy.snapshots) if copy else 0

    _until(lambda: there() == 1)
    many.wait(900)
    _until(lambda: len(me.snapshots) == 2 and there() == 2)
    assert not results
    released.set()
    thread.join(60)
    (result,) = results
    assert result.exit_code == 0, problems(result)
    assert len(store.world.datasets["store/home/me"].snapshots) >= 1
    assert many.said.warnings == []


def _until(what: Callable[[], bool]) -> None:
    limit = threading.Event()
    for _ in range(3000):
        if what():
            return
        limit.wait(0.02)
    raise AssertionError("it did not come")


def test_a_mistake_of_ours_in_a_push_ends_the_run() -> None:
    fleet = Fleet()

    def broken(job: Job) -> None:
        assert Action.PUSH not in job.actions, "a broken assertion"

    fleet.opened = broken
    with pytest.raises(AssertionError, match="a broken assertion"):
        fleet.due()


def test_what_is_left_behind_may_be_damaged(state: Path) -> None:
    fleet = Fleet(ONE.replace("every 1h", "02:00"))
    fleet.due()
    for garbage in ("", "{", '{"schema": 1}', '{"schema": 1, "good": 3}', "[]", '{"schema": 99}'):
        (state / "due.json").write_text(garbage)
        assert nothing(fleet.due())
    # Without the history it is not known that the push came to its end: the receiver is asked.
    (state / "history.jsonl").unlink()
    assert words(fleet.due()) == ["push"]
    assert nothing(fleet.due())


def test_a_tree_that_is_pushed_nowhere_is_on_record_too() -> None:
    fleet = Fleet('[[dataset]]\nname = "tank/src"\nschedule = "every 1h"\n')
    fleet.due()
    assert [(run.destination, run.snapshot, run.exit) for run in history()] == [("", fleet.names()[0], 0)]


def test_a_failed_snapshot_is_on_record(many: Fleet) -> None:
    many.source.zfs("snapshot", "tank/flat@2037-01-01T00:00:00Z")
    result = many.due(datasets=("tank/flat",))
    assert result.exit_code == 1
    runs: list[Finished] = list(history())
    assert any(run.error and run.dataset == "tank/flat" for run in runs)


def hooked(when: str, script: str, more: str = "") -> str:
    words = f'["/bin/sh", "-c", "{script}"]'
    return f'\n[[dataset.hooks]]\nwhen = "{when}"\ncommand = {words}\n{more}'


def test_what_was_made_to_rest_before_a_snapshot_goes_on_after_it(tmp_path: Path) -> None:
    note = (
        f"echo $CYBER_ZFS_BACKUP_WHEN $CYBER_ZFS_BACKUP_RESULT $CYBER_ZFS_BACKUP_SNAPSHOT >> {tmp_path}/ran"
    )
    words_of = ("before-snapshot", "after-snapshot", "before-push", "after-push")
    fleet = Fleet(ONE + "".join(hooked(when, note) for when in words_of))
    assert fleet.due().exit_code == 0
    (name,) = fleet.names()
    assert (tmp_path / "ran").read_text().splitlines() == [
        "before-snapshot",
        f"after-snapshot done tank/src@{name}",
        f"before-push tank/src@{name}",
        f"after-push done tank/src@{name}",
    ]
    # Nothing is taken where that was to be quiet is not; it is told to go on all the same.
    (tmp_path / "ran").unlink()
    fleet.text = ONE + hooked("before-snapshot", "exit 1") + hooked("after-snapshot", note)
    result = fleet.later(HOUR)
    assert result.exit_code == 1
    assert words(result) == ["hook before-snapshot"]
    assert fleet.names() == [name]
    assert (tmp_path / "ran").read_text().split() == ["after-snapshot", "failed"]
    *_, failed = history()
    assert (failed.destination, failed.exit) == ("", 1)
    assert failed.error == "hook before-snapshot: tank/src: /bin/sh failed (exit 1)"


def test_a_hook_that_fails_behind_a_snapshot_is_on_record() -> None:
    """Else a night whose hook fails each time looks well: its push is."""
    fleet = Fleet(ONE + hooked("after-snapshot", "exit 1"))
    assert fleet.due().exit_code == 1
    local, push = history()
    assert (local.destination, local.exit, local.snapshot) == ("", 1, fleet.names()[0])
    assert (push.destination, push.exit) == ("offsite:vault/copy", 0)
    assert [each.key for each in from_history((local, push), frozenset(), fleet.now).troubles] == [
        "run tank/src"
    ]
    fleet.text = ONE
    fleet.later(HOUR)
    assert from_history(history(), frozenset(), fleet.now).troubles == ()


def test_a_push_that_fails_tells_what_it_was_to_push() -> None:
    """That its tree was snapshotted again is known from that, however long the receiver is away."""
    fleet = Fleet(ONE + hooked("before-push", "exit 1"))
    fleet.due()
    (push,) = history()
    assert (push.exit, push.target) == (1, fleet.names()[0])


def test_a_push_whose_hook_failed_is_made_up_later() -> None:
    fleet = Fleet(ONE + hooked("before-push", "exit 1"))
    result = fleet.due()
    assert (words(result), result.exit_code) == (["snapshot", "expire", "hook before-push"], 1)
    assert [(run.destination, run.exit) for run in history()] == [("offsite:vault/copy", 1)]
    assert nothing(fleet.due())
    fleet.text = ONE
    assert words(fleet.later(11 * 60)) == ["push"]


def test_a_condition_puts_off_and_one_that_is_broken_is_a_fault() -> None:
    condition = "[dataset.conditions]\ncommand = "
    fleet = Fleet(f'{ONE}{condition}["/bin/sh", "-c", "exit 1"]\n')
    assert nothing(fleet.due())
    assert "is put off: its condition /bin/sh says no (exit 1)" in fleet.said.notes[0]
    fleet.text = f'{ONE}{condition}["/bin/sh", "-c", "exit 255"]\n'
    broken = fleet.due()
    assert (broken.exit_code, broken.actions[0].problems[0].kind) == (1, "condition")
    assert fleet.names() == []
    fleet.text = f'{ONE}{condition}["/bin/true"]\n'
    assert words(fleet.due()) == ["snapshot", "expire", "push"]

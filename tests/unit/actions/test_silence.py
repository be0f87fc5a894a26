# SPDX-License-Identifier: GPL-3.0-or-later
"""A peer, a link or a pool that says nothing any more keeps no run for ever; one that ssh does not
reach is told in ssh's words."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from cyber_zfs_backup.actions.run import real_home, real_ways
from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.local import LocalHost
from cyber_zfs_backup.hosts.protocol import Finished, Transfer
from cyber_zfs_backup.hosts.ssh import SshHost
from cyber_zfs_backup.hosts.stream import ProcessLink
from tests.fake.host import FakeLink
from tests.unit.actions.rig import FORCED, Rig, Said, kinds, problems


def test_a_stall_is_passing_trouble_and_nothing_else_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig("a", "b")
    rig.first()
    base = rig.names()[0]
    moved = rig.link.transfer

    def stalls(
        sends: Sequence[Sequence[str]], receives: Sequence[Sequence[str]], **how: Callable[[int], None]
    ) -> Transfer:
        rig.link.break_next(200)
        return replace(moved(sends, receives, **how), stalled=True)

    monkeypatch.setattr(rig.link, "transfer", stalls)
    before = len(rig.link.transfers)
    result = rig.night(lanes=1)
    assert result.exit_code == 75, problems(result)
    assert "no byte has moved" in problems(result)[0]
    assert len(rig.link.transfers) == before + 1
    assert base in rig.held()[""]
    # Not undo(): that would also give the tests' lock folder up.
    monkeypatch.setattr(rig.link, "transfer", FakeLink.transfer.__get__(rig.link))
    assert rig.night().exit_code == 0


Connections = list[tuple[str, ...]]


def refuse(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, said: str, trouble: HostError | None = None
) -> Connections:
    """Let the data connection's ssh fail before anything is received. Answers those that were tried."""
    tried: Connections = []

    def transfer(
        sends: Sequence[Sequence[str]], receives: Sequence[Sequence[str]], **how: Callable[[int], None]
    ) -> Transfer:
        tried.append(tuple(receives[0]))
        send = Finished(tuple(sends[0]), -13, "", "")
        return Transfer((send,), Finished(tuple(receives[0]), 255, "", said), 0, trouble=trouble)

    monkeypatch.setattr(rig.link, "transfer", transfer)
    return tried


@pytest.mark.parametrize(
    ("kind", "said", "code", "word"),
    [
        (HostErrorKind.LOGIN_REFUSED, "me@offsite: Permission denied (publickey).", 1, "ssh-refused"),
        (HostErrorKind.HOST_KEY_UNKNOWN, "Host key verification failed.", 1, "ssh-refused"),
        (HostErrorKind.HOST_KEY_CHANGED, "Host key verification failed.", 1, "ssh-refused"),
        (HostErrorKind.CONFIG, "no matching cipher found", 1, "ssh-refused"),
        (HostErrorKind.UNREACHABLE, "kex_exchange_identification: read: reset", 75, "link-lost"),
        (HostErrorKind.UNREACHABLE, "Connection reset by 192.0.2.1 port 22", 75, "link-lost"),
    ],
)
def test_a_push_whose_data_ssh_keeps_from_the_host_ends_with_the_words_and_remedy_for_that(
    monkeypatch: pytest.MonkeyPatch, kind: HostErrorKind, said: str, code: int, word: str
) -> None:
    rig = Rig("a", "b")
    rig.first()
    tried = refuse(rig, monkeypatch, f"{said}\n", HostError(kind, "offsite", said, "see that ssh works"))
    result = rig.night(lanes=1)
    assert result.exit_code == code, problems(result)
    assert kinds(result) == [word]
    assert f"offsite says: {said}; see that ssh works" in problems(result)[0]
    assert len(tried) == 1
    # Not undo(): that would also give the tests' lock folder up.
    monkeypatch.setattr(rig.link, "transfer", FakeLink.transfer.__get__(rig.link))
    assert rig.night().exit_code == 0


def test_a_first_push_that_ssh_refuses_fails_too(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig("a")
    said = "me@offsite: Permission denied (publickey)."
    refuse(rig, monkeypatch, said, HostError(HostErrorKind.LOGIN_REFUSED, "offsite", said, "add the key"))
    result = rig.night(force=FORCED)
    assert (result.exit_code, kinds(result)) == (1, ["ssh-refused"]), problems(result)
    # Not undo(): that would also give the tests' lock folder up.
    monkeypatch.setattr(rig.link, "transfer", FakeLink.transfer.__get__(rig.link))
    assert rig.night(force=FORCED).exit_code == 0


@pytest.mark.parametrize("said", ["", "Corrupted MAC on input.", "ssh_dispatch_run_fatal: unheard of"])
def test_an_ssh_that_fails_for_an_unknown_reason_is_a_lost_connection(
    monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    rig = Rig("a")
    rig.first()
    tried = refuse(rig, monkeypatch, said)
    result = rig.night(lanes=1)
    assert (result.exit_code, kinds(result), len(tried)) == (75, ["link-lost"], 1), problems(result)


def test_a_real_run_has_limits_on_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float | None] = []
    monkeypatch.setattr(LocalHost, "run", lambda self, argv, *, timeout=None: seen.append(timeout))
    monkeypatch.setattr(SshHost, "run", lambda self, argv, *, timeout=None: seen.append(timeout))
    job = Rig().job()
    with real_home(job, Said()) as home, real_ways(home) as (ends,):
        for side in (ends.source, ends.receiver):
            with contextlib.suppress(AttributeError):
                side.exists("tank")
        assert isinstance(ends.link, ProcessLink)
        assert ends.link._limits.stall == 15 * 60
        assert ends.link._limits.patience == 6 * 3600
    assert seen == [6 * 3600, 6 * 3600]

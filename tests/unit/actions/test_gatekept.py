# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs to a receiver whose gatekeeper decides: all that the sender asks is in its grammar, what the policy
refuses is not attempted, and none of it is an error.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cyber_zfs_backup.actions.doctor_here import Here
from cyber_zfs_backup.actions.quarantine import quarantine_on
from cyber_zfs_backup.actions.verify import verify_on
from cyber_zfs_backup.config.job import Destination
from cyber_zfs_backup.config.requests import Quarantine
from cyber_zfs_backup.gatekeeper.book import Book
from cyber_zfs_backup.gatekeeper.grammar import Grammar, RefusedError, Words
from cyber_zfs_backup.gatekeeper.main import Gate, Programs
from cyber_zfs_backup.gatekeeper.policy import Mode, Policy
from cyber_zfs_backup.hosts.protocol import Argv, Finished
from cyber_zfs_backup.hosts.quoting import command_line, joined
from cyber_zfs_backup.plan.findings import Severity
from cyber_zfs_backup.plan.floors import Keep
from cyber_zfs_backup.zfs.parse import Property
from cyber_zfs_backup.zfs.properties import Grants, grants
from tests.fake.host import FakeHost, zfs_part

from .rig import FORCED, HARSH, ONLY_PUSH, ROOT, THERE, Rig, action, actions, kinds, problems
from .test_doctor import answering, bad, look
from .test_quarantine import FORCE, FUTURE
from .test_restore import ELSEWHERE, restore

FLOORLESS = Keep(0, 0, 0)


class ByFake(Programs):
    """Runs vectors on a fake host, and keeps what was said."""

    def __init__(self, host: GatedHost) -> None:
        self.host = host
        self.told = ""
        self.said = Finished(("zfs",), 0, "", "")

    def answer(self, line: str) -> None:
        self.told += f"{line}\n"

    def become(self, argv: Words) -> int:
        return self.run(argv, subprocess.DEVNULL)

    def run(self, argv: Words, stdin: int) -> int:
        self.said = FakeHost.run(self.host, argv)
        return self.said.status or 0

    def output(self, argv: Words) -> str:
        return FakeHost.run(self.host, argv).stdout


class GatedHost(FakeHost):
    """The same world, through a gatekeeper."""

    def __init__(self, host: FakeHost, policy: Policy, book: Book) -> None:
        self.__dict__ = host.__dict__
        self.policy = policy
        self.book = book
        self.refused: list[str] = []

    def run(self, argv: Argv, *, timeout: float | None = None) -> Finished:
        line = command_line(zfs_part(argv))
        programs = ByFake(self)
        try:
            status = Gate(self.policy, self.book, programs).serve(line)
        except RefusedError as error:
            self.refused.append(line)
            return Finished(tuple(argv), 77, "", f"cyber-zfs-receive: refused: {error}\n")
        return Finished(tuple(argv), status, programs.told + programs.said.stdout, programs.said.stderr)


Behind = Callable[..., Rig]


@pytest.fixture
def behind(tmp_path: Path) -> Behind:
    """A rig whose receiver is behind a gatekeeper, and has a copy already."""
    (tmp_path / "state").mkdir()
    (tmp_path / "vault").mkdir()

    def make(*children: str, mode: Mode = Mode.ARCHIVE, reads: bool = False) -> Rig:
        rig = Rig(*children)
        rig.first()
        policy = Policy(THERE, mode, keep_at_least=FLOORLESS, destroy_percent=100, restore=reads)
        # Each transaction group of the fake is over before the next question.
        book = Book(tmp_path / "state", kstat=tmp_path)
        (tmp_path / "vault/txgs").write_text("txg\n1000000 0 O\n")
        rig.receiver = GatedHost(rig.receiver, policy, book)
        return rig

    return make


def refused(rig: Rig) -> list[str]:
    assert isinstance(rig.receiver, GatedHost)
    # And every receive of every connection is one that would be let through.
    for moved in rig.link.transfers:
        Grammar(THERE).understand(joined(moved.receives))
    return rig.receiver.refused


def test_what_is_told() -> None:
    def about(value: str, source: str = "gatekeeper") -> Grants:
        return grants({THERE: {"cyber-zfs-backup:policy": Property(value, source)}}, THERE)

    assert grants(None, THERE) == grants({THERE: {}}, THERE) == Grants()
    assert (
        about("archive") == about("archive,restore") == Grants(renames=False, destroys=False, settings=False)
    )
    assert about("mirror") == about("mirror,restore") == Grants(renames=False, destroys=True, settings=False)
    # A property that somebody has set says nothing.
    assert about("archive", "local") == about("archive", "received") == Grants()


def test_nights_to_an_archive(behind: Behind) -> None:
    rig = behind("a", "a/b")
    rig.source.zfs("set", "quota=1G", f"{ROOT}/a")
    for _ in range(4):
        result = rig.night(retention=HARSH, force=FORCE)
        assert result.exit_code == 0, problems(result)
        assert "mirror" not in actions(result)
    assert len(rig.names()) < 5
    assert len(rig.names_there()) == 5
    assert refused(rig) == []


def test_nights_to_a_mirror(behind: Behind, tmp_path: Path) -> None:
    rig = behind("a", mode=Mode.MIRROR)
    for _ in range(4):
        for used in (tmp_path / "state").glob("destroyed-*"):
            used.unlink()  # the gatekeeper's day is a real one
        result = rig.night(retention=HARSH, force=FORCE)
        assert result.exit_code == 0, problems(result)
    assert action(result, "mirror").outcome.value == "done"
    assert rig.here == rig.there
    assert refused(rig) == []


def test_a_new_child_and_a_first_push_below_the_root(behind: Behind) -> None:
    rig = behind("a")
    rig.source.zfs("create", f"{ROOT}/new")
    assert rig.night().exit_code == 0
    other = Destination("offsite", f"{THERE}/second")
    result = rig.night(destination=other, force=FORCED, actions=ONLY_PUSH)
    assert result.exit_code == 0, problems(result)
    assert refused(rig) == []


def test_a_rename_is_not_attempted(behind: Behind) -> None:
    rig = behind("a", "b")
    rig.source.zfs("rename", f"{ROOT}/a", f"{ROOT}/z")
    result = rig.night()
    assert result.exit_code == 3
    assert kinds(result) != []
    (problem,) = action(result, "push").problems
    assert "the receiver's gatekeeper renames nothing; do it there, as root" in problem.what
    assert refused(rig) == []
    # The others went on.
    assert rig.here["b"] == rig.there["b"]
    FakeHost.run(rig.receiver, ["zfs", "rename", f"{THERE}/a", f"{THERE}/z"])
    assert rig.night().exit_code == 0
    assert rig.here == rig.there


def test_a_partial_receive_is_gone_on_with_and_one_that_is_stale_thrown_away(behind: Behind) -> None:
    rig = behind("a")
    rig.size = 100_000
    rig.link.break_next(150_000)
    rig.night(lanes=1)
    assert rig.tokens()
    assert rig.night().exit_code == 0
    assert rig.here == rig.there
    leave_stale(rig)
    assert rig.night().exit_code == 0
    assert rig.here == rig.there
    assert refused(rig) == []


def leave_stale(rig: Rig) -> None:
    """A partial receive of a snapshot that is gone from the source."""
    rig.link.break_next(150_000)
    rig.night(lanes=1)
    assert rig.tokens()
    for name in rig.names("a")[-1:]:
        rig.source.zfs("release", *_holds(rig, f"{ROOT}/a@{name}"), f"{ROOT}/a@{name}")
        rig.source.zfs("destroy", f"{ROOT}/a@{name}")


def test_a_stale_partial_receive_that_zfs_does_not_let_go_of_is_roots(behind: Behind) -> None:
    """As with ``setup receiver --never-destroy``, which keeps back ``receive -A`` too."""
    rig = behind("a", "b")
    rig.size = 100_000
    leave_stale(rig)
    rig.receiver.faults.denied |= {"receive -A"}
    result = rig.night()
    assert result.exit_code == 3
    (problem,) = action(result, "push").problems
    assert problem.where == f"{ROOT}/a"
    assert problem.remedy.endswith(f": zfs receive -A {THERE}/a")
    assert rig.here["b"] == rig.there["b"]
    rig.receiver.faults.denied = frozenset()
    assert rig.night().exit_code == 0
    assert rig.here == rig.there


def _holds(rig: Rig, snapshot: str) -> list[str]:
    return [line.split("\t")[1] for line in rig.source.zfs("holds", "-H", snapshot).splitlines()][:1]


@pytest.mark.parametrize(("mode", "outcome"), [(Mode.ARCHIVE, "done"), (Mode.MIRROR, "partial")])
def test_verify_knows_that_an_archive_has_more(behind: Behind, mode: Mode, outcome: str) -> None:
    rig = behind("a", mode=mode)
    rig.night()
    rig.source.zfs("destroy", f"{ROOT}/a@{rig.names('a')[0]}")
    assert verify_on(rig.ends(actions=ONLY_PUSH)).outcome.value == outcome
    assert refused(rig) == []


def test_the_doctor_asks_what_is_answered(behind: Behind, tmp_path: Path) -> None:
    rig = behind("a")
    rig.night()
    for host in (rig.source, rig.receiver):
        answering(host)
    by_bob = Here(None, {}, {"offsite": "bob"})
    FakeHost.run(rig.receiver, ("zfs", "allow", "-u", "bob", "receive,mount", THERE))
    (found,) = (each for each in look(rig, tmp_path, by_bob).findings if each.severity is not Severity.GOOD)
    assert found.remedy == f"as root there: zfs allow -u bob create {THERE}"
    FakeHost.run(rig.receiver, ("zfs", "allow", "-u", "bob", "create", THERE))
    assert bad(look(rig, tmp_path, by_bob)) == []
    assert refused(rig) == []


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_restore_where_the_client_may_not_read(behind: Behind, dry_run: bool) -> None:
    rig = behind("a")
    result = restore(rig, dry_run=dry_run)
    assert result.exit_code == 1
    ((what, remedy),) = [(problem.what, problem.remedy) for problem in result.actions[0].problems]
    assert "this client may not read" in what
    assert "--allow-restore" in remedy
    assert ELSEWHERE not in rig.source.world.datasets


def test_a_restore_where_the_client_may_read(behind: Behind) -> None:
    rig = behind("a", reads=True)
    result = restore(rig)
    assert result.exit_code == 0, problems(result)
    assert rig.snapshots(rig.source, ELSEWHERE) == rig.there
    assert refused(rig) == []


def test_quarantine_leaves_the_receivers_name_to_its_root(behind: Behind) -> None:
    rig = behind("a")
    right = rig.source.world.now
    rig.source.world.now = 1_893_456_000
    rig.run()
    rig.source.world.now = right
    request = Quarantine(ROOT, (f"{ROOT}@{FUTURE}",), Destination("offsite", THERE))
    result = quarantine_on(rig.ends(actions=ONLY_PUSH), request)
    assert result.outcome.value == "partial"
    (problem,) = result.problems
    assert problem.remedy == (f"there, as root: zfs rename -r {THERE}@{FUTURE} {THERE}@quarantined-{FUTURE}")
    assert rig.names()[-1] == f"quarantined-{FUTURE}"
    assert rig.night().exit_code == 0

# SPDX-License-Identifier: GPL-3.0-or-later
"""zfs of one host behind the Host protocol: what is tolerated, what is not, and what is asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cyber_zfs_backup.hosts.protocol import Argv, Finished
from cyber_zfs_backup.zfs.client import Zfs
from cyber_zfs_backup.zfs.errors import Trouble, ZfsError
from cyber_zfs_backup.zfs.parse import GarbledError
from tests.fake.host import FakeHost, garbage, make_hosts


class Scripted:
    """A host that answers what a test says."""

    label = "offsite"

    def __init__(self, answer: Callable[[tuple[str, ...]], tuple[int, str, str]]) -> None:
        self.answer = answer
        self.calls: list[tuple[str, ...]] = []

    def run(self, argv: Argv, *, timeout: float | None = None) -> Finished:
        self.calls.append(tuple(argv))
        return Finished(tuple(argv), *self.answer(tuple(argv)))

    def close(self) -> None:
        return


@pytest.fixture
def host() -> FakeHost:
    source, _, _ = make_hosts()
    source.zfs("create", "tank/src")
    source.zfs("create", "tank/src/a")
    source.zfs("snapshot", "-r", "tank/src@s1")
    source.zfs("snapshot", "tank/src@s2")
    return source


def test_only_the_roots_own_absence_is_an_answer(host: FakeHost) -> None:
    assert Zfs(host).tree_properties("tank/none") is None
    assert Zfs(host).partial_properties("tank/none") is None
    denied = Scripted(lambda argv: (1, "", "cannot open 'tank/none': permission denied\n"))
    with pytest.raises(ZfsError) as caught:
        Zfs(denied).partial_properties("tank/none")
    assert caught.value.trouble is Trouble.NOT_PERMITTED
    other = Scripted(lambda argv: (1, "", "cannot open 'tank/none/child': dataset does not exist\n"))
    with pytest.raises(ZfsError):
        Zfs(other).partial_properties("tank/none")


def test_by_name_what_does_not_exist_is_left_out(host: FakeHost) -> None:
    found = Zfs(host).named_snapshots(["tank/src@s1", "tank/src/a@s1", "tank/src/a@s2", "tank/src/gone@s1"])
    assert {name: [s.name for s in listed] for name, listed in found.items()} == {
        "tank/src": ["s1"],
        "tank/src/a": ["s1"],
    }


def test_by_name_any_other_trouble_is_an_error() -> None:
    for status, stderr in (
        (1, "internal error: out of memory\n"),
        (1, ""),
        (255, ""),
        (2, "x does not exist\n"),
    ):
        with pytest.raises(ZfsError):
            Zfs(Scripted(lambda argv, s=status, e=stderr: (s, "", e))).named_snapshots(["tank@a"])  # type: ignore[misc]  # bound for the loop


def test_a_list_that_failed_is_no_list() -> None:
    """The lines that came before the failure are not taken for the whole."""
    broken = Scripted(lambda argv: (1, "tank@a\t1\t1\n", "cannot iterate filesystems: I/O error\n"))
    with pytest.raises(ZfsError):
        Zfs(broken).all_snapshots("tank")


def test_garbage_names_the_host_and_the_command(host: FakeHost) -> None:
    host.faults.garble = garbage()
    with pytest.raises(GarbledError, match="this machine: the answer of `zfs list -Hp"):
        Zfs(host).all_snapshots("tank/src")


def test_a_hold_on_the_tree_that_stands_in_part_is_completed(host: FakeHost) -> None:
    host.zfs("hold", "tag", "tank/src/a@s1")
    Zfs(host).hold_tree("tag", "tank/src", "s1")
    Zfs(host).hold_tree("tag", "tank/src", "s1")
    for name in ("tank/src", "tank/src/a"):
        assert "tag" in host.world.datasets[name].snapshots[0].holds


def test_a_hold_by_name_that_stands_in_part_is_completed(host: FakeHost) -> None:
    host.zfs("hold", "tag", "tank/src@s1")
    Zfs(host).hold("tag", ["tank/src@s1", "tank/src/a@s1"])
    assert Zfs(host).holds(["tank/src@s1", "tank/src/a@s1"]) == {
        "tank/src@s1": {"tag"},
        "tank/src/a@s1": {"tag"},
    }


def test_a_hold_on_what_does_not_exist_is_an_error(host: FakeHost) -> None:
    with pytest.raises(ZfsError):
        Zfs(host).hold("tag", ["tank/src@none"])
    with pytest.raises(ZfsError):
        Zfs(host).hold_tree("tag", "tank/src", "none")


def test_a_release_may_be_done_twice(host: FakeHost) -> None:
    zfs = Zfs(host)
    zfs.hold_tree("tag", "tank/src", "s1")
    for _ in range(2):
        zfs.release_tree("tag", "tank/src", "s1")
        zfs.release("tag", ["tank/src@s1", "tank/src/a@s1"])
    assert zfs.holds(["tank/src@s1"]) == {}


def test_sudo_stands_before_every_command(host: FakeHost) -> None:
    scripted = Scripted(lambda argv: (0, "", ""))
    Zfs(scripted, sudo=True).all_snapshots("tank")
    assert scripted.calls[0][:3] == ("sudo", "-n", "zfs")
    assert Zfs(host, sudo=True).argv(["zfs", "send"]) == ["sudo", "-n", "zfs", "send"]


@pytest.mark.parametrize("sudo", [False, True])
def test_zfs_is_found_where_a_plain_login_has_no_sbin(sudo: bool) -> None:
    def answer(argv: tuple[str, ...]) -> tuple[int, str, str]:
        return (0, "", "") if "/sbin/zfs" in argv else (127, "", "sh: 1: zfs: not found\n")

    scripted = Scripted(answer)
    zfs = Zfs(scripted, sudo=sudo)
    zfs.all_snapshots("tank")
    asked = len(scripted.calls)
    zfs.all_snapshots("tank")
    assert len(scripted.calls) == asked + 1
    prefix = ["sudo", "-n"] if sudo else []
    assert zfs.argv(["zfs", "send"]) == [*prefix, "/sbin/zfs", "send"]


def test_no_zfs_anywhere_is_told_so() -> None:
    with pytest.raises(ZfsError) as caught:
        Zfs(Scripted(lambda argv: (127, "", "sh: 1: zfs: not found\n"))).all_snapshots("tank")
    assert caught.value.trouble is Trouble.NO_ZFS


def test_many_names_are_asked_in_commands_that_ssh_can_carry() -> None:
    scripted = Scripted(lambda argv: (0, "", ""))
    names = [f"tank/{'d' * 100}{number}@2026-11-01T00:00:00Z" for number in range(2000)]
    Zfs(scripted).named_snapshots(names)
    assert len(scripted.calls) == 3
    assert [name for call in scripted.calls for name in call[7:]] == names
    assert all(sum(len(word) + 3 for word in call) < 96 * 1024 for call in scripted.calls)


def test_many_snapshots_are_destroyed_in_such_commands_too() -> None:
    scripted = Scripted(lambda argv: (0, "", ""))
    names = [f"2026-11-01T{number:06}" for number in range(9000)]
    Zfs(scripted).destroy_snapshots("tank", names, recursive=True)
    assert len(scripted.calls) > 1
    listed = [call[-1].removeprefix("tank@").split(",") for call in scripted.calls]
    assert [name for each in listed for name in each] == names


def test_a_token_that_the_source_refuses_has_no_contents(host: FakeHost) -> None:
    assert Zfs(host).token_contents("1-abc-def") is None


def test_what_destroying_would_free(host: FakeHost) -> None:
    host.write("tank/src", {"file": b"x" * 5000})
    host.zfs("snapshot", "tank/src@s3")
    host.write("tank/src", {"file": None})
    before = len(host.world.datasets["tank/src"].snapshots)
    assert Zfs(host).reclaim("tank/src", ["s3"], recursive=True) >= 5000
    assert len(host.world.datasets["tank/src"].snapshots) == before

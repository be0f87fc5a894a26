# SPDX-License-Identifier: GPL-3.0-or-later
"""`setup receiver`: what is made, what is refused before anything is made, and what is taken back."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from cyber_zfs_backup.actions.result import ActionResult, Outcome
from cyber_zfs_backup.actions.setup_receiver import setup_receiver_on
from cyber_zfs_backup.config.job import UsageError
from cyber_zfs_backup.config.public_key import PublicKey
from cyber_zfs_backup.config.receiver_facts import ROOT_KEYS, Account
from cyber_zfs_backup.config.setup import PolicyWish, SetupReceiver
from cyber_zfs_backup.zfs import commands
from cyber_zfs_backup.zfs.delegation import HARMLESS

from .machines import FakeMachine
from .rig import Said

ROOT = "offsite/zippy"
USER = "zfs-zippy"
POLICY = "/etc/cyber-zfs-backup/clients/zippy.toml"
KEYS = "/var/lib/cyber-zfs-receive/zippy/.ssh/authorized_keys"


def key(letter: bytes = b"a") -> PublicKey:
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in (b"ssh-ed25519", letter * 32))
    return PublicKey("ssh-ed25519", base64.b64encode(blob).decode(), "root@zippy")


WISH = SetupReceiver("zippy", ROOT, key())
UNDO = SetupReceiver("zippy", undo=True)


def do(machine: FakeMachine, wish: SetupReceiver = WISH, said: Said | None = None) -> ActionResult:
    return setup_receiver_on(machine, wish, said or Said())


def permissions(machine: FakeMachine) -> set[str]:
    return machine.commands.zfs.world.datasets[ROOT].allowed.get(USER, set())


@pytest.fixture
def machine() -> FakeMachine:
    return FakeMachine()


def test_a_client_is_made_and_let_in_last(machine: FakeMachine) -> None:
    result = do(machine)
    assert result.outcome is Outcome.DONE
    assert machine.files[KEYS] == (
        f'restrict,command="/usr/bin/cyber-zfs-receive {ROOT} --policy {POLICY}" {key().line}\n'
    )
    assert permissions(machine) == {"receive", "create", "mount", "destroy"}
    assert machine.accounts[USER] == Account("/var/lib/cyber-zfs-receive/zippy", "/bin/sh")
    folder = machine.folders["/var/lib/cyber-zfs-receive/zippy"]
    assert (folder.owner, folder.mode) == ("root", 0o755)
    assert machine.folders["/var/lib/cyber-zfs-receive/zippy/state"].owner == USER
    assert machine.timer == "enabled"
    made = machine.commands.changes
    assert made[0] == tuple(commands.create_container(ROOT))
    assert list(machine.files)[-1] == KEYS


def test_again_nothing_is_left_to_do(machine: FakeMachine) -> None:
    do(machine)
    before, files = list(machine.commands.changes), dict(machine.files)
    result = do(machine)
    assert result.outcome is Outcome.NOTHING
    assert machine.commands.changes == before
    assert machine.files == files
    assert sum(line.startswith("already so: ") for line in result.lines) == 11


def test_print_changes_nothing_and_says_all_that_a_run_does(machine: FakeMachine) -> None:
    printed = do(machine, replace(WISH, dry_run=True))
    assert machine.commands.changes == []
    assert KEYS not in machine.files
    do(machine)
    script = "\n".join(printed.lines)
    for argv in machine.commands.changes:
        assert argv[-1] in script
    assert machine.files[KEYS] in script
    assert machine.files[POLICY] in script
    again = do(machine, replace(WISH, dry_run=True))
    assert all(line.startswith("#") for line in again.lines)


def test_another_key_replaces_the_former_and_lines_of_others_stay(machine: FakeMachine) -> None:
    do(machine)
    machine.files[KEYS] = "# by hand\nssh-rsa AAAA other\n" + machine.files[KEYS]
    said = Said()
    result = do(machine, replace(WISH, key=key(b"b")), said)
    assert result.outcome is Outcome.DONE
    assert machine.files[KEYS].startswith("# by hand\nssh-rsa AAAA other\nrestrict,")
    assert key(b"b").blob in machine.files[KEYS]
    assert key().blob not in machine.files[KEYS]
    assert any("has a line that is not ours" in warning for warning in said.warnings)


def test_the_policy_decides_what_is_delegated(machine: FakeMachine) -> None:
    do(machine, replace(WISH, policy=PolicyWish(never_destroy=True)))
    assert permissions(machine) == {"receive", "create", "mount"}
    # What is not asked about stays.
    do(machine)
    assert permissions(machine) == {"receive", "create", "mount"}
    do(machine, replace(WISH, policy=PolicyWish(mode="mirror", restore=True, properties=True)))
    assert permissions(machine) == {"receive", "create", "mount", "destroy", "send", "hold", *HARMLESS}
    assert 'mode = "mirror"\n' in machine.files[POLICY]
    with pytest.raises(UsageError, match="is a mirror, which destroys"):
        do(machine, replace(WISH, policy=PolicyWish(never_destroy=True)))
    do(machine, replace(WISH, policy=PolicyWish(mode="archive", restore=False, properties=False)))
    assert permissions(machine) == {"receive", "create", "mount", "destroy"}
    assert "restore = false\n" in machine.files[POLICY]


def test_a_copy_of_the_time_before_is_adopted_with_its_data(machine: FakeMachine) -> None:
    machine.zfs("create", "-o", "mountpoint=none", ROOT)
    machine.zfs("create", "-V", "8M", f"{ROOT}/v")
    machine.zfs("snapshot", "-r", f"{ROOT}@old")
    do(machine)
    assert not [argv for argv in machine.commands.changes if argv[:2] == ("zfs", "create")]
    (set_,) = [argv for argv in machine.commands.changes if argv[:2] == ("zfs", "set")]
    assert set(set_[2:-1]) == set(commands.CONTAINER) - {"mountpoint=none"}
    assert do(machine).outcome is Outcome.NOTHING


def other(machine: FakeMachine, root: str | None) -> None:
    text = "rood = 1\n" if root is None else f'root = "{root}"\n'
    machine.files["/etc/cyber-zfs-backup/clients/morpheus.toml"] = text


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (ROOT, "is the client morpheus's"),
        (f"{ROOT}/below", "lies above offsite/zippy/below, the client morpheus's root"),
        ("offsite", "lies below offsite, the client morpheus's root"),
        (None, "morpheus.toml cannot be read or names no root"),
    ],
)
def test_a_root_that_touches_another_clients(machine: FakeMachine, theirs: str | None, said: str) -> None:
    other(machine, theirs)
    with pytest.raises(UsageError, match=said):
        do(machine)
    assert machine.commands.changes == []
    other(machine, "offsite/zippy2")
    assert do(machine).outcome is Outcome.DONE


def test_roots_that_cannot_be(machine: FakeMachine) -> None:
    machine.zfs("create", "-V", "8M", "offsite/volume")
    machine.zfs("create", "-o", "mountpoint=/srv/live", "offsite/live")
    for root, said in (
        ("offsite/volume", "is a volume"),
        ("nowhere/zippy", "there is no pool nowhere"),
        ("offsite/a/b", "there is no dataset offsite/a; make it first: zfs create"),
        ("offsite/live", "offsite/live is mounted, as live data are"),
    ):
        with pytest.raises(UsageError, match=said):
            do(machine, replace(WISH, root=root))
    for root, said in (
        ("offsite", "a whole pool"),
        ("offsite/../x", "may not be"),
        ("offsite/a b", "no space"),
    ):
        with pytest.raises(UsageError, match=said):
            replace(WISH, root=root)
    assert machine.commands.changes == []


def test_what_stands_in_the_way_is_left_alone(machine: FakeMachine) -> None:
    machine.accounts[USER] = Account("/home/zippy", "/bin/bash")
    with pytest.raises(UsageError, match="was not made by setup"):
        do(machine)
    del machine.accounts[USER]
    machine.files[POLICY] = 'root = "offsite/elsewhere"\n'
    with pytest.raises(UsageError, match=r"has the root offsite/elsewhere already; .*--undo"):
        do(machine)
    machine.files[POLICY] = f'root = "{ROOT}"\nmood = 1\n'
    with pytest.raises(UsageError, match="unknown key 'mood'"):
        do(machine)
    with pytest.raises(UsageError, match="run it as root"):
        do(replace(machine, is_root=False))
    assert machine.commands.changes == []


@pytest.mark.parametrize("name", ["", "Zippy", "1a", "a_b", "a b", "a/b", "x" * 29, "zippy\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(UsageError, match="--client"):
        SetupReceiver(name, ROOT, key())


@pytest.mark.parametrize("quota", ["", "0", "lots", "-5G", "5 G", "1.5T", "5GB"])
def test_quotas_that_are_none(quota: str) -> None:
    with pytest.raises(UsageError, match="--quota"):
        PolicyWish(quota=quota)


def test_a_key_that_opens_roots_account_too_is_told(machine: FakeMachine) -> None:
    machine.files[ROOT_KEYS] = f"{key().line}\n"
    said = Said()
    do(machine, said=said)
    assert any("opens root's account here" in warning for warning in said.warnings)


def test_the_step_that_fails_is_the_last_and_it_goes_on_from_there(machine: FakeMachine) -> None:
    machine.commands.fails = "useradd"
    result = do(machine)
    assert result.outcome is Outcome.FAILED
    assert "it broke" in result.problems[0].what
    assert "same command again" in result.problems[0].remedy
    assert KEYS not in machine.files
    assert permissions(machine) == set()
    machine.commands.fails = ""
    machine.unwritable = POLICY
    result = do(machine)
    assert (result.outcome, result.problems[0].where) == (Outcome.FAILED, POLICY)
    assert KEYS not in machine.files
    machine.unwritable = ""
    assert do(machine).outcome is Outcome.DONE
    assert do(machine).outcome is Outcome.NOTHING


def test_undo_takes_all_back_but_the_data(machine: FakeMachine) -> None:
    folders, files = dict(machine.folders), dict(machine.files)
    do(machine)
    machine.zfs("snapshot", f"{ROOT}@kept")
    result = do(machine, UNDO)
    assert result.outcome is Outcome.DONE
    assert any(f"zfs list -t all -r {ROOT}" in line for line in result.lines)
    assert machine.files == files
    assert {path for path in machine.folders if "zippy" in path} == set()
    assert folders.items() <= machine.folders.items()
    assert machine.accounts == {}
    assert permissions(machine) == set()
    assert machine.timer == "disabled"
    assert machine.commands.zfs.run(["zfs", "list", f"{ROOT}@kept"]).ok
    assert do(machine, UNDO).outcome is Outcome.NOTHING
    assert not [argv for argv in machine.commands.changes if "destroy" in argv[:2]]


def test_undo_leaves_what_is_not_ours(machine: FakeMachine) -> None:
    other(machine, "offsite/morpheus")
    do(machine)
    machine.files["/var/lib/cyber-zfs-receive/zippy/notes"] = "mine"
    result = do(machine, UNDO)
    assert machine.timer == "enabled"
    assert USER in machine.accounts
    assert KEYS not in machine.files
    assert any("notes is not ours" in line for line in result.lines)
    machine.files[POLICY] = f'root = "{ROOT}"\n'
    with pytest.raises(UsageError, match=r"has the root offsite/zippy, not offsite/x"):
        do(machine, replace(UNDO, root="offsite/x"))

# SPDX-License-Identifier: GPL-3.0-or-later
"""`setup sender`, against a real sshd: what is written, what is asked, and what is refused."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from cyber_zfs_backup.actions.machine import ThisMachine
from cyber_zfs_backup.actions.result import ActionResult, Outcome
from cyber_zfs_backup.actions.setup_sender import setup_sender_on
from cyber_zfs_backup.config.job import UsageError
from cyber_zfs_backup.config.setup import SetupSender
from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.protocol import Host
from cyber_zfs_backup.hosts.ssh import SshHost
from tests.fake.host import FakeHost, make_hosts
from tests.package.room import CHECKOUT
from tests.sshd.fixture import NewSshd, new_sshd, sshd
from tests.sshd.server import ScratchSshd, user

from .rig import Said

__all__ = ["NewSshd", "new_sshd", "sshd"]
ROOT = "vault/zippy"


class Machine(ThisMachine):
    """This machine, with somebody at its terminal."""

    def __init__(self, answer: str | None = None) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[str] = []

    def ask(self, question: str) -> str | None:
        self.asked.append(question)
        return self.answer

    def hostname(self) -> str:
        return "zippy"


@dataclass
class Way:
    """A sender's folder, and how its receiver answers."""

    folder: Path
    sshd: ScratchSshd
    there: FakeHost = field(default_factory=lambda: make_hosts("tank", "vault")[1])

    @property
    def wish(self) -> SetupSender:
        return SetupSender(
            "nas", "zippy", ROOT, hostname="127.0.0.1", port=self.sshd.port, user=user(),
            config=self.folder / "cyber-zfs-backup.ssh_config",
        )  # fmt: skip

    def do(self, wish: SetupSender | None = None, answer: str | None = "yes") -> ActionResult:
        def reach(_: SetupSender) -> Host:
            return self.there

        return setup_sender_on(Machine(answer), wish or self.wish, Said(), reach)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}

    @property
    def fingerprint(self) -> str:
        argv = ["ssh-keygen", "-lf", f"{self.sshd.host_keys[0]}.pub"]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[1]


@pytest.fixture
def way(tmp_path: Path, sshd: ScratchSshd) -> Way:
    folder = tmp_path / "etc"
    folder.mkdir()
    return Way(folder, sshd)


def test_a_key_a_host_key_and_an_entry_by_which_ssh_gets_in(way: Way, new_sshd: NewSshd) -> None:
    way.there.zfs("create", ROOT)
    result = way.do()
    assert result.outcome is Outcome.DONE
    assert any(
        f"{ROOT} is there; the first push: cyber-zfs-backup --ssh-config" in line for line in result.lines
    )
    key = way.folder / "cyber-zfs-backup.id_ed25519"
    assert key.stat().st_mode & 0o077 == 0
    # The real way, once the key is let in.
    other = new_sshd(identity=key)
    entered = way.do(replace(way.wish, destination="other", port=other.port))
    assert entered.outcome is Outcome.DONE
    host = SshHost("other", str(way.wish.config))
    assert host.run(["echo", "hello"]).stdout == "hello\n"
    host.close()


def test_again_nothing_is_left_to_do(way: Way) -> None:
    way.do()
    before = way.files()
    machine = Machine()
    result = setup_sender_on(machine, way.wish, Said(), lambda _: way.there)
    assert result.outcome is Outcome.NOTHING
    assert machine.asked == []
    assert way.files() == before


def test_a_person_is_shown_the_fingerprint_and_must_say_yes(way: Way) -> None:
    machine = Machine("no")
    with pytest.raises(UsageError, match="not confirmed; nothing has been changed"):
        setup_sender_on(machine, way.wish, Said(), lambda _: way.there)
    assert way.fingerprint in machine.asked[0]
    for answer in ("", "y", "YES", "SHA256:other"):
        with pytest.raises(UsageError):
            way.do(answer=answer)
    assert way.files() == {}
    assert way.do(answer=way.fingerprint).outcome is Outcome.DONE


def test_without_a_terminal_the_fingerprint_is_given_and_must_match(way: Way) -> None:
    with pytest.raises(UsageError, match=f"with --fingerprint {way.fingerprint}".replace("+", r"\+")):
        way.do(answer=None)
    with pytest.raises(UsageError, match="is none of those that nas shows"):
        way.do(replace(way.wish, fingerprint=f"SHA256:{'A' * 43}"), answer=None)
    assert way.files() == {}
    assert way.do(replace(way.wish, fingerprint=way.fingerprint), answer=None).outcome is Outcome.DONE
    with pytest.raises(UsageError, match="is not the host key that is known"):
        way.do(replace(way.wish, fingerprint=f"SHA256:{'A' * 43}"))


def test_print_writes_nothing_and_its_lines_do_the_same(way: Way) -> None:
    printed = way.do(replace(way.wish, dry_run=True), answer=None)
    assert way.files() == {}
    assert any(way.fingerprint in line for line in printed.lines)
    subprocess.run(["sh", "-eu"], input="\n".join(printed.lines), text=True, check=True)
    assert way.do(answer=None).outcome is Outcome.NOTHING


def test_the_packages_entry_is_changed_as_said_and_undo_puts_it_back(way: Way) -> None:
    packaged = (
        (CHECKOUT / "etc/cyber-zfs-backup.ssh_config").read_bytes().replace(b"/etc/ssh/cyber", b"KEY/cyber")
    )
    packaged = packaged.replace(b"KEY", str(way.folder).encode())
    way.wish.config.write_bytes(packaged)
    way.wish.config.chmod(0o600)
    wish = replace(way.wish, destination="offsite", user=None)
    with pytest.raises(UsageError, match=r"offsite still is offsite\.example\.com; .*--hostname"):
        way.do(replace(wish, hostname=None))
    result = way.do(wish)
    assert any(
        "cyber-zfs-backup setup receiver --client zippy --root vault/zippy -" in each for each in result.lines
    )
    assert b"    User zfs-zippy\n" in way.wish.config.read_bytes()
    assert way.wish.config.stat().st_mode & 0o777 == 0o600
    # What stands there now is kept, and refused where it is not what was meant.
    assert way.do(replace(wish, hostname=None, port=None)).outcome is Outcome.NOTHING
    with pytest.raises(UsageError, match=r"logs in as zfs-zippy, and the client nemo would as zfs-nemo"):
        way.do(replace(wish, client="nemo"))
    undone = way.do(replace(wish, undo=True))
    assert undone.outcome is Outcome.DONE
    assert way.wish.config.read_bytes() == packaged
    assert way.files()["cyber-zfs-backup.known_hosts"] == b""
    assert way.do(replace(wish, undo=True)).outcome is Outcome.NOTHING


def test_undo_removes_the_key_only_where_setup_made_it_and_nothing_else_uses_it(way: Way) -> None:
    way.do()
    way.do(replace(way.wish, destination="other"))
    way.do(replace(way.wish, undo=True))
    assert "cyber-zfs-backup.id_ed25519" in way.files()
    way.do(replace(way.wish, destination="other", undo=True))
    assert "cyber-zfs-backup.id_ed25519" not in way.files()


def test_a_setting_above_the_entry_that_would_win_is_told(way: Way) -> None:
    way.wish.config.write_text("User somebody\nHost nas\n    HostName 127.0.0.1\n")
    with pytest.raises(UsageError, match="the User somebody above its entry"):
        way.do()
    way.wish.config.write_text("Host nas other\n    User somebody\n")
    with pytest.raises(UsageError, match="its entry is for nas other"):
        way.do()
    way.wish.config.write_text("Hostt nas\n")
    with pytest.raises(UsageError, match="nothing has been changed"):
        way.do()


def test_a_receiver_that_is_not_set_up_or_not_there(way: Way) -> None:
    result = way.do()
    assert any(f"answers, and has no {ROOT} yet" in line for line in result.lines)

    class Closed(FakeHost):
        def run(self, *_: object, **__: object) -> None:  # type: ignore[override]
            raise HostError(HostErrorKind.LOGIN_REFUSED, "nas", "login was refused", "allow the key there")

    way.there = Closed(way.there.world)
    result = way.do()
    assert result.outcome is Outcome.NOTHING
    assert any("not tried yet: nas lets this key in once" in line for line in result.lines)
    way.there = make_hosts("tank", "vault")[1]
    way.there.faults.unreachable = True
    assert way.do().outcome is Outcome.PASSING
    with pytest.raises(HostError, match="shows no host key"):
        way.do(replace(way.wish, destination="far", port=1))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"destination": "a b"}, "DESTINATION"),
        ({"destination": "-oProxyCommand=x"}, "DESTINATION"),
        ({"destination": "root@nas"}, "--user"),
        ({"destination": "n*"}, "DESTINATION"),
        ({"hostname": "-x"}, "--hostname"),
        ({"hostname": "a b"}, "--hostname"),
        ({"user": "ro ot"}, "--user"),
        ({"port": 0}, "--port"),
        ({"port": 65536}, "--port"),
        ({"fingerprint": "MD5:00"}, "--fingerprint"),
        ({"root": "vault"}, "a whole pool"),
        ({"client": "Zippy"}, "--client"),
        ({"config": Path("/etc/ssh/my config")}, "--ssh-config"),
    ],
)
def test_arguments_that_make_no_sense(change: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replace(SetupSender("nas", "zippy", ROOT), **change)  # type: ignore[arg-type]

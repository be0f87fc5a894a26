# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor sees of this machine: timers, ssh's files, and what the service's sandbox hides of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cyber_zfs_backup.actions.doctor_here import Run, look_here, next_run
from cyber_zfs_backup.actions.doctor_sandbox import read_sandbox
from cyber_zfs_backup.config.job import Destination, SourceHost
from cyber_zfs_backup.hosts.errors import HostError, HostErrorKind
from cyber_zfs_backup.hosts.protocol import Finished
from cyber_zfs_backup.plan.doctor_here import Hidden

TIMER_ANSWER = """\
Id=cyber-zfs-backup.timer
LoadState=loaded
UnitFileState=enabled
ActiveState=active
LastTriggerUSec=@1764201600
Unit=cyber-zfs-backup.service

Id=cyber-zfs-backup@tank-data.timer
LoadState=loaded
UnitFileState=disabled
ActiveState=inactive
LastTriggerUSec=
Unit=cyber-zfs-backup@tank-data.service
"""


def systemctl(timers: str, sandbox: str = "", status: int = 0) -> Run:
    def run(argv: Sequence[str]) -> Finished:
        asked = argv[argv.index("-p") + 1]
        if asked.startswith("ProtectHome,"):
            text = f"{sandbox}\n"
        elif asked == "Id,Result":
            text = "".join(f"Id={unit}\nResult=exit-code\n\n" for unit in argv[argv.index("--") + 1 :])
        else:
            text = timers
        return Finished(tuple(argv), status, text, "")

    return run


def test_timers_are_read_from_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = look_here((SourceHost(),), systemctl(TIMER_ANSWER))
    assert here.timers is not None
    first, second = here.timers
    assert (first.name, first.enabled, first.active, first.result) == (
        "cyber-zfs-backup.timer",
        "enabled",
        True,
        "exit-code",
    )
    assert first.last == datetime.fromtimestamp(1764201600, UTC)
    assert (second.active, second.last, second.service) == (False, None, "cyber-zfs-backup@tank-data.service")
    gone = "Id=cyber-zfs-backup.timer\nLoadState=not-found\nUnit=\n"
    assert look_here((), systemctl(gone)).timers == ()
    assert look_here((), systemctl("", status=1)).timers is None

    def none(_argv: Sequence[str]) -> Finished:
        raise HostError(HostErrorKind.TIMEOUT, "this machine", "had not ended", "wait")

    monkeypatch.setattr("cyber_zfs_backup.actions.doctor_here._BOOTED", tmp_path / "not there")
    assert (look_here((), none).timers, look_here((), none).silent) == (None, "")
    # Where systemd runs, it should answer.
    monkeypatch.setattr("cyber_zfs_backup.actions.doctor_here._BOOTED", tmp_path)
    assert look_here((), none).silent == "had not ended"
    assert "without a word" in look_here((), systemctl("", status=1)).silent
    assert next_run(none) is None


def test_ssh_is_seen_as_its_configuration_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "id"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    key.chmod(0o640)
    known = tmp_path / "known"
    known.write_text(
        "10.0.0.1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHDjZ5cDLxyb7dSPhO5rTPeZ4FmYtqDrSOOu5nJDRyVg\n"
    )
    config = tmp_path / "config"
    config.write_text(
        f"Host offsite\n HostName 10.0.0.1\n User bob\n IdentityFile {key}\n UserKnownHostsFile {known}\n"
        "Host other\n HostName 10.0.0.2\n IdentityFile /nowhere\n UserKnownHostsFile /nowhere\n"
    )
    monkeypatch.setattr("cyber_zfs_backup.actions.doctor_sandbox.TEMPORARY", (f"{tmp_path}",))
    ends = [Destination(name, "a/b", config) for name in ("offsite", "other", "offsite")]
    here = look_here((SourceHost(), *ends), systemctl("", "PrivateTmp=yes"))
    assert here.users["offsite"] == "bob"
    way = here.ways["offsite"]
    assert [(each.path, each.mode) for each in way.keys] == [(str(key), 0o640)]
    assert way.known_in == (str(known),)
    assert way.hidden == tuple(Hidden(str(path), "PrivateTmp") for path in (config, key, known))
    other = here.ways["other"]
    assert (other.known_in, other.keys) == ((), ())
    config.write_text("Nonsense yes\n")
    assert "refuses its configuration" in look_here(ends, systemctl("")).ways["offsite"].trouble


# The sandbox

PACKAGED = {
    "ProtectHome": "read-only",
    "PrivateTmp": "yes",
    "BindPaths": "/dev/zfs:/dev/zfs:rbind",
    "BindReadOnlyPaths": "",
    "CapabilityBoundingSet": "cap_sys_admin",
    "User": "",
}
"""As the package's own service has it."""

UNLIMITED = {"CapabilityBoundingSet": "cap_chown cap_dac_override cap_sys_admin"}


@pytest.mark.parametrize(
    ("unit", "path", "setting"),
    [
        (PACKAGED, "/etc/ssh/not-there", None),
        (PACKAGED, "/tmp/key", "PrivateTmp"),
        (PACKAGED, "/var/tmp/deep/key", "PrivateTmp"),
        (PACKAGED, "/tmpfs/key", None),
        (PACKAGED, "/root/.ssh/not-there", None),
        ({**PACKAGED, "ProtectHome": "yes"}, "/root/.ssh/id", "ProtectHome"),
        ({**PACKAGED, "ProtectHome": "tmpfs"}, "/home/bob/.ssh/id", "ProtectHome"),
        ({**PACKAGED, "ProtectHome": "yes"}, "/run/user/0/id", "ProtectHome"),
        ({**PACKAGED, "ProtectHome": "yes"}, "/etc/ssh/../../root/id", "ProtectHome"),
        # Newer systemd has more words for it.
        ({"PrivateTmp": "disconnected"}, "/tmp/key", "PrivateTmp"),
        ({"PrivateTmp": "no", "ProtectHome": "no"}, "/tmp/key", None),
        # What is bound into such a folder is seen; below one that is shut nothing can be bound.
        ({"ProtectHome": "tmpfs", "BindReadOnlyPaths": "-/home/bob/.ssh"}, "/home/bob/.ssh/id", None),
        ({"ProtectHome": "tmpfs", "BindReadOnlyPaths": "/x:/home/a:rbind"}, "/home/a/id", None),
        ({"ProtectHome": "tmpfs", "BindReadOnlyPaths": "/x:/home/a:rbind"}, "/home/b/id", "ProtectHome"),
        ({"ProtectHome": "yes", "BindPaths": "/home/a:/home/a:rbind"}, "/home/a/id", "ProtectHome"),
        # No such unit, or no systemd.
        ({}, "/tmp/key", None),
    ],
)
def test_folders_that_the_service_has_others_of(
    unit: Mapping[str, str], path: str, setting: str | None
) -> None:
    found = read_sandbox(unit).hides(path)
    assert (found and found.setting) == setting


def test_links_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into a folder that is hidden, out of one, and where the folder itself is a link."""
    home, etc = tmp_path / "data/home", tmp_path / "etc"
    home.mkdir(parents=True)
    etc.mkdir()
    (tmp_path / "home").symlink_to(home)
    (home / "key").write_text("")
    (etc / "plain").write_text("")
    (etc / "key").symlink_to(home / "key")
    (home / "out").symlink_to(etc / "plain")
    monkeypatch.setattr("cyber_zfs_backup.actions.doctor_sandbox.HOMES", (f"{tmp_path}/home",))
    sandbox = read_sandbox({"ProtectHome": "yes"})
    for path in ("etc/key", "home/out", "home/key", "data/home/key"):
        assert sandbox.hides(f"{tmp_path}/{path}") == Hidden(f"{tmp_path}/{path}", "ProtectHome")
    assert sandbox.hides(f"{tmp_path}/etc/plain") is None


class Owners:
    """Files with owners and modes, by path; the folders above are root's and open."""

    def __init__(self, **files: tuple[int, int, int]) -> None:
        self.files = {f"/{name.replace('_', '/')}": each for name, each in files.items()}

    def __call__(self, path: str | os.PathLike[str]) -> os.stat_result:
        mode, uid, gid = self.files.get(os.fspath(path), (0o40755, 0, 0))
        return os.stat_result((mode, 1, 1, 1, uid, gid, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("owners", "at"),
    [
        (Owners(srv_bob_key=(0o100600, 0, 0)), ""),
        (Owners(srv_bob_key=(0o100600, 1000, 1000)), "/srv/bob/key"),
        (Owners(srv_bob_key=(0o100640, 1000, 0)), ""),
        (Owners(srv_bob_key=(0o100604, 1000, 0)), "/srv/bob/key"),
        (Owners(srv_bob_key=(0o100644, 1000, 1000)), ""),
        # The folders on the way.
        (Owners(srv_bob=(0o40700, 1000, 1000), srv_bob_key=(0o100600, 0, 0)), "/srv/bob"),
        (Owners(srv_bob=(0o40711, 1000, 1000), srv_bob_key=(0o100600, 0, 0)), ""),
        (Owners(srv_bob=(0o40700, 0, 0), srv_bob_key=(0o100600, 0, 0)), ""),
    ],
)
def test_root_without_its_rights_reads_what_is_its_own(
    owners: Owners, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cyber_zfs_backup.actions.doctor_sandbox.os.stat", owners)
    found = read_sandbox(PACKAGED).hides("/srv/bob/key")
    assert found == (Hidden("/srv/bob/key", "CapabilityBoundingSet", at) if at else None)
    assert read_sandbox({**PACKAGED, **UNLIMITED}).hides("/srv/bob/key") is None
    assert read_sandbox({**PACKAGED, "User": "bob"}).hides("/srv/bob/key") is None
    # No service of ours is there.
    assert read_sandbox({}).hides("/srv/bob/key") is None

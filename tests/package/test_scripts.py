# SPDX-License-Identifier: GPL-3.0-or-later
"""The maintainer scripts as files, run in a folder (``DPKG_ROOT``) instead of on the machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from .room import CHECKOUT

MADE = (
    "etc/ssh/cyber-zfs-backup.id_ed25519",
    "etc/ssh/cyber-zfs-backup.id_ed25519.pub",
    "etc/ssh/cyber-zfs-backup.known_hosts",
    "etc/ssh/cyber-zfs-backup.known_hosts.old",
    "run/lock/cyber-zfs-backup/offsite_offsite_zippy.2b4e221e.lock",
    "var/cache/cyber-zfs-backup/report/index.html",
    "var/lib/cyber-zfs-backup/history.jsonl",
    "var/lib/cyber-zfs-backup/pools.jsonl",
    "var/lib/systemd/timers/stamp-cyber-zfs-backup-report.timer",
    "var/lib/systemd/timers/stamp-cyber-zfs-backup.timer",
    "var/lib/systemd/timers/stamp-cyber-zfs-backup@tank-data.timer",
)
OTHERS = (
    "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/cyber-zfs-backup.by-hand",
    "etc/systemd/system/cyber-zfs-backup.timer.d/override.conf",
    "root/.ssh/known_hosts",
    "var/lib/cyber-zfs-backup/by-hand",
    "var/lib/systemd/timers/stamp-fstrim.timer",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (*MADE, *OTHERS):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def script(name: str, word: str, root: Path) -> None:
    """Run a maintainer script of ours, without what debhelper adds."""
    path = CHECKOUT / "debian" / f"cyber-zfs-backup.{name}"
    subprocess.run(["sh", str(path), word], env={**os.environ, "DPKG_ROOT": str(root)}, check=True)


def left(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_purge_removes_what_was_made_and_nothing_else(root: Path) -> None:
    script("postrm", "purge", root)
    assert left(root) == set(OTHERS)
    assert not (root / "run/lock/cyber-zfs-backup").exists()
    assert not (root / "var/cache/cyber-zfs-backup").exists()


@pytest.mark.parametrize("word", ["remove", "upgrade", "failed-upgrade", "abort-install", "disappear"])
def test_whatever_else_happens_keeps_the_key(word: str, root: Path) -> None:
    script("postrm", word, root)
    assert left(root) == {*MADE, *OTHERS}


def test_in_an_image_nobody_is_asked_to_stop(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no systemd to ask in a chroot; a systemctl that is called all the same fails this test."""
    programs = root / "bin"
    programs.mkdir()
    for name in ("systemctl", "deb-systemd-invoke"):
        (programs / name).write_text("#!/bin/sh\nkill -TERM $PPID\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    script("prerm", "remove", root)


CLIENT = {
    "var/lib/cyber-zfs-receive/zippy/state/seen": "1 2\n",
    "etc/cyber-zfs-backup/clients/zippy.toml": 'root = "offsite/zippy"\n',
    "etc/passwd": "zfs-zippy:*:999:999::/var/lib/cyber-zfs-receive/zippy:/bin/sh\n",
}


def with_client(root: Path) -> None:
    for name, text in CLIENT.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_purge_keeps_what_lets_clients_in_while_one_is_there(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with_client(root)
    script("postrm", "purge", root)
    assert left(root) == {*OTHERS, *CLIENT}
    assert "they belong to the users zfs-zippy" in capfd.readouterr().err
    # A user whose home is elsewhere is no client's.
    (root / "etc/passwd").write_text("zfs-other:*:998:998::/home/other:/bin/sh\n")
    script("postrm", "purge", root)
    assert capfd.readouterr().err == ""
    assert not (root / "var/lib/cyber-zfs-receive").exists()
    # A policy that somebody wrote is left to somebody.
    assert (root / "etc/cyber-zfs-backup/clients/zippy.toml").exists()

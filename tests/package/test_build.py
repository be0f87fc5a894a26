# SPDX-License-Identifier: GPL-3.0-or-later
"""``debuild -us -uc`` in a clean Debian: it works, lintian is content, and it comes out the same each time.

These need what the guest needs (root, mmdebstrap, minutes), so they belong to its part.
"""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cyber_zfs_backup import __version__
from cyber_zfs_backup.cli.helptext import ABOUT
from cyber_zfs_backup.cli.parser import run_parser

from . import builds
from .builds import BuildFailedError, Built
from .room import Room

pytestmark = pytest.mark.guest

SHIPPED = {
    "/etc/profile.d/cyber-zfs-backup.sh": "-rw-r--r--",
    "/etc/ssh/cyber-zfs-backup.ssh_config": "-rw-r--r--",
    "/usr/bin/cyber-zfs-backup": "-rwxr-xr-x",
    "/usr/bin/cyber-zfs-receive": "-rwxr-xr-x",
    "/usr/share/bash-completion/completions/cyber-zfs-backup": "-rw-r--r--",
    "/usr/share/doc/cyber-zfs-backup/NEWS.Debian.gz": "-rw-r--r--",
    "/usr/share/doc/cyber-zfs-backup/README.rst": "-rw-r--r--",
    "/usr/share/doc/cyber-zfs-backup/changelog.gz": "-rw-r--r--",
    "/usr/share/doc/cyber-zfs-backup/copyright": "-rw-r--r--",
    "/usr/share/doc/cyber-zfs-backup/examples/authorized_keys.example": "-rw-r--r--",
    "/usr/share/cyber-zfs-backup/config.schema.json": "-rw-r--r--",
    "/usr/share/doc/cyber-zfs-backup/examples/config-full.toml": "-rw-r--r--",
    "/usr/share/doc/cyber-zfs-backup/examples/config.toml": "-rw-r--r--",
    "/usr/share/doc/cyber-zfs-backup/examples/fleet.conf": "-rw-r--r--",
    "/usr/share/doc/cyber-zfs-backup/examples/grafana-dashboard.json": "-rw-r--r--",
    "/usr/share/doc/cyber-zfs-backup/examples/prometheus-alerts.yml": "-rw-r--r--",
    "/usr/share/doc/cyber-zfs-backup/examples/quiet-mariadb": "-rwxr-xr-x",
    "/usr/share/doc/cyber-zfs-backup/examples/sudoers.example": "-rw-r--r--",
    "/usr/share/lintian/overrides/cyber-zfs-backup": "-rw-r--r--",
    "/usr/share/man/man5/cyber-zfs-backup.config.5.gz": "-rw-r--r--",
    "/usr/share/man/man5/cyber-zfs-backup.ssh_config.5.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-config.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-run.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-check.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-doctor.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-metrics.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-monitor.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-status.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-forget.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-notify.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-quarantine.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-receiver.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-setup-receiver.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-setup-sender.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-setup.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-drill.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-report.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-restore.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-retention.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup-verify.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-backup.8.gz": "-rw-r--r--",
    "/usr/share/man/man8/cyber-zfs-receive.8.gz": "-rw-r--r--",
    "/usr/share/zsh/vendor-completions/_cyber-zfs-backup": "-rw-r--r--",
}
UNITS = {
    *("cyber-zfs-backup.service", "cyber-zfs-backup.timer", "cyber-zfs-backup@.service"),
    *("cyber-zfs-backup@.timer", "cyber-zfs-backup-keygen.service"),
    *("cyber-zfs-backup-receiver.service", "cyber-zfs-backup-receiver.timer"),
    *("cyber-zfs-backup-notify.service", "cyber-zfs-backup-notify.timer"),
    *("cyber-zfs-backup-run.service", "cyber-zfs-backup-run.timer"),
    *("cyber-zfs-backup-report.service", "cyber-zfs-backup-report.timer"),
}
ELSEWHERE = {"TZ": "Pacific/Kiritimati", "LANGUAGE": "tr", "LC_ALL": "C", "COLUMNS": "200"}


def manual(built: Built, folder: Path, name: str) -> str:
    """A man page of the package, as roff without its escapes."""
    section = name[-1]
    page = built.unpack(folder) / f"usr/share/man/man{section}/{name}.gz"
    return gzip.decompress(page.read_bytes()).decode().replace("\\-", "-").replace("\\&", "")


def test_lintian_is_content(built: Built) -> None:
    assert "Now running lintian" in built.log
    assert "Finished running lintian" in built.log
    assert built.lintian == []


def test_lintian_is_asked(room: Room, tmp_path: Path) -> None:
    """What is wrong with a package makes the test above fail."""

    def spoil(source: Path) -> None:
        (source / "debian/copyright").write_text("All is allowed.\n")

    assert builds.build(room, tmp_path / "spoilt", change=spoil).lintian != []


def test_two_builds_are_the_same(built: Built, room: Room, tmp_path: Path) -> None:
    """In another folder, at another hour, in another zone and language."""
    again = builds.build(room, tmp_path / "again-elsewhere", env=ELSEWHERE)
    first, second = built.products(), again.products()
    assert sorted(first) == sorted(second)
    assert len(first) == 3
    assert [name for name in first if first[name] != second[name]] == []


def test_the_build_runs_the_tests(room: Room, tmp_path: Path) -> None:
    """All that Debian has the modules for; a test that fails ends the build."""
    whole = builds.build(room, tmp_path / "checked", checks=True)
    passed = re.search(r"(\d+) passed", whole.log)
    assert passed is not None
    assert int(passed[1]) > 1500, passed[0]

    def spoil(source: Path) -> None:
        (source / "tests/unit/plan/test_spoilt.py").write_text("def test_it() -> None:\n    assert False\n")
        rules = source / "debian/rules"
        rules.write_text(re.sub(r"tests/unit/plan[^\n]*\\\n[^\n]*\n", "tests/unit/plan\n", rules.read_text()))

    with pytest.raises(BuildFailedError, match="test_spoilt"):
        builds.build(room, tmp_path / "spoilt", change=spoil, checks=True)


def test_what_is_shipped(built: Built) -> None:
    files = built.files()
    modules = {name for name in files if name.startswith("/usr/lib/python3/dist-packages/cyber_zfs_backup")}
    units = {name for name in files if "/systemd/system/" in name}
    assert {name: files[name] for name in files.keys() - modules - units} == SHIPPED
    assert {Path(name).name for name in units} == UNITS
    assert any(name.endswith("cyber_zfs_backup/plan/push.py") for name in modules)
    assert any(name.endswith("cyber_zfs_backup/actions/page/report.html") for name in modules)
    assert any(name.endswith("cyber_zfs_backup/actions/page/report.css") for name in modules)
    assert not [name for name in files if "test" in name]
    assert built.control("Provides") == "python3-cyber-zfs-backup"
    depends = built.control("Depends")
    for name in (
        "openssh-client",
        "zfsutils-linux | zfsutils",
        "python3-dateutil",
        "python3-jinja2",
        "python3-jsonschema",
        "python3-paramiko",
        "python3-prometheus-client",
        "python3-rich",
    ):
        assert name in depends


def test_the_versions_agree(built: Built) -> None:
    assert built.control("Version") == __version__


def test_the_manual_has_every_option(built: Built, tmp_path: Path) -> None:
    whole = manual(built, tmp_path, "cyber-zfs-backup.8")
    for action in run_parser()._actions:
        for option in action.option_strings:
            assert option in whole
    for section in ("SYNOPSIS", "EXAMPLES", "EXIT STATUS", "SYSTEMD", "FILES"):
        assert re.search(rf'^\.SH "?{section}"?$', whole, re.MULTILINE), section
    assert re.match(r'\.\\".*\n\.TH CYBER-ZFS-BACKUP "8" "" "cyber-zfs-backup ', whole)
    for command, about in ABOUT.items():
        assert f"{about}\n" in manual(built, tmp_path, f"cyber-zfs-backup-{command}.8")


def test_the_completion_is_good_bash(built: Built, tmp_path: Path) -> None:
    path = built.unpack(tmp_path) / "usr/share/bash-completion/completions/cyber-zfs-backup"
    asked = "COMP_WORDS=(cyber-zfs-backup quar) COMP_CWORD=1; _shtab_cyber_zfs_backup; echo ${COMPREPLY[@]}"
    said = subprocess.run(["bash", "-c", f". '{path}'; {asked}"], capture_output=True, text=True, check=False)
    assert said.stdout.split() == ["quarantine"], said.stderr


def test_what_is_installed_runs(built: Built, tmp_path: Path) -> None:
    modules = built.unpack(tmp_path) / "usr/lib/python3/dist-packages"
    argv = [sys.executable, "-m", "cyber_zfs_backup", "--version"]
    said = subprocess.run(argv, cwd=modules, capture_output=True, text=True, check=True).stdout
    assert said == f"cyber-zfs-backup {__version__}\n"

# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as a process of its own, from a bare checkout: what it needs, and what it imports."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cyber_zfs_backup import __version__

CHECKOUT = Path(__file__).resolve().parents[3]

BARE = (sys.executable, "-S", "-E")
"""Python without site-packages and without what the environment says: the standard library, nothing else."""

BLOCKED = """\
import sys


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == {module!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
        return None


sys.meta_path.insert(0, Blocked())

from cyber_zfs_backup.cli import main


def work(request, surface):
    import {module}
    raise SystemExit('not reached')


main._dispatch = work
sys.exit(main.main(['--dataset', 'a/b', '--zfs-receive-dataset', 'c/d', {extra}]))
"""


def bare(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.defpath, "STATE_DIRECTORY": os.environ["STATE_DIRECTORY"]}
    return subprocess.run(
        [*BARE, *words], cwd=CHECKOUT, capture_output=True, text=True, check=False, env=environment
    )


def imported(cwd: Path, *words: str) -> list[str]:
    """The modules that a bare Python imports, in order, by -X importtime."""
    done = subprocess.run(
        [*BARE, "-X", "importtime", *words], cwd=cwd, capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return [line.rpartition("|")[2].strip() for line in lines]


@pytest.fixture
def empty_package(tmp_path: Path) -> Path:
    """A directory with a package that does nothing: what Python itself imports for ``-m``."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "__init__.py").touch()
    (tmp_path / "empty" / "__main__.py").touch()
    return tmp_path


def test_help_needs_the_standard_library_only() -> None:
    done = bare("-m", "cyber_zfs_backup", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: cyber-zfs-backup ")


@pytest.mark.parametrize("words", [["forget", "--help"], ["quarantine", "-h"], ["-v", "--version"]])
def test_so_do_the_others_that_only_answer(words: list[str]) -> None:
    done = bare("-m", "cyber_zfs_backup", *words)
    assert (done.returncode, done.stderr) == (0, "")


def test_so_does_a_usage_error() -> None:
    done = bare("-m", "cyber_zfs_backup", "--retention-policy", "-1", "2", "3")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("cyber-zfs-backup: error: --retention-policy: days is -1; ")


def test_version_imports_nothing_but_the_package_itself(empty_package: Path) -> None:
    ours = imported(CHECKOUT, "-m", "cyber_zfs_backup", "--version")
    nothing = imported(empty_package, "-m", "empty")
    assert sorted(set(ours) - set(nothing)) == ["__future__", "cyber_zfs_backup"]


def test_help_imports_nothing_that_only_the_work_needs() -> None:
    ours = set(imported(CHECKOUT, "-m", "cyber_zfs_backup", "--help"))
    assert "argparse" in ours
    heavy = {"subprocess", "socket", "asyncio", "paramiko", "rich", "dateutil", "jinja2"}
    assert ours & heavy == set()


def test_version() -> None:
    done = bare("-m", "cyber_zfs_backup", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"cyber-zfs-backup {__version__}\n", "")


@pytest.mark.parametrize("word", ["--version", "--help", "-h"])
def test_a_full_disk_is_an_error(word: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*BARE, "-m", "cyber_zfs_backup", word],
            cwd=CHECKOUT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        1,
        "cyber-zfs-backup: error: cannot write to stdout: No space left on device\n",
    )


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_a_reader_that_has_gone_gets_no_traceback(word: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*BARE, "-m", "cyber_zfs_backup", word],
        cwd=CHECKOUT,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        env={"COLUMNS": "20"},  # the longest help there is: more than one buffer
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("jinja2", "python3-jinja2"),
        ("paramiko", "python3-paramiko"),
        ("rich", "python3-rich"),
    ],
)
def test_a_module_that_is_missing_is_one_line_with_its_package(module: str, package: str) -> None:
    done = bare("-c", BLOCKED.format(module=module, extra="'-v'"))
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        f"cyber-zfs-backup: error: {package} is missing: apt install {package}\n",
    )


def test_a_missing_module_has_a_traceback_with_debug() -> None:
    done = bare("-c", BLOCKED.format(module="paramiko", extra="'--debug'"))
    assert done.returncode == 2
    assert "cyber-zfs-backup: error: Traceback (most recent call last):\n" in done.stderr


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_outputs_are_no_internal_error(redirection: str) -> None:
    script = f'exec "$@" {redirection}'
    for words, code in ((["--version"], 0), (["--help"], 0), (["--lanes", "0"], 2)):
        done = subprocess.run(
            ["/bin/sh", "-c", script, "sh", *BARE, "-m", "cyber_zfs_backup", *words],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code
        assert "Traceback" not in done.stderr


def test_the_installed_program_is_the_module() -> None:
    """``cyber-zfs-backup`` of a package does what ``python3 -m cyber_zfs_backup`` does."""
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    name, _, place = setup["options.entry_points"]["console_scripts"].strip().partition(" = ")
    module, _, function = place.partition(":")
    assert name == "cyber-zfs-backup"
    script = (
        f"import sys; from {module} import {function}; sys.argv[1:] = ['--version']; sys.exit({function}())"
    )
    done = bare("-c", script)
    assert (done.returncode, done.stdout) == (0, bare("-m", "cyber_zfs_backup", "--version").stdout)

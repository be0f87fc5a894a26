# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the package in a room, as ``debuild -us -uc`` does it there, and looks into what came out."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .room import CHECKOUT, Room

NAME = "cyber-zfs-backup"
LEFT_OUT = shutil.ignore_patterns(
    ".git", "__pycache__", ".*_cache", ".hypothesis", ".pybuild", "build", "*.egg-info"
)
"""What lies in a checkout and belongs to nobody's source."""


@dataclass(frozen=True, slots=True)
class Built:
    """A finished build: the folder of what came out, and all that was said."""

    folder: Path
    log: str

    @property
    def deb(self) -> Path:
        """The binary package."""
        (found,) = self.folder.glob("*.deb")
        return found

    @property
    def lintian(self) -> list[str]:
        """What lintian has found fault with (errors and warnings)."""
        return re.findall(r"^[EW]: .*", self.log, re.MULTILINE)

    def products(self) -> dict[str, bytes]:
        """All that came out and is to be the same in each build, by its name."""
        return {path.name: path.read_bytes() for path in self.folder.iterdir() if not _about(path)}

    def files(self) -> dict[str, str]:
        """The files of the binary package, each with its mode as ``ls`` shows it."""
        listed = subprocess.run(
            ["dpkg-deb", "--contents", str(self.deb)], capture_output=True, text=True, check=True
        ).stdout
        rows = (line.split(maxsplit=5) for line in listed.splitlines())
        return {row[5].removeprefix("."): row[0] for row in rows if not row[5].endswith("/")}

    def control(self, field: str) -> str:
        """A field of its control file."""
        argv = ["dpkg-deb", "--field", str(self.deb), field]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()

    def unpack(self, folder: Path) -> Path:
        """Unpack the binary package's files."""
        subprocess.run(["dpkg-deb", "--extract", str(self.deb), str(folder)], check=True)
        return folder


class BuildFailedError(AssertionError):
    """debuild has failed; the message ends with its last lines."""


def build(
    room: Room,
    out: Path,
    *,
    change: Callable[[Path], None] = lambda source: None,
    checks: bool = False,
    env: Mapping[str, str] | None = None,
) -> Built:
    """Build this checkout, after ``change`` was done to its copy, into the folder ``out``.

    Without ``checks`` the tests are left out of it (``nocheck``). Raises BuildFailedError.
    """
    with tempfile.TemporaryDirectory(prefix="source-") as made:
        source = Path(made) / NAME
        shutil.copytree(CHECKOUT, source, symlinks=True, ignore=LEFT_OUT)
        change(source)
        name = source.parent.name
        room.put(source.parent, name)
    options = {"DEB_BUILD_OPTIONS": ""} if checks else {"DEB_BUILD_OPTIONS": "nocheck"}
    done = room.run(
        "debuild", "-us", "-uc", cwd=f"/build/{name}/{NAME}", env={**options, **(env or {})}, timeout=1500
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-40:])
        raise BuildFailedError(f"debuild: exit status {done.returncode}\n{last}")
    out.mkdir(parents=True, exist_ok=True)
    for path in (room.root / "build" / name).iterdir():
        if path.is_file():
            shutil.copyfile(path, out / path.name)
    return Built(out, done.stdout)


def older(version: str) -> Callable[[Path], None]:
    """A change: the package as it was at an earlier version, with another conffile."""

    def change(source: Path) -> None:
        changelog = source / "debian/changelog"
        text = changelog.read_text()
        changelog.write_text(re.sub(r"\(.*?\)", f"({version})", text, count=1))
        conffile = source / "etc/cyber-zfs-backup.ssh_config"
        conffile.write_text(conffile.read_text().replace("ConnectTimeout 30", "ConnectTimeout 20"))

    return change


def _about(path: Path) -> bool:
    """What tells of the build itself: when, where and with what."""
    return path.suffix in {".build", ".buildinfo", ".changes"}

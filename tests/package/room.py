# SPDX-License-Identifier: GPL-3.0-or-later
"""A room of its own to build the package in: a Debian of either suite with nothing but what it asks for.

Made once with mmdebstrap and kept as a tar file in the cache, keyed by all that decides what is in it. Inside
there is no network, and the build is not root, as on Debian's own builders.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.guest import cache
from tests.guest.channel import GuestError
from tests.guest.image import CONFINED, Report, apt_lines, network_options, step, tail
from tests.guest.prepare import install_missing
from tests.guest.recipe import QUICK, SMALL, Suite

CHECKOUT = Path(__file__).parents[2]
TAR = "room.tar"
OPTIONS = (
    *SMALL,
    "--format=tar",
    *QUICK,
    "--include=build-essential,devscripts,fakeroot,lintian,man-db,iproute2,libfile-fcntllock-perl",
)
FINISH = """\
set -eu
chroot "$1" apt-get -q -y build-dep /source
chroot "$1" useradd --create-home builder
rm -r "$1/source"
"""
"""After the base system: what debian/control says that the build needs, from that file and nowhere else."""

INSIDE = """\
root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
chroot "$root" ip link set lo up
exec chroot "$root" setpriv --reuid builder --regid builder --init-groups "$@"
"""
"""How a command is run in a room that is unpacked at $1."""


class Room:
    """A room that is unpacked and may be written to."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, folder: Path, name: str) -> None:
        """Copy a folder to /build/NAME, as the builder's own."""
        there = self.root / "build" / name
        shutil.copytree(folder, there, symlinks=True)
        owner = (self.root / "home/builder").stat()
        for path in (there.parent, there, *there.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)

    def run(
        self, *argv: str, cwd: str = "/", env: Mapping[str, str] | None = None, timeout: float = 900.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the builder, without a network; its stdout and stderr come as one text."""
        words = ["env", "-C", cwd, *(f"{name}={value}" for name, value in (env or {}).items()), *argv]
        return subprocess.run(
            [*CONFINED, "--net", "sh", "-euc", INSIDE, "sh", str(self.root), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/home/builder", "LC_ALL": "C.UTF-8"},
            timeout=timeout,
            check=False,
        )


@contextmanager
def room(suite: Suite, report: Report) -> Iterator[Room]:
    """A fresh room, gone afterwards. Made first where the cache has none (1 to 3 minutes)."""
    packed = _packed(suite, report)
    runs = cache.cache_folder() / "run"
    runs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="room-", dir=runs, ignore_cleanup_errors=True) as made:
        # Its device nodes cannot be made everywhere, and the machine's own are used.
        subprocess.run(["tar", "-xf", str(packed), "-C", made, "--exclude=./dev/*"], check=True)
        yield Room(Path(made))


def _packed(suite: Suite, report: Report) -> Path:
    """The room's tar file in the cache."""
    control = (CHECKOUT / "debian/control").read_text().partition("\n\n")[0]
    key = hashlib.sha256("\n".join([suite, *OPTIONS, FINISH, control]).encode()).hexdigest()[:12]
    folder = cache.cache_folder() / "rooms" / f"{suite}-{key}"

    def make(why: str) -> None:
        report(f"no room of {suite} to build the package in: {why}; making it (1 to 3 minutes)")
        install_missing(report)
        log = folder.with_name(f"{folder.name}.log")
        try:
            _make(suite, folder, control, log)
        except subprocess.SubprocessError as error:
            raise GuestError(f"the room to build in could not be made: {error}\n{tail(log)}") from error
        cache.finish(folder)

    cache.made(folder, make)
    return folder / TAR


def _make(suite: Suite, folder: Path, control: str, log: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as made:
        source = Path(made) / "source"
        (source / "debian").mkdir(parents=True)
        (source / "debian/control").write_text(
            f"{control}\n\nPackage: x\nArchitecture: all\nDescription: x\n"
        )
        finish = Path(made) / "finish"
        finish.write_text(f"#!/bin/sh\n{FINISH}")
        finish.chmod(0o755)
        step(
            log,
            lambda stage: None,  # it takes a minute, and has been announced
            "mmdebstrap",
            *OPTIONS,
            *network_options(),
            f"--customize-hook=copy-in '{source}' /",
            f"--customize-hook='{finish}' \"$1\"",
            *(suite.value, str(folder / TAR), *apt_lines(suite)),
        )

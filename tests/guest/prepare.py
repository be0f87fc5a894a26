# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes this machine ready for the guest: programs, image, booted state."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from . import cache
from .channel import GuestError
from .image import Report, image
from .machine import Machine, kept_state
from .recipe import Suite

PROGRAMS: Mapping[str, str] = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    # Only with gpg does mmdebstrap find out which of this machine's keyrings fits the mirrors.
    "gpg": "gpg",
}
"""The programs that the harness runs, and the Debian packages that have them."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def missing_packages(
    which: Callable[[str], str | None] = lambda name: shutil.which(name, path=PATH), keyring: Path = KEYRING
) -> list[str]:
    """The Debian packages that this machine still needs."""
    wanted = [package for program, package in PROGRAMS.items() if which(program) is None]
    return list(dict.fromkeys(wanted)) + ([] if keyring.exists() else ["debian-archive-keyring"])


def install_missing(report: Report) -> None:
    """Install what is missing, as root, from the configured Debian mirrors; GuestError where it fails."""
    wanted = missing_packages()
    if not wanted:
        return
    command = f"apt-get install --no-install-recommends {' '.join(wanted)}"
    if os.geteuid() != 0:
        raise GuestError(f"not root, and packages are missing: sudo {command}")
    report(f"installing {' '.join(wanted)}")
    for argv in (["update"], ["install", "-y", "--no-install-recommends", *wanted]):
        done = subprocess.run(
            ["apt-get", "-q", *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            check=False,
        )
        if done.returncode:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise GuestError(f"apt-get {' '.join(argv)} failed with exit status {done.returncode}\n{said}")


def prepare(suite: Suite, report: Report, *, thorough: bool = False) -> None:
    """Have everything ready, so that a guest starts in seconds; what is there already is kept."""
    started = time.monotonic()
    install_missing(report)
    made = image(suite, report, thorough=thorough)
    if thorough or cache.why_broken(kept_state(made)):
        with cache.locked(kept_state(made)):
            if cache.why_broken(kept_state(made), thorough=thorough):
                cache.discard(kept_state(made))
        Machine(made, report).close()
    report(f"the {suite} guest is ready ({time.monotonic() - started:.0f} s)")


def clean(suite: Suite, report: Report) -> None:
    """Remove images and booted states of the suite that this checkout does not use, and old logs."""
    current = image(suite, report)
    wanted = {current.folder, kept_state(current)}
    for kind in ("images", "booted"):
        for folder in sorted((cache.cache_folder() / kind).glob(f"{suite}-*")):
            if folder.is_dir() and folder not in wanted:
                with cache.locked(folder):
                    cache.discard(folder)
                report(f"removed {folder}")

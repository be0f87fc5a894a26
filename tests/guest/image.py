# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the guest's image with mmdebstrap and mke2fs, once, into the cache."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import cache
from .channel import GuestError
from .recipe import Recipe, Suite, debian_lines, read_sources

DISK = "image.ext4"
HEARTBEAT = 20.0
TAIL = 25
CONFINED = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child")
"""Namespaces of its own for the build: however it or we end, its processes and its mounts of /proc and
/dev are gone with it, so that removing its folder can never reach into the machine's."""
UNTOLD = ("I: chroot arch", "I: finding correct", "I: running --", "I: skipping", "I: success in")
"""Lines of mmdebstrap that tell people nothing about how far it is."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Image:
    """A finished image in the cache."""

    suite: Suite
    folder: Path

    @property
    def disk(self) -> Path:
        """The root file system, a raw ext4."""
        return self.folder / DISK

    @property
    def kernel(self) -> Path:
        """The kernel that QEMU starts."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """Its initial RAM disk."""
        return self.folder / "initrd.img"


class BuildError(GuestError):
    """The image could not be built; the message has the log's path and its last lines."""


def image(suite: Suite, report: Report, *, thorough: bool = False) -> Image:
    """The image of a suite: from the cache where it is whole, else built now (5 to 12 minutes).

    ``thorough`` reads every checksum instead of sizes and times alone. Raises BuildError.
    """
    recipe = Recipe(suite)
    folder = cache.cache_folder() / "images" / recipe.folder

    def make(why: str) -> None:
        report(f"no usable image of {suite} in {folder.parent}: {why}; building it (5 to 12 minutes)")
        _Build(recipe, folder, report).run()

    cache.made(folder, make, thorough=thorough)
    return Image(suite, folder)


class _Build:
    """One build: its stages, its log, its heartbeat."""

    def __init__(self, recipe: Recipe, folder: Path, report: Report) -> None:
        self._recipe = recipe
        self._folder = folder
        self._report = report
        self._log = folder.with_name(f"{folder.name}.log")
        self._started = time.monotonic()
        self._stage = ""

    def run(self) -> None:
        """Build into the folder and mark it complete."""
        try:
            with (
                tempfile.TemporaryDirectory(prefix="build-", dir=self._folder) as made,
                self._heartbeat(Path(made)),
            ):
                self._build(Path(made))
                self._say("checksums")
            cache.finish(self._folder)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            raise BuildError(f"{error}\n{tail(self._log)}") from error
        size = (self._folder / DISK).stat().st_blocks * 512 / 1e6
        self._say(f"image of {self._recipe.suite} complete: {size:.0f} MB")

    def _build(self, made: Path) -> None:
        files = made / "files"
        for name, text in self._recipe.files:
            path = files / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        hooks = {"settle": self._recipe.settle, "finish": self._recipe.finish}
        for name, text in hooks.items():
            (made / name).write_text(text)
            (made / name).chmod(0o755)
        root = made / "root"
        drop = " ".join(f"'{name}'" for name in self._recipe.drop)
        self._say("fetching and unpacking the base system")
        step(
            self._log,
            self._say,
            "mmdebstrap",
            *self._recipe.options,
            *network_options(),
            "--include=" + ",".join(self._recipe.packages),
            f"--essential-hook='{made / 'settle'}' \"$1\"",
            f"--customize-hook='{made / 'finish'}' \"$1\" '{files}' {drop}",
            *(self._recipe.suite.value, str(root), *apt_lines(self._recipe.suite)),
        )
        self._say("writing the file system")
        for name in ("vmlinuz", "initrd.img"):
            newest = max((root / "boot").glob(f"{name}-*"))
            shutil.copyfile(newest, self._folder / name)
        partial = self._folder / f"{DISK}.partial"
        step(
            self._log,
            self._say,
            "mke2fs",
            "-q",
            "-F",
            "-t",
            "ext4",
            "-m",
            "0",
            "-d",
            str(root),
            str(partial),
            self._recipe.size,
        )
        partial.replace(self._folder / DISK)

    def _say(self, stage: str) -> None:
        self._stage = stage
        self._report(f"[{time.monotonic() - self._started:4.0f} s] {stage}")

    @contextlib.contextmanager
    def _heartbeat(self, made: Path) -> Iterator[None]:
        done = threading.Event()

        def beat() -> None:
            while not done.wait(HEARTBEAT):
                # mmdebstrap keeps dpkg's words to itself, so look at what dkms has made.
                objects = 0
                with contextlib.suppress(OSError):  # dkms removes folders while we look
                    objects = sum(1 for _ in made.glob("root/var/lib/dkms/zfs/*/build/module/**/*.o"))
                doing = f"compiling the zfs module, {objects} files done" if objects else self._stage
                self._report(f"[{time.monotonic() - self._started:4.0f} s] ... still {doing}")

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def step(log: Path, say: Callable[[str], None], *argv: str) -> None:
    """Run one program of a build, confined; its output goes to the log, its announcements to ``say``.

    Those are lines as ``I: ...``. Raises SubprocessError where it fails.
    """
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    with log.open("a") as written:
        process = subprocess.Popen(
            [*CONFINED, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "PATH": path, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        )
        try:
            for line in process.stdout or ():
                written.write(line)
                written.flush()
                if line.startswith("I: ") and not line.startswith(UNTOLD):
                    say(line[3:].strip())
        except BaseException:
            process.kill()
            raise
        finally:
            status = process.wait()
    if status:
        raise subprocess.SubprocessError(f"{argv[0]} failed with exit status {status}")


def tail(log: Path) -> str:
    """Where a build's log is, and its last lines."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    return "\n".join([f"log: {log}", *lines[-TAIL:]])


def apt_lines(suite: Suite) -> tuple[str, ...]:
    template = "$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)"
    said = subprocess.run(
        ["apt-get", "indextargets", "--format", template, "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    release = dict(
        line.partition("=")[::2] for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    return debian_lines(read_sources(said), release.get("VERSION_CODENAME", "").strip('"'), suite)


def network_options() -> tuple[str, ...]:
    """This machine's apt settings for the network (a proxy, say): mmdebstrap does not read them."""
    said = subprocess.run(
        ["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True
    ).stdout
    wanted = ("Acquire::http::", "Acquire::https::", "Acquire::ftp::")
    return tuple(
        f"--aptopt={line}" for line in said.splitlines() if line.startswith(wanted) and '""' not in line
    )


def console_report(line: str) -> None:
    """Show one line of progress on standard error."""
    print(line, file=sys.stderr, flush=True)

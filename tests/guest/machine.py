# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual machine with the guest in it: started from a booted state where one is kept."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import cache
from .channel import Channel, GuestError, connect
from .guest import Guest
from .image import Image
from .qemu import (
    AGENT_SOCKET,
    CONSOLE,
    DISK,
    INSIDE,
    MONITOR_SOCKET,
    PROGRAM,
    Accelerator,
    Setup,
    accelerator,
)

STATE = "booted"
RESTORE_SECONDS = 120.0
BOOT_SECONDS = 900.0
"""A boot takes 25 s in software emulation, and was seen to take 200 s on a machine that was busy."""
INSIDE_FOLDER = Path(__file__).parent / "inside"
_numbers = itertools.count(1)

Report = Callable[[str], None]


class Monitor:
    """QEMU's own control socket (QMP)."""

    def __init__(self, path: Path) -> None:
        self._socket = connect(path)
        self._socket.settimeout(120)
        self._lines = self._socket.makefile("rb")
        self._answer()
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: Any) -> Any:
        """Run a command; GuestError with QEMU's message where it refuses."""
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = self._answer()
            if "error" in answer:
                raise GuestError(f"QEMU: {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def close(self) -> None:
        """End the connection."""
        self._lines.close()
        self._socket.close()

    def _answer(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise GuestError("QEMU ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Machine(Guest):
    """One QEMU in a folder of its own, which goes away with it."""

    def __init__(self, image: Image, report: Report = lambda line: None) -> None:
        """Start a guest of ``image`` and wait until it takes commands. Raises GuestError."""
        self._image = image
        self._report = report
        self._folder = cache.cache_folder() / "run" / f"{image.suite}-{os.getpid()}-{next(_numbers)}"
        self._process: subprocess.Popen[bytes] | None = None
        state = kept_state(image)
        try:
            with cache.locked(state):
                if not cache.why_broken(state):
                    try:
                        super().__init__(self._restore(state))
                        return
                    except GuestError as error:
                        report(f"the kept booted state does not load, booting anew ({error})")
                        self.close()
                cache.discard(state)
                super().__init__(self._boot())
                self._keep(state)
            super().__init__(self._restore(state))
        except BaseException:
            self.close()
            raise

    def reset(self) -> None:
        """See Guest."""
        with contextlib.closing(Monitor(self._folder / MONITOR_SOCKET)) as monitor:
            monitor.ask("system_reset")
        self._channel.close()
        self._channel = self._connected(BOOT_SECONDS)
        self._seed()

    def shutdown(self) -> None:
        """Shut the guest down in order (file systems unmounted), then close."""
        with contextlib.suppress(GuestError):
            self.run(["systemctl", "poweroff"], timeout=30)
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(120)
        self.close()

    def close(self) -> None:
        """End QEMU at once, and remove the machine's folder. May be called twice."""
        if hasattr(self, "_channel"):
            self._channel.close()
        self._end_process()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def alive(self) -> bool:
        """Whether QEMU runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def console(self) -> str:
        """What the guest's kernel has written to its console."""
        with contextlib.suppress(OSError):
            return (self._folder / CONSOLE).read_text(errors="replace")
        return ""

    def _boot(self) -> Channel:
        started = time.monotonic()
        self._report("booting the guest (25 s and more in software emulation; only the first time)")
        self._prepare_folder()
        backing = ("-b", str(self._image.disk), "-F", "raw")
        _tool("qemu-img", "create", "-q", "-f", "qcow2", *backing, str(self._folder / DISK))
        self._spawn("")
        channel = self._connected(BOOT_SECONDS)
        self._channel = channel
        self.record = []
        self._seed()
        self._report(f"booted in {time.monotonic() - started:.0f} s")
        return channel

    def _restore(self, state: Path) -> Channel:
        self._prepare_folder()
        _tool("cp", "--reflink=auto", "--sparse=always", str(state / DISK), str(self._folder / DISK))
        self._spawn(STATE)
        channel = self._connected(RESTORE_SECONDS)
        Guest(channel).set_clock()
        return channel

    def _keep(self, state: Path) -> None:
        """Save the running machine as a booted state, and end it."""
        self.run(["sh", "-c", "sync; fstrim / || true; echo 3 > /proc/sys/vm/drop_caches"]).check()
        with contextlib.closing(Monitor(self._folder / MONITOR_SOCKET)) as monitor:
            said = monitor.ask("human-monitor-command", **{"command-line": f"savevm {STATE}"})
            if said.strip():
                raise GuestError(f"QEMU cannot keep the booted state: {said.strip()}")
            monitor.ask("quit")
        self._channel.close()
        self._end_process()
        state.mkdir(parents=True)
        shutil.move(self._folder / DISK, state / DISK)
        cache.finish(state)

    def _seed(self) -> None:
        """What every started guest has: its services settled and a right clock."""
        self.set_clock()
        self.run(["sh", "/run/inside/seed.sh"], timeout=BOOT_SECONDS).check()

    def _prepare_folder(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        remove_left_behind(self._folder.parent)
        self._folder.mkdir(parents=True)
        (self._folder / INSIDE).write_bytes(packed_inside())

    def _spawn(self, load: str) -> None:
        setup = Setup(self._image.kernel, self._image.initrd, this_accelerator())
        with (self._folder / "qemu.log").open("wb") as log:
            self._process = subprocess.Popen(
                # QEMU must not outlive us, however we end.
                ["setpriv", "--pdeathsig", "KILL", *setup.command(load)],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _connected(self, seconds: float) -> Channel:
        deadline = time.monotonic() + seconds
        while True:
            try:
                channel = Channel(self._folder / AGENT_SOCKET)
                break
            except OSError:
                if not self.alive or time.monotonic() > deadline:
                    raise GuestError(self._what_qemu_said()) from None
                time.sleep(0.05)
        try:
            channel.synchronise(seconds, lambda: self.alive)
        except GuestError as error:
            channel.close()
            raise GuestError(f"{error}; {self._what_qemu_said()}") from error
        return channel

    def _what_qemu_said(self) -> str:
        log = self._folder / "qemu.log"
        said = log.read_text(errors="replace").strip() if log.exists() else ""
        console = "\n".join(self.console.splitlines()[-15:])
        return f"QEMU {'runs' if self.alive else 'ended'}: {said or 'nothing said'}\nconsole:\n{console}"

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def remove_left_behind(folder: Path) -> None:
    """Remove the folders of machines whose process was killed; their name has its id."""
    for left in folder.glob("*-*-*"):
        if not Path("/proc", left.name.split("-")[-2]).exists():
            shutil.rmtree(left, ignore_errors=True)


def this_accelerator() -> Accelerator:
    """What this machine can run the guest with."""
    works = False
    with contextlib.suppress(OSError), open("/dev/kvm", "rb+", buffering=0):
        works = True
    return accelerator(Path("/proc/cpuinfo").read_text(), kvm_works=works)


def kept_state(image: Image) -> Path:
    """The folder of the booted state that fits this image, this QEMU and this harness."""
    setup = Setup(image.kernel, image.initrd, this_accelerator())
    parts = [
        _tool(PROGRAM, "--version"),
        " ".join(setup.command()),
        (image.folder / cache.MARKER).read_text(),
    ]
    key = hashlib.sha256("\n".join(parts).encode() + packed_inside()).hexdigest()[:12]
    return cache.cache_folder() / "booted" / f"{image.folder.name}-{key}"


def packed_inside() -> bytes:
    """The files of ``inside/`` as the small disk that the guest reads its agent from."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(INSIDE_FOLDER.iterdir()):
            if path.is_file():
                entry = tarfile.TarInfo(f"{INSIDE_FOLDER.name}/{path.name}")
                entry.size = path.stat().st_size
                tar.addfile(entry, io.BytesIO(path.read_bytes()))
    return packed.getvalue()


def _tool(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GuestError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout

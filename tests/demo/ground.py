# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the demo plays: two scratch pools, an sshd and a network of its own; real ZFS or the fake one.

All of it lies in one temporary directory and in pools whose names carry a random part, and goes when
the ground is cleared.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fake.executable import wrap
from tests.sshd.server import ScratchSshd, public

from .holdings import Holdings, read_holdings
from .network import Relay

CHECKOUT = Path(__file__).parents[2]
POOL_SIZE = "256M"
LOCKS = Path("/run/lock/cyber-zfs-backup")


class GroundError(Exception):
    """The scratch pools, or a command on them, did not do what they should; the message says which."""


@dataclass(frozen=True, slots=True)
class Side:
    """One end: its pool, the root of the tree there, and the environment in which zfs means this end's."""

    pool: str
    root: str
    environment: Mapping[str, str]

    def run(self, *argv: str, stdin: bytes = b"") -> str:
        """Run a command at this end; its output, or GroundError where it fails."""
        done = subprocess.run(
            argv, input=stdin, capture_output=True, env=dict(self.environment), check=False, timeout=600
        )
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace").strip()
            raise GroundError(f"{' '.join(argv)[:300]}: exit status {done.returncode}: {said}")
        return done.stdout.decode()

    def exists(self, dataset: str) -> bool:
        """Whether a dataset is there."""
        argv = ["zfs", "list", "-H", "-o", "name", dataset]
        return not subprocess.run(
            argv, capture_output=True, env=dict(self.environment), check=False
        ).returncode

    def holdings(self) -> Holdings:
        """What this end holds now."""
        if not self.exists(self.root):
            return Holdings(self.root, {})
        filesystems = self.run("zfs", "list", "-H", "-r", "-o", "name", self.root)
        columns = ("-s", "createtxg", "-o", "name,guid")
        snapshots = self.run("zfs", "list", "-Hp", "-t", "snapshot", *columns, "-r", self.root)
        return read_holdings(self.root, filesystems, snapshots)


@dataclass(frozen=True, slots=True)
class Ran:
    """A call of the product that ended: its exit status, its lines, and how long it took."""

    status: int
    lines: tuple[str, ...]
    seconds: float

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines)


@dataclass(frozen=True, slots=True)
class Ground:
    """A prepared ground. ``fake`` says that this is no ZFS; ``unit`` is the size of the big file."""

    folder: Path
    source: Side
    receiver: Side
    network: Relay
    ssh_config: Path
    fake: bool

    @property
    def unit(self) -> int:
        """Bytes of the file whose push is broken."""
        return 3 << 20 if self.fake else 24 << 20

    def write(self, path: str, name: str, data: bytes) -> None:
        """Write a file into a dataset of the source; ``path`` is relative to the tree (``""``, ``/home``)."""
        if self.fake:
            self.source.run("fake-write", f"{self.source.root}{path}", name, stdin=data)
        else:
            (self.folder / f"files{path}" / name).write_bytes(data)

    def product(self, arguments: Sequence[str], on_line: Callable[[str], None]) -> Ran:
        """Run the checkout's program at the source; each line of its output is told as it comes."""
        environment = {
            **self.source.environment,
            "PYTHONPATH": str(CHECKOUT),
            "NO_COLOR": "1",
            "PYTHONWARNINGS": "ignore",
            # What it puts on record goes with the rest.
            "STATE_DIRECTORY": str(self.folder / "state"),
        }
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "cyber_zfs_backup", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
        )
        lines = []
        try:
            for line in process.stdout or ():
                lines.append(line.rstrip("\n"))
                on_line(lines[-1])
            status = process.wait()
        except BaseException:
            _end(process)
            raise
        return Ran(status, tuple(lines), time.monotonic() - began)


@contextlib.contextmanager
def ground(*, fake: bool) -> Iterator[Ground]:
    """Prepare the ground, and clear it whatever happens. Raises GroundError, also where clearing fails."""
    mark = f"demo{secrets.token_hex(3)}"
    folder = Path(tempfile.mkdtemp(prefix=f"cyber-zfs-backup-{mark}-"))
    with contextlib.ExitStack() as clearing:
        left: list[str] = []
        clearing.callback(_remove, folder, mark, left)
        bins = {where: folder / where / "bin" for where in ("here", "there")}
        if fake:
            for where, bin_folder in bins.items():
                wrap(bin_folder, folder / where / "world")
        sides = {where: _side(f"{mark}-{where}", bins[where] if fake else None) for where in bins}
        for where, side in sides.items():
            _make_pool(side, folder / f"{where}.img", fake=fake)
            clearing.callback(_destroy_pool, side, left)
        here = sides["here"]
        here.run("zfs", "create", "-o", f"mountpoint={folder / 'files'}", here.root)
        for child in ("home", "srv"):
            here.run("zfs", "create", f"{here.root}/{child}")
        options = [f"SetEnv PATH={sides['there'].environment['PATH']}"]
        (folder / "ssh").mkdir()
        server = ScratchSshd(folder / "ssh", options=options)
        clearing.callback(server.stop)
        network = Relay(server.port)
        clearing.callback(network.close)
        config = _ssh_config(folder, server, network)
        yield Ground(folder, here, sides["there"], network, config, fake)


def real_zfs_works() -> bool:
    """Whether this machine has a ZFS that we may use."""
    if os.geteuid() != 0 or not Path("/dev/zfs").exists():
        return False
    try:
        done = subprocess.run(
            ["zpool", "list", "-H"],
            env=dict(_environment(None)),
            capture_output=True,
            check=False,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _environment(first: Path | None) -> Mapping[str, str]:
    path = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"
    return {**os.environ, "PATH": f"{first}:{path}" if first else path, "LC_ALL": "C.UTF-8"}


def _side(pool: str, first: Path | None) -> Side:
    return Side(pool, f"{pool}/zippy", _environment(first))


def _make_pool(side: Side, file: Path, *, fake: bool) -> None:
    if fake:
        side.run("zpool", "create", "-O", "mountpoint=none", side.pool, POOL_SIZE)
        return
    side.run("truncate", "-s", POOL_SIZE, str(file))
    # Not in zpool.cache: a crash of this machine must not leave it looking for our files.
    side.run("zpool", "create", "-o", "cachefile=none", "-O", "mountpoint=none", side.pool, str(file))


def _destroy_pool(side: Side, left: list[str]) -> None:
    """Destroy a pool; where it cannot be, it is noted as ``left``."""
    for remaining in range(9, -1, -1):
        try:
            side.run("zpool", "destroy", "-f", side.pool)
            return
        except GroundError:
            # A receive whose sshd has just been killed may hold it for a moment.
            if not remaining:
                left.append(side.pool)
                raise
            time.sleep(1)


def _remove(folder: Path, mark: str, left: list[str]) -> None:
    if left:
        raise GroundError(f"left behind: {' '.join(left)}; `zpool destroy` it by hand, then remove {folder}")
    _end_all(mark)
    shutil.rmtree(folder)
    for lock in LOCKS.glob(f"*{mark}*.lock"):
        lock.unlink()


def _end_all(mark: str) -> None:
    """End what outlived its connection: a command whose sshd has gone is nobody's child, and may yet write.

    All such commands name a pool or a file of this demo, also the shell that has not yet become one.
    """
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        alive = [pid for pid in map(int, _numbers()) if pid != os.getpid() and _mentions(pid, mark)]
        if not alive:
            return
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _numbers() -> Iterator[str]:
    return (entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _mentions(pid: int, mark: str) -> bool:
    try:
        return mark.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _ssh_config(folder: Path, server: ScratchSshd, network: Relay) -> Path:
    known = folder / "ssh" / "known_hosts_of_demo"
    known.write_text(f"offsite {public(server.host_keys[0])}")
    return server.client_config(
        "ssh_config",
        f"Port {network.port}",
        "HostKeyAlias offsite",
        f"UserKnownHostsFile {known}",
        "BatchMode yes",
        # The default takes twice as long in an emulated guest.
        # It has two names, and each program knows but one of them.
        "KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org",
        host="offsite",
    )


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

# SPDX-License-Identifier: GPL-3.0-or-later
"""A scratch sshd of one's own: own port, own host keys, own authorized_keys, nothing of the machine's.

Needs OpenSSH's server and client. As root it logs in root; as anyone else it logs in that user.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

_START = 20.0
_SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "/usr/sbin/sshd"


class ScratchSshd:
    """One running sshd and the client's files that fit it.

    ``config_file`` has a ``Host scratch`` for it; ``known_hosts`` holds its keys; ``identity`` is
    the user key that it accepts.
    """

    def __init__(
        self,
        folder: Path,
        *,
        options: Sequence[str] = (),
        host_key_types: Sequence[str] = ("ed25519",),
        identity: Path | None = None,
    ) -> None:
        """Start it in ``folder`` (an empty directory); ``options`` are lines of sshd_config(5)."""
        self.folder = folder
        self.host_keys = [make_key(folder / f"host_{kind}", kind) for kind in host_key_types]
        self.identity = identity or make_key(folder / "identity", "ed25519")
        self.authorized_keys = folder / "authorized_keys"
        self.authorized_keys.write_text(public(self.identity))
        self.port = free_port()
        self.log = folder / "sshd.log"
        self.known_hosts = folder / "known_hosts"
        self.trust()
        self.config_file = self.client_config("client_config")
        self._options = list(options)
        self._process = self._start()

    def trust(self, keys: Iterable[Path] | None = None) -> None:
        """Write ``known_hosts``, with this server's keys or with others in their place."""
        lines = (f"[127.0.0.1]:{self.port} {public(key)}" for key in keys or self.host_keys)
        self.known_hosts.write_text("".join(lines))

    def client_config(self, name: str, *extra: str, host: str = "scratch") -> Path:
        """Write another client configuration; ``extra`` lines come first and so win."""
        lines = [
            f"Host {host}",
            *extra,
            "HostName 127.0.0.1",
            f"Port {self.port}",
            f"User {user()}",
            f"IdentityFile {self.identity}",
            "IdentitiesOnly yes",
            "IdentityAgent none",
            f"UserKnownHostsFile {self.known_hosts}",
            "GlobalKnownHostsFile none",
        ]
        file = self.folder / name
        file.write_text("\n    ".join(lines) + "\n")
        return file

    def drop_connections(self) -> None:
        """Kill every connection that stands, as a network that dies would."""
        for pid in descendants(self._process.pid):
            _kill(pid)

    def connections(self) -> int:
        """Count the connections that this server has accepted a login on, since it started."""
        return len(re.findall(r"^Accepted ", self.log.read_text("utf-8", "replace"), re.MULTILINE))

    def stop(self) -> None:
        """End the server and all that it started. May be called twice."""
        if self._process.poll() is None:
            children = descendants(self._process.pid)
            self._process.terminate()
            self._process.wait()
            for pid in children:
                _kill(pid)

    def _start(self) -> subprocess.Popen[bytes]:
        Path("/run/sshd").mkdir(exist_ok=True) if os.getuid() == 0 else None
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            *(f"HostKey {key}" for key in self.host_keys),
            *self._options,
            f"AuthorizedKeysFile {self.authorized_keys}",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "UsePAM no",
            "StrictModes no",
            "PidFile none",
            "PermitUserRC no",
            # Debian's bash reads ~/.bashrc under sshd, unless it is told that it is not the first one.
            "SetEnv SHLVL=2",
            "MaxStartups 100",
            *(["PerSourcePenalties no"] if _version() >= (9, 8) else []),
        ]
        config = self.folder / "sshd_config"
        config.write_text("\n".join(lines) + "\n")
        process = subprocess.Popen(
            [_SSHD, "-D", "-f", str(config), "-E", str(self.log)],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        limit = time.monotonic() + _START
        while not _answers(self.port):
            if process.poll() is not None or time.monotonic() > limit:
                process.kill()
                raise RuntimeError(
                    f"sshd does not start: {self.log.read_text() if self.log.exists() else ''}"
                )
            time.sleep(0.02)
        return process


def make_key(file: Path, kind: str = "ed25519", *more: str) -> Path:
    """Make a key pair without a passphrase; answers the private file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    size = ["-b", "2048"] if kind == "rsa" else []  # enough for a test, and much quicker than the default
    command = ["ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", file.name, "-f", str(file), *more]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return file


def public(private: Path) -> str:
    """Answer the line of the public half."""
    return Path(f"{private}.pub").read_text()


def user() -> str:
    """Answer who we are, which is whom the scratch sshd lets in."""
    return pwd.getpwuid(os.getuid()).pw_name


def free_port() -> int:
    """Answer a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def descendants(pid: int) -> list[int]:
    """Answer the process ids of all children, grandchildren and so on, by /proc."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: list[int] = []
    todo = [pid]
    while todo:
        new = parents.get(todo.pop(), [])
        found += new
        todo += new
    return found


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _version() -> tuple[int, int]:
    said = subprocess.run(["ssh", "-V"], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    match = re.search(r"OpenSSH_(\d+)\.(\d+)", said.stderr)
    return (int(match[1]), int(match[2])) if match else (0, 0)

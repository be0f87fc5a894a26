# SPDX-License-Identifier: GPL-3.0-or-later
"""The three zfs that the cases run on."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.contract.zfs import Args, Piped, Said, Zfs
from tests.fake.executable import wrap
from tests.fake.front import Streams
from tests.fake.host import FakeHost
from tests.fake.model import World

SOURCE, DESTINATION = "cta", "ctb"
VERSIONS = ((2, 1, 11), (2, 3, 9))
"""Those of Debian 12 and 13, on which the cases were measured."""


class InProcess(Zfs):
    """The model, called as functions."""

    def __init__(self, version: tuple[int, int, int] = VERSIONS[0]) -> None:
        self.version = version
        world = World(version=version)
        world.add_pool(SOURCE)
        world.add_pool(DESTINATION)
        self._host = FakeHost(world)
        self.src, self.dst = f"{SOURCE}/case", f"{DESTINATION}/case"
        self.ok("create", self.src)
        self.ok("create", "-o", "mountpoint=none", self.dst)

    def run(self, *args: str) -> Said:
        """Run ``zfs``."""
        return self._run(args, Streams())

    def _run(self, args: Args, streams: Streams) -> Said:
        status, _ = self._host.execute(("zfs", *args), streams)
        return Said(status, "".join(streams.out), "".join(streams.err))

    def write(self, dataset: str, name: str, size: int) -> None:
        """Write a file."""
        self._host.write(dataset, {name: os.urandom(size)})

    def join(self, sends: Sequence[Args], receives: Sequence[Args], cut: float = 1.0) -> Piped:
        """Join streams in memory."""
        chunks: list[bytes] = []
        said = []
        for send in sends:
            said.append(self._run(("send", *send), Streams(write=chunks.append)))
        stream = b"".join(chunks)
        stdin = io.BytesIO(stream[: int(len(stream) * cut)])
        out, err, status = "", "", 0
        for receive in receives:
            took = self._run(("receive", *receive), Streams(stdin))
            out, err, status = out + took.out, err + took.err, took.status
            if status != 0:
                break
        return Piped(tuple(said), len(stream), Said(status, out, err))

    def feed(self, data: bytes, *receive: str) -> Said:
        """Receive bytes."""
        return self._run(("receive", *receive), Streams(io.BytesIO(data)))


class Executable(Zfs):
    """The model as processes, joined by real pipes."""

    version = VERSIONS[0]

    def __init__(self, folder: Path) -> None:
        wrap(folder / "bin", folder / "world")
        self._folder = folder
        self._env = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "TZ": "UTC"}
        for pool in (SOURCE, DESTINATION):
            self._process(["zpool", "create", pool, "anything"])
        self.src, self.dst = f"{SOURCE}/case", f"{DESTINATION}/case"
        self.ok("create", self.src)
        self.ok("create", "-o", "mountpoint=none", self.dst)

    def _process(self, argv: Sequence[str], data: bytes = b"") -> Said:
        done = subprocess.run(argv, input=data, env=self._env, capture_output=True, check=False)
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    def run(self, *args: str) -> Said:
        """Run ``zfs``."""
        return self._process(["zfs", *args])

    def write(self, dataset: str, name: str, size: int) -> None:
        """Write a file."""
        said = self._process(["fake-write", dataset, name], os.urandom(size))
        assert said.status == 0, said

    def join(self, sends: Sequence[Args], receives: Sequence[Args], cut: float = 1.0) -> Piped:
        """Join streams by a shell."""
        out = self._process(["sh", "-c", join_script(sends, receives, cut, str(self._folder))]).out
        return parse_join(out, len(sends))

    def feed(self, data: bytes, *receive: str) -> Said:
        """Receive bytes."""
        return self._process(["zfs", "receive", *receive], data)


class Remote(Zfs):
    """OpenZFS, wherever a shell of root's is: ``shell`` runs a script and answers its status and output.

    ``number`` makes the datasets of one case its own; the pools are there already.
    """

    def __init__(self, shell: Callable[[str, bytes], Said], number: int) -> None:
        self._shell = shell
        self.src, self.dst = f"{SOURCE}/c{number}", f"{DESTINATION}/c{number}"
        self.version = version_in(shell("zfs version", b"").out)
        said = shell(f"zfs create {self.src} && zfs create -o mountpoint=none {self.dst}", b"")
        assert said.status == 0, said

    def run(self, *args: str) -> Said:
        """Run ``zfs``."""
        return self._shell(shlex.join(["exec", "zfs", *args]), b"")

    def write(self, dataset: str, name: str, size: int) -> None:
        """Write a file below the dataset's mountpoint; sizes are true once its transaction is synced."""
        path, pool = shlex.quote(f"/{dataset}/{name}"), dataset.partition("/")[0]
        said = self._shell(f"head -c {size} /dev/urandom > {path} && zpool sync {pool}", b"")
        assert said.status == 0, said

    def join(self, sends: Sequence[Args], receives: Sequence[Args], cut: float = 1.0) -> Piped:
        """Join streams by a shell."""
        said = self._shell(join_script(sends, receives, cut, "/run"), b"")
        return parse_join(said.out, len(sends))

    def feed(self, data: bytes, *receive: str) -> Said:
        """Receive bytes."""
        return self._shell(shlex.join(["exec", "zfs", "receive", *receive]), data)


def version_in(text: str) -> tuple[int, int, int]:
    """Read what ``zfs version`` prints; its first line is like ``zfs-2.1.11-1``."""
    found = re.match(r"zfs-(\d+)\.(\d+)\.(\d+)", text)
    assert found is not None, text
    major, minor, patch = (int(part) for part in found.groups())
    return major, minor, patch


_SEPARATOR = "\x1e"


def join_script(sends: Sequence[Args], receives: Sequence[Args], cut: float, folder: str) -> str:
    """A script that prints, each followed by a separator: status and stderr of every send, the size
    of their joined stream, and status, stdout and stderr of the receives.

    No send writes with ``>>``: since 2.2 zfs splices, which no file open for appending takes (EINVAL),
    and the send dies of SIGPIPE.
    """
    work = f"{folder}/join"
    lines = ["set +e", f"rm -rf {work} && mkdir {work} && cd {work}", ": > all"]
    for send in sends:
        lines += [
            shlex.join(["zfs", "send", *send]) + " > one 2> err; echo $? > status",
            "cat one >> all; cat status; printf '\\036'; cat err; printf '\\036'",
        ]
    chain = " && ".join(shlex.join(["zfs", "receive", *receive]) for receive in receives)
    lines += [
        "size=$(wc -c < all)",
        f"head -c $((size * {int(cut * 100000)} / 100000)) all | ( {chain} ) > out 2> err; status=$?",
        "printf '%s\\036%s\\036' $size $status; cat out; printf '\\036'; cat err; printf '\\036'",
        f"cd / && rm -rf {work}",
    ]
    return "\n".join(lines)


def parse_join(text: str, count: int) -> Piped:
    """Read what ``join_script`` printed."""
    parts = text.split(_SEPARATOR)
    sends = tuple(Said(_signal(parts[2 * i]), "", parts[2 * i + 1]) for i in range(count))
    size, status, out, err = parts[2 * count : 2 * count + 4]
    return Piped(sends, int(size), Said(_signal(status), out, err))


def _signal(status: str) -> int:
    """A shell's status; above 128 and not 255, it was a signal."""
    number = int(status)
    return 128 - number if 128 < number < 192 else number

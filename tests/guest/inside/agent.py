# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent in the guest: runs commands that come in over a virtio-serial port.

Started by systemd as root, as a module of the package ``inside``. Standard library only. Any number
of jobs may run at once; each has a thread of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import selectors
import signal
import subprocess
import threading
import time
from typing import IO, Any

from .wire import CHUNK, Frame, FrameReader, Kind

PORT = "/dev/virtio-ports/cyber-zfs-backup"
RNDRESEEDCRNG = 0x5207  # linux/random.h: take the entropy pool's new content into use now
GRACE = 0.5  # seconds between a process's end and our giving up on pipes that its children hold open
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BASE_ENVIRONMENT = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "USER": "root", "LOGNAME": "root"}


class Sender:
    """Writes frames to the port, whole, from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, frame: Frame) -> None:
        """Write one frame; waits while the outside does not read."""
        data = memoryview(frame.encoded())
        with self._lock:
            while data:
                data = data[os.write(self._descriptor, data) :]

    def end(self, job: int, status: int | None, *, timed_out: bool = False, error: str = "") -> None:
        """Report the end of a job."""
        answer = {"status": status, "timed_out": timed_out, "error": error}
        self.send(Frame(Kind.EXIT, job, json.dumps(answer).encode()))


class Job:
    """One command: its process, the data waiting for its standard input, and its output."""

    def __init__(self, number: int, order: dict[str, Any], sender: Sender) -> None:
        self._number = number
        self._order = order
        self._sender = sender
        self._input = bytearray()
        self._input_ended = False
        self._ended = False
        self._lock = threading.Lock()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def feed(self, data: bytes) -> None:
        """Take data for standard input; empty means that it ends."""
        with self._lock:
            self._input += data
            self._input_ended = self._input_ended or not data
            if self._ended:
                return
            with contextlib.suppress(BlockingIOError):  # a full pipe wakes just as well
                os.write(self._wake_write, b"x")

    def signal(self, number: int) -> None:
        """Send a signal to the job's whole process group, or as soon as there is one.

        On a busy machine the command may have said something before we have it from ``Popen``.
        """
        with self._lock:
            if self._process is None:
                self._early.append(number)
                return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def run(self) -> None:
        """Run to the end and report it."""
        try:
            status, timed_out = self._run()
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self._sender.end(self._number, None, error=f"{type(error).__name__}: {error}")
        else:
            self._sender.end(self._number, status, timed_out=timed_out)
        finally:
            with self._lock:
                self._ended = True
                os.close(self._wake_read)
                os.close(self._wake_write)

    def _run(self) -> tuple[int, bool]:
        order = self._order
        process = subprocess.Popen(
            order["argv"],
            env={**BASE_ENVIRONMENT, **(order.get("env") or {})},
            cwd=order.get("cwd") or "/root",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        with self._lock:
            self._process = process
        for number in self._early:
            self.signal(number)
        timed_out = self._pump(process, time.monotonic() + float(order.get("timeout") or 1e9))
        return process.wait(), timed_out

    def _pump(self, process: subprocess.Popen[bytes], deadline: float) -> bool:
        """Move the process's three streams until it has ended; answers whether time ran out."""
        timed_out = False
        pidfd = os.pidfd_open(process.pid)
        with selectors.DefaultSelector() as watch:
            for stream, kind in ((process.stdout, Kind.OUT), (process.stderr, Kind.ERR)):
                watch.register(_piped(stream), selectors.EVENT_READ, kind)
            watch.register(pidfd, selectors.EVENT_READ, "ended")
            watch.register(self._wake_read, selectors.EVENT_READ, "woken")
            os.set_blocking(_piped(process.stdin).fileno(), False)
            open_outputs, ended_at = 2, 0.0
            while open_outputs or not ended_at:
                now = time.monotonic()
                if ended_at and now > ended_at + GRACE:
                    break
                if now > deadline and not ended_at:
                    timed_out, deadline = True, now + 5
                    self.signal(signal.SIGKILL)
                limit = ended_at + GRACE if ended_at else deadline
                for key, _events in watch.select(max(0.0, min(limit - now, 60.0)) + 0.01):
                    if key.data == "ended":
                        ended_at = time.monotonic()
                        watch.unregister(pidfd)
                    elif isinstance(key.data, Kind):
                        data = os.read(key.fd, CHUNK)
                        if data:
                            self._sender.send(Frame(key.data, self._number, data))
                            ended_at = time.monotonic() if ended_at else 0.0
                        else:
                            watch.unregister(key.fileobj)
                            open_outputs -= 1
                    else:
                        self._push_input(process, watch, woken=key.data == "woken")
        os.close(pidfd)
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                _piped(stream).close()
        return timed_out

    def _push_input(
        self, process: subprocess.Popen[bytes], watch: selectors.BaseSelector, *, woken: bool
    ) -> None:
        """Give the process what it takes without waiting; ask to be called again while some is left."""
        if woken:
            os.read(self._wake_read, 4096)
        stdin = _piped(process.stdin)
        if stdin.closed:
            return
        watched = stdin in watch.get_map()
        with self._lock:
            try:
                if self._input:
                    del self._input[: os.write(stdin.fileno(), self._input[:CHUNK])]
            except BlockingIOError:
                pass
            except OSError:  # the process has closed its end: what is left has no reader
                self._input.clear()
                self._input_ended = True
            left, ended = bool(self._input), self._input_ended
        if left and not watched:
            watch.register(stdin, selectors.EVENT_WRITE, "input")
        elif not left and watched:
            watch.unregister(stdin)
        if not left and ended:
            stdin.close()


def _piped(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("the process was started without this pipe")
    return stream


class Upload:
    """A file being written, with the same face as a job."""

    def __init__(self, number: int, order: dict[str, Any], sender: Sender) -> None:
        self._number = number
        self._order = order
        self._sender = sender
        self._data: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def feed(self, data: bytes) -> None:
        """Take the next piece; empty means that the file is whole."""
        self._data.put(data)

    def signal(self, number: int) -> None:
        """A file takes no signals; ending it early means ending its data."""
        self._data.put(b"")

    def run(self) -> None:
        """Write beside the path and rename, so that nobody meets half a file."""
        path = self._order["path"]
        try:
            os.makedirs(os.path.dirname(path) or "/", exist_ok=True)
            with open(f"{path}.partial", "wb") as out:
                while data := self._data.get():
                    out.write(data)
                os.fchmod(out.fileno(), int(self._order.get("mode", 0o644)))
            os.replace(f"{path}.partial", path)
        except OSError as error:
            self._sender.end(self._number, None, error=f"{type(error).__name__}: {error}")
        else:
            self._sender.end(self._number, 0)


class Agent:
    """Reads orders from the port and starts a thread for each."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._sender = Sender(descriptor)
        self._jobs: dict[int, Job | Upload] = {}

    def serve(self) -> None:
        """Serve until the machine goes down."""
        reader = FrameReader(self._read)
        while True:
            frame = reader.next()
            if frame is not None:
                self._take(frame)

    def _read(self, size: int) -> bytes:
        while not (data := os.read(self._descriptor, size)):
            time.sleep(0.1)  # nobody is connected on the outside
        return data

    def _take(self, frame: Frame) -> None:
        if frame.kind is Kind.SYNC:
            self._sender.send(frame)
        elif frame.kind is Kind.INPUT:
            if frame.job in self._jobs:
                self._jobs[frame.job].feed(frame.payload)
        elif frame.kind is Kind.SIGNAL:
            if frame.job in self._jobs:
                self._jobs[frame.job].signal(json.loads(frame.payload)["signal"])
        elif frame.kind is Kind.CLOCK:
            self._set_clock(frame)
        elif frame.kind is Kind.READ:
            threading.Thread(target=self._send_file, args=(frame,), daemon=True).start()
        elif frame.kind in (Kind.RUN, Kind.WRITE):
            make = Job if frame.kind is Kind.RUN else Upload
            job = make(frame.job, json.loads(frame.payload), self._sender)
            self._jobs[frame.job] = job
            threading.Thread(target=self._work, args=(frame.job, job), daemon=True).start()

    def _work(self, number: int, job: Job | Upload) -> None:
        try:
            job.run()
        finally:
            self._jobs.pop(number, None)

    def _set_clock(self, frame: Frame) -> None:
        """Take the outside's time and randomness: a restored machine has those of long ago."""
        order = json.loads(frame.payload)
        time.clock_settime(time.CLOCK_REALTIME, float(order["time"]))
        with open("/dev/urandom", "wb", buffering=0) as pool:
            pool.write(bytes.fromhex(order["seed"]))
            with contextlib.suppress(OSError):
                fcntl.ioctl(pool, RNDRESEEDCRNG)
        self._sender.end(frame.job, 0)

    def _send_file(self, frame: Frame) -> None:
        try:
            with open(json.loads(frame.payload)["path"], "rb") as file:
                while data := file.read(CHUNK):
                    self._sender.send(Frame(Kind.OUT, frame.job, data))
        except OSError as error:
            self._sender.end(frame.job, None, error=f"{type(error).__name__}: {error}")
        else:
            self._sender.end(frame.job, 0)


if __name__ == "__main__":
    Agent(os.open(PORT, os.O_RDWR | os.O_CLOEXEC)).serve()

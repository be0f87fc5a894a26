# SPDX-License-Identifier: GPL-3.0-or-later
"""The outside end of the agent's channel: many commands at once over one socket.

The socket is QEMU's (the other end of the guest's virtio-serial port) or the keeper's, which shares
one guest among several processes; both speak the frames of ``inside/wire.py``.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .inside.wire import CHUNK, Frame, FrameReader, Kind

SLACK = 60.0
"""Seconds that we wait beyond a command's own timeout, which the agent keeps, for its answer."""


class GuestError(Exception):
    """The guest did not do what it was asked; the message says what and how."""


@dataclass(frozen=True, slots=True)
class Result:
    """A command that ended in the guest.

    ``status`` is the exit status, negative for a signal; ``seconds`` is measured outside.
    """

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes
    seconds: float
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """True where the command says that it succeeded."""
        return self.status == 0

    @property
    def text(self) -> str:
        """Standard output as text, without the last line's end."""
        return self.stdout.decode(errors="replace").rstrip("\n")

    @property
    def errors(self) -> str:
        """Standard error as text, without the last line's end."""
        return self.stderr.decode(errors="replace").rstrip("\n")

    def check(self) -> Result:
        """This result; raises GuestError with all that the command said where it failed."""
        if self.ok:
            return self
        why = "timed out" if self.timed_out else f"exit status {self.status}"
        raise GuestError(f"{why}: {' '.join(self.argv)}\n{self.text}\n{self.errors}".rstrip())


class Sink(Protocol):
    """Where the frames of one job go."""

    def take(self, frame: Frame) -> None:
        """A frame for this job has come."""

    def lose(self, why: str) -> None:
        """The guest or the connection is gone; no frame will come."""


class Running:
    """A command that was started in the guest; safe to use from several threads."""

    def __init__(self, channel: Channel, argv: Sequence[str]) -> None:
        self._channel = channel
        self.job = 0
        self.argv = tuple(argv)
        self.on_output: Callable[[Kind, bytes], None] | None = None
        self._out = bytearray()
        self._err = bytearray()
        self._end: dict[str, Any] | None = None
        self._started = time.monotonic()
        self._seconds = 0.0
        self._changed = threading.Condition()

    @property
    def stdout(self) -> bytes:
        """What has come so far."""
        with self._changed:
            return bytes(self._out)

    @property
    def stderr(self) -> bytes:
        """What has come so far."""
        with self._changed:
            return bytes(self._err)

    @property
    def ended(self) -> bool:
        """Whether the command has ended."""
        with self._changed:
            return self._end is not None

    def feed(self, data: bytes, *, end: bool = False) -> None:
        """Send data to standard input; ``end`` closes it."""
        for start in range(0, len(data), CHUNK):
            self._channel.send(Frame(Kind.INPUT, self.job, data[start : start + CHUNK]))
        if end:
            self._channel.send(Frame(Kind.INPUT, self.job))

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Signal the command's whole process group."""
        self._channel.send(Frame(Kind.SIGNAL, self.job, json.dumps({"signal": int(number)}).encode()))

    def wait_for(self, text: bytes, timeout: float = 60.0) -> None:
        """Wait until standard output or error contains ``text``; GuestError at its end or at timeout."""
        with self._changed:
            came = self._changed.wait_for(
                lambda: text in self._out or text in self._err or self._end is not None, timeout
            )
            if text not in self._out and text not in self._err:
                why = "ended" if came else f"ran {timeout:g} s"
                raise GuestError(f"{' '.join(self.argv)} {why} without saying {text!r}: {bytes(self._err)!r}")

    def wait(self, timeout: float | None = None) -> Result:
        """Wait for the end; GuestError when the time (seconds) is up or the guest is lost."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._end is not None, timeout):
                raise GuestError(f"no answer from the guest within {timeout:g} s: {' '.join(self.argv)}")
            end = self._end or {}
        if end["status"] is None:
            raise GuestError(f"{' '.join(self.argv)}: {end['error']}")
        return Result(
            self.argv, end["status"], bytes(self._out), bytes(self._err), self._seconds, end["timed_out"]
        )

    def take(self, frame: Frame) -> None:
        """For the channel's reader (see Sink)."""
        with self._changed:
            if frame.kind is Kind.OUT:
                self._out += frame.payload
            elif frame.kind is Kind.ERR:
                self._err += frame.payload
            elif frame.kind is Kind.EXIT:
                self._end = json.loads(frame.payload)
                self._seconds = time.monotonic() - self._started
            self._changed.notify_all()
        if self.on_output is not None and frame.kind in (Kind.OUT, Kind.ERR):
            self.on_output(frame.kind, frame.payload)

    def lose(self, why: str) -> None:
        """For the channel's reader (see Sink)."""
        with self._changed:
            if self._end is None:
                self._end = {"status": None, "timed_out": False, "error": why}
            self._changed.notify_all()


class Channel:
    """A connection to the agent, with its reader thread."""

    def __init__(self, path: Path) -> None:
        """Connect to the socket at ``path``; OSError when nobody listens there."""
        self._socket = connect(path)
        self._send_lock = threading.Lock()
        self._lock = threading.Lock()
        self._jobs: dict[int, Sink] = {}
        self._numbers = itertools.count(1)
        self._nonce = os.urandom(16)
        self._synchronised = threading.Event()
        self._lost = ""
        self._reader = threading.Thread(target=self._read, name="guest-channel", daemon=True)
        self._reader.start()

    def synchronise(self, timeout: float, alive: Callable[[], bool] = lambda: True) -> None:
        """Wait until the agent answers; GuestError after ``timeout`` seconds or when not ``alive()``."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and alive() and not self._lost:
            self.send(Frame(Kind.SYNC, 0, self._nonce))
            if self._synchronised.wait(1.0):
                return
        raise GuestError(self._lost or f"the agent in the guest did not answer within {timeout:.0f} s")

    def send(self, frame: Frame) -> None:
        """Send one frame; GuestError when the guest is gone."""
        try:
            with self._send_lock:
                self._socket.sendall(frame.encoded())
        except OSError as error:
            raise GuestError(f"the guest is gone: {error}") from error

    def begin(self, kind: Kind, payload: bytes, sink: Sink) -> int:
        """Begin a job of ``kind`` whose frames go to ``sink``; answers its number."""
        number = next(self._numbers)
        with self._lock:
            self._jobs[number] = sink
        if self._lost:
            sink.lose(self._lost)
        else:
            self.send(Frame(kind, number, payload))
        return number

    def start(self, kind: Kind, order: Mapping[str, Any], argv: Sequence[str]) -> Running:
        """Begin a job of ``kind``; ``argv`` is what messages call it."""
        running = Running(self, argv)
        running.job = self.begin(kind, json.dumps(dict(order)).encode(), running)
        return running

    def close(self) -> None:
        """End the connection; what still runs is reported as lost."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(5)
        self._socket.close()

    def _read(self) -> None:
        reader = FrameReader(self._receive)
        while (frame := reader.next()) is not None:
            if frame.kind is Kind.SYNC:
                if frame.payload == self._nonce:
                    self._synchronised.set()
                continue
            with self._lock:
                sink = self._jobs.get(frame.job)
                if frame.kind is Kind.EXIT:
                    self._jobs.pop(frame.job, None)
            if sink is not None:
                sink.take(frame)
        self._lost = "the connection to the guest ended"
        with self._lock:
            sinks = list(self._jobs.values())
        for sink in sinks:
            sink.lose(self._lost)

    def _receive(self, size: int) -> bytes:
        try:
            return self._socket.recv(size)
        except OSError:
            return b""


def connect(path: Path) -> socket.socket:
    """A connected UNIX socket, also where the path is longer than an address may be (107 bytes)."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        made.connect(f"/proc/self/fd/{folder}/{path.name}")
    except OSError:
        made.close()
        raise
    finally:
        os.close(folder)
    return made

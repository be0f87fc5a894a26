# SPDX-License-Identifier: GPL-3.0-or-later
"""The keeper: a process that owns one guest and shares it among any number of others."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Protocol

from . import cache
from .channel import Channel, GuestError
from .guest import Guest
from .inside.wire import Frame, FrameReader, Kind
from .machine import Machine
from .recipe import Suite

SOCKET = "keeper.sock"


def keeper_folder(suite: Suite) -> Path:
    """Where the keeper of a suite's guest has its socket and log."""
    return cache.cache_folder() / "up" / suite.value


def attach(suite: Suite) -> Guest | None:
    """The shared guest of a suite, or None where no keeper runs."""
    try:
        channel = Channel(keeper_folder(suite) / SOCKET)
    except OSError:
        return None
    try:
        channel.synchronise(30)
    except GuestError:
        channel.close()
        return None
    return Guest(channel)


class Shared(Protocol):
    """What a keeper needs of a machine."""

    @property
    def channel(self) -> Channel:
        """The connection to its agent; another one after a reset."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""

    def reset(self) -> None:
        """Pull the plug and boot again."""


class Keeper:
    """Relays frames between its clients and the guest's agent, with job numbers of its own."""

    def __init__(self, machine: Shared) -> None:
        self._machine = machine
        self._quit = threading.Event()

    def begin(self, listener: socket.socket) -> None:
        """Start to serve whoever connects."""
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def wait(self) -> None:
        """Wait until told to quit or until the guest is gone."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self._quit.set())
        while not self._quit.wait(1.0) and self._machine.alive:
            pass

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:  # the listener was closed: no more clients
                return
            threading.Thread(target=_Client(self, connection).serve, daemon=True).start()

    @property
    def machine(self) -> Shared:
        """The guest's machine."""
        return self._machine

    def obey(self, order: str) -> None:
        """Reset the machine or end the keeper."""
        if order == "reset":
            self._machine.reset()
        elif order == "quit":
            self._quit.set()
        else:
            raise GuestError(f"unknown order {order!r}")


class _Client:
    """One process that uses the guest."""

    def __init__(self, keeper: Keeper, connection: socket.socket) -> None:
        self._keeper = keeper
        self._connection = connection
        self._lock = threading.Lock()
        self._jobs: dict[int, int] = {}
        self._numbers = itertools.count(1)

    def serve(self) -> None:
        """Relay until the client leaves; what it left running is killed."""
        with self._connection, contextlib.suppress(OSError, GuestError):
            reader = FrameReader(self._connection.recv)
            while (frame := reader.next()) is not None:
                self._take(frame)
        channel = self._keeper.machine.channel
        for job in list(self._jobs.values()):
            with contextlib.suppress(GuestError):
                channel.send(Frame(Kind.SIGNAL, job, json.dumps({"signal": int(signal.SIGKILL)}).encode()))

    def send(self, frame: Frame) -> None:
        """Send the client a frame; one that has left gets nothing."""
        with self._lock, contextlib.suppress(OSError):
            self._connection.sendall(frame.encoded())

    def forget(self, job: int) -> None:
        """The client's job has ended."""
        self._jobs.pop(job, None)

    def _take(self, frame: Frame) -> None:
        channel = self._keeper.machine.channel
        if frame.kind is Kind.SYNC:
            self.send(frame)
        elif frame.kind is Kind.KEEPER:
            threading.Thread(target=self._order, args=(frame,), daemon=True).start()
        elif frame.kind in (Kind.INPUT, Kind.SIGNAL):
            if frame.job in self._jobs:
                channel.send(Frame(frame.kind, self._jobs[frame.job], frame.payload))
        else:
            self._jobs[frame.job] = channel.begin(frame.kind, frame.payload, _Relay(self, frame.job))

    def _order(self, frame: Frame) -> None:
        answer = {"status": 0, "timed_out": False, "error": ""}
        try:
            self._keeper.obey(json.loads(frame.payload)["order"])
        except GuestError as error:
            answer = {"status": None, "timed_out": False, "error": str(error)}
        self.send(Frame(Kind.EXIT, frame.job, json.dumps(answer).encode()))


class _Relay:
    """Sends a job's frames on under the client's own number (see channel.Sink)."""

    def __init__(self, client: _Client, job: int) -> None:
        self._client = client
        self._job = job

    def take(self, frame: Frame) -> None:
        """Pass a frame on."""
        if frame.kind is Kind.EXIT:
            self._client.forget(self._job)
        self._client.send(Frame(frame.kind, self._job, frame.payload))

    def lose(self, why: str) -> None:
        """Tell the client that no more will come."""
        answer = {"status": None, "timed_out": False, "error": why}
        self.take(Frame(Kind.EXIT, self._job, json.dumps(answer).encode()))


def keep(suite: Suite, machine: Machine) -> None:
    """Own ``machine`` and share it under the suite's socket until the end."""
    path = keeper_folder(suite) / SOCKET
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        here = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        listener.bind(f"/proc/self/fd/{here}/{path.name}")  # a path of its own may be too long to bind
        os.close(here)
        listener.listen(64)
        try:
            keeper = Keeper(machine)
            keeper.begin(listener)
            keeper.wait()
        finally:
            machine.close()
            path.unlink(missing_ok=True)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames that the outside and the agent in the guest exchange over a virtio-serial port.

One frame is a header (marker, kind, job id, length) and a payload. The same file is used on both
ends. A port is a bare byte channel that may begin in mid-frame after a reset of the guest, so a
session starts with a SYNC frame that carries a nonce; whoever has lost its place looks for the next
marker that is followed by a plausible header.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

MARKER = b"\xf5CZB\xfa\x01"
HEADER = struct.Struct(">6sBIxI")
CHUNK = 65536
"""How many bytes of data travel in one frame; longer data takes several."""
LIMIT = 1 << 23
"""The largest payload of one frame, in bytes: a header that claims more is not a header."""


class Kind(IntEnum):
    """What a frame means; the payload of each in brackets."""

    SYNC = 1  # outside: [nonce]; the agent answers with the same nonce
    RUN = 2  # outside: [JSON: argv, env, cwd, timeout]
    READ = 3  # outside: [JSON: path]
    WRITE = 4  # outside: [JSON: path, mode]; data follows as INPUT
    CLOCK = 5  # outside: [JSON: time, seed]
    INPUT = 6  # outside: [bytes]; empty means end of input
    SIGNAL = 7  # outside: [JSON: signal]; for the whole process group of the job
    OUT = 8  # agent: [bytes]
    ERR = 9  # agent: [bytes]
    EXIT = 10  # agent: [JSON: status, timed_out, error]
    KEEPER = 11  # outside, for the keeper and never for the agent: [JSON: order]


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: what it is, which job it belongs to, and its payload."""

    kind: Kind
    job: int
    payload: bytes = b""

    def encoded(self) -> bytes:
        """The bytes of this frame."""
        return HEADER.pack(MARKER, self.kind, self.job, len(self.payload)) + self.payload


class FrameReader:
    """Takes frames out of a byte channel, and finds its place again after garbage."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        """``read(n)`` answers at most n bytes, and nothing at the end of the channel."""
        self._read = read
        self._held = bytearray()

    def next(self) -> Frame | None:
        """The next frame, or None at the end of the channel (what was half read is dropped)."""
        while True:
            if not self._fill(HEADER.size):
                return None
            marker, kind, job, length = HEADER.unpack_from(self._held)
            if marker == MARKER and kind in Kind.__members__.values() and length <= LIMIT:
                break
            found = self._held.find(MARKER, 1)
            del self._held[: found if found > 0 else max(1, len(self._held) - len(MARKER) + 1)]
        if not self._fill(HEADER.size + length):
            return None
        payload = bytes(self._held[HEADER.size : HEADER.size + length])
        del self._held[: HEADER.size + length]
        return Frame(Kind(kind), job, payload)

    def _fill(self, wanted: int) -> bool:
        while len(self._held) < wanted:
            data = self._read(CHUNK)
            if not data:
                self._held.clear()
                return False
            self._held += data
        return True

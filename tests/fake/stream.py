# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of the fake's streams and resume tokens.

A stream is a row of records: a header of 312 bytes, as in a real stream (magic, type, length and
checksum of the payload), then the payload. Types: ``BEGIN`` (JSON; of one snapshot, or of a package
with the list of its datasets), ``DATA`` (a 4-byte length, JSON that says what to do, then bytes) and
``END``. As in a real stream, a reader knows from the records alone where the stream ends, and takes
no byte more.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from tests.fake.model import Blob

MAGIC = b"FZFS"
_HEADER = struct.Struct(">4sB3xQII288s")
_INSIDE = 288
"""What fits into a header itself: a real begin record holds its few fields there."""
CHUNK = 16 * 1024
"""Bytes of one file in one record: what a resumed stream may have to send again."""
RECORD_OVERHEAD = 312
Nv = dict[str, object]


class Kind(IntEnum):
    """Types of record."""

    BEGIN = 1
    DATA = 2
    END = 3


class Reader(Protocol):
    """Where a receive reads from."""

    def read(self, count: int, /) -> bytes:
        """Exactly ``count`` bytes, or fewer at the end of what was sent."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was read; ``raw`` is all of it, to be kept in a journal."""

    kind: Kind
    payload: bytes
    raw: bytes = b""

    def nv(self) -> Nv:
        """The JSON of a ``BEGIN``."""
        loaded = json.loads(self.payload)
        assert isinstance(loaded, dict)
        return loaded

    def data(self) -> tuple[Nv, bytes]:
        """What a ``DATA`` record does, and its bytes."""
        (length,) = struct.unpack_from(">I", self.payload)
        loaded = json.loads(self.payload[4 : 4 + length])
        assert isinstance(loaded, dict)
        return loaded, self.payload[4 + length :]


class TruncatedError(Exception):
    """The stream ended inside a record or before one."""


class MagicError(Exception):
    """What came is no stream."""


class ChecksumError(Exception):
    """A payload is not what its header says."""


def record(kind: Kind, payload: bytes = b"") -> bytes:
    """One record as bytes."""
    inside = payload if kind is Kind.BEGIN and len(payload) <= _INSIDE else b""
    outside = b"" if inside else payload
    return _HEADER.pack(MAGIC, kind, len(outside), zlib.crc32(payload), len(inside), inside) + outside


def begin(nv: Nv) -> bytes:
    """A ``BEGIN`` record."""
    return record(Kind.BEGIN, json.dumps(nv, sort_keys=True).encode())


def _data(nv: Nv, payload: bytes = b"") -> bytes:
    text = json.dumps(nv, sort_keys=True).encode()
    return record(Kind.DATA, struct.pack(">I", len(text)) + text + payload)


def read_record(reader: Reader) -> Record:
    """The next record; ``TruncatedError`` where the input ends first."""
    header = reader.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise TruncatedError
    magic, kind, length, checksum, inside, text = _HEADER.unpack(header)
    if magic != MAGIC or kind not in set(Kind):
        raise MagicError
    outside = reader.read(length)
    if len(outside) < length:
        raise TruncatedError
    payload = text[:inside] + outside
    if zlib.crc32(payload) != checksum:
        raise ChecksumError
    return Record(Kind(kind), payload, header + outside)


def data_records(older: dict[str, Blob] | None, newer: dict[str, Blob]) -> Iterator[bytes]:
    """The records that turn ``older`` (``None``: nothing) into ``newer``, always in the same order.

    An incremental stream of a snapshot that changed nothing has no record at all; any other begins
    with one that stands for the objects of a dataset.
    """
    base = older or {}
    if older is None or set(older) != set(newer) or any(older[name] is not newer[name] for name in newer):
        yield _data({"op": "object"})
    for name in sorted(set(base) - set(newer)):
        yield _data({"op": "remove", "name": name})
    for name in sorted(newer):
        blob = newer[name]
        if base.get(name) is blob:
            continue
        for offset in range(0, max(blob.size, 1), CHUNK):
            part = blob.data[offset : offset + CHUNK]
            yield _data({"op": "write", "name": name, "offset": offset}, part)


def apply(files: dict[str, Blob], item: Record) -> int:
    """Do to ``files`` what a ``DATA`` record says; answers the bytes that it wrote."""
    what, payload = item.data()
    name = str(what.get("name", ""))
    if what["op"] == "remove":
        files.pop(name, None)
    elif what["op"] == "write":
        offset = what["offset"]
        assert isinstance(offset, int)
        before = files[name].data[:offset] if offset else b""
        files[name] = Blob(before + payload)
        return len(payload)
    return 0


def encode_token(nv: Nv) -> str:
    """A resume token: version, checksum and length of what follows, and that in hexadecimal."""
    text = json.dumps(nv, sort_keys=True).encode()
    packed = zlib.compress(text)
    return f"1-{zlib.crc32(packed):x}-{len(text):x}-{packed.hex()}"


class TokenError(Exception):
    """A resume token that says nothing; the text is libzfs's."""


def decode_token(token: str) -> Nv:
    """What a token says; ``TokenError`` with the words of libzfs."""
    parts = token.split("-")
    try:
        version, checksum, length = int(parts[0]), int(parts[1], 16), int(parts[2], 16)
        packed_text = parts[3]
    except (ValueError, IndexError):
        raise TokenError("resume token is corrupt (invalid format)") from None
    if version != 1:
        raise TokenError(f"resume token is corrupt (invalid version {version})")
    try:
        packed = bytes.fromhex(packed_text[: len(packed_text) // 2 * 2])
    except ValueError:
        raise TokenError("resume token is corrupt (payload is not hex-encoded)") from None
    if zlib.crc32(packed) != checksum:
        raise TokenError("resume token is corrupt (incorrect checksum)")
    text = zlib.decompress(packed)
    if len(text) != length:
        raise TokenError("resume token is corrupt (decompression failed)")
    loaded = json.loads(text)
    assert isinstance(loaded, dict)
    return loaded
